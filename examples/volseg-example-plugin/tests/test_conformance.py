"""Whether the components keep to volseg's contracts: the kit knows the rules of each kind."""

import mrcfile
import numpy as np
import pytest

from volseg_core.testing import check, components


@pytest.fixture
def sample(tmp_path):
    """A small file of the reader's format."""
    path = tmp_path / "scan.mrc"
    with mrcfile.new(path) as file:
        file.set_data(np.arange(6 * 20 * 24, dtype=np.int16).reshape(6, 20, 24))
        file.voxel_size = (2.0, 2.0, 8.0)  # x, y, z
    return path


@pytest.mark.parametrize("component", components("volseg-example-plugin"), ids=str)
def test_conforms(component, sample):
    check(component, sample=sample)
