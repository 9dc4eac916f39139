"""Volumes whose patches are read from disk."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing.util
import pickle
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from torch.utils.data import DataLoader

from volseg_core.data.labelled import read_labelled, read_unlabelled
from volseg_core.data.lazy import Mapped, mapped, too_large
from volseg_core.data.split import whole
from volseg_core.data.windows import BatchPlan, WindowDataset, window_groups, with_turns
from volseg_core.errors import ResourceError
from volseg_core.volume import SizeRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from volseg_core.catalog import Catalog

SHAPE = (24, 20, 28)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files; the sockets of data workers stay in a short one that outlives the test."""
    multiprocessing.util.get_temp_dir()
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def unchanged(image: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return image, labels


def windows_of(volumes: Any) -> tuple[WindowDataset, BatchPlan]:
    groups = with_turns(window_groups([whole(volume) for volume in volumes], "zyx", (8, 8, 8), SizeRule.same(8, 8, 3)))
    return WindowDataset(groups, unchanged, 0), BatchPlan(groups, 4, 2, 0)


CASES: dict[str, dict[str, Any]] = {
    "classes": {},
    "named classes": {"classes": {"ground": 0, "first": 1, "second": 2}},
    "objects": {"task": "multilabel", "target": {"use": "boundaries"}, "dims": 3, "model": "unet3d", "metrics": []},
    "values": {"task": "regression", "loss": "mse", "dims": 3, "model": "unet3d", "metrics": []},
}


@pytest.mark.parametrize("case", CASES)
def test_windows_from_disk_are_those_from_memory(
    case: str, catalog: Catalog, recipe: Callable[..., Any], h5: Callable[..., str], scratch: Path
) -> None:
    random = np.random.default_rng(0)
    data = random.integers(0, 200, (2, *SHAPE), np.uint16)
    labels = random.random(SHAPE, np.float32) if case == "values" else random.integers(0, 3, SHAPE).astype(np.int64)
    path = h5("both.h5", data=data, labels=labels)
    before = hashlib.sha256(Path(path).read_bytes()).hexdigest(), Path(path).stat().st_mtime_ns
    Path(path).chmod(0o444)
    drawn = []
    for lazy in (True, False):
        made = recipe(**CASES[case] | {"data": {"lazy": lazy, "ignore": [2] if case == "classes" else [-1]}})
        volumes, heads = read_labelled(catalog, made, [path], [path])
        (volume,) = volumes
        assert isinstance(volume.data, Mapped) is isinstance(volume.labels, Mapped) is lazy
        dataset, plan = windows_of(volumes)
        drawn.append((heads, [dataset[draw] for batch in plan for draw in batch]))
    (first, from_disk), (second, from_memory) = drawn
    assert first == second
    for (image, targets), (wanted, wanted_targets) in zip(from_disk, from_memory, strict=True):
        assert image.shape == (2, 8, 8, 8)
        np.testing.assert_array_equal(image, wanted)
        np.testing.assert_array_equal(targets[0], wanted_targets[0])
    assert (hashlib.sha256(Path(path).read_bytes()).hexdigest(), Path(path).stat().st_mtime_ns) == before


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_map_the_same_file_and_leave_it(
    start: str, catalog: Catalog, recipe: Callable[..., Any], h5: Callable[..., str], scratch: Path
) -> None:
    random = np.random.default_rng(0)
    path = h5("both.h5", data=random.integers(0, 200, SHAPE, np.uint8), labels=random.integers(0, 3, SHAPE, np.uint8))
    volumes, _ = read_labelled(catalog, recipe(data={"lazy": True}), [path], [path])
    dataset, plan = windows_of(volumes)
    assert len(pickle.dumps(dataset)) < 20_000
    loader = DataLoader(dataset, batch_sampler=plan, num_workers=2, multiprocessing_context=start)
    found = [window.numpy() for images, _ in loader for window in images]
    wanted = [dataset[draw][0] for batch in plan for draw in batch]
    np.testing.assert_array_equal(found, wanted)
    assert len(list(scratch.glob("*.raw"))) == 2


def test_the_copies_go_with_the_volumes(
    catalog: Catalog, recipe: Callable[..., Any], h5: Callable[..., str], image: np.ndarray, scratch: Path
) -> None:
    path = h5("both.h5", data=image, labels=image // 100)
    volumes, _ = read_labelled(catalog, recipe(data={"lazy": True}), [path], [path])
    assert len(list(scratch.iterdir())) == 2
    part = volumes[0].data[:, 2:4]
    del volumes
    gc.collect()
    assert len(list(scratch.iterdir())) == 1
    np.testing.assert_array_equal(part[0], image[2:4])
    del part
    gc.collect()
    assert not list(scratch.iterdir())


def test_arrays_are_in_memory_already(
    catalog: Catalog, recipe: Callable[..., Any], image: np.ndarray, labels: np.ndarray, scratch: Path
) -> None:
    (volume,), _ = read_labelled(catalog, recipe(data={"lazy": True}), [image], [labels])
    assert not isinstance(volume.data, Mapped)


def test_volumes_without_labels_are_read_from_disk_too(
    catalog: Catalog, recipe: Callable[..., Any], h5: Callable[..., str], image: np.ndarray, scratch: Path
) -> None:
    (volume,) = read_unlabelled(catalog, recipe(data={"lazy": True}), [h5("one.h5", data=image)], 1)
    assert isinstance(volume.data, Mapped)
    np.testing.assert_array_equal(volume.data[0], image)


def peak(catalog: Catalog, recipe: Any, path: Path) -> int:
    """Bytes that numpy held at most while a volume was read and a window cut; mapped files do not count."""
    tracemalloc.start()
    try:
        volumes, _ = read_labelled(catalog, recipe, [str(path)], [str(path)])
        dataset, plan = windows_of(volumes)
        for batch in plan:
            for draw in batch:
                dataset[draw]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_volume(
    catalog: Catalog, recipe: Callable[..., Any], tmp_path: Path, scratch: Path
) -> None:
    rule = recipe(data={"lazy": True, "normalise": {"kind": "range", "clip": [0, 255]}}, classes=["a", "b"])
    found = []
    for depth in (128, 512):
        path = tmp_path / f"{depth}.h5"
        with h5py.File(path, "w") as file:
            plane = np.random.default_rng(0).integers(0, 2, (256, 256), np.uint8)
            for name in ("data", "labels"):
                volume = file.create_dataset(name, (depth, 256, 256), np.uint8, chunks=(64, 64, 64), compression=1)
                for z in range(0, depth, 64):
                    volume[z : z + 64] = plane
        found.append(peak(catalog, rule, path))
    small, large = found
    assert large - small < 4 << 20, "image and labels differ by 24 MB each"


def test_what_does_not_fit_on_the_disk_is_refused(scratch: Path) -> None:
    with pytest.raises(ResourceError, match=r"needs 9\d+\.\d GiB, of which .* left. Set TMPDIR to a folder with more"):
        mapped((1_000_000, 1_000, 1_000), np.uint8)
    assert not list(scratch.iterdir())


def test_volumes_are_too_large_for_half_of_the_memory_that_is_left() -> None:
    assert not too_large([1 << 20] * 4)
    assert too_large([1 << 44, 1 << 50])
