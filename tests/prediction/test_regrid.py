"""Prediction of volumes with another spacing than the network's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import volseg_core
from volseg_core.errors import DataError
from volseg_core.volume import Grid, Volume
from volseg_core.volume.resample import resample

TARGET = (2.0, 1.0, 1.0)
SHAPE = (10, 41, 70)
SPACING = (4.0, 2.0, 1.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, trained: Any) -> Path:
    """A run that is trained on voxels of `TARGET`, by a volume with finer ones along y."""
    with h5py.File(trained.volume) as file:
        data, labels = file["data"][()], file["labels"][()]
    fine = Grid((2.0, 0.5, 1.0), "nm")
    folder = tmp_path_factory.mktemp("regrid") / "run"
    overrides = [*trained.overrides, f"data.resample={list(TARGET)}", "data.axes=z"]
    volseg_core.train(
        "slices",
        data=Volume(data.repeat(2, axis=1)[None], fine),
        labels=Volume(labels.repeat(2, axis=1)[None], fine),
        output=folder,
        overrides=overrides,
    )
    return folder


@pytest.fixture(scope="module")
def volume() -> Volume:
    data = np.random.default_rng(0).random((1, *SHAPE), np.float32)
    return Volume(data, Grid(SPACING, "nm"))


def test_results_lie_on_the_voxels_of_the_input(run: Path, volume: Volume) -> None:
    wanted = {"probabilities": True, "confidence": True}
    found = volseg_core.predict(run, volume, **wanted).arrays
    finer = Volume(resample(volume.data, (20, 82, 70), linear=True), Grid(TARGET))
    direct = volseg_core.predict(run, finer, **wanted).arrays
    assert direct["labels"].shape == (20, 82, 70)
    for name in ("labels", "confidence"):
        assert found[name].shape == SHAPE
        np.testing.assert_array_equal(found[name], resample(direct[name][None], SHAPE, linear=False)[0])
    assert found["probabilities"].shape == (3, *SHAPE)
    np.testing.assert_allclose(found["probabilities"].sum(0), 1, atol=2e-3)
    np.testing.assert_array_equal(found["probabilities"], resample(direct["probabilities"], SHAPE, linear=True))


def test_files_carry_the_grid_of_the_input(run: Path, volume: Volume, tmp_path: Path) -> None:
    output = tmp_path / "out.h5"
    volseg_core.predict(run, volume, output=output)
    with h5py.File(output) as file:
        dataset = next(iter(file.values()))
        assert dataset.shape == SHAPE
        np.testing.assert_array_equal(dataset[()], volseg_core.predict(run, volume).labels)
    record = json.loads((tmp_path / "out.predict.json").read_text())
    assert (record["shape"], record["resampled"]) == (list(SHAPE), [20, 82, 70])


def test_volumes_without_a_spacing_are_refused(run: Path, volume: Volume) -> None:
    with pytest.raises(DataError, match="does not say its spacing"):
        volseg_core.predict(run, volume.data[0])


@pytest.mark.parametrize(("unit", "factor"), [("um", 1e-3), ("angstrom", 10), ("", 1)])
def test_another_unit_of_the_same_spacing_changes_nothing(run: Path, volume: Volume, unit: str, factor: float) -> None:
    told = Volume(volume.data, Grid(tuple(size * factor for size in SPACING), unit))  # type: ignore[arg-type]
    np.testing.assert_array_equal(volseg_core.predict(run, told).labels, volseg_core.predict(run, volume).labels)


def test_sizes_of_steps_are_in_the_unit_of_the_volumes_trained_on(run: Path, volume: Volume) -> None:
    same = Volume(volume.data, Grid(tuple(size * 1e-3 for size in SPACING), "um"))  # type: ignore[arg-type]
    step = ["postprocess=[{use: size-filter, min_size: 400}]"]
    kept, found = (volseg_core.predict(run, given, overrides=step).labels for given in (volume, same))
    np.testing.assert_array_equal(found, kept)
    assert (kept != volseg_core.predict(run, volume).labels).any()
    assert kept.any()


def test_a_spacing_far_off_without_a_unit_is_refused(run: Path, volume: Volume) -> None:
    told = Volume(volume.data, Grid((4e-3, 2e-3, 1e-3), source="scan"))
    with pytest.raises(DataError, match=r"scan: has voxels of 0\.004 x 0\.002 x 0\.001, 1e\+03 times off"):
        volseg_core.predict(run, told)
