"""The example package as its README says: built, installed, checked, trained with, exported, predicted with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/volseg-example-plugin"
ID = "volseg-example-plugin"


@pytest.fixture(scope="module")
def site(tmp_path_factory, packages):
    """Return the environment variables of a place where the built package is installed."""
    folder = tmp_path_factory.mktemp("example")
    return {"PYTHONPATH": str(packages.install(folder / "site", *packages.build(folder, EXAMPLE)))}


@pytest.fixture(scope="module")
def project(project_in, tmp_path_factory, site):
    """A folder with a tomogram, its labels and a model trained with the package's recipe."""
    project = project_in(tmp_path_factory.mktemp("project"))
    assert project.run("generate", "blobs", "-o", "crop.h5", "-s", "shape=[32,64,64]").ok
    with h5py.File(project.folder / "crop.h5") as file, mrcfile.new(project.folder / "scan.mrc") as scan:
        scan.set_data((file["data"][()] * 100).astype(np.float32))
        scan.voxel_size = 5.0
    words = ["train.epochs=2", "train.steps=3", "train.batch=2", "loss.2.start_epoch=1", "predict.quality=medium"]
    words += ["model.encoder=resnet18", "model.encoder.weights=none", "data.window=32", "data.axes=zyx"]
    sets = [word for item in words for word in ("-s", item)]
    files = ["--data", "scan.mrc", "--labels", "crop.h5:/labels"]
    result = project.run("train", f"{ID}/membranes", *files, "-o", "run", *sets, env=site)
    assert result.ok, result.err
    return project


def test_it_breaks_no_rule_and_its_own_tests_pass(site, project):
    result = project.run("plugins", "check", ID, env=site)
    assert result.ok, result.out + result.err
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=EXAMPLE, env={**os.environ, **site}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_run_names_the_package_and_its_losses(site, project):
    facts = json.loads((project.folder / "run/environment.json").read_text())
    used = {item["id"]: item["version"] for item in facts["plugins"] if item["used"]}
    assert used[ID] == "0.1.0"
    header = (project.folder / "run/metrics.csv").read_text().splitlines()[0]
    assert "train/loss/supervoxel" in header
    shown = project.run("inspect", "run", env=site)
    assert f"{ID} 0.1.0" in shown.out


def test_the_median_merges_a_tomogram_with_its_voxel_size(site, project):
    result = project.run("predict", "run", "scan.mrc", "-o", "seg.h5", "--confidence", env=site)
    assert result.ok, result.err
    record = json.loads((project.folder / "seg.predict.json").read_text())
    assert record["merge"]["use"] == f"{ID}/median"
    assert len(record["views"]) == 3
    shown = json.loads(project.run("inspect", "seg.h5", "--role", "labels", "--json", env=site).out)
    assert shown["spacing"] == pytest.approx([5, 5, 5])
    assert shown["unit"] == "angstrom"


def test_the_exported_model_says_what_it_lacks_where_the_package_is_missing(site, project):
    assert project.run("export", "run", "-o", "em.onnx", env=site).ok
    assert project.run("predict", "em.onnx", "scan.mrc", "-o", "onnx.h5", env=site).ok
    for arguments in (["em.onnx", "crop.h5"], ["run", "crop.h5"]):
        result = project.run("predict", *arguments, "-o", "none.h5")
        assert result.code == 3
        assert f"was trained with {ID} 0.1.0 (merge '{ID}/median'), which is not installed" in result.err
        assert f'pip install "{ID}==0.1.0"' in result.err
    assert project.run("predict", "em.onnx", "crop.h5", "-o", "mean.h5", "-s", "predict.merge=mean").ok
