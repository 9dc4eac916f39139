from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from volseg_core.api import Param, Reader, Writer, hookimpl
from volseg_core.catalog import Catalog
from volseg_core.data.files import Reference, open_volume, writer_for
from volseg_core.errors import DataError, PluginError, ResourceError, UsageError
from volseg_core.volume import Grid, Volume

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "path", "dataset"),
    [
        ("scan.h5", "scan.h5", ""),
        ("scan.h5:/entry/data", "scan.h5", "/entry/data"),
        ("absent.h5:/entry/data", "absent.h5", "/entry/data"),
        ("absent.h5:entry", "absent.h5:entry", ""),
        ("scan.h5:entry/data", "scan.h5", "/entry/data"),
        ("scan.h5:", "scan.h5", ""),
        ("scan.h5:/", "scan.h5", ""),
        ("run:1/scan.h5", "run:1/scan.h5", ""),
        ("run:1/scan.h5:/data", "run:1/scan.h5", "/data"),
        ("run:1/scan.h5:data", "run:1/scan.h5", "/data"),
        ("odd:name.h5", "odd:name.h5", ""),
        ("store.zarr:raw", "store.zarr", "/raw"),
        ("s3://bucket/scan.h5", "s3", "//bucket/scan.h5"),
    ],
)
def test_a_reference_is_a_file_and_a_dataset(here: Path, text: str, path: Any, dataset: str) -> None:
    (here / "run:1").mkdir()
    (here / "store.zarr").mkdir()
    for name in ("scan.h5", "run:1/scan.h5", "odd:name.h5"):
        (here / name).touch()
    assert Reference.parse(text) == Reference(Path(path), dataset)


def test_a_reference_is_written_with_the_slash(here: Path) -> None:
    (here / "scan.h5").touch()
    assert str(Reference.parse("scan.h5:entry")) == "scan.h5:/entry"
    assert str(Reference.parse("scan.h5")) == "scan.h5"


def test_a_file_is_read_box_by_box(catalog: Catalog, h5: Callable[..., str], image: np.ndarray) -> None:
    with open_volume(catalog, h5("scan.h5", {"spacing": [2.0, 1.0, 1.0], "unit": "nm"}, data=image)) as source:
        assert (source.channels, source.shape, source.dtype) == (1, image.shape, image.dtype)
        assert (source.grid.spacing, source.grid.unit, source.dataset) == ((2.0, 1.0, 1.0), "nm", "/data")
        box = (slice(2, 5), slice(0, 20), slice(7, 9))
        np.testing.assert_array_equal(source.read(box)[0], image[box])
        np.testing.assert_array_equal(source.volume().data[0], image)


def test_the_role_chooses_the_dataset_and_a_path_names_one(
    catalog: Catalog, h5: Callable[..., str], image: np.ndarray, labels: np.ndarray
) -> None:
    path = h5("both.h5", data=image, labels=labels, entry__crop=image[:3])
    for name, role, expected in (
        (path, "data", image),
        (path, "labels", labels),
        (f"{path}:entry/crop", "data", image[:3]),
    ):
        with open_volume(catalog, name, role) as source:
            np.testing.assert_array_equal(source.read()[0], expected)


def test_a_colour_image_has_channels_first(catalog: Catalog, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (9, 11, 3), np.uint8)
    tifffile.imwrite(tmp_path / "slide.tif", picture, photometric="rgb")
    with open_volume(catalog, tmp_path / "slide.tif") as source:
        assert (source.channels, source.shape) == (3, (1, 9, 11))
        np.testing.assert_array_equal(source.read()[2, 0], picture[..., 2])


def test_arrays_and_volumes_are_taken_as_they_are(catalog: Catalog, image: np.ndarray) -> None:
    with open_volume(catalog, image) as source:
        assert np.shares_memory(source.volume().data, image)
        assert source.grid.source == "array data"
    grid = Grid((3.0, 1.0, 1.0), "um", "mine")
    with open_volume(catalog, Volume(image[None], grid)) as source:
        assert source.grid is grid


def test_anything_that_gives_an_array_will_do(catalog: Catalog, image: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    with open_volume(catalog, torch.from_numpy(image)) as source:
        np.testing.assert_array_equal(source.read()[0], image)


@pytest.mark.parametrize("shape", [(5,), (1, 2, 3, 4, 5)])
def test_an_array_of_other_dimensions_is_refused(catalog: Catalog, shape: Any) -> None:
    with pytest.raises(DataError, match=f"array labels: an array with {len(shape)} dimensions is not a volume"):
        open_volume(catalog, np.zeros(shape), "labels")


@pytest.mark.parametrize(
    ("item", "error", "text"),
    [
        (np.zeros((2, 3, 4), complex), DataError, "array data: holds complex128 values; a volume holds numbers"),
        (7, UsageError, "data: int is neither a file nor an array"),
        (["a.h5"], UsageError, "data: list is neither a file nor an array"),
        ("", UsageError, "data: an empty name is not a file"),
    ],
)
def test_what_is_no_volume_is_refused(catalog: Catalog, item: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        open_volume(catalog, item)


def test_a_missing_file_suggests_the_one_beside_it(
    catalog: Catalog, h5: Callable[..., str], image: np.ndarray, tmp_path: Path
) -> None:
    h5("scan.h5", data=image)
    with pytest.raises(DataError, match=r"scann\.h5: does not exist\. Did you mean 'scan\.h5'\?"):
        open_volume(catalog, tmp_path / "scann.h5")
    with pytest.raises(DataError, match=r"The folder '.*nowhere' does not exist either"):
        open_volume(catalog, tmp_path / "nowhere" / "scan.h5")


def test_a_wrong_internal_path_suggests_a_right_one(
    catalog: Catalog, h5: Callable[..., str], image: np.ndarray
) -> None:
    path = h5("scan.h5", entry__tomogram=image)
    with pytest.raises(DataError, match=r"no dataset '/entry/tomogam'\. Did you mean 'entry/tomogram'\?"):
        open_volume(catalog, f"{path}:/entry/tomogam")


def test_a_file_that_no_reader_takes_lists_what_they_take(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "scan.doc").touch()
    with pytest.raises(UsageError, match=r"no reader takes files ending in '\.doc'(.|\n)*\.h5.*\.tif"):
        open_volume(catalog, tmp_path / "scan.doc")


@pytest.mark.parametrize("name", ["x" * 300 + ".h5", "a\0b.h5"])
def test_a_name_that_no_file_can_have_does_not_exist(catalog: Catalog, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="does not exist"):
        open_volume(catalog, tmp_path / name)


def test_a_writer_is_found_by_suffix_and_folders_have_one(catalog: Catalog) -> None:
    assert writer_for(catalog, Path("out.H5")).component.name == "hdf5"
    assert writer_for(catalog, Path("out.ome.tif")).component.name == "tiff"
    assert writer_for(catalog, Path("slices")).component.name == "slices"
    with pytest.raises(UsageError, match=r"out\.doc: no writer makes files ending in '\.doc'"):
        writer_for(catalog, Path("out.doc"))


class Opened:
    """A source of a third party, as broken as its file's name says."""

    dtype, spacing, unit, dataset, attributes = np.dtype("uint8"), None, "", "", {}

    def __init__(self, name: str) -> None:
        self.name = name
        self.axes = {"bad-axes": "zy", "two-stacks": "nzyx"}.get(name, "zyx")
        self.shape = {"vast": (2**20, 2**20, 2**20), "two-stacks": (2, 3, 4, 5)}.get(name, (3, 4, 5))

    def read(self, slices: tuple[slice, ...]) -> np.ndarray:
        if self.name == "unreadable":
            message = "sector not found"
            raise OSError(message)
        if self.name == "full":
            raise MemoryError
        return np.zeros([part.stop - part.start for part in slices], np.uint8)

    def close(self) -> None:
        """Nothing is open."""


class Opener:
    def __init__(self, *, mode: str = "r") -> None:
        self.mode = mode

    def open(self, path: Path, dataset: str, role: str) -> Opened:
        if path.stem == "crash":
            message = "no header"
            raise RuntimeError(message)
        return Opened(path.stem)


def third_party(*components: Reader | Writer) -> Catalog:
    module = types.ModuleType("acme")

    @hookimpl
    def volseg_readers() -> list[Reader]:
        return [item for item in components if isinstance(item, Reader)]

    @hookimpl
    def volseg_writers() -> list[Writer]:
        return [item for item in components if isinstance(item, Writer)]

    module.volseg_readers, module.volseg_writers, module.Opener = volseg_readers, volseg_writers, Opener
    sys.modules["acme"] = module
    return Catalog.from_modules([module], "volseg-acme")


def reader(name: str, *suffixes: str, directories: bool = False) -> Reader:
    mode = {"mode": Param("str", "r", "How to open.")}
    return Reader(
        name=name, target="acme:Opener", summary=name, params=mode, suffixes=suffixes, directories=directories
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("crash", "RuntimeError: no header"),
        ("bad-axes", "raised in volseg-acme"),
        ("unreadable", "OSError: sector not found"),
    ],
)
def test_a_crash_in_a_reader_is_laid_at_its_door(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / f"{name}.acme").touch()
    with (
        pytest.raises(PluginError, match=text) as caught,
        open_volume(third_party(reader("acme", ".acme")), tmp_path / f"{name}.acme") as source,
    ):
        source.read()
    assert "volseg-acme" in str(caught.value)


def test_a_stack_of_volumes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "two-stacks.acme").touch()
    with pytest.raises(DataError, match=r"has axes 'nzyx': independent images \(n\) of several planes"):
        open_volume(third_party(reader("acme", ".acme")), tmp_path / "two-stacks.acme")


@pytest.mark.parametrize(
    ("name", "text"), [("vast", "needs 1073741824.0 GiB of memory, of which"), ("full", "needs 0.0 GiB")]
)
def test_a_volume_that_does_not_fit_into_memory_says_so(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / f"{name}.acme").touch()
    source = open_volume(third_party(reader("acme", ".acme")), tmp_path / f"{name}.acme")
    with pytest.raises(ResourceError, match=text):
        source.read()


def test_the_longest_suffix_knows_best_and_a_folder_goes_to_the_reader_of_its_suffix(tmp_path: Path) -> None:
    catalog = third_party(
        reader("gz", ".gz"),
        reader("nifti", ".nii.gz"),
        reader("any-folder", directories=True),
        reader("zarr", ".zarr", directories=True),
    )
    (tmp_path / "scan.nii.gz").touch()
    (tmp_path / "scan.zarr").mkdir()
    (tmp_path / "slices").mkdir()
    for name, expected in (("scan.nii.gz", "nifti"), ("scan.zarr", "zarr"), ("slices", "any-folder")):
        opened = open_volume(catalog, tmp_path / name)
        assert opened._provided is not None
        assert opened._provided.component.name == expected


def test_folders_without_a_reader_for_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no reader takes folders"):
        open_volume(third_party(reader("acme", ".acme")), tmp_path)
