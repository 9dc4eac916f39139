import mrcfile
import numpy as np
import pytest

from volseg_core.api import DataError
from volseg_example.mrc import MrcReader


def write(path, data, voxel=(2.0, 4.0, 8.0), stack=False):
    with mrcfile.new(path) as file:
        file.set_data(data)
        file.voxel_size = voxel
        if stack:
            file.set_image_stack()
    return path


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float32, np.float16])
def test_volumes_come_with_axes_and_voxel_size(tmp_path, dtype):
    data = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(dtype)
    source = MrcReader().open(write(tmp_path / "v.mrc", data))
    assert (source.shape, source.dtype, source.axes) == ((3, 4, 5), dtype, "zyx")
    assert (source.spacing, source.unit) == ((8.0, 4.0, 2.0), "angstrom")
    box = (slice(1, 3), slice(0, 4), slice(2, 4))
    np.testing.assert_array_equal(source.read(box), data[box])
    source.close()


def test_a_stack_is_independent_images_and_one_image_has_two_axes(tmp_path):
    data = np.zeros((3, 4, 5), np.int16)
    assert MrcReader().open(write(tmp_path / "s.st", data, stack=True)).axes == "nyx"
    assert MrcReader().open(write(tmp_path / "i.mrc", data[0])).axes == "yx"


def test_a_voxel_size_that_was_never_set_is_unknown(tmp_path):
    source = MrcReader().open(write(tmp_path / "v.mrc", np.zeros((2, 4, 5), np.int16), voxel=(0, 0, 0)))
    assert (source.spacing, source.unit) == (None, "")


def test_big_endian_files_are_read_as_native_numbers(tmp_path):
    data = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    source = MrcReader().open(write(tmp_path / "v.mrc", data))
    assert source.dtype == np.dtype("int16")
    assert source.dtype.isnative
    np.testing.assert_array_equal(source.read((slice(None),) * 3), data)


def test_what_is_no_volume_of_real_numbers_is_one_error(tmp_path):
    good = write(tmp_path / "v.mrc", np.ones((4, 8, 8), np.float32)).read_bytes()
    (tmp_path / "cut.mrc").write_bytes(good[:-100])
    (tmp_path / "text.mrc").write_text("hello")
    write(tmp_path / "complex.mrc", np.ones((2, 4, 4), np.complex64))
    for name, text in {
        "cut.mrc": "header does not fit its size|is not an MRC file",
        "text.mrc": "is not an MRC file",
        "complex.mrc": "holds complex64 in 3 dimensions; volseg takes volumes of real numbers",
        "none.mrc": "cannot be read",
    }.items():
        with pytest.raises(DataError, match=text):
            MrcReader().open(tmp_path / name)
    with pytest.raises(DataError, match="holds one volume; there is no 'raw' in it"):
        MrcReader().open(tmp_path / "v.mrc", "raw")
