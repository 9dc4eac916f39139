"""What holds for every metric that is built in, whatever it measures; a new one is covered as it is registered."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.api import DataError
from volseg_core.catalog import Provided
from volseg_core.registry import load_registry

CATALOG = load_registry(builtin_only=True).catalog
METRICS: dict[str, Any] = {provided.component.name: provided for provided in CATALOG.all("metric")}
NAMES = ("background", "cell", "vessel")
SHAPES = ((6, 7), (4, 5, 6))

each_metric = pytest.mark.parametrize("provided", METRICS.values(), ids=list(METRICS))
each_streaming = pytest.mark.parametrize(
    "provided",
    [provided for provided in METRICS.values() if provided.component.streaming],
    ids=[name for name, provided in METRICS.items() if provided.component.streaming],
)


class Image(NamedTuple):
    prediction: np.ndarray
    target: np.ndarray
    valid: np.ndarray | None = None


def built(provided: Provided) -> Any:
    params = {name: param.default for name, param in provided.component.params.items()}
    context = {"classes": NAMES, "spacing": (3.0, 1.0, 2.0), "task": "multiclass"}
    return CATALOG.build(provided, params, context)


def as_inputs(provided: Any, classes: np.ndarray, certainty: float = 0.75) -> np.ndarray:
    """Return classes as the metric takes a prediction; the probabilities of the classes are not all alike."""
    if provided.component.inputs == "classes":
        return classes
    index = np.clip(classes, 0, len(NAMES) - 1)[None]
    here = np.arange(len(NAMES)).reshape(-1, *[1] * classes.ndim) == index
    confidence = certainty + (1 - certainty) * np.sin(np.arange(classes.size)).reshape(classes.shape) ** 2
    return np.where(here, confidence, (1 - confidence) / (len(NAMES) - 1)).astype(np.float32)


def scores(provided: Any, *images: Image, certainty: float = 0.75) -> dict[str, float]:
    metric = built(provided)
    for image in images:
        metric.update(as_inputs(provided, image.prediction, certainty), *image[1:])
    return metric.compute()


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


@each_metric
def test_further_outputs_are_named_after_the_metric(provided: Any) -> None:
    component = provided.component
    assert all(name == component.name or name.startswith(f"{component.name}/") for name in component.outputs)


@each_metric
@pytest.mark.parametrize("shape", SHAPES)
def test_a_perfect_prediction_has_the_ideal_score(provided: Any, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    target = random.integers(-1, len(NAMES), shape)
    component = provided.component
    score = scores(provided, Image(target, target, target >= 0), certainty=1.0)[component.name]
    assert score == (1.0 if component.better == "higher" else 0.0)


@each_metric
@pytest.mark.parametrize("shape", SHAPES)
def test_a_wrong_prediction_scores_worse_than_a_better_one(provided: Any, shape: tuple[int, ...]) -> None:
    target = np.zeros(shape, int)
    target[..., 1:3, 1:3], target[..., 1:3, 4:6] = 1, 2
    close, wrong = target.copy(), np.zeros(shape, int)
    close[..., 1, 1] = 0
    name = provided.component.name
    sign = 1 if provided.component.better == "higher" else -1
    each = [scores(provided, Image(found, target), certainty=1.0) for found in (target, close, wrong)]
    ideal, near, far = (sign * score[name] for score in each)
    assert ideal >= near > far


@each_metric
@settings(max_examples=25)
@given(image=images(), data=st.data())
def test_ignored_voxels_are_as_if_they_were_not_there(provided: Any, image: Image, data: st.DataObject) -> None:
    ignored = (image.target == -1) | ~image.valid
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    prediction = as_inputs(provided, image.prediction)
    junk = prediction.copy()
    if provided.component.inputs == "classes":
        junk[ignored] = random.integers(-9, 99, ignored.sum())
    else:
        junk[:, ignored] = random.choice([np.nan, np.inf, -7.0, 0.5], (len(NAMES), ignored.sum()))
    blank, filled = built(provided), built(provided)
    blank.update(prediction, np.where(ignored, -1, image.target))
    target = np.where(ignored, random.choice([-1, 0, 5, 77], image.target.shape), image.target)
    filled.update(junk, target, ~ignored)
    np.testing.assert_equal(filled.compute(), blank.compute())


@each_metric
@settings(max_examples=25)
@given(each=st.lists(images(), min_size=2, max_size=4), data=st.data())
def test_the_order_of_updates_does_not_matter(provided: Any, each: list[Image], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(each))
    found, expected = scores(provided, *shuffled), scores(provided, *each)
    assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)


@each_streaming
@settings(max_examples=25)
@given(image=images(), cut=st.integers(0, 6))
def test_a_streaming_metric_may_get_any_pieces(provided: Any, image: Image, cut: int) -> None:
    flat = [array.ravel() for array in image[1:]]
    prediction = as_inputs(provided, image.prediction)
    prediction = prediction.reshape(*prediction.shape[: prediction.ndim - image.target.ndim], -1)
    metric = built(provided)
    for part in (slice(0, cut), slice(cut, 3 * cut), slice(3 * cut, None)):
        metric.update(prediction[..., part], *(array[part] for array in flat))
    assert metric.compute() == pytest.approx(scores(provided, image), rel=1e-12, nan_ok=True)


@each_metric
@settings(max_examples=10)
@given(image=images())
def test_the_number_type_of_the_arrays_does_not_matter(provided: Any, image: Image) -> None:
    metric = built(provided)
    prediction = as_inputs(provided, image.prediction)
    metric.update(
        prediction.astype(np.uint8 if prediction.dtype.kind == "i" else np.float64),
        np.asfortranarray(image.target.astype(np.int8)),
        image.valid,
    )
    assert metric.compute() == pytest.approx(scores(provided, image), nan_ok=True)


@each_metric
def test_without_an_image_nothing_is_known(provided: Any) -> None:
    fresh = built(provided).compute()
    assert set(provided.component.outputs) <= set(fresh)
    assert all(math.isnan(value) for value in fresh.values())
    nothing = scores(provided, Image(np.zeros((3, 4), int), np.full((3, 4), -1)))
    assert all(math.isnan(value) for value in nothing.values())


@each_metric
@settings(max_examples=5)
@given(image=images(), other=images())
def test_reset_forgets_and_no_array_is_changed(provided: Any, image: Image, other: Image) -> None:
    metric = built(provided)
    metric.update(as_inputs(provided, other.prediction), *other[1:])
    metric.reset()
    arrays = as_inputs(provided, image.prediction), *image[1:]
    for array in arrays:
        array.flags.writeable = False
    metric.update(*arrays)
    np.testing.assert_equal(metric.compute(), scores(provided, image))


@each_metric
def test_computing_twice_gives_plain_floats_and_the_same_ones(provided: Any) -> None:
    target = np.random.default_rng(1).integers(0, len(NAMES), (5, 6))
    metric = built(provided)
    metric.update(as_inputs(provided, target[::-1]), target)
    first = metric.compute()
    assert all(type(value) is float for value in first.values())
    np.testing.assert_equal(metric.compute(), first)


@each_metric
def test_what_cannot_be_scored_is_refused_and_leaves_no_trace(provided: Any) -> None:
    target = np.random.default_rng(2).integers(0, len(NAMES), (5, 6))
    good = as_inputs(provided, target)
    metric = built(provided)
    metric.update(good, target)
    before = metric.compute()
    out_of_range = target.copy()
    out_of_range[-1, -1] = len(NAMES)
    for prediction, truth, valid in (
        (good[..., :-1], target, None),
        (good, target[:-1], None),
        (good, target.astype(float), None),
        (good, out_of_range, None),
        (good, target, np.ones((5, 6), int)),
        (good, target, np.ones((5, 5), bool)),
    ):
        with pytest.raises(DataError, match="^metric: "):
            metric.update(prediction, truth, valid)
    np.testing.assert_equal(metric.compute(), before)
