from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from volseg_core.api import ArraySpec
from volseg_formats.tiff_reader import TiffReader
from volseg_formats.tiff_writer import TiffWriter, form_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ATTRIBUTES = {"spacing": (2.0, 0.5, 0.25), "unit": "um", "model": "01ab"}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_fiji_finds_axes_spacing_and_unit(
    tmp_path: Path, save: Callable[..., Path], numbers: Callable[..., np.ndarray[Any, Any]], dtype: str
) -> None:
    path = save(TiffWriter(), tmp_path / "a.tif", numbers((5, 6, 7), dtype), **ATTRIBUTES)
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej
        assert file.series[0].axes == "ZYX"
        assert (file.imagej_metadata["spacing"], file.imagej_metadata["unit"]) == (2.0, "um")
        assert file.pages[0].resolution == (4.0, 2.0)
        np.testing.assert_array_equal(file.asarray(), numbers((5, 6, 7), dtype))


def test_channels_are_stored_in_the_order_of_fiji(
    tmp_path: Path, save: Callable[..., Path], numbers: Callable[..., np.ndarray[Any, Any]]
) -> None:
    values = numbers((2, 5, 6, 7), "float32")
    path = save(TiffWriter(), tmp_path / "a.tif", values, **ATTRIBUTES)
    with tifffile.TiffFile(path) as file:
        assert file.series[0].axes == "ZCYX"
    with TiffReader().open(path) as source:
        assert source.axes == "zcyx"
        np.testing.assert_array_equal(source.read((slice(None),) * 4), values.swapaxes(0, 1))
        assert source.spacing == (2.0, 0.5, 0.25)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 6, 3), (5, 6, 1), (3, 4, 3), (1, 1, 7)])
@pytest.mark.parametrize(("dtype", "compression"), [("uint8", "none"), ("int32", "none"), ("uint8", "zlib")])
def test_dimensions_of_one_and_of_colours_survive(
    tmp_path: Path,
    save: Callable[..., Path],
    numbers: Callable[..., np.ndarray[Any, Any]],
    shape: tuple[int, ...],
    dtype: str,
    compression: str,
) -> None:
    values = numbers(shape, dtype)
    path = save(TiffWriter(compression=compression), tmp_path / "a.tif", values)
    with TiffReader().open(path) as source:
        assert (source.axes, source.shape) == ("zyx", shape)
        np.testing.assert_array_equal(source.read((slice(None),) * 3), values)
    np.testing.assert_array_equal(tifffile.imread(path).ravel(), values.ravel())


def test_other_types_are_plain_tiff_with_axes(
    tmp_path: Path, save: Callable[..., Path], numbers: Callable[..., np.ndarray[Any, Any]]
) -> None:
    path = save(TiffWriter(), tmp_path / "a.tif", numbers((2, 5, 6, 7), "float16"), **ATTRIBUTES)
    with tifffile.TiffFile(path) as file:
        assert not file.is_imagej
        assert (file.series[0].axes, file.shaped_metadata[0]["volseg"]["model"]) == ("CZYX", "01ab")


def test_zlib_is_smaller_and_the_same(tmp_path: Path, save: Callable[..., Path]) -> None:
    values = np.zeros((20, 64, 64), "uint16")
    values[5:9, 10:20] = 300
    path = save(TiffWriter(compression="zlib"), tmp_path / "a.tif", values)
    assert path.stat().st_size < values.nbytes / 8
    np.testing.assert_array_equal(tifffile.imread(path), values)


@pytest.mark.parametrize(
    ("shape", "dtype", "imagej", "bigtiff"),
    [
        ((1000, 2000, 2000), "uint8", True, None),
        ((1100, 2000, 2000), "uint8", False, True),
        ((500, 2000, 2000), "uint32", False, True),
        ((200, 2000, 2000), "uint32", False, False),
    ],
)
def test_the_size_decides_between_imagej_and_bigtiff(
    shape: tuple[int, ...], dtype: str, imagej: Any, bigtiff: Any
) -> None:
    options = form_of(ArraySpec(shape, dtype), {}).options
    assert options.get("imagej", False) is imagej
    assert options.get("bigtiff") is bigtiff


def test_bigtiff_output_can_be_mapped(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    save: Callable[..., Path],
    numbers: Callable[..., np.ndarray[Any, Any]],
) -> None:
    monkeypatch.setattr("volseg_formats.tiff_writer._CLASSIC", 100)  # bytes, so that a small file takes that way
    path = save(TiffWriter(), tmp_path / "a.tif", numbers((5, 6, 7), "uint8"), **ATTRIBUTES)
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff
    with TiffReader().open(path) as source:
        assert (source.axes, source.spacing, source.unit) == ("zyx", (2.0, 0.5, 0.25), "um")
        np.testing.assert_array_equal(source.read((slice(None),) * 3), numbers((5, 6, 7), "uint8"))
