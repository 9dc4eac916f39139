"""``volseg doctor --data --labels`` as a user runs it: a line per finding, exit code 4 for what cannot be trained on.

What is found is tested in tests/advice; here is what the command makes of it.
"""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

import volseg_core


@pytest.fixture(scope="module")
def blobs():
    arrays = volseg_core.generate("blobs", overrides=["shape=[32, 64, 64]", "seed=4"])
    return arrays["data"], arrays["labels"]


@pytest.fixture
def folder(tmp_path, monkeypatch, blobs):
    """Return a folder, which is the current one, with the good pair ``pair.h5`` and a function that saves files."""
    monkeypatch.chdir(tmp_path)
    save("pair.h5", data=blobs[0], labels=blobs[1])
    return tmp_path


def save(name, **arrays):
    with h5py.File(name, "w") as file:
        for dataset, array in arrays.items():
            file[dataset] = array
            file[dataset].attrs["element_size_um"] = (1.0, 1.0, 1.0)


def levels(result):
    return [line.split()[0] for line in result.out.splitlines()]


def test_a_good_pair_is_ok_line_by_line(volseg, folder):
    result = volseg("doctor", "--data", "pair.h5", "--labels", "pair.h5")
    assert result.ok
    assert result.err == ""
    assert set(levels(result)) == {"OK"}
    assert result.out.splitlines()[0] == "OK     Shape 32 x 64 x 64 of image and labels."
    assert result.out.splitlines()[-1].endswith("in no other placement better.")


BAD = {
    "float labels": (
        "labels",
        lambda labels: labels.astype(np.float32),
        (
            "FATAL  The labels are float32. Class ids must be integers. Convert the file to uint8 or uint16, or learn "
            "values with task: regression."
        ),
    ),
    "another shape": (
        "labels",
        lambda labels: labels[:30],
        "FATAL  The image has shape 32 x 64 x 64 and the labels 30 x 64 x 64. Labels must lie on the same voxels.",
    ),
    "flipped": ("labels", lambda labels: labels[:, :, ::-1], "The labels fit better flipped along x: "),
    "shifted": ("labels", lambda labels: np.roll(labels, 5, 1), "The labels fit better shifted by -5 along y: "),
    "constant": ("data", lambda image: image * 0 + 7, "The image is constant: every voxel is 7."),
    "empty": ("labels", lambda labels: labels * 0, "The labels are empty: the only id is 0."),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_trained_on_is_one_fatal_line_and_exit_code_4(volseg, folder, blobs, case):
    dataset, change, text = BAD[case]
    arrays = dict(zip(("data", "labels"), blobs, strict=True))
    save("bad.h5", **arrays | {dataset: change(arrays[dataset])})
    result = volseg("doctor", "--data", "bad.h5", "--labels", "bad.h5")
    assert result.code == 4
    assert levels(result).count("FATAL") == 1
    (line,) = (line for line in result.out.splitlines() if line.startswith("FATAL"))
    assert text in line


LEARNT = {
    "probabilities": (lambda labels: labels * 0.3, "They look like values, not like ids of classes."),
    "objects": (lambda labels: np.arange(labels.size).reshape(labels.shape), "They look like objects, not like ids of"),
}


@pytest.mark.parametrize("case", LEARNT)
def test_labels_that_other_tasks_learn_are_a_note(volseg, folder, blobs, case):
    change, text = LEARNT[case]
    save("other.h5", data=blobs[0], labels=change(blobs[1]))
    result = volseg("doctor", "--data", "other.h5", "--labels", "other.h5")
    assert "FATAL" not in levels(result)
    assert result.ok
    assert text in result.out


@pytest.mark.parametrize(
    ("data", "labels", "code", "text"),
    [
        ("pari.h5", "pair.h5", 4, "Error: pari.h5: does not exist. Did you mean 'pair.h5'?"),
        ("pair.h5", "pair.h5:/lables", 4, "Error: pair.h5: no dataset '/lables'. Did you mean 'labels'?"),
        ("text.h5", "pair.h5", 4, "Error: text.h5: is not a readable HDF5 file."),
        ("cut.h5", "pair.h5", 4, "Error: cut.h5: is truncated."),
        ("pair.xyz", "pair.h5", 2, "Error: pair.xyz: no reader takes files ending in '.xyz'"),
    ],
)
def test_files_that_cannot_be_read_are_one_error_line(volseg, folder, data, labels, code, text):
    (folder / "text.h5").write_text("hello")
    (folder / "pair.xyz").write_text("hello")
    (folder / "cut.h5").write_bytes((folder / "pair.h5").read_bytes()[:3000])
    result = volseg("doctor", "--data", data, "--labels", labels)
    assert result.code == code
    assert result.out == ""
    assert text in result.err


def test_labels_without_data_are_a_usage_error(volseg, folder):
    result = volseg("doctor", "--labels", "pair.h5")
    assert result.code == 2
    assert "0 volumes but 1 label volumes. Give --labels for each --data, or for none." in result.err


def test_one_bad_volume_of_several_decides_on_the_exit_code(volseg, folder, blobs):
    save("bad.h5", data=blobs[0], labels=blobs[1] * 0)
    files = ("pair.h5", "bad.h5")
    result = volseg("doctor", *(word for file in files for word in ("--data", file, "--labels", file)))
    assert result.code == 4
    assert [line for line in result.out.splitlines() if " with " in line] == [f"{file} with {file}" for file in files]


def test_json_holds_every_finding_of_every_volume(volseg, folder):
    result = volseg("doctor", *("--data", "pair.h5", "--labels", "pair.h5") * 2, "--json")
    once, again = json.loads(result.out)
    findings = once["findings"]
    assert result.ok
    assert once == again
    assert (once["data"], once["labels"]) == ("pair.h5", "pair.h5")
    assert all(set(item) == {"level", "what", "why", "hint"} for item in findings)
    assert {item["level"] for item in findings} == {"ok"}


def test_without_data_it_describes_the_installation(volseg, folder):
    result = volseg("doctor")
    assert result.ok, result.err
    named = {line.split("  ")[0] for line in result.out.splitlines()}
    assert named >= {"volseg", "cpus", "memory", "shared memory", "gpu driver", "torch on a gpu", "onnxruntime, cuda"}


def test_a_gpu_that_is_asked_for_decides_on_the_exit_code(volseg, folder):
    facts = json.loads(volseg("doctor", "--json").out)
    result = volseg("doctor", "--gpu")
    lines = [line for line in result.out.splitlines() if line.startswith("PROBLEM")]
    if facts["driver"] is None:
        assert (result.code, len(lines)) == (5, 1)
        assert "there is no GPU driver" in lines[0]
    else:
        assert (result.code == 0) == (not lines)
