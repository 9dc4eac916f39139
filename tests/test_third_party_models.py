"""Models made with components of other packages, used where those are missing or have other versions.

Two real packages: volseg-acme brings what surrounds a network, volseg-lab the network. Both are built into wheels and
installed by pip into folders of their own; what is on the path decides what is installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from volseg_core.model import read_model

ACME = {
    "plugin": """
from volseg_core.api import Augmentation, Loss, Merge, Metric, Reader, hookimpl


def about(name):
    return {"name": name, "target": f"volseg_acme.code:{name.capitalize()}", "summary": name, "licence": "MIT"}


@hookimpl
def volseg_losses():
    return [Loss(**about("rim"))]


@hookimpl
def volseg_metrics():
    return [Metric(**about("share"), outputs=("share",))]


@hookimpl
def volseg_augmentations():
    return [Augmentation(**about("still"))]


@hookimpl
def volseg_merges():
    return [Merge(**about("gauss"))]


@hookimpl
def volseg_readers():
    return [Reader(**about("vox"), suffixes=(".vox",))]
""",
    "code": """
from types import SimpleNamespace

import numpy as np


class Rim:
    def __call__(self, output, target, valid=None):
        import torch

        return torch.nn.functional.cross_entropy(output, target, ignore_index=-1)


class Share:
    def __init__(self):
        self.reset()

    def reset(self):
        self.right = self.all = 0

    def update(self, prediction, target, valid):
        self.right += int((prediction == target)[valid].sum())
        self.all += int(valid.sum())

    def compute(self):
        return {"share": self.right / max(1, self.all)}


class Still:
    def __call__(self, image, labels, seed):
        return image, labels


class Gauss:
    def start(self, shape, classes, views):
        self.total = np.zeros((classes, *shape), np.float32)

    def add(self, probabilities, where, view, weight=1):
        self.total[(slice(None), *where)] += np.asarray(probabilities) * weight

    def result(self, where, wanted=("labels",)):
        total = self.total[(slice(None), *where)]
        return SimpleNamespace(labels=total.argmax(0).astype(np.uint8))


class Vox:
    def open(self, path, dataset, role):
        array = np.load(path.with_suffix(".npz"))[role]
        return SimpleNamespace(
            shape=array.shape, dtype=array.dtype, axes="zyx", spacing=None, unit="", dataset="", attributes={},
            read=lambda slices: array[slices], close=lambda: None,
        )
""",
}
LAB = {
    "plugin": """
from volseg_core.api import Architecture, hookimpl


@hookimpl
def volseg_architectures():
    return [
        Architecture(
            name="tiny", target="volseg_lab.code:tiny", summary="One convolution.", licence="MIT", divisor=1,
            wants=("in_channels", "num_classes"), dims=(2,),
        )
    ]
""",
    "code": """
def tiny(*, in_channels, num_classes):
    import torch

    return torch.nn.Conv2d(in_channels, num_classes, 3, padding=1)
""",
}
PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "{version}"
dependencies = ["volseg"]
[project.entry-points.volseg]
main = "{package}.plugin"
"""
RECIPE = {
    "classes": ["inside", "wall"],
    "model": "volseg-lab/tiny",
    "loss": ["volseg-acme/rim"],
    "metrics": ["volseg-acme/share"],
    "data": {
        "augment": "volseg-acme/still",
        "axes": "z",
        "window": [32, 32],
        "train": ["crop.vox"],
        "labels": ["crop.vox"],
    },
    "train": {"epochs": 1, "steps": 2, "batch": 2},
    "predict": {"merge": "volseg-acme/gauss"},
}


def package(packages, folder: Path, name: str, version: str, modules: dict[str, str]) -> Path:
    """Build a wheel and install it into a folder of its own, which is returned."""
    source = folder / f"{name}-{version}"
    inner = source / name.replace("-", "_")
    inner.mkdir(parents=True)
    for module, text in {"__init__": '"""A plugin."""', **modules}.items():
        (inner / f"{module}.py").write_text(text)
    text = PYPROJECT.format(name=name, version=version, package=inner.name)
    (source / "pyproject.toml").write_text(text)
    return packages.install(source / "site", *packages.build(source / "dist", source))


@pytest.fixture(scope="module")
def sites(tmp_path_factory, packages):
    folder = tmp_path_factory.mktemp("packages")
    return {
        "acme": package(packages, folder, "volseg-acme", "0.3.0", ACME),
        "newer": package(packages, folder, "volseg-acme", "0.4.0", ACME),
        "lab": package(packages, folder, "volseg-lab", "1.2", LAB),
    }


@pytest.fixture
def here(sites, monkeypatch, tmp_path):
    """Return a function that makes these packages, and no others, the installed ones."""

    def install(*names: str) -> None:
        for path in map(str, sites.values()):
            if path in sys.path:
                sys.path.remove(path)
        for module in [module for module in sys.modules if module.startswith(("volseg_acme", "volseg_lab"))]:
            del sys.modules[module]
        for name in names:
            monkeypatch.syspath_prepend(sites[name])

    yield install
    install()


@pytest.fixture(scope="module")
def work(sites, tmp_path_factory):
    """A folder with a run of both packages, its export, and the volume that it was trained on."""
    folder = tmp_path_factory.mktemp("work")
    draws = np.random.default_rng(0)
    image = draws.integers(0, 255, (12, 40, 44)).astype(np.uint8)
    np.savez(folder / "crop.npz", data=image, labels=(image > 127).astype(np.uint8))
    (folder / "crop.vox").touch()
    with h5py.File(folder / "crop.h5", "w") as file:
        file["data"], file["labels"] = image, (image > 127).astype(np.uint8)
    (folder / "mine.yaml").write_text(yaml.safe_dump(RECIPE))
    environment = (
        f"import os, sys; os.chdir({str(folder)!r}); sys.path[:0] = {[str(sites['acme']), str(sites['lab'])]!r}; "
    )
    code = (
        "import volseg_core; volseg_core.train('mine.yaml', output='run'); "
        "volseg_core.export('run', output='em.onnx', exporter='legacy')"
    )
    done = subprocess.run([sys.executable, "-c", environment + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def inside(work, monkeypatch):
    monkeypatch.chdir(work)
    monkeypatch.delenv("VOLSEG_REGISTRY", raising=False)
    return work


def errors(result) -> list[str]:
    assert result.code, result.out
    return result.err.splitlines()


def test_run_weights_checkpoint_and_export_name_plugin_and_version_of_every_component(inside):
    from volseg_core.training.callbacks import read_checkpoint

    versions = {"volseg-acme": "0.3.0", "volseg-lab": "1.2"}
    assert versions.items() <= read_model("run").spec.made_with.items()
    assert versions.items() <= read_model("em.onnx").spec.made_with.items()
    assert (
        versions.items()
        <= json.loads(read_checkpoint(inside / "run/checkpoints/last.ckpt")["volseg.spec"])["made_with"].items()
    )
    assert versions.items() <= yaml.safe_load((inside / "run/resolved.yaml").read_text())["made_with"].items()
    record = json.loads((inside / "run/environment.json").read_text())
    assert {(item["kind"], item["name"], item["version"]) for item in record["components"]} >= {
        ("loss", "volseg-acme/rim", "0.3.0"),
        ("metric", "volseg-acme/share", "0.3.0"),
        ("augmentation", "volseg-acme/still", "0.3.0"),
        ("merge", "volseg-acme/gauss", "0.3.0"),
        ("reader", "volseg-acme/vox", "0.3.0"),  # chosen by the suffix
        ("architecture", "volseg-lab/tiny", "1.2"),
    }
    assert {item["id"]: (item["version"], item["used"]) for item in record["plugins"]}["volseg-acme"] == ("0.3.0", True)


@pytest.mark.parametrize("model", ["run", "em.onnx"])
def test_a_missing_merge_is_named_with_its_version_and_a_built_in_that_stands_in(inside, here, volseg, model):
    here("lab")
    file = "run/weights.safetensors" if model == "run" else model
    assert errors(volseg("predict", model, "crop.h5", "-o", "seg.h5")) == [
        f"Error: {file} was trained with volseg-acme 0.3.0 (merge 'volseg-acme/gauss'), which is not installed.",
        '  pip install "volseg-acme==0.3.0"      or use a built-in:  --set predict.merge=mean',
    ]
    assert volseg("predict", model, "crop.h5", "-o", "seg.h5", "--set", "predict.merge=mean", "--overwrite").ok


def test_what_only_training_uses_is_not_needed_to_export(inside, here, volseg, tmp_path):
    here("lab")
    result = volseg("export", "run", "-o", tmp_path / "again.onnx", "--exporter", "legacy")
    assert result.ok, result.err
    assert "acme" not in result.err
    assert read_model(tmp_path / "again.onnx").recipe["loss"][0]["use"] == "volseg-acme/rim"


def test_a_missing_network_has_no_stand_in(inside, here, volseg, tmp_path):
    here("acme")
    lab = "volseg-lab 1.2 (architecture 'volseg-lab/tiny')"
    expected = [
        f"Error: run/weights.safetensors was trained with {lab}, which is not installed.",
        '  pip install "volseg-lab==1.2"',
    ]
    assert errors(volseg("predict", "run", "crop.h5", "-o", tmp_path / "seg.h5")) == expected
    assert errors(volseg("export", "run", "-o", tmp_path / "again.onnx")) == expected
    assert volseg("predict", "run", "crop.h5", "-o", tmp_path / "seg.h5").code == 3


def test_an_exported_model_holds_its_network_itself(inside, here, volseg, tmp_path):
    here("acme")
    result = volseg("predict", "em.onnx", "crop.h5", "-o", tmp_path / "seg.h5")
    assert result.ok, result.err
    record = json.loads((tmp_path / "seg.predict.json").read_text())
    assert record["made_with"] == {"volseg": read_model("em.onnx").spec.made_with["volseg"], "volseg-acme": "0.3.0"}
    assert (record["reader"], record["writer"]) == ("volseg/hdf5", "volseg/hdf5")


def test_all_missing_plugins_are_named_at_once(inside, here, volseg, tmp_path):
    here()
    acme, lab = "volseg-acme 0.3.0 (merge 'volseg-acme/gauss')", "volseg-lab 1.2 (architecture 'volseg-lab/tiny')"
    both = f"{acme}, which is not installed; {lab}, which is not installed"
    assert errors(volseg("predict", "run", "crop.h5", "-o", tmp_path / "seg.h5")) == [
        f"Error: run/weights.safetensors was trained with {both}.",
        '  pip install "volseg-acme==0.3.0" "volseg-lab==1.2"',
    ]


def test_verify_and_evaluate_need_no_plugin_of_the_model(inside, here, volseg):
    here()
    assert volseg("verify", "em.onnx", "--device", "cpu").ok
    assert volseg("evaluate", "--prediction", "crop.h5:/labels", "--labels", "crop.h5").out.startswith("dice")


def test_a_metric_of_a_missing_plugin_says_so(inside, here, volseg):
    here()
    result = volseg(
        "evaluate", "--prediction", "crop.h5:/labels", "--labels", "crop.h5", "--metric", "volseg-acme/share"
    )
    assert errors(result)[0].startswith("Error: metric: no metric named 'volseg-acme/share'.")
    assert errors(result)[-1] == "  note: there is no plugin volseg-acme here. See: volseg plugins list"


def test_a_run_is_repeated_or_resumed_only_with_all_of_its_plugins(inside, here, volseg, tmp_path):
    here("lab")
    resolved = str(inside / "run/resolved.yaml")
    first = (
        "was trained with volseg-acme 0.3.0 (augmentation 'volseg-acme/still', merge 'volseg-acme/gauss', "
        "loss 'volseg-acme/rim' and 1 more), which is not installed."
    )
    fix = '  pip install "volseg-acme==0.3.0"'
    assert errors(volseg("train", resolved, "-o", tmp_path / "x")) == [f"Error: {resolved} {first}", fix]
    assert errors(volseg("train", "--resume", "-o", "run")) == [f"Error: {resolved} {first}", fix]
    assert errors(volseg("train", "mine.yaml", "--resume", "-o", "run")) == [f"Error: {resolved} {first}", fix]


def test_another_version_is_a_warning_and_with_frozen_an_error(inside, here, volseg, tmp_path):
    here("newer", "lab")
    told = "em.onnx was trained with volseg-acme 0.3.0 (merge 'volseg-acme/gauss'), and this is 0.4.0"
    command = ("predict", "em.onnx", "crop.h5", "-o", tmp_path / "seg.h5")
    assert errors(volseg(*command, "--frozen")) == [f"Error: --frozen: {told}.", '  pip install "volseg-acme==0.3.0"']
    assert volseg(*command, "--frozen").code == 3
    result = volseg(*command)
    assert result.ok
    assert result.err.splitlines()[0] == f"Warning: {told}"


def test_a_version_that_a_use_does_not_touch_is_no_matter(inside, here, volseg, tmp_path):
    here("newer", "lab")
    command = ("predict", "em.onnx", "crop.h5", "-o", tmp_path / "seg.h5")
    result = volseg(*command, "--frozen", "--set", "predict.merge=mean")
    assert result.ok
    assert "acme" not in result.err


def test_training_again_with_another_version_warns_and_with_frozen_fails(inside, here, volseg):
    here("newer", "lab")
    resolved = str(inside / "run/resolved.yaml")
    result = volseg("train", resolved, "--dry-run")
    assert result.ok
    assert result.err.startswith(f"Warning: {resolved} was trained with volseg-acme 0.3.0 (")
    assert result.err.endswith("and 1 more), and this is 0.4.0\n")
    assert errors(volseg("train", resolved, "--dry-run", "--frozen"))[0].startswith(f"Error: --frozen: {resolved} was")
    assert volseg("train", "--resume", "-o", "run", "--frozen").code == 3


def test_a_blocked_plugin_is_said_to_be_blocked(inside, here, volseg, tmp_path):
    here("acme", "lab")
    assert errors(volseg("--block", "volseg-acme", "predict", "em.onnx", "crop.h5", "-o", tmp_path / "seg.h5")) == [
        "Error: em.onnx was trained with volseg-acme 0.3.0 (merge 'volseg-acme/gauss'), which is blocked by --block.",
        "  use a built-in:  --set predict.merge=mean",
    ]


def test_inspect_shows_the_plugins_and_what_is_here(inside, here, volseg):
    def row() -> str:
        return next(line for line in volseg("inspect", "em.onnx").out.splitlines() if line.startswith("plugins"))

    kinds = (("augmentation", "still"), ("merge", "gauss"), ("loss", "rim"), ("metric", "share"))
    used = ", ".join(f"{kind} 'volseg-acme/{name}'" for kind, name in kinds)
    here("acme", "lab")
    own = read_model("em.onnx").spec.made_with["volseg"]
    lab = "volseg-lab 1.2 (architecture 'volseg-lab/tiny')"
    assert row() == f"plugins        volseg {own}, volseg-acme 0.3.0 ({used}), {lab}"
    here("newer", "lab")
    assert row() == f"plugins        volseg {own}, volseg-acme 0.3.0 ({used}, 0.4.0 here), {lab}"
    here("lab")
    assert row() == f"plugins        volseg {own}, volseg-acme 0.3.0 ({used}, not here), {lab}"
    plugin = json.loads(volseg("inspect", "em.onnx", "--json").out)["plugins"][1]
    assert (plugin["id"], plugin["version"], plugin["here"], len(plugin["components"])) == (
        "volseg-acme",
        "0.3.0",
        "",
        4,
    )
