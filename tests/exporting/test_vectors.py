from __future__ import annotations

import numpy as np
import pytest

from volseg_core.errors import DataError
from volseg_core.exporting.vectors import Vectors, compare, read_vectors, write_vectors


def logits(seed=0, channels=3):
    return np.random.default_rng(seed).normal(0, 5, (2, channels, 8, 8)).astype(np.float32)


def test_equal_logits_agree_and_a_small_difference_is_relative_to_the_largest():
    wanted = logits()
    assert compare((2,), wanted, wanted).good
    moved = wanted.copy()
    moved[0, 0, 0, 0] += 0.01 * np.abs(wanted).max()
    found = compare((2,), moved, wanted)
    assert found.difference == pytest.approx(0.01, rel=1e-4)
    assert not found.good


def test_other_classes_shapes_and_values_that_are_not_finite_do_not_agree():
    wanted = logits()
    swapped = compare((2,), wanted[:, ::-1], wanted)
    assert swapped.agreement == pytest.approx((wanted[:, ::-1].argmax(1) == wanted.argmax(1)).mean())
    broken = wanted.copy()
    broken[0, 0, 0, 0] = np.nan
    for found in (broken, wanted[:, :2]):
        assert compare((2,), found, wanted).agreement == 0
        assert not compare((2,), found, wanted).good


def test_one_channel_agrees_by_its_sign():
    wanted = logits(channels=1)
    assert compare((2,), 2 * wanted, wanted).agreement == 1
    assert compare((2,), -wanted, wanted).agreement == 0


def test_vectors_are_read_back_and_checked(tmp_path):
    vectors = Vectors(logits(1), logits(2))
    path = tmp_path / "m.vectors.npz"
    write_vectors(vectors, path)
    assert [file.name for file in tmp_path.iterdir()] == ["m.vectors.npz"]
    again = read_vectors(path, vectors.sha256)
    np.testing.assert_array_equal(again.logits, vectors.logits)
    assert Vectors(logits(1), logits(3)).sha256 != vectors.sha256
    with pytest.raises(DataError, match="another checksum than the model states"):
        read_vectors(path, "0" * 64)
    with pytest.raises(DataError, match="does not exist; it stands beside an exported model"):
        read_vectors(tmp_path / "none.npz", vectors.sha256)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="is damaged"):
        read_vectors(path, vectors.sha256)
