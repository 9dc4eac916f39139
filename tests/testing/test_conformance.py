"""The public functions: what they return and raise, and what a check must be given."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from volseg_core.api import PluginError, UsageError
from volseg_core.catalog import Catalog
from volseg_core.testing import check, components, problems
from volseg_core.testing.conformance import RULES, broken_rules
from volseg_core.testing.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable


def test_importing_the_kit_costs_little() -> None:
    code = (
        "import sys, volseg_core.testing;"
        "print({'torch', 'numpy', 'scipy', 'pytest', 'yaml', 'pydantic', 'lightning'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_check_lists_all_problems_as_sentences(subject: Callable[..., Any], wrong: Callable[[str], Any]) -> None:
    component = wrong("postprocess").described("floats", "Returns floats.")
    wrong_twice = subject(type(component)(**{**vars(component), "licence": "", "tasks": ("classes",)}))
    with pytest.raises(AssertionError) as caught:
        check(wrong_twice)
    assert str(caught.value) == (
        "postprocess/floats breaks 3 rules:\n"
        "- A component states the licence of its code, but licence is empty. Set licence to an SPDX identifier such as "
        "'MIT'. [descriptor.licence]\n"
        "- The tasks are among those that a recipe can have, but 'classes' is not one of binary, multiclass, "
        "multilabel, regression. Leave tasks empty for a component that serves any. "
        "[descriptor.tasks]\n"
        "- It returns integers of the shape (Z, Y, X), but labels of shape (6, 7, 8) become float64 of shape "
        "(6, 7, 8). Crop nothing, and convert to an integer type. [postprocess.shape]"
    )
    assert str(caught.value).splitlines()[1:] == [f"- {problem}" for problem in problems(wrong_twice)]


def test_a_right_component_passes_in_silence(subject: Callable[..., Any], wrong: Callable[[str], Any]) -> None:
    component, _ = wrong("postprocess").RIGHT[0]
    check(subject(component))
    assert str(subject(component)) == "postprocess/right"


@pytest.mark.parametrize("rule", RULES)
def test_what_a_check_must_be_given_is_a_problem_until_it_is(
    rule: str, subject: Callable[..., Any], wrong: Callable[[str], Any]
) -> None:
    component, seen = wrong("descriptor").GIVEN[rule.removeprefix("given.")]
    breaches = broken_rules(Trial(subject(component)))
    assert list(breaches) == [rule]
    assert str(breaches[rule]) == f"{RULES[rule].states}, but {seen}. {RULES[rule].cure} [{rule}]"


def test_given_parameters_are_used_and_converted(subject: Callable[..., Any], wrong: Callable[[str], Any]) -> None:
    component, _ = wrong("descriptor").GIVEN["params"]
    assert problems(subject(component), params={"least": "2"}) == []
    assert Trial(subject(component), {"least": "2"}).values() == {"least": 2}


def test_a_misspelt_parameter_is_an_error_of_the_test(subject: Callable[..., Any], wrong: Callable[[str], Any]) -> None:
    component = wrong("descriptor").described(summary="One.")
    with pytest.raises(UsageError, match="postprocess/right: has no parameter 'leest'. Did you mean 'least'?"):
        problems(subject(component), params={"leest": 1})


def test_a_given_sample_is_read_where_no_writer_makes_one(
    subject: Callable[..., Any], wrong: Callable[[str], Any], tmp_path: Path
) -> None:
    module = wrong("reader")
    values = {"shape": (3, 4, 5), "dtype": "uint8", "spacing": (1.0, 1.0, 1.0)}
    path = tmp_path / "sample.acme2"
    path.write_bytes(json.dumps(values).encode().ljust(module.HEADER) + bytes(range(60)))
    component, _ = wrong("descriptor").GIVEN["sample"]
    assert problems(subject(component), sample=str(path)) == []


def test_a_named_encoder_is_built_untrained(subject: Callable[..., Any], wrong: Callable[[str], Any]) -> None:
    component, _ = wrong("architecture").RIGHT[1]
    assert problems(subject(component), encoder="resnet18") == []


def test_the_components_of_a_plugin_are_found_with_and_without_discovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from volseg_core.api import Postprocess, hookimpl\n"
        "@hookimpl\ndef volseg_postprocessors():\n"
        "    return [Postprocess(name='keep', target='mine:keep', summary='Keeps labels.', licence='MIT')]\n"
        "def keep():\n    return lambda labels: labels.copy()\n"
    )
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    (tmp_path / "registry.yaml").write_text("version: 1\nplugins: {local: [mine.py]}\n", encoding="utf-8")
    (local,) = components("local/mine", tmp_path / "registry.yaml")
    monkeypatch.syspath_prepend(tmp_path)
    import mine

    (unit,) = components(Catalog.from_modules([mine]))
    for subject in (local, unit):
        assert str(subject) == "postprocess/keep"
        check(subject)


def test_a_plugin_that_is_absent_or_broken_is_an_error_and_not_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="volsegg: there is no such plugin. Did you mean 'volseg'?"):
        components("volsegg")
    (tmp_path / "mine.py").write_text("1 / 0", encoding="utf-8")
    (tmp_path / "registry.yaml").write_text("version: 1\nplugins: {local: [mine.py]}\n", encoding="utf-8")
    with pytest.raises(PluginError, match=r"local/mine: did not load \(ZeroDivisionError: division by zero\)"):
        components("local/mine", tmp_path / "registry.yaml")
    (tmp_path / "mine.py").write_text("", encoding="utf-8")
    with pytest.raises(PluginError, match="local/mine: provides no component"):
        components("local/mine", tmp_path / "registry.yaml")
