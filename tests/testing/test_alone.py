"""A process in which there is no torch."""

from __future__ import annotations

import types
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from volseg_core.catalog import Catalog
from volseg_core.plugins import PluginRecord
from volseg_core.testing import Subject
from volseg_core.testing.alone import NoTorch, without_torch
from volseg_core.testing.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable


def test_torch_and_its_modules_are_not_found_and_everything_else_is() -> None:
    for name in ("torch", "torch.nn"):
        with pytest.raises(ModuleNotFoundError, match="No module named 'torch'"):
            NoTorch().find_spec(name)
    assert NoTorch().find_spec("torchvision") is None
    assert NoTorch().find_spec("numpy") is None


def test_a_component_that_needs_no_torch_is_right_there_too(
    subject: Callable[..., Any], wrong: Callable[[str], Any]
) -> None:
    assert without_torch(Trial(subject(wrong("metric").RIGHT[0][0]))) == ""


def test_a_module_that_imports_torch_at_the_top_is_told_by_its_target(subject: Callable[..., Any]) -> None:
    from volseg_core.api import Metric

    component = Metric(name="m", target="runtime:Right", summary="A module with torch.", outputs=("m",), licence="MIT")
    told = without_torch(Trial(subject(component)))
    assert told.startswith("the check ends with ModuleNotFoundError: No module named 'torch'")


def test_a_module_that_is_in_no_file_is_passed_over(subject: Callable[..., Any], wrong: Callable[[str], Any]) -> None:
    of_file = subject(next(case for case in wrong("metric").WRONG.values() if case[0].name == "needstorch")[0])
    module = types.ModuleType("metric")
    module.NeedsTorch = wrong("metric").NeedsTorch
    record = PluginRecord("memory", components=[of_file.component], modules={"metric": module})
    in_memory = Subject(replace(of_file.provided, plugin=record), of_file.catalog)
    assert without_torch(Trial(of_file)) != ""
    assert without_torch(Trial(in_memory)) == ""
    assert isinstance(in_memory.catalog, Catalog)
