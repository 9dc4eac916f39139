"""Patches of a training as the sampler grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.data.cover import GridPlaces
from volseg_core.data.labelled import Labelled
from volseg_core.data.split import whole
from volseg_core.data.windows import Group
from volseg_core.migration.pytorch_3dunet.sampling import carry_sampler
from volseg_core.recipe.blocks import SamplerBlock
from volseg_core.volume import Grid, Normalisation

PATCHES = {"name": "SliceBuilder", "patch_shape": [8, 16, 16], "stride_shape": [4, 8, 8]}
FILTERED = PATCHES | {"name": "FilterSliceBuilder"}


def sampled(carried: Any, content: dict[str, Any], dims: int = 3, *, ids: bool = True) -> tuple[Any, dict[str, str]]:
    recipe, left, _ = carried(lambda settings, transfer: carry_sampler(settings, transfer, dims, ids=ids), content)
    return recipe["data.sampler"], left


@pytest.mark.parametrize(
    ("stride", "overlap", "left"),
    [
        ([8, 16, 16], 0.0, {}),
        ([4, 8, 8], 0.5, {}),
        ([2, 4, 4], 0.75, {}),
        ([4, 8, 4], 0.75, "windows lie 2 x 4 x 4 apart: one overlap is for all directions, and leaves no gap"),
        ([9, 16, 16], 0.0, "windows lie 8 x 16 x 16 apart: one overlap is for all directions, and leaves no gap"),
    ],
)
def test_a_stride_is_an_overlap(carried: Any, stride: list[int], overlap: float, left: Any) -> None:
    found, named = sampled(carried, PATCHES | {"stride_shape": stride})
    assert found == {"kind": "grid", "overlap": overlap}
    assert named == ({"stride_shape": left} if left else {})


@given(edge=st.integers(1, 600), step=st.integers(1, 600))
def test_cubes_lie_as_far_apart_as_their_strides(carried: Any, edge: int, step: int) -> None:
    found, named = sampled(carried, PATCHES | {"patch_shape": [edge] * 3, "stride_shape": [step] * 3})
    SamplerBlock(**found)
    assert set(named) == ({"stride_shape"} if step > edge else set())


@pytest.mark.parametrize(("planes", "left"), [(1, {}), (5, {"stride_shape": "windows lie in every slice"})])
def test_every_slice_has_windows(carried: Any, planes: int, left: dict[str, str]) -> None:
    found, named = sampled(carried, PATCHES | {"patch_shape": [1, 16, 16], "stride_shape": [planes, 8, 8]}, 2)
    assert (found, named) == ({"kind": "grid", "overlap": 0.5}, left)


@pytest.mark.parametrize(
    ("content", "foreground", "left"),
    [
        ({}, 0.6, set()),
        ({"threshold": 0.25, "slack_acceptance": 0}, 0.25, set()),
        ({"threshold": 0.25, "slack_acceptance": 0.1}, 0.25, {"slack_acceptance"}),
        ({"threshold": 0}, 1e-9, set()),
        ({"threshold": 2}, 0.6, {"threshold"}),
        ({"ignore_index": 3, "skip_shape_check": True}, 0.6, {"ignore_index", "skip_shape_check"}),
    ],
)
def test_a_filter_keeps_windows_with_foreground(
    carried: Any, content: dict[str, Any], foreground: float, left: set[str]
) -> None:
    found, named = sampled(carried, FILTERED | content)
    assert (found, set(named)) == ({"kind": "grid", "overlap": 0.5, "foreground": foreground}, left)
    SamplerBlock(**found)


def test_a_threshold_of_0_leaves_windows_without_foreground_out(carried: Any) -> None:
    labels = np.zeros((16, 16, 32), np.int8)
    labels[3, 4, 20] = 1
    found, _ = sampled(carried, FILTERED | {"threshold": 0, "stride_shape": [8, 16, 16]})
    volume = Labelled(labels[None], labels, Normalisation("none").fit(labels[None]), Grid())
    group = Group(0, (8, 16, 16), (whole(volume),))
    assert len(GridPlaces(group, SamplerBlock(**found))) == 1


def test_values_have_no_foreground(carried: Any) -> None:
    found, left = sampled(carried, FILTERED | {"threshold": 0.1, "slack_acceptance": 0.2}, ids=False)
    assert found == {"kind": "grid", "overlap": 0.5}
    assert left == dict.fromkeys(("threshold", "slack_acceptance"), "labels hold values, of which none is foreground")


def test_a_threshold_without_a_filter_is_named(carried: Any) -> None:
    found, left = sampled(carried, PATCHES | {"threshold": 0.1})
    assert found == {"kind": "grid", "overlap": 0.5}
    assert left == {"threshold": "without effect on SliceBuilder"}


@pytest.mark.parametrize(
    "content",
    [{}, PATCHES | {"name": "MyBuilder"}, PATCHES | {"stride_shape": [0, 8, 8]}, PATCHES | {"stride_shape": None}],
)
def test_windows_of_other_builders_are_drawn(carried: Any, content: dict[str, Any]) -> None:
    found, left = sampled(carried, content)
    assert found == "uniform"
    assert left == dict.fromkeys(set(content) - {"patch_shape"}, "windows are drawn at random")


def test_unknown_keys_of_a_builder_are_named(carried: Any) -> None:
    _, left = sampled(carried, PATCHES | {"strides": 3})
    assert left["strides"].startswith("no key of pytorch-3dunet's slice_builder")
