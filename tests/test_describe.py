from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from volseg_core import api
from volseg_core.describe import describe
from volseg_core.errors import PluginError, UsageError

CASES = '''
"""Things to describe."""
import os

class RimLoss:
    """Weigh voxels near a rim. Twice as much as others.

    Args:
        width: of the rim,
            in voxels. Not in nm.
        weight: of its voxels.
    """

    def __init__(self, *, width: float = 2.0, weight=3.0, task: str): ...
    def __call__(self, output, target, valid=None): ...

class Volume:
    def update(self, prediction, target, valid=None): ...
    def compute(self): ...
    def reset(self): ...
    def __init__(self, *, classes, spacing=None, tolerance=1): ...

class Union2:
    """Unite views."""
    def start(self, shape, classes, views): ...
    def add(self, probabilities, where, view, weight=1): ...
    def result(self, where, wanted=()): ...

class HTTPReader:
    """Read from afar."""
    def open(self, path, dataset="", role="data"): ...

class Flip:
    """Flip."""
    def __call__(self, image, labels, seed): ...

class Rims:
    """Mark rims."""
    def __init__(self, *, width=1, spacing=None, dims): ...
    def __call__(self, ids): ...

def net(*, in_channels, num_classes, dims, encoder, width=8): ...
def pyramid(*, in_channels, depth, **options): ...
def odd(first, /, second, *rest): ...
number = 3
'''


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a module of the current folder, as an author's file is before it is a package."""
    (tmp_path / "described_cases.py").write_text(CASES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_loss_is_described_as_it_would_be_by_hand(cases: None) -> None:
    found = describe("described_cases:RimLoss")
    assert found.text == textwrap.dedent(
        """\
        Loss(
            name="rim",
            target="described_cases:RimLoss",
            summary="Weigh voxels near a rim.",
            params={
                "width": Param("float", 2.0, "Of the rim, in voxels."),
            },
            wants=("task",),
            ignore="mask",
            licence="",
        )"""
    )
    cure = "wrap the target in a function of your own that calls it something else"
    assert found.open_points == (
        f"'weight' is a word of recipes and left out: {cure}",
        "the licence of the code (SPDX), and a citation where there is one",
        "dims, tasks, inputs and ignore, which a signature does not show",
    )


@pytest.mark.parametrize(
    ("name", "kind", "wants"),
    [
        ("RimLoss", "loss", ("task",)),
        ("Volume", "metric", ("classes", "spacing")),
        ("Union2", "merge", ()),
        ("HTTPReader", "reader", ()),
        ("Flip", "augmentation", ()),
        ("Rims", "target", ("spacing", "dims")),
        ("net", "architecture", ("in_channels", "num_classes", "dims", "encoder")),
        ("pyramid", "encoder", ("in_channels", "depth")),
    ],
)
def test_the_kind_is_guessed_and_the_text_is_a_descriptor_of_it(
    cases: None, name: str, kind: str, wants: tuple[str, ...]
) -> None:
    found = describe(f"described_cases:{name}")
    descriptor: api.Component = eval(found.text, vars(api))  # noqa: S307  (what an author pastes)
    assert found.kind == descriptor.kind == kind
    assert descriptor.wants == wants
    assert descriptor.target == f"described_cases:{name}"


def test_the_kind_can_be_given(cases: None) -> None:
    found = describe("described_cases:Flip", "postprocess")
    assert found.text.startswith('Postprocess(\n    name="flip",\n')


def test_names_are_words_joined_by_hyphens(cases: None) -> None:
    assert 'name="http",' in describe("described_cases:HTTPReader").text
    assert 'name="union2",' in describe("described_cases:Union2").text


def test_what_the_code_does_not_say_is_named(cases: None) -> None:
    assert "the summary: there is no docstring" in describe("described_cases:Volume").open_points
    cure = "wrap the target in a function of your own"
    assert f"'**options' stands for parameters without a name: {cure} that names them" in (
        describe("described_cases:pyramid").open_points
    )
    found = describe("described_cases:odd", "generator")
    assert found.open_points[:2] == (
        f"'first' is taken by position only: {cure}",
        f"'*rest' stands for parameters without a name: {cure} that names them",
    )
    assert '"second": Param("any"),' in found.text


def test_a_loss_of_torch_can_be_used_unwrapped() -> None:
    found = describe("torch.nn:CrossEntropyLoss")
    descriptor: Any = eval(found.text, vars(api))  # noqa: S307  (what an author pastes)
    assert descriptor.name == "cross-entropy"
    assert (descriptor.wants, descriptor.ignore) == (("ignore_index",), "index")
    assert descriptor.params["label_smoothing"].type == "float"
    assert descriptor.params["reduction"].default == "mean"


@pytest.mark.parametrize(
    ("target", "kind", "text"),
    [
        ("torch.nn", "", "plugins describe: 'torch.nn' is not MODULE:NAME. For example: torch.nn:CrossEntropyLoss"),
        ("described_cases:number", "", "plugins describe: 'described_cases:number' is neither a class nor a function."),
        ("described_cases:RimLos", "", "plugins describe: 'described_cases' has no 'RimLos'. Did you mean 'RimLoss'?"),
        ("described_cases:Flip", "flip", "--kind: 'flip' is not a kind of component."),
        ("described_cases:odd", "", "plugins describe: 'described_cases:odd' looks like no kind of component. Give "),
        ("builtins:dict", "loss", "plugins describe: 'builtins:dict' has no signature that Python can read. Wrap it"),
    ],
)
def test_what_cannot_be_described_is_an_error(cases: None, target: str, kind: str, text: str) -> None:
    with pytest.raises(UsageError) as error:
        describe(target, kind)
    assert str(error.value).startswith(text)


def test_a_module_that_does_not_import_is_named_with_the_reason() -> None:
    with pytest.raises(PluginError) as error:
        describe("no_such_module_xyz:Loss")
    assert str(error.value) == (
        "plugins describe: 'no_such_module_xyz' does not import (ModuleNotFoundError: No module named "
        "'no_such_module_xyz')."
    )
