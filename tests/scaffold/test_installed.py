"""A new package of every kind, as its author would go on: built, installed, checked, tested and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from volseg_core.api import KINDS
from volseg_core.scaffold import Names, create_package

SEVERAL = """
import contextlib, io, json, sys
from volseg_core.cli import main

def run(arguments):
    sys.argv, out, err = ["volseg", *arguments], io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as leaving:
            return [leaving.code or 0, out.getvalue(), err.getvalue()]

print(json.dumps([run(arguments) for arguments in json.loads(sys.argv[1])]))
"""
"""Commands in one process: torch is imported once."""

BOXES = ["-q", "-s", "data.window=[16,16,16]", "-s", "model.f_maps=2", "-s", "train.epochs=1", "-s", "train.steps=2"]
SHORT = ["-q", "-s", "data.window=[32,32]", "-s", "data.axes=z", "-s", "train.epochs=1", "-s", "train.steps=4"]


@dataclass(frozen=True)
class Installed:
    """A folder with a package of every kind, all installed in ``site``."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables in which volseg finds them."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VOLSEG_")}
        return {**kept, "PYTHONPATH": str(self.folder / "site"), "OMP_NUM_THREADS": "1"}

    def run(self, *commands: list[str]) -> list[str]:
        """Run commands of volseg in the folder and return what they print; all must succeed."""
        script = [sys.executable, "-c", SEVERAL, json.dumps(commands)]
        done = subprocess.run(
            script, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        results = json.loads(done.stdout.splitlines()[-1])
        for command, (code, _, err) in zip(commands, results, strict=True):
            assert code == 0, f"{' '.join(command)}\n{err}"
        return [out for _, out, _ in results]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, packages: Any) -> Installed:
    folder = tmp_path_factory.mktemp("scaffold")
    for kind in KINDS:
        create_package(Names.checked(f"volseg-{kind}", kind, "brand-new"), folder / kind)
    packages.install(folder / "site", *packages.build(folder / "wheels", *(folder / kind for kind in KINDS)))
    return Installed(folder)


def test_every_package_loads_and_its_component_is_listed(installed: Installed) -> None:
    plugins, components = installed.run(["plugins", "list", "--json"], ["components", "--json"])
    found = {record["id"]: record for record in json.loads(plugins)}
    listed = {component["id"]: component["kind"] for component in json.loads(components)}
    for kind in KINDS:
        record = found[f"volseg-{kind}"]
        assert (record["status"], record["heavy"], record["mend"]) == ("ok", [], "")
        assert record["components"] == [f"{kind}/brand-new"]
        assert listed[f"volseg-{kind}/brand-new"] == kind


@pytest.mark.parametrize("kind", KINDS)
def test_plugins_check_finds_nothing(installed: Installed, kind: str) -> None:
    (out,) = installed.run(["plugins", "check", f"volseg-{kind}"])
    assert out == f"volseg-{kind} 0.1.0: the plugin, {kind}/brand-new\nNo problems.\n"


def test_the_tests_of_every_package_pass(installed: Installed) -> None:
    tests = [str(installed.folder / kind / "tests") for kind in KINDS]
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=installed.folder, env=installed.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert f"{len(KINDS)} passed" in done.stdout


@pytest.fixture(scope="module")
def used(installed: Installed) -> list[str]:
    """Use every component that a command can use; return what the commands print."""
    volumes = ["--data", "cube.brandnew", "--labels", "cube_labels.brandnew"]
    own = ["-s", "model=volseg-architecture/brand-new", "-s", "model.width=4", "-s", "loss=[volseg-loss/brand-new]"]
    own += ["-s", "metrics=[dice, volseg-metric/brand-new]", "-s", "data.augment=volseg-augmentation/brand-new"]
    runtime = ["-s", "predict.runtime=volseg-runtime/brand-new"]
    merge = ["-s", "predict.merge=volseg-merge/brand-new", "--quality", "high"]
    clean = "postprocess=[{use: volseg-postprocess/brand-new, voxels: 100000000}]"
    encoder = ["-s", "model.encoder=volseg-encoder/brand-new", "-s", "model.encoder.width=2"]
    target = ["-s", "task=multilabel", "-s", "target=volseg-target/brand-new", "-s", "target.depth=1"]
    target += ["-s", "loss=[binary-cross-entropy]", "-s", "metrics=[]"]
    return installed.run(
        ["generate", "volseg-generator/brand-new", "-o", "cube.brandnew", "-s", "shape=[24,48,48]"],
        ["inspect", "cube.brandnew"],
        ["train", "slices", *volumes, "-o", "own", *SHORT, *own],
        ["export", "own"],
        ["predict", "own", "cube.brandnew", "-o", "segmented.brandnew", "--confidence", "-q", *runtime],
        ["predict", "own", "cube.brandnew", "-o", "torch.h5", "-q"],
        ["predict", "own", "cube.brandnew", "-o", "merged.h5", "--confidence", "-q", *merge],
        [
            "evaluate",
            "--prediction",
            "segmented.brandnew",
            "--labels",
            volumes[3],
            "--metric",
            "volseg-metric/brand-new",
        ],
        ["train", "slices", *volumes, "-o", "encoded", *SHORT, *encoder],
        ["export", "encoded"],
        ["predict", "own", "cube.brandnew", "-o", "clean.h5", "-q", "-s", clean],
        ["train", "patches", *volumes, "-o", "cores", *BOXES, *target],
    )


def environment(run: Path) -> Any:
    return json.loads((run / "environment.json").read_text())


def test_the_generator_writes_through_the_writer_what_the_reader_opens(used: list[str]) -> None:
    assert used[0] == "wrote cube.brandnew: data 24 x 48 x 48, labels 24 x 48 x 48\n"
    assert "24" in used[1]


def test_a_training_uses_architecture_loss_metric_augmentation_and_reader(
    installed: Installed, used: list[str]
) -> None:
    found = {item["name"] for item in environment(installed.folder / "own")["components"]}
    kinds = ("architecture", "loss", "metric", "augmentation")
    assert {f"volseg-{kind}/brand-new" for kind in kinds} <= found
    scores = dict(line.split() for line in used[2].splitlines() if len(line.split()) == 2)
    assert 0 < float(scores["loss"]) < 1
    assert 0 <= float(scores["brand-new/ball"]) <= 1


def test_a_training_uses_the_encoder_under_another_plugins_decoder(installed: Installed, used: list[str]) -> None:
    found = {item["name"] for item in environment(installed.folder / "encoded")["components"]}
    assert {"volseg-encoder/brand-new", "volseg/unet"} <= found


def test_a_training_learns_the_target(installed: Installed, used: list[str]) -> None:
    assert "volseg-target/brand-new" in {item["name"] for item in environment(installed.folder / "cores")["components"]}
    assert 0 < float(dict(line.split() for line in used[11].splitlines() if len(line.split()) == 2)["loss"]) < 2


@pytest.mark.parametrize("run", ["own", "encoded"])
def test_the_trained_network_exports(installed: Installed, used: list[str], run: str) -> None:
    assert "legacy, batch and height and width free" in used[3 if run == "own" else 9]
    assert (installed.folder / run / "model.onnx").stat().st_size > 1000


def record(installed: Installed, name: str) -> Any:
    return json.loads((installed.folder / f"{name}.predict.json").read_text())


def labels_in(path: Path) -> Any:
    with h5py.File(path) as file:
        return file["labels"][()]


def test_a_prediction_uses_the_runtime_and_the_writer(installed: Installed, used: list[str]) -> None:
    assert record(installed, "segmented")["runtime"]["use"] == "volseg-runtime/brand-new"
    labels = np.fromfile(installed.folder / "segmented.brandnew", np.uint8).reshape(24, 48, 48)
    assert (labels == labels_in(installed.folder / "torch.h5")).mean() > 0.9999  # rounding decides ties
    confidence = np.fromfile(installed.folder / "segmented_confidence.brandnew", np.uint8)
    assert confidence.min() >= 127  # of two classes the winner has at least half


def test_a_prediction_uses_the_merge(installed: Installed, used: list[str]) -> None:
    found = record(installed, "merged")
    assert found["merge"]["use"] == "volseg-merge/brand-new"
    assert len(found["views"]) > 1
    assert set(np.unique(labels_in(installed.folder / "merged.h5"))) <= {0, 1}


def test_the_metric_agrees_with_its_definition(installed: Installed, used: list[str]) -> None:
    labels, truth = (
        np.fromfile(installed.folder / name, np.uint8) for name in ("segmented.brandnew", "cube_labels.brandnew")
    )
    scores = dict(line.split() for line in used[7].splitlines())
    assert float(scores["brand-new"]) == pytest.approx(abs(labels.mean() - truth.mean()), abs=1e-4)


def test_the_postprocess_follows_the_merge(installed: Installed, used: list[str]) -> None:
    assert record(installed, "clean")["postprocess"] == [{"use": "volseg-postprocess/brand-new", "voxels": 100_000_000}]
    assert not labels_in(installed.folder / "clean.h5").any(), "every object is smaller than that"
