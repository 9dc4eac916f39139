from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile

from volseg_core.api import ArraySpec, DataError
from volseg_formats.slices_writer import SlicesWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALUES = np.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("dtype", "suffix"), [("uint8", "png"), ("uint16", "png"), ("int32", "tif"), ("float32", "tif")]
)
def test_each_slice_is_an_image_that_others_read(
    tmp_path: Path, save: Callable[..., Path], dtype: str, suffix: Any
) -> None:
    folder = save(SlicesWriter(), tmp_path / "out", VALUES.astype(dtype), spacing=(3, 2, 1), unit="nm")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"slice_00000.{suffix}",
        f"slice_00001.{suffix}",
        "volume.json",
    ]
    image = folder / f"slice_00001.{suffix}"
    pixels = imagecodecs.png_decode(image.read_bytes()) if suffix == "png" else tifffile.imread(image)
    assert pixels.dtype == dtype
    np.testing.assert_array_equal(pixels, VALUES[1])
    assert json.loads((folder / "volume.json").read_text()) == {"axes": "zyx", "spacing": [3, 2, 1], "unit": "nm"}


def test_channels_are_refused_with_the_formats_that_hold_them(tmp_path: Path) -> None:
    specs = {"labels": ArraySpec((2, 3, 4), "uint8"), "probabilities": ArraySpec((2, 2, 3, 4), "float16", "czyx")}
    with pytest.raises(DataError, match=r"array 'probabilities' has the axes 'czyx'.* Write to \.h5, \.tif or \.npy"):
        SlicesWriter().create(tmp_path / "out", specs, {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_users_files_is_never_replaced(tmp_path: Path, tree: Callable[[Path], dict[str, str]]) -> None:
    for name in ("thesis.tex", "photo.png"):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        (folder / name).write_text("mine")
    before = tree(tmp_path)
    for folder in ("thesis", "photo"):
        with pytest.raises(DataError, match=r"holds other files and no volume\.json, so it is not replaced"):
            SlicesWriter().create(tmp_path / folder, {"labels": ArraySpec((2, 3, 4), "uint8")}, {})
    assert tree(tmp_path) == before


def test_files_that_arrive_while_writing_are_kept(tmp_path: Path) -> None:
    sink = SlicesWriter().create(tmp_path / "out", {"labels": ArraySpec((2, 3, 4), "uint8")}, {})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo.png").write_text("mine")
    with pytest.raises(DataError, match="is not replaced"):
        sink.commit()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "photo.png"]


def test_an_empty_folder_is_used(tmp_path: Path, save: Callable[..., Path]) -> None:
    (tmp_path / "out").mkdir()
    save(SlicesWriter(), tmp_path / "out", VALUES.astype("uint8"))
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
