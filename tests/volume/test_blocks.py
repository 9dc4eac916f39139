from __future__ import annotations

import numpy as np

from volseg_core.volume.blocks import Block, whole_volume


def test_the_whole_volume_is_one_block_without_a_halo() -> None:
    (block,) = whole_volume((3, 4, 5))
    assert block.shape == (3, 4, 5)
    assert block.inside() == block.core


def test_the_core_is_found_inside_its_halo() -> None:
    core = (slice(4, 8), slice(0, 2), slice(6, 9))
    outer = (slice(2, 10), slice(0, 4), slice(4, 9))
    volume = np.arange(12 * 6 * 9).reshape(12, 6, 9)
    block = Block(3, core, outer)
    assert block.shape == (8, 4, 5)
    np.testing.assert_array_equal(volume[outer][block.inside()], volume[core])
