"""Prediction with 3D networks: windows of views, blended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.errors import ResourceError, UsageError
from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.prediction.blend import blend
from volseg_core.prediction.plan import Plan, check_input, make_plan
from volseg_core.prediction.segment import Segmenter, softmax
from volseg_core.recipe import ComponentUse, PredictBlock
from volseg_core.registry import load_registry
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule, Tiling, View, box_preset

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

SPEC = ModelSpec(
    (HeadSpec("multiclass", ClassMap((ClassName(0, "dark"), ClassName(1, "bright")))),),
    1,
    Normalisation(),
    "zyx",
    SizeRule.same(4, 4, 3),
)
DATA = np.random.default_rng(1).integers(0, 255, (1, 7, 13, 10), dtype=np.uint8)


class Recorder:
    """A merge that keeps the sum of what it receives, and each view by itself."""

    def start(self, shape: Any, classes: int, views: int) -> None:
        self.shape, self.classes, self.weight = shape, classes, views
        self.views: dict[int, Array] = {}
        self.seen = np.zeros(shape)

    def add(self, probabilities: Any, where: Any, view: int, weight: int = 1) -> None:
        whole = self.views.setdefault(view, np.zeros((self.classes, *self.shape)))
        whole[(slice(None), *where)] += np.asarray(probabilities)
        self.seen[where] += weight


class Voxelwise:
    """A runtime whose logits say how bright each voxel is, with a memory for so many voxels."""

    device = "cpu"

    def __init__(self, voxels: int = 1_000_000) -> None:
        self.voxels, self.sizes = voxels, list[int]()

    def run(self, batch: Array) -> Any:
        assert batch.dtype == np.float32
        assert batch.flags.c_contiguous
        if batch.size > self.voxels:
            raise MemoryError
        self.sizes.append(len(batch))
        return self.logits(batch)

    def logits(self, batch: Array) -> Any:
        return np.concatenate([-batch, batch], axis=1)

    def free_bytes(self) -> None:
        return None


class Sided(Voxelwise):
    """One that looks at the next voxel along each axis, so that a mirror image is not all the same to it."""

    def logits(self, batch: Array) -> Any:
        ahead = sum(np.roll(batch, -step, axis) for axis, step in ((2, 1), (3, 2), (4, 3)))
        return np.concatenate([-batch, batch + ahead], axis=1)


class OnTorch(Voxelwise):
    def logits(self, batch: Array) -> Any:
        image = torch.from_numpy(batch)
        return torch.cat([-image, image], dim=1)


def segmenter(runtime: Any, views: Any = None, data: Array = DATA, **rule: Any) -> tuple[Segmenter, list[int]]:
    plan = Plan(tuple(views or box_preset("high")), ("labels",), PredictBlock(**rule), SPEC)
    done: list[int] = []
    return Segmenter(plan, runtime, Normalisation().fit(data), done.append), done


def expected(work: Segmenter, data: Array = DATA) -> Array:
    image = work.normaliser(data)
    return np.asarray(softmax(np.stack([-image[0], image[0]])[None])[0])


@pytest.mark.parametrize("runtime", [Voxelwise, OnTorch])
@pytest.mark.parametrize(
    "rule", [{}, {"window": (4, 8, 8)}, {"window": (4, 4, 8), "overlap": 0.3, "blend": "constant"}]
)
def test_every_view_reaches_every_voxel_in_its_own_place(runtime: Any, rule: Any) -> None:
    work, done = segmenter(runtime(), box_preset("max"), **rule)
    merge = Recorder()
    work.block(DATA, merge)
    assert (merge.seen == 48).all()
    assert merge.weight == 48
    assert sum(done) == work.plan.count(DATA.shape[1:])
    for view in merge.views.values():
        np.testing.assert_allclose(view, expected(work), atol=1e-5)


@pytest.mark.parametrize("view", [view for view, _ in box_preset("high")], ids=lambda view: view.name)
def test_a_mirrored_view_is_the_mirror_image_of_what_the_mirrored_volume_gives(view: View) -> None:
    rule = {"window": (4, 8, 8), "blend": "gaussian"}
    turned, plain = Recorder(), Recorder()
    segmenter(Sided(), [(view, 1)], **rule)[0].block(DATA, turned)
    segmenter(Sided(), [(View(), 1)], **rule)[0].block(np.ascontiguousarray(view.apply(DATA)), plain)
    np.testing.assert_allclose(turned.views[0], view.invert(plain.views[0]), atol=1e-6)
    if view != View():
        same = Recorder()
        segmenter(Sided(), [(View(), 1)], **rule)[0].block(DATA, same)
        assert np.abs(same.views[0] - turned.views[0]).max() > 0.01


def test_windows_are_blended_as_over_the_whole_volume() -> None:
    rule = {"window": (4, 8, 8), "overlap": 0.5, "blend": "gaussian"}
    merge, runtime = Recorder(), Sided()
    work, _ = segmenter(runtime, [(View(), 1)], **rule)
    work.block(DATA, merge)
    padded = np.pad(DATA, ((0, 0), (0, 1), (0, 3), (0, 2)), mode="reflect")
    tiling = Tiling((8, 16, 12), (4, 8, 8), 0.5, "gaussian")
    wanted = np.zeros((2, 8, 16, 12))
    for box, weight in zip(tiling.boxes(), tiling.weights(), strict=True):
        part = softmax(runtime.logits(work.normaliser(padded)[(slice(None), *box)][None]))[0]
        wanted[(slice(None), *box)] += part * weight
    np.testing.assert_allclose(merge.views[0], wanted[:, :7, :13, :10], atol=1e-5)


def test_a_batch_of_windows_that_exhausts_memory_is_halved(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="volseg")
    whole, small = Recorder(), Recorder()
    rule = {"window": (4, 8, 8), "batch": 8}
    segmenter(Sided(), **rule)[0].block(DATA, whole)
    runtime = Sided(voxels=2 * 256)
    segmenter(runtime, **rule)[0].block(DATA, small)
    for number, view in whole.views.items():
        np.testing.assert_allclose(small.views[number], view, atol=1e-6)
    assert max(runtime.sizes) == 2
    assert "memory exhausted on cpu: going on with batches of 2" in caplog.text


@pytest.mark.parametrize(("window", "size"), [((4, 8, 8), 8), ((16, 64, 64), 2), ((64, 64, 64), 1)])
def test_on_a_cpu_small_boxes_go_in_batches_and_large_ones_one_by_one(window: Any, size: int) -> None:
    runtime = Voxelwise(voxels=10_000_000)
    data = np.random.default_rng(0).integers(0, 255, (1, *(2 * size for size in window)), dtype=np.uint8)
    segmenter(runtime, [(View(), 1)], data, window=window, overlap=0)[0].block(data, Recorder())
    assert runtime.sizes == [size] * (8 // size)


def test_one_window_too_many_is_an_error_with_a_way_out() -> None:
    with pytest.raises(ResourceError) as caught:
        segmenter(Voxelwise(voxels=0), window=(4, 8, 8))[0].block(DATA, Recorder())
    assert str(caught.value) == (
        "prediction: one window of 4 x 8 x 8 does not fit into the memory of cpu. "
        "Set a smaller window: -s predict.window=64"
    )


# --- blending -----------------------------------------------------------------------------------------------------


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    window = draw(st.tuples(*[st.integers(1, 6)] * 3))
    shape = tuple(edge + draw(st.integers(0, 12)) for edge in window)
    return Tiling(
        shape,
        window,
        draw(st.sampled_from([0, 0.25, 0.5, 0.75])),
        draw(st.sampled_from(["gaussian", "constant", "crop"])),
    )


@settings(max_examples=40)
@given(tilings(), st.integers(0, 100))
def test_blended_windows_are_weighted_sums_and_come_plane_by_plane(tiling: Tiling, seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = [random.random((2, *tiling.window), dtype=np.float32) for _ in tiling.boxes()]
    wanted = np.zeros((2, *tiling.shape))
    for part, box, weight in zip(parts, tiling.boxes(), tiling.weights(), strict=True):
        wanted[(slice(None), *box)] += part * weight
    at = 0
    for planes, values in blend(iter(parts), tiling):
        assert planes.start == at
        np.testing.assert_allclose(values, wanted[:, planes], atol=1e-5)
        at = planes.stop
    assert at == tiling.shape[0]


def test_a_constant_stays_a_constant_in_torch_too() -> None:
    tiling = Tiling((11, 9, 8), (4, 5, 8), 0.5, "gaussian")
    parts = (torch.full((3, *tiling.window), 0.25) for _ in tiling.boxes())
    found = torch.cat([values.clone() for _, values in blend(parts, tiling)], dim=1)
    torch.testing.assert_close(found, torch.full((3, 11, 9, 8), 0.25))


def test_blending_holds_no_more_planes_than_a_window_is_deep() -> None:
    """The volume is 200 planes deep, the windows 4: only what later windows reach is kept, in one place."""
    tiling = Tiling((200, 8, 8), (4, 8, 8), 0.5, "gaussian")
    parts = (np.ones((1, 4, 8, 8), np.float32) for _ in tiling.boxes())
    held = [values.base for _, values in blend(parts, tiling)]
    assert all(each is held[0] for each in held)
    assert held[0] is not None
    assert held[0].shape == (1, 4, 8, 8)


# --- plans --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plan_of() -> Callable[..., Plan]:
    merge = ComponentUse(load_registry(builtin_only=True).catalog.find("merge", "mean"), {})

    def make(shape: Any = (64, 64, 64), axes: str = "zyx", window: Any = (), **rule: Any) -> Plan:
        spec = ModelSpec(SPEC.heads, 1, Normalisation(), axes, SizeRule.same(16, 16, 3), window=window)
        return make_plan(spec, PredictBlock(**rule), merge, shape, ("labels",), independent=False)

    return make


@pytest.mark.parametrize(
    ("rule", "axes", "views"),
    [
        ({}, "zyx", 1),
        ({"quality": "low"}, "zyx", 1),
        ({"quality": "medium"}, "zyx", 4),
        ({"quality": "high"}, "z", 8),
        ({"quality": "max"}, "zyx", 48),
        ({"quality": "max"}, "z", 16),
        ({"views": ("z,y,x", "-z,x,y")}, "zyx", 2),
    ],
)
def test_a_quality_is_a_number_of_views(plan_of: Callable[..., Plan], rule: Any, axes: str, views: int) -> None:
    plan = plan_of(axes=axes, **rule)
    assert (len(plan.views), plan.total_weight, plan.unit) == (views, views, "windows")


def test_windows_are_those_of_training_or_smaller_where_the_volume_is(plan_of: Callable[..., Plan]) -> None:
    assert plan_of().window((300, 40, 70)) == ((304, 48, 80), (96, 48, 80))
    assert plan_of(window=(16, 48, 48)).window((300, 40, 70)) == ((304, 48, 80), (16, 48, 48))
    assert plan_of(window=(32, 32, 32)).window((10, 100, 20)) == ((32, 112, 32), (32, 32, 32)), "fixed by an export"


def test_progress_counts_the_windows_of_every_view(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(quality="medium", overlap=0.5)
    assert plan.count((96, 96, 96)) == 4
    assert plan.count((192, 96, 96)) == 4 * 3


def test_independent_images_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        check_input(SPEC, 1, "stack.tif", independent=True)
    assert str(caught.value) == "stack.tif: independent images have no depth, which this 3D model looks at."
