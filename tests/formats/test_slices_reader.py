from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.api import DataError
from volseg_formats.slices_reader import SlicesReader, natural

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVERYTHING = (slice(None),) * 3


@pytest.fixture
def fill(tmp_path: Path) -> Any:
    """Write one PNG per name, each with its position as grey value."""

    def write(names: list[str], shape: Any = (4, 5), dtype: Any = "uint8") -> Any:
        for at, name in enumerate(names):
            (tmp_path / name).write_bytes(imagecodecs.png_encode(np.full(shape, at, dtype)))
        return tmp_path

    return write


def test_slices_are_sorted_by_number(fill: Callable[..., Path]) -> None:
    folder = fill(["slice_2.png", "slice_10.png", "slice_1.png", "slice_09.PNG"])
    values = SlicesReader().open(folder).read(EVERYTHING)
    assert values[:, 0, 0].tolist() == [2, 0, 3, 1]


@given(numbers=st.lists(st.integers(0, 10**6), unique=True, min_size=2))
def test_natural_order_is_the_order_of_the_numbers(
    tmp_path_factory: pytest.TempPathFactory, numbers: Callable[..., np.ndarray[Any, Any]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    files = [folder / f"scan3_{number}_a.tif" for number in numbers]
    assert sorted(files, key=natural) == [folder / f"scan3_{number}_a.tif" for number in sorted(numbers)]


def test_only_the_wanted_slices_are_decoded(fill: Callable[..., Path]) -> None:
    folder = fill([f"{at}.png" for at in range(5)])
    (folder / "2.png").write_bytes(b"damaged")
    with SlicesReader().open(folder) as source:
        assert source.read((slice(3, 5), slice(1, 2), slice(0, 5)))[:, 0, 0].tolist() == [3, 4]
        with pytest.raises(DataError, match=r"2\.png: is not a readable PNG image"):
            source.read((slice(1, 3), slice(0, 4), slice(0, 5)))


def test_hidden_and_other_files_are_ignored(fill: Callable[..., Path]) -> None:
    folder = fill(["a1.png", "a2.png", ".a3.png"])
    (folder / "notes.txt").write_text("x")
    (folder / "more.png").mkdir()
    assert SlicesReader().open(folder).shape == (2, 4, 5)


def test_several_formats_are_refused(fill: Callable[..., Path]) -> None:
    folder = fill(["a1.png"])
    tifffile.imwrite(folder / "a2.tif", np.zeros((4, 5), "uint8"))
    with pytest.raises(DataError, match=r"holds images of several formats \(PNG, TIFF\)\. Keep one"):
        SlicesReader().open(folder)


def test_tif_and_tiff_are_one_format(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a1.tif", np.zeros((4, 5), "float32"))
    tifffile.imwrite(tmp_path / "a2.TIFF", np.ones((4, 5), "float32"), compression="zlib")
    source = SlicesReader().open(tmp_path)
    assert (source.axes, source.dtype) == ("zyx", np.dtype("float32"))
    assert source.read(EVERYTHING)[:, 0, 0].tolist() == [0, 1]


def test_colour_slices_have_channels_last(fill: Callable[..., Path]) -> None:
    source = SlicesReader().open(fill(["1.png", "2.png"], shape=(4, 5, 3)))
    assert (source.axes, source.shape) == ("zyxc", (2, 4, 5, 3))
    assert source.read((slice(1, 2), slice(0, 4), slice(0, 5), slice(1, 3))).tolist() == np.ones((1, 4, 5, 2)).tolist()


def test_jpeg_slices_are_read(tmp_path: Path) -> None:
    for at in (1, 2):
        (tmp_path / f"{at}.jpg").write_bytes(imagecodecs.jpeg_encode(np.full((16, 16), 100 * at, "uint8"), level=95))
    values = SlicesReader().open(tmp_path).read(EVERYTHING)
    assert np.abs(values.astype(int) - [[[100]], [[200]]]).max() <= 2


def test_slices_of_another_shape_are_named(fill: Callable[..., Path]) -> None:
    folder = fill(["1.png", "2.png", "3.png"])
    odd = imagecodecs.png_encode(np.zeros((4, 6), "uint8"))
    (folder / "2.png").write_bytes(odd)
    with SlicesReader().open(folder) as source, pytest.raises(DataError, match=r"2\.png: is \(4, 6\) uint8, but '1.p"):
        source.read(EVERYTHING)
    (folder / "3.png").write_bytes(odd)
    with pytest.raises(DataError, match=r"3\.png: is \(4, 6\) uint8"):
        SlicesReader().open(folder)


def test_a_folder_without_images_and_a_stack_as_slice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        SlicesReader().open(tmp_path)
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((3, 4, 5), "uint8"), photometric="minisblack")
    with pytest.raises(DataError, match="has 3 pages; a slice has one"):
        SlicesReader().open(tmp_path)


def test_a_palette_image_is_refused_as_labels_only(tmp_path: Path) -> None:
    png = imagecodecs.png_encode(np.zeros((4, 5), "uint8"))
    palette = bytearray(png)
    palette[25] = 3  # colour type; the checksum need not hold, nothing is decoded
    (tmp_path / "1.png").write_bytes(bytes(palette))
    with pytest.raises(DataError, match="has a palette"):
        SlicesReader().open(tmp_path, role="labels")


def test_a_cut_jpeg_is_not_filled_up_with_grey(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200)).astype("uint8")
    data = imagecodecs.jpeg_encode(noise)
    (tmp_path / "1.jpg").write_bytes(data)
    assert SlicesReader().open(tmp_path).shape == (1, 200, 200)
    (tmp_path / "1.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"1\.jpg: is truncated"):
        SlicesReader().open(tmp_path)
