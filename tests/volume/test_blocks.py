from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.volume.blocks import Block, BlockGrid, whole_volume


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


@given(
    shape=st.tuples(*[st.integers(1, 20)] * 3),
    edge=st.integers(1, 9),
    halo=st.tuples(*[st.integers(0, 5)] * 3),
)
def test_cores_of_a_grid_cover_every_voxel_once_and_halos_stay_inside(shape, edge, halo):
    grid = BlockGrid.of_edge(shape, edge, halo)
    seen = np.zeros(shape, int)
    for number, block in enumerate(grid.blocks()):
        assert block.index == number
        assert all(part.stop - part.start <= edge for part in block.core)
        seen[block.core] += 1
        for core, outer, more, size in zip(block.core, block.outer, halo, shape, strict=True):
            assert (outer.start, outer.stop) == (max(0, core.start - more), min(size, core.stop + more))
    assert (seen == 1).all()
    assert len(grid) == number + 1


def test_the_block_before_one_ends_where_it_starts():
    grid = BlockGrid((7, 8, 9), (2, 3, 2))
    blocks = list(grid.blocks())
    for block in blocks:
        for axis in range(3):
            before = grid.before(block.index, axis)
            if before is None:
                assert block.core[axis].start == 0
            else:
                assert blocks[before].core[axis].stop == block.core[axis].start
                assert [blocks[before].core[other] for other in range(3) if other != axis] == [
                    block.core[other] for other in range(3) if other != axis
                ]
