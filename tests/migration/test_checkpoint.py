"""Pickles of other tools are read without running anything from them."""

from __future__ import annotations

import os
import pickle
import subprocess
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from volseg_core.errors import DataError
from volseg_core.migration.checkpoint import plain_names, read_checkpoint


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["system", "eval", "exec", "run"])
def test_a_malicious_pickle_is_refused_and_does_nothing(tmp_path, zipped, name):
    footprint = tmp_path / "footprint"
    code = f"open({str(footprint)!r}, 'w').close()"
    evil = {
        "system": Evil(os.system, f"touch {footprint}"),
        "eval": Evil(eval, code),
        "exec": Evil(exec, code),
        "run": Evil(subprocess.run, ["touch", str(footprint)]),
    }[name]
    path = tmp_path / "model.pytorch"
    torch.save({"w": torch.zeros(2), "evil": evil}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match=r"model.pytorch: names the object .*refused. Loading it could run code"):
        read_checkpoint(path, {})
    assert not footprint.exists()
    torch.load(path, weights_only=False)
    assert footprint.exists(), "the pickle of this test must be a dangerous one"


def test_a_plain_pickle_is_refused_too(tmp_path):
    footprint = tmp_path / "footprint"
    path = tmp_path / "model.pytorch"
    path.write_bytes(pickle.dumps(Evil(os.system, f"touch {footprint}")))
    with pytest.raises(DataError):
        read_checkpoint(path, {})
    assert not footprint.exists()


def test_tensors_plain_data_and_numbers_of_numpy_are_read(tmp_path):
    path = tmp_path / "model.pytorch"
    weights = OrderedDict(a=torch.arange(6.0).reshape(2, 3), b=torch.tensor(5))
    content = {"state": weights, "loss": np.float64(0.25), "curve": np.arange(3), "codes": {0: "bg"}, "set": {1, 2}}
    torch.save(content, path)
    read = read_checkpoint(path, {})
    assert torch.equal(read["state"]["a"], weights["a"])
    assert (read["codes"], int(read["state"]["b"]), read["set"]) == ({0: "bg"}, 5, {1, 2})


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04rest"])
def test_what_is_no_checkpoint_is_an_error(tmp_path, content):
    path = tmp_path / "model.pytorch"
    path.write_bytes(content)
    with pytest.raises(DataError, match="model.pytorch: is "):
        read_checkpoint(path, {})


def test_a_truncated_checkpoint_is_an_error(tmp_path):
    path = tmp_path / "model.pytorch"
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="model.pytorch: is "):
        read_checkpoint(path, {})


def test_an_archive_of_torchscript_is_refused(tmp_path):
    path = tmp_path / "model.pytorch"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps({}))
        archive.writestr("m/constants.pkl", pickle.dumps(()))
        archive.writestr("m/version", "3\n")
    with pytest.raises(DataError):
        read_checkpoint(path, {})


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_checkpoint(tmp_path / "none.pytorch", {})


def test_reading_leaves_no_stand_in_behind(tmp_path):
    path = tmp_path / "model.pytorch"
    torch.save({}, path)
    before = set(torch.serialization.get_safe_globals())
    read_checkpoint(path, {"elsewhere.Thing": dict})
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_go_when_all_names_have_them(prefix):
    assert list(plain_names({f"{prefix}a.weight": 1, f"{prefix}module.b": 2})) == ["a.weight", "module.b"]


def test_no_tensors_have_no_names():
    assert plain_names({}) == {}
