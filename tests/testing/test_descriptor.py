"""Every rule of descriptors is broken by a component that breaks it alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from volseg_core.testing import problems
from volseg_core.testing.descriptor import FIELDS, RULES, TASKS, WANTS, examine
from volseg_core.testing.findings import Findings
from volseg_core.testing.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = Path(__file__).parent / "wrong" / "descriptor.py"
SPEC = importlib.util.spec_from_file_location("volseg_cases.descriptor", FILE)
CASES: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(CASES)
WRONG = [
    pytest.param(rule, *case, id=f"{rule}-{number}")
    for number, (rule, *case) in enumerate([*((rule, *case) for rule, case in CASES.WRONG.items()), *CASES.ALSO_WRONG])
]


def broken(subject: Any) -> dict[str, Any]:
    found = Findings(RULES)
    examine(Trial(subject), found)
    return found.broken


def test_every_rule_has_a_descriptor_that_breaks_it() -> None:
    assert [f"descriptor.{rule}" for rule in CASES.WRONG] == list(RULES)


@pytest.mark.parametrize(("rule", "component", "seen"), WRONG)
def test_a_wrong_descriptor_is_told_which_rule_it_breaks(
    rule: str, component: Any, seen: str, subject: Callable[..., Any]
) -> None:
    plugin = "volseg" if component.extra else "wrong"
    breaches = broken(subject(component, plugin=plugin))
    assert seen in breaches[f"descriptor.{rule}"].seen
    # a metric that stands in for a wrong field has other wants and parameters than the function of its target
    assert set(breaches) - {"descriptor.fields"} <= {f"descriptor.{rule}"}


def test_a_right_descriptor_has_no_problem(subject: Callable[..., Any]) -> None:
    assert problems(subject(CASES.described(summary="Keeps what is large."))) == []


def test_a_library_s_class_is_a_target_as_it_is(subject: Callable[..., Any]) -> None:
    from volseg_core.api import Loss

    loss = Loss(
        name="plain",
        target="torch.nn:CrossEntropyLoss",
        summary="torch's own.",
        params={},
        ignore="none",
        tasks=("multiclass",),
        licence="BSD-3-Clause",
    )
    assert problems(subject(loss)) == []


def test_the_known_values_are_those_of_the_core() -> None:
    """The context of each kind is what the descriptors' docstrings name."""
    from volseg_core.api import KINDS

    for kind, names in WANTS.items():
        text = KINDS[kind].__doc__
        assert [name for name in names if name not in text] in ([], ["model", "threads"])
    assert set(FIELDS) <= set(KINDS)
    assert {"multiclass", "binary"} < set(TASKS)
