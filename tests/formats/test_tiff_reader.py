from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volseg_core.api import DataError
from volseg_formats.tiff_reader import TiffReader

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def counted(*shape: Any, dtype: Any = "uint16") -> Any:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def opened(path: Path, values: Any, **options: Any) -> Any:
    tifffile.imwrite(path, values, **{"photometric": "minisblack", **options})
    return TiffReader().open(path)


def whole(source: Any) -> Any:
    return source.read((slice(None),) * len(source.shape))


@pytest.mark.parametrize(
    ("stored", "axes", "shape", "expected"),
    [
        ("ZYX", "zyx", (5, 6, 7), (5, 6, 7)),
        ("ZCYX", "zcyx", (5, 2, 6, 7), (5, 2, 6, 7)),
        ("TZCYX", "zcyx", (1, 5, 2, 6, 7), (5, 2, 6, 7)),
        ("TYX", "zyx", (5, 6, 7), (5, 6, 7)),
        ("TZCYX", "zcyx", (5, 1, 2, 6, 7), (5, 2, 6, 7)),
        ("CYX", "cyx", (2, 6, 7), (2, 6, 7)),
        ("YX", "yx", (6, 7), (6, 7)),
    ],
)
def test_imagej_hyperstacks(tmp_path: Path, stored: Any, axes: str, shape: tuple[int, ...], expected: Any) -> None:
    values = counted(*shape)
    source = opened(tmp_path / "a.tif", values, imagej=True, metadata={"axes": stored})
    assert (source.axes, source.shape) == (axes, expected)
    np.testing.assert_array_equal(whole(source), values.reshape(expected))


@pytest.mark.parametrize(
    ("stored", "axes", "shape"),
    [
        ("ZYX", "zyx", (5, 6, 7)),
        ("CZYX", "czyx", (2, 5, 6, 7)),
        ("ZCYX", "zcyx", (5, 2, 6, 7)),
        ("TYX", "zyx", (5, 6, 7)),
    ],
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_ome_files(tmp_path: Path, stored: Any, axes: str, shape: tuple[int, ...], compression: Any) -> None:
    values = counted(*shape)
    metadata = {"axes": stored, "PhysicalSizeX": 100, "PhysicalSizeY": 200, "PhysicalSizeZ": 300}
    metadata |= {f"PhysicalSize{axis}Unit": "nm" for axis in "XYZ"}
    source = opened(tmp_path / "a.ome.tif", values, ome=True, metadata=metadata, compression=compression)
    assert (source.axes, source.shape, source.spacing, source.unit) == (axes, shape, (300, 200, 100), "nm")
    np.testing.assert_array_equal(whole(source), values)


@pytest.mark.parametrize(
    ("options", "shape", "axes"),
    [
        ({}, (5, 6, 7), "zyx"),
        ({"metadata": None}, (5, 6, 7), "zyx"),
        ({"bigtiff": True}, (5, 6, 7), "zyx"),
        ({"byteorder": ">"}, (5, 6, 7), "zyx"),
        ({"byteorder": ">", "compression": "lzw", "predictor": True}, (5, 6, 7), "zyx"),
        ({}, (2, 5, 6, 7), "czyx"),
        ({"photometric": "rgb"}, (6, 7, 3), "yxc"),
        ({"photometric": "rgb"}, (5, 6, 7, 3), "zyxc"),
        ({"photometric": "rgb", "compression": "zlib"}, (5, 6, 7, 4), "zyxc"),
        ({"photometric": "rgb", "planarconfig": "separate", "compression": "zlib"}, (5, 3, 6, 7), "zcyx"),
        ({"tile": (16, 16)}, (3, 40, 50), "zyx"),
        ({"tile": (16, 32), "compression": "zlib", "photometric": "rgb"}, (2, 40, 50, 3), "zyxc"),
        ({"tile": (2, 16, 16), "volumetric": True, "compression": "zlib"}, (5, 40, 50), "zyx"),
    ],
)
@given(data=st.data())
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
def test_boxes_of_other_programs_files(
    tmp_path: Path, options: dict[str, Any], shape: tuple[int, ...], axes: str, data: st.DataObject
) -> None:
    values = counted(*shape, dtype="uint8" if options.get("photometric") == "rgb" else "uint16")
    source = opened(tmp_path / "a.tif", values, **options)
    assert (source.axes, source.shape) == (axes, shape)
    np.testing.assert_array_equal(whole(source), values)
    bounds = [sorted(data.draw(st.tuples(st.integers(0, size), st.integers(0, size)))) for size in shape]
    box = tuple(slice(start, stop) for start, stop in bounds)
    part = source.read(box)
    np.testing.assert_array_equal(part, values[box])
    assert part.dtype.isnative
    source.close()


def test_only_the_touched_strips_and_pages_are_decoded(tmp_path: Path) -> None:
    values = counted(4, 64, 48)
    path = tmp_path / "a.tif"
    opened(path, values, compression="zlib", rowsperstrip=16, metadata=None).close()
    with tifffile.TiffFile(path) as file:
        damaged = [file.pages[1].dataoffsets[at] for at in (0, 1, 3)]
    raw = bytearray(path.read_bytes())
    for offset in damaged:
        raw[offset : offset + 8] = b"\xff" * 8
    path.write_bytes(bytes(raw))
    with TiffReader().open(path) as source:
        np.testing.assert_array_equal(source.read((slice(1, 2), slice(33, 47), slice(0, 48))), values[1:2, 33:47])
        np.testing.assert_array_equal(source.read((slice(2, 4), slice(0, 64), slice(3, 4))), values[2:4, :, 3:4])
        with pytest.raises(DataError, match="is not a readable TIFF"):
            source.read((slice(1, 2), slice(31, 33), slice(0, 48)))


def test_pages_scattered_over_the_file(tmp_path: Path) -> None:
    values = counted(4, 6, 7, dtype="float32")
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for plane in values:
            writer.write(plane, contiguous=False, metadata=None, description="a plane")
    source = TiffReader().open(tmp_path / "a.tif")
    assert source.axes == "zyx"
    assert source.attributes == {"description": "a plane"}
    np.testing.assert_array_equal(source.read((slice(1, 3), slice(2, 5), slice(0, 7))), values[1:3, 2:5])


def test_a_time_series_of_volumes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has the axes TZYX \(3, 5, 6, 7\), which are not .* one time point"):
        opened(tmp_path / "a.tif", counted(3, 5, 6, 7), imagej=True, metadata={"axes": "TZYX"})


@pytest.mark.parametrize("options", [{}, {"metadata": None}, {"imagej": True}, {"ome": True}])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9, 0.99, 0.999])
def test_a_cut_file_is_never_a_shorter_volume(
    tmp_path: Path, options: dict[str, Any], compression: Any, part: float
) -> None:
    if options.get("imagej"):
        options = {**options, "metadata": {"axes": "ZYX"}}
    values = np.random.default_rng(0).integers(0, 255, (20, 30, 40)).astype("uint8")
    path = tmp_path / "a.tif"
    opened(path, values, compression=compression, **options).close()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(DataError, match=r"is truncated|is not a readable TIFF"):
        TiffReader().open(path)


def test_a_wrong_description_is_not_shouted_at_the_user(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.tif"
    values = counted(5, 6, 7)
    opened(path, values, imagej=True, metadata={"axes": "ZYX"}).close()
    path.write_bytes(path.read_bytes().replace(b"slices=5", b"slices=0"))
    with TiffReader().open(path) as source:
        assert source.axes == "zyx"
        np.testing.assert_array_equal(whole(source), values)
    assert not caplog.records


@pytest.mark.skipif(not SHARED.is_dir(), reason="the development data is not in the repository")
def test_a_tile_of_a_whole_slide_is_read_without_the_rest() -> None:
    path = SHARED / "monuseg_he_wsi" / "slide.tif"
    with TiffReader().open(path) as source, tifffile.TiffFile(path) as file:
        assert (source.axes, source.shape) == ("yxc", (2000, 3000, 3))
        assert (source.spacing, source.unit) == ((1.0, 0.25, 0.25), "um")
        expected = file.pages[0].asarray()[700:1000, 1900:2100, 1:]
        np.testing.assert_array_equal(source.read((slice(700, 1000), slice(1900, 2100), slice(1, 3))), expected)
