"""Bad input from the command line: one line, the right exit code, inputs untouched, nothing half-written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch

QUICK = [
    "-s",
    "model.encoder=resnet18",
    "-s",
    "model.encoder.weights=none",
    "-s",
    "train.epochs=1",
    "-s",
    "train.steps=2",
]
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 255, (6, 64, 64), dtype=np.uint8)
CLASSES = (GREY > 128).astype(np.uint8)


def save(path: Path, **arrays: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def truncated_tiff(path: Path) -> Path:
    tifffile.imwrite(path, GREY)
    return cut(path, 0.6)


NAN = GREY.astype(np.float32)
NAN[2, 3, 4] = np.nan

TRAIN = {
    "missing file": (lambda _: ("crpo.h5", "crop.h5"), 4, "crpo.h5: does not exist. Did you mean 'crop.h5'?"),
    "wrong internal path": (lambda _: ("crop.h5:/dta", "crop.h5"), 4, "Did you mean 'data'?"),
    "different shapes": (
        lambda f: ("crop.h5", save(f / "l.h5", labels=CLASSES[:4])), 4,
        "labels have shape 4 x 64 x 64 but crop.h5 has 6 x 64 x 64",
    ),
    "one dimension": (lambda f: (save(f / "d.h5", data=GREY[0, 0]), "crop.h5"), 4, "dimension"),
    "five dimensions": (lambda f: (save(f / "d.h5", data=GREY[None, None]), "crop.h5"), 4, "5 dimensions"),
    "NaN": (lambda f: (save(f / "d.h5", data=NAN), "crop.h5"), 4, "holds 1 voxels that are NaN or infinite"),
    "constant volume": (lambda f: (save(f / "d.h5", data=GREY * 0 + 9), "crop.h5"), 4, "is constant: every voxel is 9"),
    "empty labels": (lambda f: ("crop.h5", save(f / "l.h5", labels=CLASSES * 0)), 4, "are empty: the only id is 0"),
    "float labels": (
        lambda f: ("crop.h5", save(f / "l.h5", labels=CLASSES.astype(np.float32))), 4,
        "labels are float32; class ids must be integers",
    ),
    "truncated TIFF": (lambda f: (truncated_tiff(f / "d.tif"), "crop.h5"), 4, "d.tif: "),
    "truncated HDF5": (lambda f: (cut(save(f / "d.h5", data=GREY), 0.5), "crop.h5"), 4, "d.h5: "),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "crop.h5", data=GREY, labels=CLASSES)
    return tmp_path


def fingerprints(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def check(result, code, text):
    assert result.code == code, result.err
    assert text in result.err
    assert "Traceback" not in result.err
    assert any(line.startswith("Error: ") for line in result.err.splitlines())


@pytest.mark.parametrize("case", list(TRAIN))
def test_data_that_cannot_be_trained_on(volseg, folder, case):
    make, code, text = TRAIN[case]
    data, labels = make(folder)
    before = fingerprints(folder)
    check(volseg("train", "slices", "--data", data, "--labels", labels, "-o", "run", "-q", *QUICK), code, text)
    assert fingerprints(folder) == before, "inputs untouched, no run left behind"


@pytest.mark.parametrize(
    ("setting", "code", "text"),
    [
        ("classes=[a]", 2, "task 'multiclass' with 1 classes"),
        ("classes={a: 0, b: 7}", 4, "holds id 1, which is not among the classes {0, 7}"),
        ("loss=dicee", 2, "--set loss=dicee: no loss named 'dicee'. Did you mean 'dice'?"),
        ("loss.dice.smoth=1", 2, "loss 'dice' has no parameter 'smoth'. Did you mean 'smooth'?"),
        ("train.lrr=1", 2, "--set train.lrr=1: 'lrr' is not in 'train'. Did you mean 'lr'?"),
        ("train.epochs=many", 2, "--set train.epochs=many: "),
        ("data.window=512", 2, "data.window: 512 x 512 is larger than the slices along z of crop.h5"),
        ("model.encoder.weights=imagenett", 2, "imagenett"),
    ],
)
def test_settings_that_do_not_fit(volseg, folder, setting, code, text):
    before = fingerprints(folder)
    sets = [word for word in QUICK if not word.startswith("model.encoder.weights") or "weights" not in setting]
    result = volseg(
        "train", "--data", "crop.h5", "--labels", "crop.h5", "-o", "run", "-q", *drop_flags(sets), "-s", setting
    )
    check(result, code, text)
    left = {name for name in fingerprints(folder) if name not in before}
    assert not {name for name in left if name.endswith((".ckpt", ".safetensors")) or ".part-" in name}


def drop_flags(words: list[str]) -> list[str]:
    """Return -s KEY=VALUE pairs again after values were left out."""
    return [part for word in words if word != "-s" for part in ("-s", word)]


def test_all_errors_of_a_recipe_at_once(volseg, folder):
    result = volseg("train", "--data", "crop.h5", "--labels", "crop.h5", "-s", "train.lrr=1", "-s", "model=unnet", "-q")
    assert result.code == 2
    assert sum(line.startswith("Error: ") for line in result.err.splitlines()) == 2


def test_more_data_than_labels(volseg, folder):
    check(volseg("train", "--data", "crop.h5", "-q"), 2, "1 volumes but 0 label volumes")


def test_a_bare_train_explains_what_to_give(volseg, folder):
    result = volseg("train")
    check(result, 2, "there is nothing to train on")
    assert len(result.err.strip().splitlines()) == 3


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("old.pytorch", None, "is a pickle or archive, which can run code when loaded; refused"),
        ("model.safetensors", b"\x10\0\0\0\0\0\0\0{}", "is not a safetensors file, or is truncated"),
        ("foreign.safetensors", "foreign", "was not made by volseg: it carries no volseg.spec"),
    ],
)
def test_models_that_are_refused(volseg, folder, name, content, text):
    if content is None:
        torch.save({"a": torch.zeros(1)}, folder / name)
    elif content == "foreign":
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, folder / name)
    else:
        (folder / name).write_bytes(content)
    before = fingerprints(folder)
    check(volseg("predict", name, "crop.h5", "-o", "seg.h5", "-q"), 4, text)
    assert fingerprints(folder) == before


def test_prediction_refuses_what_it_would_destroy_or_cannot_do(volseg, folder, trained):
    (folder / "seg.h5").write_bytes(b"mine")
    before = fingerprints(folder)
    check(volseg("predict", trained.run, "crop.h5", "-o", "seg.h5", "-q"), 4, "seg.h5: exists. Use --overwrite")
    check(volseg("predict", trained.run, "crop.h5", "-o", "seg.xyz", "-q"), 2, "no writer makes files ending in '.xyz'")
    check(volseg("predict", trained.run, "crop.h5", "-o", "/proc/no/seg.h5", "-q"), 4, "/proc/no")
    if not torch.cuda.is_available():
        check(
            volseg("predict", trained.run, "crop.h5", "-o", "x.h5", "--device", "cuda", "-q"), 5, "cuda was asked for"
        )
    assert fingerprints(folder) == before


def test_misspelt_commands_and_options_get_a_suggestion(volseg, folder):
    result = volseg("trian")
    assert (result.code, "Did you mean 'train'?" in result.err) == (2, True)
    assert volseg("train", "--dta", "x").code == 2
