from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_core.data.sampling import Places, stacked
from volseg_core.data.split import Region, whole
from volseg_core.data.windows import window_groups
from volseg_core.recipe.blocks import SamplerBlock
from volseg_core.volume import SizeRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.data.labelled import Labelled


@pytest.fixture
def rare(labelled: Callable[..., Labelled]) -> Labelled:
    """Two classes nearly everywhere, a third in one voxel of the seventh plane, no label in the last plane."""
    labels = np.zeros((10, 32, 32), np.int8)
    labels[:, 16:] = 1
    labels[6, 20, 5] = 2
    labels[9] = -1
    return labelled(labels.shape, labels)


def drawn(volume: Labelled, kind: Any, share: float = 1.0, count: int = 60) -> list[Any]:
    (group,) = window_groups([whole(volume)], "z", (8, 8), SizeRule.same(8, 8, 2))
    places = Places(group, SamplerBlock(kind=kind, share=share), 4)
    return [places.place(seed, np.random.default_rng(seed)) for seed in range(count)]


def holds(place: Any, number: int) -> bool:
    return bool((place.region.volume.labels[place.plane][place.box] == number).any())


def test_balanced_draws_show_every_class_that_is_present_equally_often(rare: Labelled) -> None:
    places = drawn(rare, "balanced", count=300)
    assert np.mean([holds(place, 2) for place in places]) == pytest.approx(1 / 3, abs=0.08)
    assert {place.plane for place in places if holds(place, 2)} == {6}


def test_foreground_draws_leave_the_first_class_out(rare: Labelled) -> None:
    places = drawn(rare, "foreground", count=300)
    assert all(holds(place, 1) or holds(place, 2) for place in places)
    assert np.mean([holds(place, 2) for place in places]) == pytest.approx(1 / 2, abs=0.08)


def test_a_share_of_the_draws_is_chosen_by_class_and_the_rest_lies_anywhere(rare: Labelled) -> None:
    found = np.mean([holds(place, 2) for place in drawn(rare, "foreground", share=0.4, count=400)])
    assert found == pytest.approx(0.2, abs=0.06)
    assert np.mean([holds(place, 2) for place in drawn(rare, "uniform", count=400)]) < 0.05


@pytest.mark.parametrize("kind", ["uniform", "balanced", "foreground"])
def test_every_draw_holds_a_label_inside_the_volume(rare: Labelled, kind: str) -> None:
    for place in drawn(rare, kind):
        labels = rare.labels[place.plane][place.box]
        assert labels.shape == (8, 8)
        assert (labels >= 0).any()


def test_classes_that_only_other_regions_hold_are_found_there(
    rare: Labelled, labelled: Callable[..., Labelled]
) -> None:
    plain = labelled((4, 32, 32), np.zeros((4, 32, 32), np.int8))
    (group,) = window_groups([whole(plain), whole(rare)], "z", (8, 8), SizeRule.same(8, 8, 2))
    places = Places(group, SamplerBlock(kind="foreground", share=1.0), 3)
    assert all(places.place(seed, np.random.default_rng(seed)).region.volume is rare for seed in range(20))


def test_a_class_profile_counts_the_voxels_of_a_region(rare: Labelled) -> None:
    region = Region(rare, (slice(5, 8), slice(16, 32), slice(0, 32)))
    z, y, x = region.class_profile(2)
    assert (z.tolist(), y.nonzero()[0].tolist(), x.nonzero()[0].tolist()) == ([0, 1, 0], [4], [5])


def test_slices_are_stacked_slice_by_slice() -> None:
    image = np.arange(6).reshape(2, 3, 1, 1)  # two channels, three slices
    assert stacked(image).ravel().tolist() == [0, 3, 1, 4, 2, 5]
