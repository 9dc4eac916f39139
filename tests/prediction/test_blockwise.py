"""One step over a volume in blocks: what it is called with, and what is made of its results."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from volseg_core.api import Postprocess
from volseg_core.catalog import Provided
from volseg_core.errors import PluginError, UsageError
from volseg_core.plugins import PluginRecord
from volseg_core.prediction import blockwise
from volseg_core.prediction.blockwise import Layer, Running, apply_step
from volseg_core.prediction.scratch import Scratch
from volseg_core.progress import Silent
from volseg_core.recipe import ComponentUse
from volseg_core.recipe.steps import Step

SHAPE = (9, 10, 11)
EVERYTHING = (slice(0, 9), slice(0, 10), slice(0, 11))


def applied(target, array, takes="labels", gives="labels", edge=4, most=3):
    component = Postprocess(name="step", target="a:b", summary="", takes=(takes,), gives=gives)
    use = ComponentUse(Provided(PluginRecord("p", version="1"), component), {}, where="postprocess.0")
    channels = array.shape[0] if array.ndim == 4 else 0
    largest = 0 if channels else int(array.max())
    layer = Layer(takes, array.shape[-3:], channels, largest, lambda box: array[(..., *box)])
    running = Running(Step(use, "", takes, gives, first=True), target)
    return apply_step(running, layer, most, Scratch(), Silent(), edge)


class Probe:
    """Remembers the shapes that it is called with, and blurs labels with a window of three."""

    def __init__(self, **attributes):
        self.shapes = []
        vars(self).update(attributes)

    def __call__(self, array):
        self.shapes.append(array.shape)
        return ndimage.maximum_filter(array, 3)


@pytest.fixture
def labels():
    return np.random.default_rng(1).integers(0, 3, SHAPE).astype(np.uint8)


def test_a_step_without_a_halo_sees_the_whole_volume_once(labels):
    probe = Probe()
    np.testing.assert_array_equal(applied(probe, labels).read(EVERYTHING), ndimage.maximum_filter(labels, 3))
    assert probe.shapes == [SHAPE]


@pytest.mark.parametrize("halo", [1, 2, (1, 1, 1), (3, 1, 2)])
def test_blocks_with_their_halo_give_what_the_volume_gives(labels, halo):
    probe = Probe(halo=halo)
    np.testing.assert_array_equal(applied(probe, labels).read(EVERYTHING), ndimage.maximum_filter(labels, 3))
    assert len(probe.shapes) == 27


def test_blocks_measure_so_many_values_with_channels_and_halo(labels, monkeypatch):
    monkeypatch.setattr(blockwise, "BLOCK_VALUES", 4 * 32**3)
    monkeypatch.setattr(blockwise, "_SMALLEST_EDGE", 4)
    values = np.zeros((4, 40, 40, 40), np.float32)

    class Floats(Probe):
        def __call__(self, array):
            self.shapes.append(array.shape)
            return np.zeros(array.shape[1:], int)

    probe = Floats(halo=2)
    applied(probe, values, "values", edge=None)
    assert len(probe.shapes) == 8
    assert max(np.prod(shape) for shape in probe.shapes) <= 4 * 32**3
    probe = Floats(halo=2)
    applied(probe, values[:, :32, :32, :32], "values", edge=None)
    assert probe.shapes == [(4, 32, 32, 32)]


def test_what_looks_sees_every_voxel_once_before_the_first_call():
    class Counts:
        halo = 1

        def __init__(self):
            self.sizes = np.zeros(9, int)

        def look(self, ids):
            self.sizes += np.bincount(ids.ravel(), minlength=9)

        def __call__(self, ids):
            assert self.sizes.sum() == np.prod(SHAPE)
            return ids * (self.sizes > 100)[ids]

    ids = np.zeros(SHAPE, np.uint32)
    ids[:2], ids[3:5], ids[6, 5:] = 8, 3, 5
    expected = np.zeros(SHAPE)
    expected[:2], expected[3:5] = 1, 2
    found = applied(Counts(), ids, "instances", "instances")
    np.testing.assert_array_equal(found.read(EVERYTHING), expected)
    assert (found.kind, found.most) == ("instances", 2)


def test_instances_are_numbered_by_their_first_voxels_whatever_the_step_calls_them():
    def odd(array):
        return ndimage.label(array)[0].astype(np.uint64) * 1_000_003 % 2**40

    volume = np.zeros(SHAPE, np.uint8)
    volume[0, 0, 10], volume[8, :, 0], volume[2:4, 3:9] = 1, 1, 1
    found = applied(odd, volume, gives="instances").read(EVERYTHING)
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found, ndimage.label(volume)[0])


@pytest.mark.parametrize(
    ("target", "gives", "message"),
    [
        (lambda array: array[1:], "labels", r"gives uint8 of shape \(8, 10, 11\), not integers of shape \(9, 10, 11\)"),
        (lambda array: array / 2, "labels", r"gives float64 of shape"),
        (lambda array: array + 4, "labels", r"gives values from 4 to 6, beyond 0 to 3"),
        (lambda array: array.astype(int) - 1, "instances", r"gives values from -1 to 1, beyond 0 to"),
        (lambda array: array.nothing, "labels", r"AttributeError: .*no attribute 'nothing'"),
        (Probe(halo="wide"), "labels", r"has halo 'wide', which is neither a number of voxels, nor \(z, y, x\), nor"),
        (Probe(halo=-1), "labels", r"has halo -1, which"),
    ],
)
def test_wrong_results_are_the_plugins_error(labels, target, gives, message):
    with pytest.raises(PluginError, match=message) as error:
        applied(target, labels, gives=gives)
    assert error.value.where == "postprocess.0"


def test_numbers_of_instances_are_kept_between_blocks():
    class Shifts(Probe):
        halo = 0

        def __call__(self, ids):
            return ids + 1

    with pytest.raises(PluginError, match="gives values from 2 to 2, beyond 0 to 1"):
        applied(Shifts(), np.ones(SHAPE, np.uint32), "instances", "instances")


def test_channels_that_a_step_does_not_take_are_an_error():
    message = r"^postprocess.0: 'step' takes 3 channels, and there are 2. Its parameters must be those of the head's"
    with pytest.raises(UsageError, match=message):
        applied(Probe(channels=3), np.zeros((2, *SHAPE), np.float32), "probabilities")
