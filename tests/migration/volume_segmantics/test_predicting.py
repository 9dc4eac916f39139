"""Every prediction setting of Volume Segmantics is carried or named."""

from __future__ import annotations

import numpy as np
import pytest

from volseg_core.migration.settings import Settings, Transfer
from volseg_core.migration.volume_segmantics.predicting import carry_prediction
from volseg_core.volume.views import View, plane_rotations, preset


def carried(training=None, **content):
    transfer = Transfer()
    settings = Settings(content, transfer)
    carry_prediction(settings, transfer, training or {})
    assert not settings.remaining()
    left = {key: item.why for item in transfer.left for key in item.keys}
    recipe = {item.key: item.value for item in transfer.choices}
    assert recipe.pop("predict.merge") == "max"
    return recipe, left


@pytest.mark.parametrize("theirs", ["high", "HIGH"])
def test_high_quality_is_the_set_of_its_twelve_passes(theirs):
    assert carried(quality=theirs)[0] == {"predict.quality": "legacy12"}


def test_medium_quality_is_the_part_of_it_that_is_not_turned():
    views = [View.parse(name) for name in carried(quality="medium")[0]["predict.views"]]
    volume = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    for axis, view in enumerate(views):
        np.testing.assert_array_equal(view.apply(volume), volume.swapaxes(0, axis))
    assert set(views) < {view for view, _ in preset("legacy12")}


def test_one_direction_is_the_axis_that_was_named():
    assert carried(quality="low", prediction_axis="X") == ({"predict.views": ["x"]}, {})
    assert carried(quality="low")[0] == {"predict.quality": "low"}
    assert carried(quality="medium", prediction_axis="X")[1] == {"prediction_axis": "it counts for quality low alone"}


def test_z_only_is_the_slices_along_z_turned_by_quarters():
    recipe, _ = carried(quality="z_only")
    assert [View.parse(name) for name in recipe["predict.views"]] == plane_rotations(0)


def test_sliding_windows():
    recipe, left = carried(
        use_sliding_window=True, sw_roi_size=[512, 256], sw_overlap=0.25, sw_batch_size=4, sw_mode="gaussian"
    )
    assert recipe == {
        "predict.window": [512, 256], "predict.overlap": 0.25, "predict.batch": 4, "predict.blend": "gaussian",
    }  # fmt: skip
    assert left == {}
    recipe, left = carried(use_sliding_window=False, sw_roi_size=[512, 512], sw_overlap=0.25)
    assert recipe == {}
    assert set(left) == {"use_sliding_window", "sw_roi_size", "sw_overlap"}


def test_another_intensity_rule_than_in_training_is_named_with_its_value():
    _, left = carried({"clip_data": False, "st_dev_factor": 2.575}, clip_data=True, st_dev_factor=2.575)
    assert left["clip_data (prediction)"] == "intensities are normalised as in training, not True as these settings say"
    assert left["st_dev_factor (prediction)"] == "intensities are normalised as in training"
