from __future__ import annotations

import numpy as np
import pytest

from volseg_core.errors import DataError
from volseg_core.prediction.scratch import Scratch


def test_small_arrays_are_in_memory_and_large_ones_in_files_that_go(tmp_path):
    with Scratch(tmp_path, limit=100) as scratch:
        small, large = scratch.array((5, 5), "uint8"), scratch.array((10, 10), "uint16")
        assert not isinstance(small, np.memmap)
        assert isinstance(large, np.memmap)
        assert not large.any()
        large[3] = 7
        assert len(list(tmp_path.glob(".volseg-*/*.raw"))) == 1
        scratch.free(large)
        assert not list(tmp_path.glob(".volseg-*/*.raw"))
        scratch.free(small)
        assert not isinstance(scratch.array((10, 10), "uint8"), np.memmap)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_files_go_when_work_ends_badly(tmp_path, error):
    def work():
        with Scratch(tmp_path, limit=1) as scratch:
            scratch.array((4, 4), "float32")
            raise error

    with pytest.raises(error):
        work()
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_all_is_in_memory():
    assert not isinstance(Scratch(limit=1).array((4, 4), "float32"), np.memmap)


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"none: cannot be written \(No such file or directory\)"):
        Scratch(tmp_path / "none", limit=1).array((4, 4), "float32")
