"""Steps on finished predictions, from Python and from the command line."""

from __future__ import annotations

import json
import logging

import h5py
import numpy as np
import pytest
from scipy import ndimage

import volseg_core
from volseg_core.errors import DataError, PluginError, RecipeErrors, UsageError
from volseg_core.prediction import scratch
from volseg_core.volume import Grid, Volume


@pytest.fixture
def labels():
    """Return ids 0, 7 and 200: two cells of each, one of them small."""
    volume = np.zeros((6, 20, 20), np.uint8)
    volume[:, 2:8, 2:8], volume[2:4, 12:14, 2:4] = 7, 7
    volume[:, 2:8, 10:16], volume[1, 17, 17] = 200, 200
    return volume


def test_labels_keep_their_ids_and_objects_are_numbered(labels):
    done = volseg_core.postprocess(
        labels, ["remove-small", "connected-components"], overrides=["remove-small.min_size=5"]
    )
    expected = labels.copy()
    expected[1, 17, 17] = 0
    np.testing.assert_array_equal(done.labels, expected)
    assert done.labels.dtype == np.uint8
    assert set(done.arrays) == {"labels", "instances"}
    np.testing.assert_array_equal(np.unique(done.arrays["instances"]), [0, 1, 2, 3])
    assert [step["use"] for step in done.record["postprocess"]] == [
        "volseg/remove-small", "volseg/connected-components",
    ]  # fmt: skip


def test_unlabelled_voxels_are_background(labels):
    some = labels.astype(np.int16)
    some[0] = -1
    found = volseg_core.postprocess(some, "connected-components").arrays["instances"]
    assert not found[0].any()
    assert found.max() == 4


def test_bytes_of_probabilities_stand_for_fractions():
    chance = np.zeros((2, 3, 4, 5), np.uint8)
    chance[1, 1] = 200
    for given in (chance, (chance / 255).astype(np.float16)):
        found = volseg_core.postprocess(given, "threshold", overrides=["threshold=0.7"]).labels
        np.testing.assert_array_equal(found, chance[1] > 0)


def test_sizes_come_from_the_file(labels):
    volume = Volume(labels[None], Grid((2.0, 0.5, 0.5), "um"))
    found = volseg_core.postprocess(volume, "size-filter", overrides=["min_size=4.5"]).labels
    assert np.count_nonzero(np.unique(found)) == 2
    assert not found[2:4, 12:14, 2:4].any()
    assert found[:, 2:8, 2:8].all()


@pytest.mark.parametrize("block", [None, 5])
@pytest.mark.parametrize("step", ["remove-small", "fill-holes"])
@pytest.mark.parametrize(("large", "dtype"), [(10**12, np.int64), (2**63 + 5, np.uint64), (2**32 + 1, np.int64)])
def test_objects_may_have_numbers_of_64_bits(labels, block, step, large, dtype):
    labels[3, 4, 4] = 0
    far = np.where(labels == 200, np.array(large, dtype), labels.astype(dtype))
    overrides = ["min_size=9" if step == "remove-small" else "max_size=3"]
    found, plain = (
        volseg_core.postprocess(array, step, overrides=overrides, block=block, instances=True).arrays["instances"]
        for array in (far, labels)
    )
    np.testing.assert_array_equal(found, plain)
    assert np.unique(found).tolist() == [0, 1, 2]


def test_sizes_of_a_volume_without_voxel_size_are_voxels_and_that_is_said(labels, caplog):
    with caplog.at_level(logging.WARNING, "volseg"):
        found = volseg_core.postprocess(labels, "size-filter", overrides=["min_size=9"]).labels
    assert not found[2:4, 12:14, 2:4].any()
    said = [record.message for record in caplog.records]
    assert said == ["size-filter: the volume does not say its voxel size, so that sizes are numbers of voxels"]


def test_the_command_writes_a_file_with_its_record(labels, volseg, tmp_path):
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["labels"] = labels
    target = tmp_path / "out.h5"
    words = ("postprocess", tmp_path / "seg.h5", "-o", target, "--use", "connected-components", "--use", "size-filter")
    result = volseg(*words, "-s", "size-filter.min_size=5", "-s", "connected-components.label=1", "--block", 5)
    assert (result.code, result.out) == (0, result.out)
    assert f"wrote {target} in" in result.out
    with h5py.File(target) as file:
        assert list(file) == ["instances"]
        np.testing.assert_array_equal(file["instances"], ndimage.label(labels == 7)[0])
    record = json.loads((tmp_path / "out.postprocess.json").read_text())
    assert record["took"] == "labels"
    assert record["postprocess"][0] == {"use": "volseg/connected-components", "label": 1, "connectivity": 1}
    again = volseg(*words)
    assert again.code == 4
    assert "out.h5: exists. Use --overwrite" in again.err
    more = volseg(
        "postprocess", f"{target}:/instances", "--instances", "-o", target, "--use", "remove-small", "-s",
        "min_size=9", "--overwrite",
    )  # fmt: skip
    assert more.code == 0, more.err
    with h5py.File(target) as file:
        np.testing.assert_array_equal(np.unique(file["instances"]), [0, 1])


def test_arrays_in_between_lie_beside_the_output_and_go(labels, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(scratch.Scratch.__init__, "__defaults__", (None, 10))
    make = scratch.Scratch.array

    def watched(self, shape, dtype):
        array = make(self, shape, dtype)
        seen.extend(tmp_path.glob(".volseg-*/*.raw"))
        return array

    monkeypatch.setattr(scratch.Scratch, "array", watched)
    volseg_core.postprocess(labels, ["remove-small", "connected-components"], output=tmp_path / "out.h5")
    assert seen
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5", "out.postprocess.json"]
    with pytest.raises(PluginError):
        volseg_core.postprocess(labels, ["remove-small", "local"], output=tmp_path / "b.h5", registry=broken(tmp_path))
    assert not list(tmp_path.glob("*b.h5"))
    assert not list(tmp_path.glob(".volseg-*"))


def broken(folder):
    from volseg_core.registry import load_registry

    (folder / "steps.py").write_text(
        "from volseg_core.api import Postprocess, hookimpl\n"
        "@hookimpl\ndef volseg_postprocessors():\n"
        "    return [Postprocess(name='local', target='steps:Step', summary='Fails.', licence='MIT')]\n"
        "class Step:\n    halo = 0\n    def __call__(self, labels):\n        raise KeyError('half way')\n"
    )
    (folder / "registry.yaml").write_text("version: 1\nplugins: {local: [steps.py]}\n")
    return load_registry(folder / "registry.yaml")


FLOATS = np.zeros((2, 3, 4, 5), np.float32)
INTEGERS = np.zeros((3, 4, 5), np.uint8)


@pytest.mark.parametrize(
    ("volume", "steps", "options", "error", "message"),
    [
        (INTEGERS, [], {}, UsageError, "--use: names no step. For example: --use connected-components"),
        (INTEGERS, "watershd", {}, UsageError, "--use: no postprocess named 'watershd'. Did you mean 'watershed'?"),
        (
            INTEGERS,
            "threshold",
            {},
            UsageError,
            "--use threshold: 'threshold' takes probabilities or values, and",
        ),
        (FLOATS, "remove-small", {"instances": True}, UsageError, "--instances: array labels holds 2 x float32, no"),
        (INTEGERS, "remove-small", {"overrides": ["min_siz=3"]}, RecipeErrors, "has no parameter 'min_siz'. Did you"),
        (
            INTEGERS,
            ["remove-small", "fill-holes"],
            {"overrides": ["min_size=3"]},
            UsageError,
            "--set min_size=3: could be for 2 of the steps. Write remove-small.NAME=VALUE or 0.NAME=VALUE.",
        ),
        (
            INTEGERS,
            ["remove-small", "fill-holes"],
            {"overrides": ["threshold.threshold=3"]},
            UsageError,
            "--set threshold.threshold=3: is for a step that is not used.",
        ),
        (
            FLOATS,
            "mutex-watershed",
            {"overrides": ["offsets=[[0,0,-1]]"]},
            UsageError,
            "takes 1 channels, and there",
        ),
        (FLOATS, "watershed", {"overrides": ["channel=2"]}, UsageError, "channel 2 is not among the 2 that there are"),
        (FLOATS - 1j, "watershed", {}, DataError, "complex"),
    ],
)
def test_what_is_wrong_is_one_line(volume, steps, options, error, message):
    with pytest.raises(error) as raised:
        volseg_core.postprocess(volume, steps, **options)
    assert message in str(raised.value)
