"""Windows of 3D networks: where they are cut, how they are turned, and what of the held-out part they see."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from volseg_core.data.split import Region, slab_axis, split, whole
from volseg_core.data.validation import ValidationDataset, validation_boxes, validation_windows
from volseg_core.data.windows import BatchPlan, Group, WindowDataset, window_groups, with_turns
from volseg_core.errors import UsageError
from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.recipe.blocks import SamplerBlock, ValidationBlock
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.catalog import Catalog
    from volseg_core.data.labelled import Labelled

    Make = Callable[..., Labelled]

SHAPE = (12, 10, 14)


def unchanged(image: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return image, labels


def noisy(image: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return image + np.float32(seed % 1000), labels


def groups_of(*regions: Any, axes: str = "zyx", window: Any = (4, 8, 8), divisor: int = 4, minimum: int = 4) -> Any:
    regions = tuple(item if isinstance(item, Region) else whole(item) for item in regions)
    return window_groups(regions, axes, window, SizeRule.same(divisor, minimum, 3))


def places(image: np.ndarray) -> np.ndarray:
    """Volumes of the fixture ``labelled`` count their voxels: return the number of each voxel of a window."""
    return np.rint(image).astype(int)


def spec(axes: str = "zyx", divisor: int = 4) -> ModelSpec:
    classes = ClassMap((ClassName(0, "a"), ClassName(1, "b"), ClassName(2, "c")), (-1,))
    return ModelSpec((HeadSpec("multiclass", classes),), 1, Normalisation("none"), axes, SizeRule.same(divisor, 4, 3))


@given(st.tuples(*[st.integers(1, 20)] * 3), st.integers(0, 1000))
def test_image_and_labels_of_a_box_are_cut_from_one_place(labelled: Make, shape: Any, index: int) -> None:
    volume = labelled(shape)
    image, (labels,) = WindowDataset(groups_of(volume), unchanged, 0)[0, 0, index]
    assert image.shape == (1, 4, 8, 8)
    assert labels.shape == (4, 8, 8)
    assert (image.dtype, labels.dtype) == (np.float32, np.int64)
    known = labels >= 0
    np.testing.assert_array_equal(places(image[0])[known] % 3, labels[known])
    assert known.sum() == np.prod([min(size, edge) for size, edge in zip(shape, (4, 8, 8), strict=True)])
    assert set(places(image).ravel()) == set(places(image[0])[known]), "what is filled up repeats what is there"


def test_a_box_is_a_box_of_the_volume(labelled: Make) -> None:
    volume = labelled(SHAPE)
    image, _ = WindowDataset(groups_of(volume), unchanged, 0)[0, 0, 1]
    z, y, x = np.unravel_index(places(image).min(), SHAPE)
    np.testing.assert_allclose(image[0], volume.data[0, z : z + 4, y : y + 8, x : x + 8], atol=1e-2)


@given(st.lists(st.tuples(st.integers(0, 3), st.just(0), st.integers(0, 50)), min_size=1, max_size=5))
def test_a_draw_of_a_box_is_the_same_whenever_it_is_asked_for(labelled: Make, draws: Any) -> None:
    groups = with_turns(groups_of(labelled(SHAPE), window=(8, 8, 8)))
    first, again = (
        WindowDataset(groups, noisy, seed=5, sampler=SamplerBlock(kind="balanced"), classes=3) for _ in "ab"
    )
    before = {draw: first[draw] for draw in draws}
    for draw in reversed(draws):
        np.testing.assert_array_equal(again[draw][0], before[draw][0])
        np.testing.assert_array_equal(again[draw][1], before[draw][1])


def test_seeds_epochs_and_indices_all_change_the_box(labelled: Make) -> None:
    groups = with_turns(groups_of(labelled((40, 50, 60)), window=(8, 8, 8)))
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert (
        len({WindowDataset(groups, unchanged, seed)[epoch, 0, index][0].tobytes() for seed, epoch, index in keys}) == 4
    )
    dataset = WindowDataset(groups, unchanged, 0)
    assert len({dataset[0, 0, index][0].tobytes() for index in range(30)}) == 30


@pytest.mark.parametrize(
    ("window", "axes", "count"),
    [((8, 8, 8), "zyx", 48), ((8, 8, 8), "z", 16), ((4, 8, 8), "zyx", 16), ((4, 8, 8), "y", 8), ((4, 8, 12), "zyx", 8)],
)
def test_boxes_take_the_orientations_that_shape_and_spacing_allow(
    labelled: Make, window: Any, axes: str, count: int
) -> None:
    (group,) = with_turns(groups_of(labelled((16, 16, 16)), window=window, axes=axes), axes)
    assert len(set(group.orientations)) == count
    assert all(view.shape(window) == window for view in group.orientations)


def test_each_orientation_is_drawn_and_turns_image_and_labels_together(labelled: Make) -> None:
    volume = labelled((4, 4, 4))
    (group,) = with_turns(groups_of(volume, window=(4, 4, 4)))
    dataset = WindowDataset([group], unchanged, 0)
    drawn = [dataset[0, 0, index] for index in range(400)]
    turned = {view.apply(volume.data[0]).tobytes() for view in group.orientations}
    assert {places(image[0]).astype(np.int32).tobytes() for image, _ in drawn} == turned
    for image, (labels,) in drawn:
        np.testing.assert_array_equal(places(image[0]) % 3, labels)


def test_without_an_augmentation_that_turns_boxes_stay_as_they_are(labelled: Make) -> None:
    (group,) = groups_of(labelled((8, 8, 8)), window=(8, 8, 8))
    assert group.orientations == (View(),)


@pytest.mark.parametrize(
    ("window", "axes", "count"), [((8, 8, 8), "zyx", 24), ((4, 8, 8), "z", 8), ((4, 8, 12), "zyx", 4)]
)
def test_boxes_are_turned_without_mirror_images_where_those_are_not_wanted(
    labelled: Make, window: Any, axes: str, count: int
) -> None:
    (group,) = with_turns(groups_of(labelled((16, 16, 16)), window=window, axes=axes), axes, mirrored=False)
    assert len(set(group.orientations)) == count
    assert all(np.linalg.det(rotation_of(view)) == pytest.approx(1) for view in group.orientations)


def rotation_of(view: View) -> np.ndarray:
    """The matrix that a view applies to places."""
    signs = [-1 if flip else 1 for flip in view.flips]
    return np.eye(3)[list(view.order)] * np.array(signs)[:, None]


class InPlace:
    """Keeps what it is told of boxes."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def box(self, image: np.ndarray, truth: np.ndarray, seed: int, *, spacing: Any, thick: Any) -> Any:
        self.seen.append((image.shape, places(image), spacing, thick))
        return image, truth


@pytest.mark.parametrize(("axes", "thick"), [("z", 0), ("x", 2), ("zyx", None)])
def test_boxes_are_augmented_in_the_axes_of_their_volume_and_turned_then(
    labelled: Make, axes: str, thick: int | None
) -> None:
    volume = labelled((8, 8, 8))
    volume = replace(volume, grid=replace(volume.grid, spacing=(4.0, 1.0, 1.0)))
    augment = InPlace()
    dataset = WindowDataset(with_turns(groups_of(volume, window=(8, 8, 8), axes=axes), axes), augment, 0)
    drawn = {dataset[0, 0, index][0].tobytes() for index in range(20)}
    assert len(drawn) > 5
    for shape, seen, spacing, axis in augment.seen:
        assert (shape, spacing, axis) == ((1, 8, 8, 8), (4.0, 1.0, 1.0), thick)
        np.testing.assert_array_equal(seen, augment.seen[0][1])


def test_boxes_do_not_depend_on_how_many_workers_draw_them_and_differ_in_every_epoch(
    labelled: Make, catalog: Catalog
) -> None:
    provided = catalog.find("augmentation", "strong")
    augment = catalog.build(provided, {name: param.default for name, param in provided.component.params.items()})
    groups = with_turns(groups_of(labelled((10, 10, 10)), window=(8, 8, 8)))
    dataset = WindowDataset(groups, augment, 0)
    plan = BatchPlan(groups, 3, 2, 0)
    drawn: dict[int, list[Any]] = {}
    for workers in (0, 2):
        for epoch in (0, 1):
            plan.set_epoch(epoch)
            loader = DataLoader(dataset, batch_sampler=plan, num_workers=workers)
            drawn.setdefault(workers, []).extend(window.numpy().tobytes() for batch, _ in loader for window in batch)
    assert drawn[0] == drawn[2]
    assert len(set(drawn[0])) == 12


def test_automatic_boxes_follow_volume_axes_and_divisor(labelled: Make) -> None:
    def shape(size: Any, axes: str = "zyx", divisor: int = 16) -> Any:
        return groups_of(labelled(size), axes=axes, window="auto", divisor=divisor)[0].window

    assert shape((100, 110, 120)) == (96, 96, 96)
    assert shape((40, 200, 150), "z") == (32, 128, 128)
    assert shape((20, 40, 70)) == (16, 32, 64)
    assert shape((20, 41, 70), divisor=1) == (20, 41, 70)


def test_volumes_smaller_than_a_box_are_filled_up_and_this_is_said(labelled: Make, caplog: Any) -> None:
    caplog.set_level("INFO", logger="volseg")
    dataset = WindowDataset(groups_of(labelled((3, 10, 6))), unchanged, 0)
    assert "[z 0-2, y 0-9, x 0-5] is smaller than windows of 4 x 8 x 8: they are filled up by reflection" in caplog.text
    _, (labels,) = dataset[0, 0, 0]
    assert (labels[:3, :, :6] >= 0).all()
    assert (labels[3:] == -1).all()
    assert (labels[..., 6:] == -1).all()


def test_boxes_that_the_network_cannot_take_are_refused(labelled: Make) -> None:
    with pytest.raises(
        UsageError, match="data.window: 4 x 6 x 8 does not suit this network, which takes multiples of 4.$"
    ):
        groups_of(labelled(SHAPE), window=(4, 6, 8))


def test_boxes_stay_inside_their_region(labelled: Make) -> None:
    volume = labelled((20, 20, 20))
    region = Region(volume, (slice(0, 12), slice(4, 20), slice(0, 20)))
    dataset = WindowDataset(groups_of(region), unchanged, 0)
    inside = set(volume.data[0][region.box].ravel().tolist())
    assert all(set(places(dataset[0, 0, index][0]).ravel()) <= inside for index in range(30))


@pytest.fixture
def rare(labelled: Make) -> Labelled:
    """Two classes nearly everywhere, a third in one voxel, no label in the last planes."""
    labels = np.zeros((20, 24, 24), np.int8)
    labels[:, 12:] = 1
    labels[6, 20, 5] = 2
    labels[15:] = -1
    return labelled(labels.shape, labels)


def share_of(volume: Labelled, number: int, kind: Any, count: int = 300) -> float:
    dataset = WindowDataset(groups_of(volume), unchanged, 0, SamplerBlock(kind=kind, share=1.0), 4)
    return float(np.mean([(dataset[0, 0, index][1][0] == number).any() for index in range(count)]))


def test_balanced_boxes_show_every_class_that_is_present_equally_often(rare: Labelled) -> None:
    assert share_of(rare, 2, "balanced") == pytest.approx(1 / 3, abs=0.08)


def test_foreground_boxes_leave_the_first_class_out(rare: Labelled) -> None:
    assert share_of(rare, 2, "foreground") == pytest.approx(1 / 2, abs=0.08)
    assert share_of(rare, 2, "uniform") < 0.1


def test_around_a_rare_voxel_boxes_lie_everywhere_that_holds_it(rare: Labelled) -> None:
    dataset = WindowDataset(groups_of(rare), unchanged, 0, SamplerBlock(kind="foreground", share=1.0), 4)
    found = [np.argwhere(dataset[0, 0, index][1][0] == 2) for index in range(400)]
    seen = np.concatenate([each for each in found if len(each)])
    assert [sorted(set(axis)) for axis in seen.T.tolist()] == [
        list(range(4)),
        list(range(4, 8)),  # row 20 of 24 is at most three rows from the end
        list(range(6)),  # column 5
    ]


@pytest.mark.parametrize("kind", ["uniform", "balanced", "foreground"])
@pytest.mark.parametrize("place", [np.s_[10:11], np.s_[10, 20, 7]], ids=["plane", "voxel"])
def test_sparse_labels_are_in_every_box(labelled: Make, kind: Any, place: Any) -> None:
    labels = np.full((24, 40, 40), -1, np.int8)
    labels[place] = 1
    dataset = WindowDataset(groups_of(labelled(labels.shape, labels)), unchanged, 0, SamplerBlock(kind=kind), 2)
    assert all((dataset[0, 0, index][1][0] == 1).any() for index in range(30))


def test_an_epoch_has_as_many_boxes_as_cover_the_labels(labelled: Make) -> None:
    labels = np.zeros((20, 16, 24), np.int8)
    labels[9:] = -1
    (group,) = groups_of(labelled(labels.shape, labels), labelled((4, 8, 8)))
    assert group.counts == [3 * 2 * 3, 1]
    assert {draw[1] for batch in BatchPlan([group], 5, 2, 0) for draw in batch} == {0}


def test_without_slicing_axes_the_longest_axis_is_cut(labelled: Make) -> None:
    volume = labelled((30, 40, 35))
    assert slab_axis(volume, ValidationBlock(), "") == 1
    (train,), (held,) = split([volume], ValidationBlock(), "")
    assert (train.shape, held.shape) == ((30, 30, 35), (30, 8, 35))


# --- validation ---------------------------------------------------------------------------------------------------


def scored(volume: Labelled, windows: Any) -> np.ndarray:
    """How often each voxel of a volume is scored."""
    times = np.zeros(volume.shape, int)
    for item in windows:
        image, (labels,) = item.load(spec())
        numbers = places(image[0])[labels >= 0]
        np.testing.assert_array_equal(volume.labels.ravel()[numbers], labels[labels >= 0])
        np.add.at(times.reshape(-1), numbers, 1)
    return times


@given(st.tuples(*[st.integers(5, 18)] * 3), st.integers(0, 2), st.sampled_from([(4, 8, 8), (8, 4, 12), "auto"]))
def test_boxes_tile_the_held_out_part_once(labelled: Make, shape: Any, axis: int, window: Any) -> None:
    volume = labelled(shape)
    box = [slice(0, size) for size in shape]
    box[axis] = slice(shape[axis] - 3, shape[axis])
    region = Region(volume, (box[0], box[1], box[2]))
    times = scored(volume, validation_boxes([region], spec(), window, 1000))
    wanted = np.zeros(shape, int)
    wanted[region.box] = 1
    np.testing.assert_array_equal(times, wanted)


def test_a_thin_slab_is_seen_with_what_lies_before_it(labelled: Make) -> None:
    volume = labelled((20, 8, 8))
    slab = Region(volume, (slice(18, 20), slice(0, 8), slice(0, 8)))
    (item,) = validation_boxes([slab], spec(), (8, 8, 8), 10)
    image, (labels,) = item.load(spec())
    np.testing.assert_allclose(image[0], volume.data[0, 12:], atol=1e-2)
    assert (labels[:6] == -1).all()
    np.testing.assert_array_equal(labels[6:], volume.labels[18:])


def test_boxes_without_labels_are_left_out_and_of_many_a_few_are_taken_evenly(labelled: Make) -> None:
    labels = np.zeros((64, 8, 8), np.int8)
    labels[32:] = -1
    region = whole(labelled(labels.shape, labels))
    assert [item.box[0].start for item in validation_boxes([region], spec(), (4, 8, 8), 100)] == list(range(0, 32, 4))
    assert [item.box[0].start for item in validation_boxes([region], spec(), (4, 8, 8), 3)] == [0, 16, 28]


def test_batches_of_boxes_have_one_shape(labelled: Make) -> None:
    regions = [whole(labelled((8, 8, 8))), whole(labelled((4, 8, 8))), whole(labelled((16, 8, 8)))]
    dataset = ValidationDataset(validation_windows(regions, spec(), (8, 8, 8), 24), spec())
    batches = dataset.batches(2)
    assert sorted(index for batch in batches for index in batch) == list(range(4))
    assert all(len({dataset[index][0].shape for index in batch}) == 1 for batch in batches)


def test_the_picture_of_a_box_is_a_plane_of_what_it_is_scored_on(labelled: Make) -> None:
    volume = labelled((20, 8, 10))
    slab = Region(volume, (slice(14, 20), slice(0, 8), slice(0, 10)))
    for item in validation_boxes([slab], spec(), (8, 8, 8), 10):
        axis, index = item.plane
        image, (labels,) = item.load(spec())
        assert (axis, index) == (0, 17)
        assert (labels[item.picture] >= 0).all()
        columns = item.own[2]
        np.testing.assert_allclose(image[0][item.picture], volume.data[0, 17, :, columns], atol=1e-2)


def test_groups_of_one_shape_are_shared(labelled: Make) -> None:
    groups = groups_of(labelled((8, 16, 16)), labelled((4, 8, 8)), labelled((30, 30, 30)), window=(4, 8, 8))
    assert [(type(group), len(group.regions)) for group in groups] == [(Group, 3)]
