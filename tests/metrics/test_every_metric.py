"""What holds for every metric that is built in, whatever it measures; a new one is covered as it is registered."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.api import DataError
from volseg_core.registry import load_registry
from volseg_core.testing.scenes import NAMES, Scene, scenes

CATALOG = load_registry(builtin_only=True).catalog
SHAPES = ((6, 7), (4, 5, 6))
SMALLER = {"ssim": {"window": 3}}
IDEAL = {"psnr": math.inf}


class Image(NamedTuple):
    prediction: np.ndarray
    target: np.ndarray
    valid: np.ndarray | None = None

    def counted(self) -> np.ndarray:
        """Whether an entry of the target counts."""
        known = ~np.isnan(self.target) if self.target.dtype.kind == "f" else self.target != -1
        return known if self.valid is None else known & self.valid


class Use(NamedTuple):
    """A metric in one task that it serves."""

    provided: Any
    scene: Scene

    @property
    def component(self) -> Any:
        return self.provided.component

    def build(self) -> Any:
        params = {name: param.default for name, param in self.component.params.items()}
        context = {"classes": self.scene.names, "spacing": (3.0, 1.0, 2.0), "task": self.scene.task}
        return CATALOG.build(self.provided, params | SMALLER.get(self.component.name, {}), context)

    def arrays(self, image: Image, certainty: float = 0.75) -> Image:
        """Return an image of classes as the metric takes it; the probabilities of the classes are not all alike."""
        size = image.target.size
        confidence = certainty + (1 - certainty) * np.sin(np.arange(size)).reshape(image.target.shape) ** 2
        return Image(*self.scene.image(*image, sure=confidence))

    def scores(self, *images: Image, certainty: float = 0.75) -> dict[str, float]:
        metric = self.build()
        for image in images:
            metric.update(*self.arrays(image, certainty))
        return metric.compute()


USES = [Use(provided, scene) for provided in CATALOG.all("metric") for scene in scenes(provided.component, 2)]
each_metric = pytest.mark.parametrize("use", USES, ids=[f"{use.component.name}-{use.scene.task}" for use in USES])
STREAMING = [use for use in USES if use.component.streaming]
each_streaming = pytest.mark.parametrize(
    "use", STREAMING, ids=[f"{use.component.name}-{use.scene.task}" for use in STREAMING]
)


@st.composite
def images(draw: st.DrawFn, shape: tuple[int, ...] | None = None) -> Image:
    """Classes with some shape to them; a tenth of the voxels and whatever else ``valid`` leaves out do not count."""
    shape = shape or draw(st.sampled_from(SHAPES))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    highest = draw(st.integers(1, len(NAMES)))
    target = np.kron(random.integers(0, highest, [-(-size // 2) for size in shape]), np.ones([2] * len(shape), int))
    target = target[tuple(slice(0, size) for size in shape)].copy()
    noise = random.random(shape) < draw(st.sampled_from([0.1, 0.5]))
    prediction = np.where(noise, random.integers(0, highest, shape), target)
    target[random.random(shape) < 0.1] = -1
    return Image(prediction, target, random.random(shape) < draw(st.sampled_from([0.4, 1.0])))


def blocks(shape: tuple[int, ...]) -> np.ndarray:
    """Return classes with two objects that do not touch."""
    target = np.zeros(shape, int)
    target[..., 1:3, 1:3], target[..., 1:3, 4:6] = 1, 2
    return target


@each_metric
def test_further_outputs_are_named_after_the_metric(use: Use) -> None:
    component = use.component
    assert all(name == component.name or name.startswith(f"{component.name}/") for name in component.outputs)


@each_metric
@pytest.mark.parametrize("shape", SHAPES)
def test_a_perfect_prediction_has_the_ideal_score(use: Use, shape: tuple[int, ...]) -> None:
    maps = use.scene.truth == "instances"
    target = blocks(shape) if maps else np.random.default_rng(0).integers(0, len(NAMES), shape)
    target[..., 0] = -1
    component = use.component
    score = use.scores(Image(target, target, target >= 0), certainty=1.0)[component.name]
    ideal = IDEAL.get(component.name, 1.0 if component.better == "higher" else 0.0)
    assert score == pytest.approx(ideal, abs=1e-12)


@each_metric
@pytest.mark.parametrize("shape", SHAPES)
def test_a_wrong_prediction_scores_worse_than_a_better_one(use: Use, shape: tuple[int, ...]) -> None:
    target = blocks(shape)
    close, wrong = target.copy(), np.zeros(shape, int)
    close[..., 1, 1] = 0
    name = use.component.name
    sign = 1 if use.component.better == "higher" else -1
    each = [use.scores(Image(found, target), certainty=1.0) for found in (target, close, wrong)]
    ideal, near, far = (sign * score[name] for score in each)
    assert ideal >= near > far


@each_metric
@settings(max_examples=25)
@given(image=images(), data=st.data())
def test_ignored_voxels_are_as_if_they_were_not_there(use: Use, image: Image, data: st.DataObject) -> None:
    given = use.arrays(image)
    prediction, target = given.prediction, given.target
    ignored, floats = ~given.counted(), target.dtype.kind == "f"
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    junk = prediction.copy()
    wild = [np.nan, np.inf, -7.0, 0.5] if junk.dtype.kind == "f" else list(range(-9, 99))
    junk[..., ignored] = random.choice(wild, junk[..., ignored].shape)
    blank, filled = use.build(), use.build()
    blank.update(prediction, np.where(ignored, np.nan if floats else -1, target))
    others = random.choice([np.nan, np.inf, 0.0, -7.0] if floats else [-1, 0, 5, 77], target.shape)
    filled.update(junk, np.where(ignored, others, target).astype(target.dtype), ~ignored)
    np.testing.assert_equal(filled.compute(), blank.compute())


@each_metric
@settings(max_examples=25)
@given(each=st.lists(images(), min_size=2, max_size=4), data=st.data())
def test_the_order_of_updates_does_not_matter(use: Use, each: list[Image], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(each))
    found, expected = use.scores(*shuffled), use.scores(*each)
    assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)


@each_streaming
@settings(max_examples=25)
@given(image=images(), cut=st.integers(0, 6))
def test_a_streaming_metric_may_get_any_pieces(use: Use, image: Image, cut: int) -> None:
    dims = image.target.ndim
    given = [array if array is None else array.reshape(*array.shape[:-dims], -1) for array in use.arrays(image)]
    metric = use.build()
    for part in (slice(0, cut), slice(cut, 3 * cut), slice(3 * cut, None)):
        metric.update(*(array if array is None else array[..., part] for array in given))
    assert metric.compute() == pytest.approx(use.scores(image), rel=1e-9, nan_ok=True)


@each_metric
@settings(max_examples=10)
@given(image=images())
def test_the_number_type_of_the_arrays_does_not_matter(use: Use, image: Image) -> None:
    metric = use.build()
    prediction, target, valid = use.arrays(image)
    metric.update(
        prediction.astype(np.float64 if prediction.dtype.kind == "f" else np.uint8),
        np.asfortranarray(target.astype(np.float64 if target.dtype.kind == "f" else np.int8)),
        valid,
    )
    assert metric.compute() == pytest.approx(use.scores(image), nan_ok=True)


@each_metric
def test_without_an_image_nothing_is_known(use: Use) -> None:
    fresh = use.build().compute()
    assert set(use.component.outputs) <= set(fresh)
    assert all(math.isnan(value) for value in fresh.values())
    nothing = use.scores(Image(np.zeros((3, 4), int), np.full((3, 4), -1)))
    assert all(math.isnan(value) for value in nothing.values())


@each_metric
@settings(max_examples=5)
@given(image=images(), other=images())
def test_reset_forgets_and_no_array_is_changed(use: Use, image: Image, other: Image) -> None:
    metric = use.build()
    metric.update(*use.arrays(other))
    metric.reset()
    arrays = use.arrays(image)
    for array in arrays:
        array.flags.writeable = False
    metric.update(*arrays)
    np.testing.assert_equal(metric.compute(), use.scores(image))


@each_metric
def test_computing_twice_gives_plain_floats_and_the_same_ones(use: Use) -> None:
    target = np.random.default_rng(1).integers(0, len(NAMES), (5, 6))
    metric = use.build()
    metric.update(*use.arrays(Image(target[::-1], target)))
    first = metric.compute()
    assert all(type(value) is float for value in first.values())
    np.testing.assert_equal(metric.compute(), first)


@each_metric
def test_what_cannot_be_scored_is_refused_and_leaves_no_trace(use: Use) -> None:
    classes = np.random.default_rng(2).integers(0, len(NAMES), (5, 6))
    good, target, valid = use.arrays(Image(classes, classes, np.ones((5, 6), bool)))
    metric = use.build()
    metric.update(good, target, valid)
    before = metric.compute()
    wrong = [
        (good[..., :-1], target, valid),
        (good, target[..., :-1], None),
        (good, target.astype(int if target.dtype.kind == "f" else float), None),
        (good, target, valid.astype(int)),
        (good, target, valid[..., :-1]),
    ]
    if use.scene.task == "multiclass":
        wrong.append((good, np.where(np.arange(6) == 5, len(NAMES), target), None))
    if good.dtype.kind == "f":
        wrong += [(np.where(np.arange(6) == 5, np.nan, good), target, valid), (good[:0], target, valid)]
    for arrays in wrong:
        with pytest.raises(DataError, match="^metric: "):
            metric.update(*arrays)
    np.testing.assert_equal(metric.compute(), before)
