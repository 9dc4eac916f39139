"""The sampler grid: every window once, and weights of volumes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.data.cover import GridPlaces, GridPlan
from volseg_core.data.labelled import weighted
from volseg_core.data.sampling import Places
from volseg_core.data.split import whole
from volseg_core.data.windows import BatchPlan, Group, WindowDataset, window_groups
from volseg_core.errors import DataError, RecipeErrors, UsageError
from volseg_core.recipe.blocks import SamplerBlock
from volseg_core.volume import SizeRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.data.labelled import Labelled

    Make = Callable[..., Labelled]

RANDOM = np.random.default_rng(0)


def grid(**rule: Any) -> SamplerBlock:
    return SamplerBlock(kind="grid", **rule)


def unchanged(image: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return image, labels


def covered(group: Group, places: GridPlaces) -> np.ndarray:
    """How often each voxel of the only region is in a place, in the group's view."""
    (region,) = group.regions
    times = np.zeros(group.view.shape(region.shape), int)
    for index in range(len(places)):
        place = places.place(index, RANDOM)
        times[(slice(place.plane, place.plane + place.depth), *place.box)] += 1
    return times


@given(st.tuples(*[st.integers(1, 20)] * 3), st.floats(0, 0.9))
def test_places_of_a_grid_cover_every_voxel(labelled: Make, shape: Any, overlap: float) -> None:
    group = Group(0, (4, 8, 8), (whole(labelled(shape)),))
    places = GridPlaces(group, grid(overlap=overlap))
    assert covered(group, places).min() >= 1
    if overlap == 0:
        assert len(places) == np.prod([-(-size // edge) for size, edge in zip(shape, (4, 8, 8), strict=True)])


def test_the_overlap_sets_the_step(labelled: Make) -> None:
    group = Group(0, (4, 4, 4), (whole(labelled((16, 4, 4))),))
    places = GridPlaces(group, grid(overlap=0.5))
    assert [places.place(index, RANDOM).plane for index in range(len(places))] == [0, 2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_without_labels_are_left_out(labelled: Make, axis: int) -> None:
    labels = np.full((6, 8, 10), -1, np.int8)
    labels[2, 3, 4] = labels[4, 5, 6] = 0
    group = Group(axis, (4, 4), (whole(labelled(labels.shape, labels)),))
    places = GridPlaces(group, grid())
    found = [places.place(index, RANDOM).plane for index in range(len(places))]
    assert set(found) == {*([2, 4], [3, 5], [4, 6])[axis]}


def test_windows_with_too_little_in_them_are_left_out(labelled: Make) -> None:
    labels = np.zeros((4, 4, 16), np.int8)
    labels[..., :4] = -1
    labels[:2, :, 4:8] = 1
    labels[..., 8:12] = 2
    labels[:3, ..., 12:] = -1
    group = Group(0, (4, 4, 4), (whole(labelled(labels.shape, labels)),))

    def columns(**rule: Any) -> list[int]:
        places = GridPlaces(group, grid(**rule))
        return [places.place(index, RANDOM).box[1].start for index in range(len(places))]

    assert columns() == [4, 8, 12]
    assert columns(labelled=0.5) == [4, 8]
    assert columns(foreground=0.01) == [4, 8]
    assert columns(foreground=0.6) == [8]
    with pytest.raises(DataError, match=r"data\.sampler: no window of 4 x 4 x 4 has 1 of its voxels labelled"):
        GridPlaces(Group(0, (4, 4, 4), (replace_labels(group, -1),)), grid(labelled=1))


def replace_labels(group: Group, value: int) -> Any:
    volume = group.regions[0].volume
    return whole(replace(volume, labels=np.full_like(volume.labels, value)))


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=3), st.integers(1, 7), st.one_of(st.none(), st.integers(1, 20))
)
def test_every_place_comes_in_every_round(counts: list[int], batch: int, steps: int | None) -> None:
    plan = GridPlan(counts, steps, batch, seed=3)
    total = sum(-(-count // batch) for count in counts)
    batches = []
    for epoch in range(-(-2 * total // len(plan))):
        plan.set_epoch(epoch)
        drawn = list(plan)
        assert len(drawn) == len(plan) == (steps or total)
        assert drawn == list(plan)
        batches += drawn
    for begin in (0, total):
        members = [draw for each in batches[begin : begin + total] for draw in each]
        assert all(len(each) == batch and len({draw[1] for draw in each}) == 1 for each in batches)
        places = Counter((group, index % counts[group]) for _, group, index in members)
        assert set(places) == {(group, place) for group, count in enumerate(counts) for place in range(count)}
        for group, count in enumerate(counts):
            assert sum(times for (of, _), times in places.items() if of == group) == -(-count // batch) * batch


def test_rounds_differ_in_order_and_draws(labelled: Make) -> None:
    plan = GridPlan([20], None, 2, seed=0)
    first = list(plan)
    plan.set_epoch(1)
    second = list(plan)
    assert [draw[2] % 20 for each in first for draw in each] != [draw[2] % 20 for each in second for draw in each]
    assert not {draw for each in first for draw in each} & {draw for each in second for draw in each}


def test_a_dataset_of_a_grid_gives_the_windows_of_its_places(labelled: Make) -> None:
    volume = labelled((8, 8, 8))
    groups = window_groups([whole(volume)], "zyx", (4, 8, 8), SizeRule.same(4, 4, 3))
    dataset = WindowDataset(groups, unchanged, 0, grid())
    seen = {int(np.rint(dataset[epoch, 0, index][0]).min()) for epoch, index in ((0, 0), (0, 1), (1, 2), (1, 3))}
    assert seen == {0, 4 * 64}
    np.testing.assert_array_equal(dataset[0, 0, 0][0], dataset[1, 0, 2][0])


def test_volumes_are_drawn_from_by_size_and_weight(labelled: Make) -> None:
    one, other = weighted([labelled((8, 8, 8)), labelled((8, 8, 8))], (3.0, 1.0))
    groups = [Group(0, (4, 4, 4), (whole(one), whole(other)))]
    assert groups[0].weighted == [count * weight for count, weight in zip(groups[0].counts, (3, 1), strict=True)]
    for sampler in (None, SamplerBlock(kind="balanced", share=1.0)):
        places = Places(groups[0], sampler, 3)
        random = np.random.default_rng(0)
        first = np.mean([places.place(0, random).region.volume is one for _ in range(600)])
        assert first == pytest.approx(3 / 4, abs=0.06)


def test_groups_are_drawn_from_by_weight(labelled: Make) -> None:
    one, other = weighted([labelled((8, 8, 8)), labelled((8, 8, 8))], (3.0, 1.0))
    plan = BatchPlan([Group(0, (4, 4, 4), (whole(one),)), Group(0, (4, 4, 4), (whole(other),))], 800, 1, 0)
    assert np.mean([group == 0 for ((_, group, _),) in plan]) == pytest.approx(3 / 4, abs=0.05)


def test_weights_are_one_for_each_volume(labelled: Make) -> None:
    volume = labelled((4, 4, 4))
    assert [each.weight for each in weighted([volume, volume], ())] == [1, 1]
    with pytest.raises(UsageError, match=r"data\.weights: 1 weights for 2 volumes; give one for each"):
        weighted([volume, volume], (1.0,))


def test_recipes_refuse_what_does_not_go_together(recipe: Callable[..., Any]) -> None:
    assert recipe(data={"sampler": {"kind": "grid", "foreground": 0.1}}).data.sampler.foreground == 0.1
    with pytest.raises(
        RecipeErrors, match="overlap, labelled and foreground are of the sampler grid; this is balanced"
    ):
        recipe(data={"sampler": {"kind": "balanced", "overlap": 0.5}})
    with pytest.raises(RecipeErrors, match="weights do not go with it"):
        recipe(data={"sampler": "grid", "weights": [1, 2]})
