from __future__ import annotations

import numpy as np
import pytest

from volseg_core.api import UsageError
from volseg_instances.threshold import Threshold

VALUES = np.array([[[[0.1, 0.5, 0.9]]], [[[0.6, 0.2, 3.0]]]], np.float32)


def test_voxels_above_the_threshold_are_class_one():
    np.testing.assert_array_equal(Threshold()(VALUES), [[[1, 0, 1]]])
    np.testing.assert_array_equal(Threshold(channel=0)(VALUES), [[[0, 0, 1]]])
    np.testing.assert_array_equal(Threshold(threshold=2)(VALUES), [[[0, 0, 1]]])


def test_of_classes_the_channel_is_the_class():
    names = ("background", "cell", "nucleus")
    three = np.concatenate((VALUES, VALUES[1:]))
    np.testing.assert_array_equal(Threshold(classes=names)(three), [[[2, 0, 2]]])
    np.testing.assert_array_equal(Threshold(channel=1, classes=names)(three), [[[1, 0, 1]]])
    with pytest.raises(UsageError, match="^postprocess: threshold: channel 0 is the background"):
        Threshold(channel=0, classes=names)


def test_a_channel_that_is_not_there_is_an_error():
    with pytest.raises(UsageError, match=r"^postprocess: channel 2 is not among the 2 that there are"):
        Threshold(channel=2)(VALUES)
