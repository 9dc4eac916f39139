"""What every format must do alike: give back what was written, box by box, with spacing and attributes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volseg_core.api import ArraySpec, DataError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Callable

ATTRIBUTES = {
    "spacing": (2.5, 0.3, 0.7),
    "unit": "um",
    "classes": [{"id": 0, "name": "background"}, {"id": 7, "name": "mitochondria"}],
    "model": "sha256:01ab",
    "recipe": '{"looks": "like JSON"}',
    "settings": {"overlap": 0.25, "views": [0, 1], "named": None},
    "note": "Zürich\n= 2 lines",
}
DTYPES = ("bool", "uint8", "uint16", "uint32", "int16", "int32", "int64", "float16", "float32", "float64")
_slow = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@st.composite
def volumes(draw: st.DrawFn) -> Any:
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3))
    bounds = [sorted(draw(st.tuples(st.integers(0, size), st.integers(0, size)))) for size in shape]
    return shape, tuple(slice(start, stop) for start, stop in bounds), draw(st.sampled_from(DTYPES))


@given(volume=volumes())
@settings(max_examples=20, suppress_health_check=_slow, derandomize=True)
def test_a_box_of_what_was_written_is_the_slice_of_the_whole(
    form: tuple[Any, Any, str], save: Callable[..., Path], numbers: Callable[..., np.ndarray[Any, Any]], volume: Any
) -> None:
    reader, writer, name = form
    shape, box, dtype = volume
    values = numbers(shape, dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = save(writer, Path(folder) / name, values)
        with reader.open(path, role="labels") as source:
            assert (source.axes, source.shape) == ("zyx", shape)
            if dtype != "bool":  # image files hold bytes for booleans
                assert source.dtype == np.dtype(dtype)
            np.testing.assert_array_equal(source.read((slice(None),) * 3), values)
            part = source.read(box)
            np.testing.assert_array_equal(part, values[box])
            assert part.shape == values[box].shape
            assert part.flags.owndata
            assert part.flags.c_contiguous


def test_boxes_written_in_any_order_fill_the_volume(
    form: tuple[Any, Any, str], tmp_path: Path, numbers: Callable[..., np.ndarray[Any, Any]]
) -> None:
    reader, writer, name = form
    values = numbers((7, 9, 11), "uint16")
    boxes = [
        (slice(z, min(z + 3, 7)), slice(y, min(y + 4, 9)), slice(x, min(x + 5, 11)))
        for z in range(0, 7, 3)
        for y in range(0, 9, 4)
        for x in range(0, 11, 5)
    ]
    np.random.default_rng(0).shuffle(boxes)
    with writer.create(tmp_path / name, {"labels": ArraySpec(values.shape, "uint16")}, {}) as sink:
        for box in boxes:
            sink.write("labels", tuple(box), values[tuple(box)])
        assert list(tmp_path.glob("[!.]*")) == []  # nothing is visible yet
        sink.commit()
    with reader.open(tmp_path / name) as source:
        np.testing.assert_array_equal(source.read((slice(None),) * 3), values)


@pytest.mark.parametrize("dtype", ["uint8", "uint32"])  # as ImageJ and as plain TIFF, as PNG and as TIFF slices
def test_spacing_unit_and_attributes_come_back(
    form: tuple[Any, Any, str],
    tmp_path: Path,
    save: Callable[..., Path],
    numbers: Callable[..., np.ndarray[Any, Any]],
    dtype: str,
) -> None:
    reader, writer, name = form
    path = save(writer, tmp_path / name, numbers((2, 3, 4), dtype), **ATTRIBUTES)
    with reader.open(path) as source:
        assert source.spacing == (2.5, 0.3, 0.7)
        assert source.unit == "um"
        kept = {key: value for key, value in source.attributes.items() if key in ATTRIBUTES}
    assert kept == {key: value for key, value in ATTRIBUTES.items() if key not in ("spacing", "unit")}


def test_no_spacing_stays_unknown(
    form: tuple[Any, Any, str], tmp_path: Path, save: Callable[..., Path], numbers: Callable[..., np.ndarray[Any, Any]]
) -> None:
    reader, writer, name = form
    path = save(writer, tmp_path / name, numbers((2, 3, 4), "uint8"), spacing=None, unit="")
    with reader.open(path) as source:
        assert (source.spacing, source.unit) == (None, "")


def test_probabilities_and_confidence_go_beside_the_labels(
    form: tuple[Any, Any, str], tmp_path: Path, numbers: Callable[..., np.ndarray[Any, Any]]
) -> None:
    reader, writer, name = form
    specs = {"labels": ArraySpec((3, 5, 6), "uint8"), "confidence": ArraySpec((3, 5, 6), "uint8")}
    if name != "out":
        specs["probabilities"] = ArraySpec((2, 3, 5, 6), "float16", "czyx")
    with writer.create(tmp_path / name, specs, {"spacing": (1, 2, 3)}) as sink:
        for at, (key, spec) in enumerate(specs.items()):
            sink.write(key, (slice(None),) * len(spec.shape), numbers(spec.shape, spec.dtype) + at)
        sink.commit()
    one_file = name in ("out.h5", "out.npz")
    for at, (key, spec) in enumerate(specs.items()):
        stem, suffix = Path(name).stem, Path(name).suffix
        path = tmp_path / (name if one_file or not at else f"{stem}_{key}{suffix}")
        assert path in sink.paths
        with reader.open(path, key if one_file else "") as source:
            assert source.axes == spec.axes
            assert source.spacing == (1, 2, 3)
            np.testing.assert_array_equal(
                source.read((slice(None),) * len(spec.shape)), numbers(spec.shape, spec.dtype) + at
            )
    assert all(path.exists() for path in sink.paths)


def test_abort_leaves_nothing_behind(form: tuple[Any, Any, str], tmp_path: Path) -> None:
    _, writer, name = form
    sink = writer.create(tmp_path / "new" / "folders" / name, {"labels": ArraySpec((2, 3, 4), "uint8")}, {"a": 1})
    sink.write("labels", (slice(0, 1), slice(0, 3), slice(0, 4)), np.ones((1, 3, 4), "uint8"))
    sink.abort()
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_an_error_inside_the_block_keeps_the_existing_output(
    form: tuple[Any, Any, str],
    tmp_path: Path,
    save: Callable[..., Path],
    numbers: Callable[..., np.ndarray[Any, Any]],
    tree: Callable[[Path], dict[str, str]],
) -> None:
    _, writer, name = form
    save(writer, tmp_path / name, numbers((2, 3, 4), "uint8"), note="first")
    before = tree(tmp_path)

    def fail_half_way() -> None:
        with writer.create(tmp_path / name, {"labels": ArraySpec((5, 5, 5), "uint8")}, {}) as sink:
            sink.write("labels", (slice(0, 5),) * 3, np.ones((5, 5, 5), "uint8"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert tree(tmp_path) == before


def test_commit_replaces_the_old_output_and_its_attributes(
    form: tuple[Any, Any, str],
    tmp_path: Path,
    save: Callable[..., Path],
    numbers: Callable[..., np.ndarray[Any, Any]],
    tree: Callable[[Path], dict[str, str]],
) -> None:
    reader, writer, name = form
    save(writer, tmp_path / name, numbers((9, 3, 4), "uint8"), note="first", spacing=(1, 2, 3))
    save(writer, tmp_path / name, numbers((2, 3, 4), "uint16"))
    with reader.open(tmp_path / name) as source:
        assert source.shape == (2, 3, 4)
        assert "note" not in source.attributes
        assert source.spacing is None
    assert not [file for file in tree(tmp_path) if file.startswith(".")]


def test_abort_after_commit_does_nothing(
    form: tuple[Any, Any, str],
    tmp_path: Path,
    save: Callable[..., Path],
    numbers: Callable[..., np.ndarray[Any, Any]],
    tree: Callable[[Path], dict[str, str]],
) -> None:
    _, writer, name = form
    sink = writer.create(tmp_path / name, {"labels": ArraySpec((2, 3, 4), "uint8")}, {})
    sink.commit()
    before = tree(tmp_path)
    sink.abort()
    assert tree(tmp_path) == before
    with pytest.raises(DataError, match="already finished"):
        sink.commit()
    with pytest.raises(DataError, match="the output is closed"):
        sink.write("labels", (slice(None),) * 3, np.zeros((2, 3, 4), "uint8"))


def test_reading_changes_no_byte_of_the_input(
    form: tuple[Any, Any, str],
    tmp_path: Path,
    save: Callable[..., Path],
    numbers: Callable[..., np.ndarray[Any, Any]],
    tree: Callable[[Path], dict[str, str]],
) -> None:
    reader, writer, name = form
    path = save(writer, tmp_path / name, numbers((4, 5, 6)), **ATTRIBUTES)
    before = tree(tmp_path)
    with reader.open(path) as source:
        box = source.read((slice(1, 3), slice(0, 5), slice(2, 6)))
        box[:] = 0
    assert tree(tmp_path) == before


def test_one_plane_of_a_large_volume_needs_little_memory(
    form: tuple[Any, Any, str], tmp_path: Path, save: Callable[..., Path], numbers: Callable[..., np.ndarray[Any, Any]]
) -> None:
    reader, writer, name = form
    shape = (48, 256, 256)
    path = save(writer, tmp_path / name, numbers(shape, "uint16"))
    gc.collect()
    tracemalloc.start()
    try:
        with reader.open(path) as source:
            plane = source.read((slice(20, 21), slice(None), slice(None)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert plane.nbytes == 131072
    assert peak < 1_500_000  # of 6.3 MB


def test_writing_a_large_volume_needs_little_memory(form: tuple[Any, Any, str], tmp_path: Path) -> None:
    _, writer, name = form
    shape = (64, 256, 256)
    plane = np.ones((1, 256, 256), "uint16")
    gc.collect()
    tracemalloc.start()
    try:
        with writer.create(tmp_path / name, {"labels": ArraySpec(shape, "uint16")}, {}) as sink:
            for z in range(shape[0]):
                sink.write("labels", (slice(z, z + 1), slice(0, 256), slice(0, 256)), plane)
            sink.commit()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000  # of 8.4 MB


def test_a_missing_file_is_said_with_the_nearest_name(
    form: tuple[Any, Any, str], tmp_path: Path, save: Callable[..., Path], numbers: Callable[..., np.ndarray[Any, Any]]
) -> None:
    reader, writer, name = form
    save(writer, tmp_path / f"volume_{name}", numbers((2, 3, 4), "uint8"))
    with pytest.raises(DataError, match=r"no such (file|folder)\. Did you mean 'volume_out") as caught:
        reader.open(tmp_path / f"volum_{name}")
    assert caught.value.where == str(tmp_path / f"volum_{name}")


def test_a_file_and_a_folder_are_not_confused(form: tuple[Any, Any, str], tmp_path: Path) -> None:
    reader, writer, name = form
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"no image")
    wrong = tmp_path / ("file" if name == "out" else "folder")
    with pytest.raises(DataError, match=r"is a (file|folder);"):
        reader.open(wrong)
    with pytest.raises(DataError, match=r"is a (file|folder);"):
        writer.create(wrong, {"labels": ArraySpec((1, 1, 1), "uint8")}, {})
    assert (tmp_path / "file").read_bytes() == b"no image"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("content", [b"", b"nonsense that is no volume at all", bytes(range(256)) * 40])
def test_a_file_of_another_kind_is_refused(form: tuple[Any, Any, str], tmp_path: Path, content: Any) -> None:
    reader, _, name = form
    path = tmp_path / name
    if name == "out":
        path.mkdir()
        (path / "a.png").write_bytes(content)
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"is empty|is not a|readable"):
        reader.open(path)


@pytest.mark.parametrize("part", [0.01, 0.3, 0.6, 0.9, 0.97])
def test_a_truncated_file_never_gives_voxels(
    form: tuple[Any, Any, str], tmp_path: Path, save: Callable[..., Path], part: float
) -> None:
    reader, writer, name = form
    path = save(writer, tmp_path / name, np.random.default_rng(0).integers(0, 9999, (9, 40, 50)).astype("uint16"))
    damaged = path / "slice_00004.png" if path.is_dir() else path
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(DataError, match=r"is truncated|is not a|is empty") as caught, reader.open(path) as source:
        source.read((slice(None),) * 3)
    assert caught.value.where == str(damaged)


def test_a_box_outside_the_volume_is_refused(
    form: tuple[Any, Any, str], tmp_path: Path, save: Callable[..., Path], numbers: Callable[..., np.ndarray[Any, Any]]
) -> None:
    reader, writer, name = form
    path = save(writer, tmp_path / name, numbers((2, 3, 4), "uint8"))
    with reader.open(path) as source:
        for box in [(slice(0, 3),) * 3, (slice(-1, 2),) * 3, (slice(0, 2, 2),) * 3, (slice(0, 1),) * 2]:
            with pytest.raises(DataError, match="box"):
                source.read(box)


def test_an_internal_path_is_refused_where_there_is_none(
    form: tuple[Any, Any, str], tmp_path: Path, save: Callable[..., Path], numbers: Callable[..., np.ndarray[Any, Any]]
) -> None:
    reader, writer, name = form
    path = save(writer, tmp_path / name, numbers((2, 3, 4), "uint8"))
    with pytest.raises(DataError, match=r"no dataset|has no datasets inside"):
        reader.open(path, "/entry/nothing")


def test_an_output_larger_than_the_disk_is_refused_before_work_starts(
    form: tuple[Any, Any, str], tmp_path: Path
) -> None:
    _, writer, name = form
    if name == "out.h5":  # compressed size is unknown beforehand
        return
    spec = ArraySpec((2**20, 2**15, 2**15), "uint8")
    with pytest.raises(ResourceError, match=r"needs \d+\.\d GB and the disk has"):
        writer.create(tmp_path / "deep" / name, {"labels": spec}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_file_is_an_error_of_the_output(form: tuple[Any, Any, str], tmp_path: Path) -> None:
    _, writer, name = form
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="cannot be written"):
        writer.create(tmp_path / "file" / name, {"labels": ArraySpec((1, 1, 1), "uint8")}, {})
    assert (tmp_path / "file").read_text() == "mine"


def test_the_leftover_of_a_killed_process_is_replaced(
    form: tuple[Any, Any, str], tmp_path: Path, save: Callable[..., Path], numbers: Callable[..., np.ndarray[Any, Any]]
) -> None:
    _, writer, name = form
    stale = tmp_path / f".{name}.part-{os.getpid()}"
    stale.write_bytes(b"half an output")
    save(writer, tmp_path / name, numbers((2, 3, 4), "uint8"))
    assert not stale.exists()


def test_no_format_imports_torch() -> None:
    code = """
import sys, pathlib, numpy as np, tempfile
from volseg_core.api import ArraySpec
from volseg_formats import hdf5_reader, hdf5_writer, numpy_reader, numpy_writer
from volseg_formats import slices_reader, slices_writer, tiff_reader, tiff_writer
folder = pathlib.Path(tempfile.mkdtemp())
for name, writer, reader in [
    ("a.h5", hdf5_writer.Hdf5Writer(), hdf5_reader.Hdf5Reader()),
    ("a.tif", tiff_writer.TiffWriter(), tiff_reader.TiffReader()),
    ("a.npy", numpy_writer.NumpyWriter(), numpy_reader.NumpyReader()),
    ("a", slices_writer.SlicesWriter(), slices_reader.SlicesReader()),
]:
    sink = writer.create(folder / name, {"labels": ArraySpec((2, 3, 4), "uint8")}, {})
    sink.commit()
    reader.open(folder / name).read((slice(None),) * 3)
print(sorted({"torch", "lightning", "monai"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
