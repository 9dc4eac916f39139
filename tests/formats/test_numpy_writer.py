from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from volseg_core.api import ArraySpec
from volseg_formats.numpy_writer import NumpyWriter

if TYPE_CHECKING:
    from pathlib import Path

SPECS = {"data": ArraySpec((2, 3, 4), "uint8"), "labels": ArraySpec((2, 3, 4), "int16")}


def test_numpy_alone_reads_what_was_written(tmp_path: Path) -> None:
    for name in ("out.npy", "all.NPZ"):
        with NumpyWriter().create(tmp_path / name, SPECS, {}) as sink:
            sink.write("labels", (slice(None),) * 3, np.full((2, 3, 4), -3, "int8"))
            sink.commit()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.NPZ", "out.npy", "out_labels.npy"]
    assert np.load(tmp_path / "out.npy").dtype == np.uint8
    with np.load(tmp_path / "all.NPZ") as members:
        assert sorted(members) == ["data", "labels"]
        np.testing.assert_array_equal(members["labels"], np.load(tmp_path / "out_labels.npy"))
        assert (members["labels"] == -3).all()


def test_a_record_is_written_only_when_there_is_something_to_say(tmp_path: Path) -> None:
    NumpyWriter().create(tmp_path / "a.npy", SPECS, {"spacing": None, "unit": ""}).commit()
    assert not list(tmp_path.glob("*.json"))
    sink = NumpyWriter().create(tmp_path / "b.npy", SPECS, {"spacing": (1, 2, 3)})
    assert [path.name for path in sink.paths] == ["b.npy", "b_labels.npy", "b.npy.json", "b_labels.npy.json"]
    sink.commit()
    assert json.loads((tmp_path / "b.npy.json").read_text()) == {"axes": "zyx", "spacing": [1, 2, 3]}
