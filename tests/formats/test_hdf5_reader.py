from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from volseg_core.api import DataError
from volseg_formats.hdf5_reader import Hdf5Reader

if TYPE_CHECKING:
    from collections.abc import Callable

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Write datasets by name, each filled with its position in the mapping, and give the path."""

    def write(shapes: Any, attributes: Any = (), of_file: Any = (), dtype: Any = "uint8") -> Any:
        path = tmp_path / "scan.h5"
        with h5py.File(path, "w") as file:
            for at, (name, shape) in enumerate(shapes.items()):
                file.create_dataset(name, data=np.full(shape, at, dtype)).attrs.update(dict(attributes))
            file.attrs.update(dict(of_file))
        return path

    return write


VOLUME = (5, 6, 7)


@pytest.mark.parametrize(
    ("names", "role", "chosen"),
    [
        (["image", "raw", "data"], "data", "/data"),
        (["image", "raw", "labels"], "data", "/raw"),
        (["seg", "image"], "data", "/image"),
        (["data", "seg", "label", "labels"], "labels", "/labels"),
        (["data", "seg", "label"], "labels", "/label"),
        (["data", "seg"], "labels", "/seg"),
        (["entry/detector/frames"], "data", "/entry/detector/frames"),
        (["entry/detector/frames"], "labels", "/entry/detector/frames"),
    ],
)
def test_the_dataset_is_found_by_the_name_of_its_role(
    make: Callable[..., Path], names: list[str], role: str, chosen: Any
) -> None:
    path = make(dict.fromkeys(names, VOLUME))
    with Hdf5Reader().open(path, role=role) as source:
        assert source.dataset == chosen
        assert (source.read((slice(0, 1),) * 3) == names.index(chosen[1:])).all()


def test_only_volumes_count_as_the_only_dataset(make: Callable[..., Path]) -> None:
    path = make({"entry/angles": (180,), "entry/volume": VOLUME, "entry/series": (2, 2, 5, 6, 7)})
    assert Hdf5Reader().open(path).dataset == "/entry/volume"


def test_a_group_named_data_is_not_the_dataset(make: Callable[..., Path]) -> None:
    path = make({"data/frames": VOLUME})
    assert Hdf5Reader().open(path).dataset == "/data/frames"


def test_several_candidates_are_listed_with_their_shapes(make: Callable[..., Path]) -> None:
    path = make({"b": VOLUME, "a/x": (2, 3)})
    with pytest.raises(DataError) as caught:
        Hdf5Reader().open(path)
    assert str(caught.value) == (
        f"{path}: holds 2 volumes and none is named 'data' or 'raw' or 'image'. Name one of them: {path}:/a/x\n"
        "  found: a/x (2, 3), b (5, 6, 7)"
    )


@pytest.mark.parametrize("dataset", ["entry/volume", "/entry/volume", "/entry/volume/"])
def test_an_internal_path_needs_no_leading_slash(make: Callable[..., Path], dataset: Any) -> None:
    path = make({"other": VOLUME, "entry/volume": VOLUME})
    assert Hdf5Reader().open(path, dataset).dataset == "/entry/volume"


def test_a_wrong_internal_path_gets_the_nearest_name_and_the_list(make: Callable[..., Path]) -> None:
    path = make({"other": VOLUME, "entry/volume": VOLUME})
    with pytest.raises(DataError) as caught:
        Hdf5Reader().open(path, "/entry/volme")
    assert str(caught.value) == (
        f"{path}: no dataset '/entry/volme'. Did you mean 'entry/volume'?\n"
        "  found: entry/volume (5, 6, 7), other (5, 6, 7)"
    )


def test_a_group_as_internal_path_shows_what_it_holds(make: Callable[..., Path]) -> None:
    path = make({"other": VOLUME, "entry/volume": VOLUME})
    with pytest.raises(DataError, match=r"'/entry' is a group, not a dataset.*\n.*entry/volume \(5, 6, 7\)"):
        Hdf5Reader().open(path, "/entry")


def test_a_soft_link_can_be_named(make: Callable[..., Path]) -> None:
    path = make({"a": VOLUME, "b": VOLUME})
    with h5py.File(path, "a") as file:
        file["link"] = h5py.SoftLink("/b")
        file["broken"] = h5py.SoftLink("/nowhere")
    assert (Hdf5Reader().open(path, "link").read((slice(0, 1),) * 3) == 1).all()
    with pytest.raises(DataError, match="no dataset 'broken'"):
        Hdf5Reader().open(path, "broken")


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((6, 7), "yx"), ((5, 6, 7), "zyx"), ((2, 5, 6, 7), "czyx"), ((5, 6, 7, 3), "zyxc"), ((3, 5, 6, 4), "czyx")],
)
def test_axes_follow_from_the_dimensions(make: Callable[..., Path], shape: tuple[int, ...], axes: str) -> None:
    assert Hdf5Reader().open(make({"data": shape})).axes == axes


@pytest.mark.parametrize(
    ("value", "axes"),
    [
        ("xyz", "xyz"),
        ("NYX", "nyx"),
        (["z", "y", "x"], "zyx"),
        ("nyx (independent images)", "nyx"),
        ("yx", "zyx"),
        ("zzx", "zyx"),
        ("tyx", "zyx"),
        ("czx", "zyx"),
        (3, "zyx"),
    ],
)
def test_an_axes_attribute_counts_when_it_is_valid(make: Callable[..., Path], value: Any, axes: str) -> None:
    assert Hdf5Reader().open(make({"data": VOLUME}, {"axes": value})).axes == axes
    assert Hdf5Reader().open(make({"data": VOLUME}, of_file={"axes": value})).axes == axes


@pytest.mark.parametrize(("shape", "number"), [((8,), "1 dimension"), ((2, 2, 2, 2, 2), "5 dimensions")])
def test_other_numbers_of_dimensions_are_refused(
    make: Callable[..., Path], shape: tuple[int, ...], number: Any
) -> None:
    with pytest.raises(DataError, match=f"an array with {number} .* Name a dataset"):
        Hdf5Reader().open(make({"data": shape}), "data")


@pytest.mark.parametrize(
    ("attributes", "spacing", "unit"),
    [
        ({"spacing": [2, 0.5, 0.25], "unit": "um"}, (2, 0.5, 0.25), "um"),
        ({"element_size_um": [2, 0.5, 0.25]}, (2, 0.5, 0.25), "um"),
        ({"resolution": [0.5, 0.25], "unit": "µm"}, (1, 0.5, 0.25), "um"),
        ({"voxel_size_nm": [50, 4, 4], "unit": "um"}, (50, 4, 4), "nm"),
        ({"voxel_size_mm": [3, 3, 3]}, (3, 3, 3), "mm"),
        ({"voxel_size": [3, 3, 3]}, (3, 3, 3), ""),
        ({"voxel_size": 8}, (8, 8, 8), ""),
        ({"spacing": [0, 1, 1], "resolution": [4, 5, 6]}, (4, 5, 6), ""),
        ({"spacing": [np.nan, 1, 1]}, None, ""),
        ({"spacing": "fine"}, None, ""),
        ({"spacing": [1, 2, 3, 4]}, None, ""),
        ({"unit": "um"}, None, ""),
    ],
)
def test_spacing_comes_from_the_usual_attributes(
    make: Callable[..., Path], attributes: Any, spacing: Any, unit: Any
) -> None:
    source = Hdf5Reader().open(make({"data": VOLUME}, attributes))
    assert (source.spacing, source.unit) == (spacing, unit)


def test_attributes_of_the_dataset_go_before_those_of_the_file(make: Callable[..., Path]) -> None:
    path = make({"data": VOLUME}, {"sample": "shell", "voxel_size_nm": [1, 2, 3]}, {"sample": "?", "beam": 12, "s": 1})
    source = Hdf5Reader().open(path)
    assert source.attributes == {"sample": "shell", "beam": 12, "s": 1}


def test_big_endian_values_come_in_native_order(make: Callable[..., Path]) -> None:
    with Hdf5Reader().open(make({"other": VOLUME, "data": VOLUME}, dtype=">u2")) as source:
        values = source.read((slice(0, 2),) * 3)
    assert source.dtype == values.dtype == np.dtype("uint16")
    assert values.dtype.isnative
    assert (values == 1).all()


def test_text_is_no_volume(tmp_path: Path) -> None:
    path = tmp_path / "text.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.array([[b"a", b"b"]])
    with pytest.raises(DataError, match="holds no array of numbers"):
        Hdf5Reader().open(path)
    with pytest.raises(DataError, match="holds values of type"):
        Hdf5Reader().open(path, "data")


def test_a_damaged_chunk_is_an_error_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    values = np.random.default_rng(0).integers(0, 255, (4, 32, 32)).astype("uint8")
    with h5py.File(path, "w") as file:
        made = file.create_dataset("data", data=values, chunks=(1, 32, 32), compression="gzip")
        offset = made.id.get_chunk_info(2).byte_offset
    raw = bytearray(path.read_bytes())
    raw[offset : offset + 40] = b"\0" * 40
    path.write_bytes(bytes(raw))
    with Hdf5Reader().open(path) as source:
        assert (source.read((slice(0, 2), slice(0, 32), slice(0, 32))) == values[:2]).all()
        with pytest.raises(DataError, match="is not a readable HDF5 file"):
            source.read((slice(0, 4), slice(0, 32), slice(0, 32)))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the development data is not in the repository")
def test_real_files_are_understood() -> None:
    with Hdf5Reader().open(SHARED / "isbi2012_em" / "train.h5", role="labels") as source:
        assert (source.dataset, source.axes, source.spacing, source.unit) == ("/labels", "zyx", (50, 4, 4), "nm")
    with Hdf5Reader().open(SHARED / "dsb2018_nuclei2d" / "train.h5") as source:
        assert source.axes == "nyx"
    with Hdf5Reader().open(SHARED / "two_channel_cells" / "sample.h5", role="labels") as source:
        assert source.axes == "zyx"  # the file's czyx does not fit three dimensions
