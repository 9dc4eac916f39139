"""How far windows show: two grids of windows against each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import volseg_core
from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.prediction.plan import Plan
from volseg_core.prediction.seams import VISIBLE, Seams, _Kept, measure_seams, seam_windows
from volseg_core.prediction.segment import Segmenter
from volseg_core.recipe import PredictBlock
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule, View

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Array = np.ndarray[Any, Any]

CLASSES = ClassMap((ClassName(0, "dark"), ClassName(1, "bright")))
NOISE = np.random.default_rng(0).normal(0, 1, (1, 40, 48, 56)).astype(np.float32)


class Voxelwise:
    """A network that looks at each voxel by itself."""

    device = "cpu"

    def run(self, batch: Array) -> Any:
        return np.concatenate([-batch, batch], axis=1)

    def free_bytes(self) -> None:
        return None


class OfTheWindow(Voxelwise):
    """One that takes something from the whole window, as group and instance norm do."""

    def __init__(self, share: float = 1.0) -> None:
        self.share = share

    def run(self, batch: Array) -> Any:
        mean = batch.mean(axis=(1, 2, 3, 4), keepdims=True)
        return super().run(batch + self.share * mean)


PLAIN = View()


def plan_of(window: Any, views: Any = (PLAIN,), dims: int = 3, **rule: Any) -> Plan:
    spec = ModelSpec((HeadSpec("multiclass", CLASSES),), 1, Normalisation(), "zyx", SizeRule.same(4, 4, dims))
    rule = PredictBlock(window=window, **rule)
    return Plan(tuple((view, 1) for view in views), ("labels",), rule, spec)


def seams(runtime: Any, plan: Plan, data: Array = NOISE) -> Seams | None:
    done: list[int] = []
    found = measure_seams(plan, runtime, Normalisation("none").fit(data), data, done.append)
    assert sum(done) == seam_windows(plan, data.shape[1:])
    return found


def test_a_network_that_sees_one_voxel_has_no_seams() -> None:
    found = seams(Voxelwise(), plan_of((16, 16, 16)))
    assert found is not None
    assert found.difference.border == pytest.approx(0, abs=1e-6)
    assert found.labels.border == found.labels.inside == 0
    assert found.score == pytest.approx(0, abs=1e-6)


def test_one_window_has_no_seams() -> None:
    plan = plan_of((40, 48, 56))
    assert seams(Voxelwise(), plan) is None
    assert seam_windows(plan, (40, 48, 56)) == 0


def ramp(length: int) -> Array:
    return np.broadcast_to(np.linspace(-1, 1, length, dtype=np.float32)[None, :, None, None], (1, length, 8, 8))


def test_the_figures_are_those_of_windows_that_answer_with_their_mean() -> None:
    """No overlap, a ramp along z, and a network whose answer is the mean of the window: all is known."""

    class Mean(Voxelwise):
        def run(self, batch: Array) -> Any:
            return super().run(np.broadcast_to(batch.mean((1, 2, 3, 4), keepdims=True), batch.shape))

    data = ramp(48)
    found = seams(Mean(), plan_of((16, 8, 8), overlap=0, blend="crop"), data)
    assert found is not None
    assert (found.shape, found.window, found.shift) == ((32, 8, 8), (16, 8, 8), (8, 0, 0))

    means = data[0, :, 0, 0]
    one = np.repeat(means.reshape(3, 16).mean(1), 16)[8:40]
    other = np.repeat(means[8:40].reshape(2, 16).mean(1), 16)
    difference = 1 / (1 + np.exp(-2 * one)) - 1 / (1 + np.exp(-2 * other))
    steps, joints = np.abs(np.diff(difference)), [8, 16, 24]
    at = np.isin(np.arange(31) + 1, joints)
    near = np.isin(np.arange(32), [side for joint in joints for side in (joint - 1, joint)])
    assert found.step.border == pytest.approx(steps[at].mean(), rel=1e-4)
    assert found.step.inside == pytest.approx(0, abs=1e-6)
    assert found.score == pytest.approx(steps[at].mean(), rel=1e-4)
    assert found.difference.border == pytest.approx(np.abs(difference)[near].mean(), rel=1e-4)
    assert found.difference.inside == pytest.approx(np.abs(difference)[~near].mean(), rel=1e-4)
    flips = (one > 0) != (other > 0)
    assert found.labels.inside == pytest.approx(flips[~near].mean())
    assert found.labels.border == pytest.approx(flips[near].mean())


def test_statistics_of_the_window_show_unless_windows_are_blended() -> None:
    """They move all that is in a window; blending decides how abruptly that ends. No image changes as much as this."""
    data = np.ascontiguousarray(np.broadcast_to(ramp(160)[..., :1, :1] * 2, (1, 160, 64, 64)))
    found = {
        name: seams(OfTheWindow(), plan_of((64, 64, 64), **rule), data)
        for name, rule in {
            "apart": {"blend": "crop", "overlap": 0},
            "crop": {"blend": "crop"},
            "constant": {"blend": "constant"},
            "gaussian": {"blend": "gaussian"},
        }.items()
    }
    scores = {name: each.score for name, each in found.items() if each}
    assert scores["apart"] > scores["crop"] > scores["constant"] > 3 * VISIBLE
    assert 0 < scores["gaussian"] < scores["apart"] / 5
    assert all(each and each.difference.inside > 0.01 for each in found.values())


def test_the_grids_lie_in_the_middle_and_read_the_volume_beyond_the_part() -> None:
    plan = plan_of((8, 8, 8), overlap=0, blend="crop")
    reads: list[Array] = []

    class Reads(Voxelwise):
        def run(self, batch: Array) -> Any:
            reads.extend(batch[:, 0, 0, 0, 0])
            return super().run(batch)

    data = np.arange(80, dtype=np.float32)[None, :, None, None] * np.ones((1, 1, 8, 8), np.float32)
    found = seams(Reads(), plan, data)
    assert found is not None
    assert found.shape == (16, 8, 8)
    assert reads == [24, 32, 40, 20, 28, 36, 44]


def test_slices_in_tiles_have_seams_within_their_planes_alone() -> None:
    class Plane(Voxelwise):
        def run(self, batch: Array) -> Any:
            assert batch.ndim == 4
            return super().run(batch + batch.mean((1, 2, 3), keepdims=True))

    found = seams(Plane(), plan_of((16, 16), dims=2, blend="crop"))
    assert found is not None
    assert (found.shape, found.window, found.shift) == ((4, 16, 16), (1, 16, 16), (0, 4, 4))
    assert found.score > VISIBLE
    other = seams(Plane(), plan_of((16, 16), [View((2, 0, 1))], dims=2, blend="crop"))
    assert other is not None
    assert other.shape == (4, 16, 16)
    assert seams(Plane(), plan_of("auto", dims=2)) is None, "whole slices"


@pytest.mark.parametrize("window", [(16, 16, 16), (40, 16, 56), (12, 20, 28)])
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.75])
def test_any_window_and_overlap_can_be_measured(window: Any, overlap: float) -> None:
    found = seams(Voxelwise(), plan_of(window, overlap=overlap))
    assert found is not None
    assert all(0 < size <= whole for size, whole in zip(found.shape, NOISE.shape[1:], strict=True))
    assert found.score == pytest.approx(0, abs=1e-6)


def test_the_record_and_the_sentence_say_the_same() -> None:
    found = seams(OfTheWindow(), plan_of((8, 8, 8), blend="crop", overlap=0))
    assert found is not None
    record = json.loads(json.dumps(found.as_dict()))
    assert record["score"] == found.score
    assert record["difference"] == {"border": found.difference.border, "inside": found.difference.inside}
    assert f"score {found.score:.5f}, visible" in str(found)


# --- the default recipe -------------------------------------------------------------------------------------------


def balls(seed: int) -> tuple[Array, Array]:
    """Bright balls in noise."""
    random = np.random.default_rng(seed)
    labels = np.zeros((48, 64, 64), np.uint8)
    z, y, x = np.ogrid[:48, :64, :64]
    for _ in range(40):
        a, b, c = (int(random.integers(size)) for size in labels.shape)
        labels[(z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2 <= random.integers(16, 60)] = 1
    return (100 + 40 * labels + random.normal(0, 20, labels.shape)).astype(np.float32), labels


@pytest.fixture(scope="module")
def trained_boxes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Array]:
    """The recipe `patches` after a short training of a small network with group norm, and a volume."""
    folder = tmp_path_factory.mktemp("seams") / "run"
    data, labels = balls(0)
    quick = ["model.use=unet3d", "model.f_maps=4", "model.num_levels=3", "model.num_groups=2"]
    quick += ["data.window=[24, 32, 32]", "train.epochs=1", "train.steps=40", "train.lr=1e-2", "data.val.fraction=0"]
    volseg_core.train("patches", data=data, labels=labels, output=folder, overrides=quick)
    return folder, balls(1)[0]


def test_the_recipe_for_boxes_has_no_visible_seams(trained_boxes: tuple[Path, Array]) -> None:
    run, data = trained_boxes
    found = volseg_core.predict(run, data, seams=True)
    assert found.seams is not None
    assert (found.seams.window, found.seams.shift) == ((24, 32, 32), (6, 8, 8))
    assert 0.001 < found.seams.difference.inside < 0.1, "windows do not quite agree"
    assert found.seams.score < VISIBLE, "but nobody sees where they end"
    assert found.seams.labels.border < found.seams.labels.inside + 0.005
    hard = volseg_core.predict(run, data, seams=True, overrides=["predict.overlap=0", "predict.blend=crop"])
    assert hard.seams is not None
    assert hard.seams.score > 3 * VISIBLE


def test_the_command_line_reports_seams(
    trained_boxes: tuple[Path, Array], volseg: Callable[..., Any], tmp_path: Path
) -> None:
    run, data = trained_boxes
    np.save(tmp_path / "scan.npy", data)
    result = volseg("predict", run, tmp_path / "scan.npy", "-o", tmp_path / "seg.h5", "--seams")
    assert result.ok, result.err
    record = json.loads((tmp_path / "seg.predict.json").read_text())["seams"]
    assert f"seams: score {record['score']:.5f}, not visible" in result.out + result.err
    assert record["window"] == [24, 32, 32]
    whole = ("-s", "predict.window=64", "--overwrite")
    again = volseg("predict", run, tmp_path / "scan.npy", "-o", tmp_path / "seg.h5", "--seams", *whole)
    assert "seams: none, there is one window" in again.out + again.err
    assert json.loads((tmp_path / "seg.predict.json").read_text())["seams"] is None


# --- halo ---------------------------------------------------------------------------------------------------------


class Sums(Voxelwise):
    """A network with a receptive field of 2 voxels to each side, filled up with zeros at a window's faces."""

    def run(self, batch: Array) -> Any:
        kernel = torch.ones(1, 1, 5, 5, 5) / 125
        near = torch.nn.functional.conv3d(torch.from_numpy(batch), kernel, padding=2).numpy()
        return super().run(4 * near)


@pytest.mark.parametrize(("overlap", "exact"), [(0.5, True), (0.25, True), (0.125, False), (0.0, False)])
def test_cropped_windows_that_overlap_read_the_volume_around_what_is_kept(overlap: float, exact: bool) -> None:
    """A halo of ``overlap / 2`` of a window: with the receptive field or more, the result is that of one window."""
    everything = (slice(0, 40), slice(0, 48), slice(0, 56))
    found = []
    for window in ((16, 16, 16), (40, 48, 56)):
        kept = _Kept(everything)
        plan = plan_of(window, overlap=overlap, blend="crop")
        Segmenter(plan, Sums(), Normalisation("none").fit(NOISE), lambda _: None).block(NOISE, kept)
        found.append(kept.values)
    assert (np.abs(found[0] - found[1]).max() < 1e-5) == exact
