from __future__ import annotations

import numpy as np
import pytest

from volseg_core.errors import UsageError
from volseg_core.exporting.calibration import calibration_windows
from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry
from volseg_core.volume import ClassMap, ClassName, Grid, Normalisation, SizeRule, Volume

REGISTRY = load_registry(builtin_only=True)
RECIPE = resolve_recipe(REGISTRY, "slices", ["model.encoder.weights=none"])


def spec(**facts):
    classes = ClassMap((ClassName(0, "a"), ClassName(1, "b")), ())
    given = {"in_channels": 1, "normalisation": Normalisation("range", (0, 2)), "axes": "zyx"}
    given |= {"sizes": SizeRule.same(16, 16, 2), **facts}
    return ModelSpec(heads=(HeadSpec("multiclass", classes),), **given)


def ramps():
    """Voxels that tell where they lie: 0.01 z + 0.0001 y + 0.000001 x."""
    z, y, x = np.ogrid[:48, :64, :96]
    return (0.01 * z + 0.0001 * y + 0.000001 * x).astype(np.float64)


def drawn(volume, made, count=24):
    return list(calibration_windows(REGISTRY.catalog, RECIPE, made, volume, count))


def slopes(window):
    """Return how much the voxels rise from row to row and from column to column, before normalisation."""
    rows, columns = (np.diff(window[0, 0].astype(np.float64), axis=axis).mean() for axis in (0, 1))
    return round(rows, 6), round(columns, 6)


def test_windows_lie_along_every_axis_and_are_normalised():
    found = drawn(ramps(), spec())
    along = {"z": (1e-4, 1e-6), "y": (1e-2, 1e-6), "x": (1e-2, 1e-4)}
    seen = {axis for window in found for axis, wanted in along.items() if sorted(slopes(window)) == sorted(wanted)}
    assert seen == {"z", "y", "x"}
    for window in found:
        assert (window.dtype, window.shape[:2]) == (np.float32, (1, 1))
        assert not any(size % 16 for size in window.shape[2:])
        assert -1 <= window.min() <= window.max() <= 1, "[0, 2] is brought to [-1, 1]"


def test_they_are_always_the_same_ones():
    for one, other in zip(drawn(ramps(), spec(), 5), drawn(ramps(), spec(), 5), strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_axes_that_were_trained_on_and_planes_of_single_images_count():
    assert {slopes(window) for window in drawn(ramps(), spec(axes="z"))} <= {(1e-4, 1e-6), (1e-6, 1e-4)}
    assert {window.shape[2:] for window in drawn(ramps()[:1], spec())} <= {(64, 96), (96, 64)}
    independent = Volume(ramps()[None], Grid(independent=True))
    assert {slopes(window) for window in drawn(independent, spec())} <= {(1e-4, 1e-6), (1e-6, 1e-4)}


def test_a_file_of_one_size_gets_windows_of_this_size():
    assert {window.shape for window in drawn(ramps(), spec(window=(80, 48)))} == {(1, 1, 80, 48)}


def test_neighbouring_slices_are_channels():
    for window in drawn(ramps(), spec(axes="z", in_channels=3, neighbours=1), 6):
        assert window.shape[1] == 3
        np.testing.assert_allclose(np.abs(np.diff(window.mean(axis=(0, 2, 3)))), [0.01, 0.01], atol=1e-6)


def test_a_volume_of_other_channels_is_refused():
    with pytest.raises(UsageError, match="array data: has 2 channels; the model was trained on 1"):
        drawn(np.zeros((2, 8, 32, 32)), spec())
