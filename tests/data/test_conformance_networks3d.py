"""Where pytorch-3dunet 1.9.6 lays its patches: the sampler grid does so too, prediction spreads as many evenly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_core.data.cover import GridPlaces
from volseg_core.data.split import whole
from volseg_core.data.windows import Group
from volseg_core.recipe.blocks import SamplerBlock
from volseg_core.volume.windows import Tiling

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.data.labelled import Labelled

    Make = Callable[..., Labelled]

Case = dict[str, Any]

SHARED = Path(os.environ.get("VOLSEG_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
FOLDER = SHARED / "conformance" / "networks3d"


def cases(kind: str) -> list[Any]:
    if not FOLDER.is_dir():
        return [pytest.param({}, marks=pytest.mark.skip(reason="the shared cases are not here"))]
    found = json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))["cases"]
    chosen = [pytest.param(case, id=case["id"]) for case in found if case["kind"] == kind]
    assert chosen
    return chosen


def expected(case: Case) -> list[tuple[int, ...]]:
    """Return the first voxels (z, y, x) of the patches of a case, in order."""
    with np.load(FOLDER / "arrays.npz") as stored:
        return sorted(map(tuple, stored[case["expected"]].tolist()))


def overlap_of(case: Case) -> float:
    """Return the share by which patches overlap, which is that of every axis in all cases."""
    (share,) = {1 - step / edge for step, edge in zip(case["stride"], case["patch"], strict=True)}
    return share


def starts(labelled: Labelled, case: Case, **sampler: Any) -> list[tuple[int, ...]]:
    group = Group(0, tuple(case["patch"]), (whole(labelled),))
    places = GridPlaces(group, SamplerBlock(kind="grid", overlap=overlap_of(case), **sampler))
    random = np.random.default_rng(0)
    found = (places.place(index, random) for index in range(len(places)))
    return [(place.plane, *(part.start for part in place.box)) for place in found]


@pytest.mark.parametrize("case", cases("slices"))
def test_a_grid_has_the_patches_of_the_reference(case: Case, labelled: Make) -> None:
    found = starts(labelled(tuple(case["shape"][-3:])), case)
    assert len(found) == case["n"]
    assert found == expected(case)


@pytest.mark.parametrize("case", cases("slices"))
def test_prediction_lays_as_many_but_spreads_them_evenly(case: Case) -> None:
    """The reference moves the last one of each axis inside, so that it overlaps its neighbour more than others do."""
    tiling = Tiling(tuple(case["shape"][-3:]), tuple(case["patch"]), overlap_of(case))
    found = [tuple(part.start for part in box) for box in tiling.boxes()]
    assert len(found) == case["n"]
    fits = all(
        (size - edge) % step == 0 for size, edge, step in zip(tiling.shape, tiling.window, case["stride"], strict=True)
    )
    assert (found == expected(case)) is fits
    for axis in range(3):
        steps = np.diff(tiling.starts(axis)).tolist() or [0]
        assert max(steps) - min(steps) <= 1


@pytest.mark.parametrize("case", cases("filter_slices"))
def test_patches_with_enough_foreground_are_those_of_the_reference(case: Case, labelled: Make) -> None:
    labels = np.zeros((40, 128, 128), np.int8)
    labels[5:30, 20:90, 30:100] = 1
    labels[:5] = case["ignore_index"]
    found = starts(labelled(labels.shape, labels), case, foreground=case["threshold"])
    assert len(found) == case["n"]
    assert found == expected(case)
