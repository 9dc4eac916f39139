"""Faults of pytorch-3dunet that these targets do not have, by their number in the list of its faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from volseg_core.api import UsageError
from volseg_core.catalog import Catalog
from volseg_core.testing import components, problems
from volseg_targets import plugin


def test_b1_an_unknown_parameter_is_named() -> None:
    (affinities,) = (each for each in components(Catalog.from_modules([plugin])) if each.component.name == "affinities")
    with pytest.raises(UsageError, match="has no parameter 'z_offsets'. Did you mean 'offsets'?"):
        problems(affinities, params={"z_offsets": [1, 2]})


def test_b16_foreground_and_voxels_without_labels_go_together(make: Any) -> None:
    ids = np.array([[0, 0, 0, 0], [0, 0, 1, -1], [0, 0, 1, 1], [0, 0, 1, 1]], np.int32)
    made = make("boundaries", 2, foreground=True)(ids)
    np.testing.assert_array_equal(made[0, 1], [0, 0, 1, np.nan])
    np.testing.assert_array_equal(made[1, 1], [np.nan, 1, np.nan, np.nan])
    made = make("affinities", 2, offsets=[[0, -1]], channel="foreground")(ids)
    np.testing.assert_array_equal(made[:, 1], [[0, 0, 1, np.nan], [np.nan, 0, 0, np.nan]])


def test_b28_the_labels_stay_as_they_are_for_the_next_target(make: Any) -> None:
    ids = np.random.default_rng(0).integers(-1, 3, (6, 7, 8)).astype(np.int32)
    ids.setflags(write=False)
    for target in plugin.volseg_targets():
        make(target.name)(ids)


@pytest.mark.parametrize("shape", [(4, 64, 96), (1, 20, 33), (70, 5, 4)])
def test_b31_oblong_windows_keep_their_shape(shape: tuple[int, ...], make: Any) -> None:
    for target in plugin.volseg_targets():
        maker = make(target.name)
        assert maker(np.ones(shape, np.int32)).shape == (len(maker.names), *shape)
