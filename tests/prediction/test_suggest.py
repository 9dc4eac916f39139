"""Boxes worth labelling next."""

from __future__ import annotations

import json
from itertools import combinations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core import operations
from volseg_core.errors import UsageError
from volseg_core.prediction.suggest import box_size, rank
from volseg_core.volume import ClassMap, ClassName

CLASSES = ClassMap((ClassName(0, "background"), ClassName(7, "organelle")))


def ranked(scores: np.ndarray, size: tuple[int, int, int], count: int):
    return rank(scores, np.zeros(scores.shape, np.uint8), CLASSES, size, count)


def overlap(one, other) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one.box, other.box, strict=True))


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(*[st.integers(1, 14)] * 3),
    edges=st.tuples(*[st.integers(1, 6)] * 3),
    count=st.integers(1, 6),
)
def test_boxes_are_inside_apart_and_in_descending_order_of_their_mean(seed, shape, edges, count) -> None:
    scores = np.random.default_rng(seed).random(shape).astype(np.float16)
    size = tuple(min(edge, whole) for edge, whole in zip(edges, shape, strict=True))
    found = ranked(scores, size, count)
    assert 1 <= len(found) <= count
    for item in found:
        part = scores[item.box]
        assert part.shape == size
        assert item.score == pytest.approx(part.astype(float).mean(), abs=1e-6)
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    assert not any(overlap(one, other) for one, other in combinations(found, 2))


def test_the_best_box_is_the_best_of_all_that_are_tried() -> None:
    scores = np.random.default_rng(3).random((9, 10, 11))
    every = {
        (z, y, x): scores[z : z + 3, y : y + 4, x : x + 2].mean() for z in range(7) for y in range(7) for x in range(10)
    }
    best = ranked(scores, (3, 4, 2), 1)[0]
    assert tuple(part.start for part in best.box) == max(every, key=every.__getitem__)


def test_bright_spots_are_found_one_by_one() -> None:
    scores = np.zeros((8, 32, 32))
    scores[2:6, 4:12, 16:24] = 1
    scores[0:4, 24:32, 0:8] = 0.5
    first, second, third = ranked(scores, (4, 8, 8), 3)
    assert first.box == (slice(2, 6), slice(4, 12), slice(16, 24))
    assert (first.score, second.score) == (1, 0.5)
    assert second.box == (slice(0, 4), slice(24, 32), slice(0, 8))
    assert third.score < 0.5


def test_equal_scores_come_in_the_order_of_the_volume() -> None:
    found = ranked(np.full((4, 4, 8), 0.25), (4, 4, 4), 2)
    assert [item.box[2].start for item in found] == [0, 4]


def test_bytes_count_to_one_and_shares_are_those_of_the_box() -> None:
    labels = np.zeros((4, 4, 8), np.uint8)
    labels[:, :3, :4] = 7
    scores = np.zeros(labels.shape, np.uint8)
    scores[..., :4] = 51
    (best,) = rank(scores, labels, CLASSES, (4, 4, 4), 1)
    assert best.score == pytest.approx(0.2)
    assert best.shares == {"background": 0.25, "organelle": 0.75}
    assert best.to_dict() == {
        "z": [0, 4],
        "y": [0, 4],
        "x": [0, 4],
        "score": best.score,
        "classes": {"background": 0.25, "organelle": 0.75},
    }


@pytest.mark.parametrize(
    ("shape", "count", "options", "expected"),
    [
        ((512, 512, 512), 5, {}, (64, 64, 64)),
        ((128, 128, 128), 5, {}, (32, 32, 32)),
        ((128, 128, 128), 4, {}, (64, 64, 64)),
        ((24, 72, 80), 2, {}, (24, 32, 32)),
        ((8, 20, 20), 5, {}, (8, 16, 16)),
        ((512, 512, 512), 5, {"size": (100,)}, (100, 100, 100)),
        ((24, 72, 80), 5, {"size": (64,)}, (24, 64, 64)),
        ((24, 72, 80), 5, {"size": (1, 40, 99)}, (1, 40, 80)),
        ((64, 72, 80), 5, {"slabs": True}, (8, 72, 80)),
        ((24, 72, 80), 5, {"slabs": True}, (4, 72, 80)),
        ((3, 72, 80), 5, {"slabs": True}, (1, 72, 80)),
        ((24, 72, 80), 5, {"slabs": True, "size": (2,)}, (2, 72, 80)),
    ],
)
def test_sizes_follow_the_volume_and_the_wish(shape, count, options, expected) -> None:
    assert box_size(shape, count, **options) == expected


@pytest.mark.parametrize(
    ("count", "options", "text"),
    [
        (0, {}, "--count: 0 is below 1."),
        (1, {"size": (0,)}, "--size: 0 is below 1."),
        (1, {"size": (4, 4)}, "--size: takes one number or three (z, y, x), not 2."),
        (1, {"size": (4, 4, 4), "slabs": True}, "--size: slabs have one size, their thickness along z, not 3."),
    ],
)
def test_wrong_sizes_are_refused(count, options, text) -> None:
    with pytest.raises(UsageError) as caught:
        box_size((8, 8, 8), count, **options)
    assert str(caught.value) == text


@pytest.fixture(scope="module")
def scan(trained):
    with h5py.File(trained.volume) as file:
        return file["data"][:8, :48, :56]


def test_suggestions_have_the_mean_entropy_of_the_prediction(trained, scan) -> None:
    found = operations.suggest_labels(trained.run, scan, count=3, size=(8, 24, 24))
    entropy = operations.predict(trained.run, scan, entropy=True).arrays["entropy"]
    assert len(found) == 3
    for item in found:
        assert item.score == pytest.approx(entropy[item.box].mean() / 255)
        assert sum(item.shares.values()) == pytest.approx(1)
    assert found[0].score > entropy.mean() / 255


def test_slabs_may_be_ranked_by_variance(trained, scan) -> None:
    found = operations.suggest_labels(
        trained.run, scan, count=3, slabs=True, size=(2,), score="variance", quality="high"
    )
    variance = operations.predict(trained.run, scan, variance=True, quality="high").arrays["variance"]
    assert all(item.box[1:] == (slice(0, 48), slice(0, 56)) for item in found)
    assert [item.score for item in found] == pytest.approx(
        [variance[item.box].astype(float).mean() for item in found], abs=1e-6
    )
    assert found[0].score == pytest.approx(max(variance[z : z + 2].astype(float).mean() for z in range(7)), abs=1e-6)


def test_what_the_merge_cannot_say_is_refused(trained, scan) -> None:
    with pytest.raises(UsageError, match="--entropy: merge 'max' gives labels, confidence, not entropy"):
        operations.suggest_labels(trained.run, scan, overrides=["predict.merge=max"])
    with pytest.raises(UsageError, match="--variance: is 0 everywhere: there is one direction"):
        operations.suggest_labels(trained.run, scan, score="variance", quality="low")
    with pytest.raises(UsageError, match="'margin' is not entropy or variance"):
        operations.suggest_labels(trained.run, scan, score="margin")


def test_the_command_prints_a_table_and_writes_json(trained, volseg, tmp_path) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file, h5py.File(trained.volume) as whole:
        file["data"] = whole["data"][:8]
    done = volseg(
        "suggest-labels", trained.run, tmp_path / "scan.h5", "--count", "3", "--size", "4,40,80", "-q",
        "--json", tmp_path / "next.json",
    )  # fmt: skip
    assert done.ok, done.err
    header, *lines = done.out.splitlines()
    assert header.split() == ["z", "y", "x", "entropy", "predicted"]
    boxes = json.loads((tmp_path / "next.json").read_text())
    assert boxes["ranked_by"] == "entropy"
    for line, box in zip(lines, boxes["boxes"], strict=True):
        assert line.split()[:3] == [f"{start}:{stop}" for start, stop in (box[axis] for axis in "zyx")]
        assert float(line.split()[3]) == pytest.approx(box["score"], abs=1e-4)
        assert "%" in line
    assert 1 <= len(lines) <= 2, "72 rows hold one box of 40"
    assert f"{len(lines)} of 3 boxes lie side by side; a smaller --size makes more" in done.err
    wrong = volseg("suggest-labels", trained.run, tmp_path / "scan.h5", "--size", "8,four")
    assert wrong.code == 2
    assert "'8,four' is not N or Z,Y,X in whole numbers." in wrong.err
