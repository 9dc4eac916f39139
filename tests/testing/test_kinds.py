"""Every rule of every kind is broken by a component of ``wrong/`` that breaks it, and by none that is right."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from volseg_core.api import KINDS
from volseg_core.testing import problems
from volseg_core.testing.conformance import broken_rules
from volseg_core.testing.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parent / "wrong"


def load(kind: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"volseg_cases.{kind}", FOLDER / f"{kind}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rules_of(kind: str) -> dict[str, Any]:
    return importlib.import_module(f"volseg_core.testing.kinds.{kind}").RULES


def partners(component: Any) -> tuple[Any, ...]:
    return getattr(CASES[component.kind], "PARTNERS", ())


CASES = {kind: load(kind) for kind in KINDS if (FOLDER / f"{kind}.py").is_file()}
WRONG = [
    pytest.param(f"{kind}.{rule}", *case, id=f"{kind}.{rule}-{case[0].name}")
    for kind, module in CASES.items()
    for rule, case in (*module.WRONG.items(), *((rule, case) for rule, *case in getattr(module, "ALSO_WRONG", ())))
]
RIGHT = [pytest.param(*case, id=f"{kind}-{case[0].name}") for kind, module in CASES.items() for case in module.RIGHT]


@pytest.mark.parametrize("kind", CASES)
def test_every_rule_has_a_component_that_breaks_it(kind: str) -> None:
    assert [f"{kind}.{rule}" for rule in CASES[kind].WRONG] == list(rules_of(kind))


@pytest.mark.parametrize(("rule", "component", "seen"), WRONG)
def test_a_wrong_component_is_told_which_rule_it_breaks_what_was_seen_and_the_cure(
    rule: str, component: Any, seen: str, subject: Callable[..., Any]
) -> None:
    breaches = broken_rules(Trial(subject(component, *partners(component))))
    stated = rules_of(component.kind)[rule]
    assert list(breaches) == [rule]
    assert str(breaches[rule]) == f"{stated.states}, but {breaches[rule].seen}. {stated.cure} [{rule}]"
    assert seen in breaches[rule].seen


@pytest.mark.parametrize(("component", "given"), RIGHT)
def test_a_right_component_has_no_problem(component: Any, given: dict[str, Any], subject: Callable[..., Any]) -> None:
    assert problems(subject(component, *partners(component)), **given) == []
