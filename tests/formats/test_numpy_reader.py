from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from volseg_core.api import DataError
from volseg_formats.numpy_reader import NumpyReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALUES = np.arange(60, dtype="uint16").reshape(3, 4, 5)
EVERYTHING = (slice(None),) * 3


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (str(self.path), "w"))


def test_pickles_are_refused_and_nothing_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    np.save(tmp_path / "object.npy", np.array([[Bomb(mark), 1]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "member.npz", data=np.array([[Bomb(mark), 1]], dtype=object))
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(DataError, match="holds values of type 'object'"):
        NumpyReader().open(tmp_path / "object.npy")
    with pytest.raises(DataError, match="holds no array of numbers"):
        NumpyReader().open(tmp_path / "member.npz")
    with pytest.raises(DataError, match="holds values of type 'object'"):
        NumpyReader().open(tmp_path / "member.npz", "data")
    with pytest.raises(DataError, match="pickles are never loaded"):
        NumpyReader().open(tmp_path / "plain.npy")
    assert not mark.exists()


@pytest.mark.parametrize("values", [np.asfortranarray(VALUES), VALUES.astype(">u2"), VALUES[:, ::2]])
def test_any_layout_gives_the_same_voxels(tmp_path: Path, values: Any) -> None:
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", data=values)
    for name in ("a.npy", "a.npz"):
        read = NumpyReader().open(tmp_path / name).read(EVERYTHING)
        np.testing.assert_array_equal(read, values)
        assert read.dtype.isnative


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_members_are_chosen_like_datasets(tmp_path: Path, save: Callable[..., Path]) -> None:
    save(tmp_path / "a.npz", raw=VALUES, labels=VALUES % 2, other=VALUES + 1)
    read = {role: NumpyReader().open(tmp_path / "a.npz", role=role) for role in ("data", "labels")}
    assert {role: source.dataset for role, source in read.items()} == {"data": "raw", "labels": "labels"}
    np.testing.assert_array_equal(read["labels"].read(EVERYTHING), VALUES % 2)
    for name in ("other", "/other", "other.npy"):
        np.testing.assert_array_equal(NumpyReader().open(tmp_path / "a.npz", name).read(EVERYTHING), VALUES + 1)
    with pytest.raises(DataError, match=r"no dataset 'othr'\. Did you mean 'other'\?\n  found: labels \(3, 4, 5\), "):
        NumpyReader().open(tmp_path / "a.npz", "othr")


def test_several_members_without_a_known_name_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=VALUES, b=VALUES)
    with pytest.raises(DataError, match=r"holds 2 volumes .*\n  found: a \(3, 4, 5\), b \(3, 4, 5\)"):
        NumpyReader().open(tmp_path / "a.npz")


@pytest.mark.parametrize("shape", [(), (5,), (1, 2, 3, 4, 5), (0, 4, 5)])
def test_arrays_that_are_no_volume_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(DataError, match=r"an array (with|of shape)"):
        NumpyReader().open(tmp_path / "a.npy")


def test_a_broken_record_beside_the_array_is_said(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    (tmp_path / "a.npy.json").write_text('{"spacing": [1, 2')
    with pytest.raises(DataError, match=r"a\.npy\.json: is not readable JSON"):
        NumpyReader().open(tmp_path / "a.npy")
    (tmp_path / "a.npy.json").write_text(json.dumps({"axes": "xyz", "spacing": [3, 2, 1], "unit": "nm"}))
    source = NumpyReader().open(tmp_path / "a.npy")
    assert (source.axes, source.spacing, source.unit) == ("xyz", (3, 2, 1), "nm")
