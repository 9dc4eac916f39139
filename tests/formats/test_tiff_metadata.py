from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from volseg_core.api import DataError
from volseg_formats.tiff_metadata import volume_axes
from volseg_formats.tiff_reader import TiffReader

if TYPE_CHECKING:
    from pathlib import Path

IMAGE, STACK = (6, 7), (5, 6, 7)


def physical(path: Path, shape: tuple[int, ...], **options: Any) -> Any:
    tifffile.imwrite(path, np.zeros(shape, "uint8"), photometric="minisblack", **options)
    with TiffReader().open(path) as source:
        return source.spacing, source.unit


@pytest.mark.parametrize(
    ("metadata", "resolution", "expected"),
    [
        ({"spacing": 2.0, "unit": "um"}, (4, 2), ((2, 0.5, 0.25), "um")),
        ({"spacing": 2.0, "unit": "micron"}, (4, 2), ((2, 0.5, 0.25), "um")),
        ({"spacing": 2.0, "unit": "\\u00B5m"}, (4, 2), ((2, 0.5, 0.25), "um")),
        ({"spacing": -2.0, "unit": "nm"}, (4, 2), ((2, 0.5, 0.25), "nm")),
        ({"unit": "um"}, (4, 2), ((1, 0.5, 0.25), "um")),
        ({"spacing": 2.0}, (1, 1), ((2, 1, 1), "")),
        ({"unit": "pixel"}, (1, 1), (None, "")),
        ({}, (1, 1), (None, "")),
        ({}, None, (None, "")),
    ],
)
def test_imagej_spacing(tmp_path: Path, metadata: Any, resolution: Any, expected: Any) -> None:
    options = {"imagej": True, "metadata": {"axes": "ZYX", **metadata}, "resolution": resolution}
    assert physical(tmp_path / "a.tif", STACK, **options) == expected


@pytest.mark.parametrize(
    ("shape", "resolution", "unit", "expected"),
    [
        (IMAGE, (40000, 20000), "CENTIMETER", ((1, 0.5, 0.25), "um")),
        (IMAGE, (25400, 12700), "INCH", ((1, 2, 1), "um")),
        (STACK, (40000, 20000), "CENTIMETER", (None, "")),  # nobody said how far the planes are apart
        (IMAGE, (72, 72), "INCH", (None, "")),
        (IMAGE, (300, 300), "INCH", (None, "")),
        (IMAGE, (4, 2), "NONE", (None, "")),
        (IMAGE, (1, 1), "NONE", (None, "")),
        (IMAGE, None, None, (None, "")),
    ],
)
def test_resolution_tags_count_only_with_a_unit(
    tmp_path: Path, shape: tuple[int, ...], resolution: Any, unit: Any, expected: Any
) -> None:
    options = {"resolution": resolution, "resolutionunit": unit, "metadata": None}
    assert physical(tmp_path / "a.tif", shape, **options) == expected


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"X": 0.1, "Y": 0.2, "Z": 0.3}, ((0.3, 0.2, 0.1), "um")),  # micrometre is the default of OME
        ({"X": 0.1, "Y": 0.2}, (None, "")),
        ({"Z": 0.3}, (None, "")),
        ({}, (None, "")),
    ],
)
def test_ome_sizes(tmp_path: Path, sizes: Any, expected: Any) -> None:
    metadata = {"axes": "ZYX", **{f"PhysicalSize{axis}": size for axis, size in sizes.items()}}
    assert physical(tmp_path / "a.ome.tif", STACK, ome=True, metadata=metadata) == expected


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("TCZYXS", (1, 1, 5, 6, 7, 1), ("czyx", (1, 5, 6, 7))),
        ("QQYX", (2, 5, 6, 7), ("czyx", (2, 5, 6, 7))),
        ("CYXS", (5, 6, 7, 3), ("zyxc", (5, 6, 7, 3))),
        ("AIYX", (1, 5, 6, 7), ("zyx", (5, 6, 7))),
        ("TZYX", (5, 1, 6, 7), ("zyx", (5, 6, 7))),
        ("TCYX", (5, 2, 6, 7), ("zcyx", (5, 2, 6, 7))),
    ],
)
def test_axes_of_tifffile_become_those_of_a_volume(axes: str, shape: tuple[int, ...], expected: Any) -> None:
    assert volume_axes("a.tif", axes, shape) == expected


@pytest.mark.parametrize(("axes", "shape"), [("HYX", (5, 6, 7)), ("TZYX", (2, 5, 6, 7)), ("QQQYX", (2, 2, 2, 3, 3))])
def test_axes_that_are_no_volume_are_refused(axes: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=f"has the axes {axes}"):
        volume_axes("a.tif", axes, shape)
