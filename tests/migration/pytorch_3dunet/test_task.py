"""What the outputs mean: by the loss, the activation, and what labels are made into."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volseg_core.migration.pytorch_3dunet.network import Outputs
from volseg_core.migration.pytorch_3dunet.task import carry_task, decide
from volseg_core.migration.pytorch_3dunet.transforms import ignored_ids, made_of, transforms
from volseg_core.migration.pytorch_3dunet.vocabulary import LOSSES, NETWORKS
from volseg_core.registry import load_registry

CATALOG = load_registry(builtin_only=True).catalog


def outputs(channels: int = 1, *, sigmoid: bool = True, segments: bool = True) -> Outputs:
    return Outputs(NETWORKS["UNet3D"], 1, channels, sigmoid, segments, padded=True)


@pytest.mark.parametrize(
    ("found", "loss", "task", "names"),
    [
        (outputs(), "BCEDiceLoss", "binary", ("background", "foreground")),
        (outputs(), "", "binary", ("background", "foreground")),
        (outputs(3), "BCEWithLogitsLoss", "multilabel", ("channel 0", "channel 1", "channel 2")),
        (outputs(2, sigmoid=False), "BCEWithLogitsLoss", "multilabel", ("channel 0", "channel 1")),
        (outputs(3, sigmoid=False), "", "multiclass", ("0", "1", "2")),
        (outputs(2, sigmoid=False), "DiceLoss", "multilabel", ("channel 0", "channel 1")),
        (outputs(2, sigmoid=False), "GeneralizedDiceLoss", "multilabel", ("channel 0", "channel 1")),
        (outputs(1, sigmoid=False), "DiceLoss", "binary", ("background", "foreground")),
        (outputs(2), "CrossEntropyLoss", "multiclass", ("0", "1")),
        (outputs(1, segments=False), "", "regression", ("channel 0",)),
        (outputs(2), "MSELoss", "regression", ("channel 0", "channel 1")),
    ],
)
def test_tasks(found: Outputs, loss: str, task: str, names: tuple[str, ...]) -> None:
    decided = decide(found, loss, None, trained=False)
    assert (decided.name, decided.names) == (task, names)
    assert loss in LOSSES or not loss


@pytest.mark.parametrize("loss", ["DiceLoss", "GeneralizedDiceLoss"])
def test_a_loss_with_a_softmax_is_of_classes_whatever_the_prediction_has(loss: str) -> None:
    decided = decide(outputs(3, sigmoid=True), loss, None, trained=False, softmax=True)
    assert (decided.name, decided.names) == ("multiclass", ("0", "1", "2"))
    assert f"({loss} with softmax; labels hold its id" in decided.why
    assert decide(outputs(1), loss, None, trained=False, softmax=True).name == "binary"


@pytest.mark.parametrize("loss", ["DiceLoss", "GeneralizedDiceLoss", ""])
def test_a_target_of_channels_is_kept_whatever_activation_the_prediction_has(carried: Any, loss: str) -> None:
    made, _ = labels(carried, {"name": "StandardLabelToBoundary", "foreground": True})
    for trained in (True, False):
        decided = decide(outputs(2, sigmoid=False), loss, made, trained=trained)
        assert (decided.name, decided.made, decided.names) == ("multilabel", made, ("foreground", "boundary"))
        assert decided.why.endswith("predictions there pass a softmax (final_sigmoid false)")


def labels(carried: Any, *items: Any, dims: int = 3) -> tuple[Any, dict[str, str]]:
    """Return what a list of transforms of labels makes, and what is left of it."""
    _, left, made = carried(
        lambda settings, transfer: made_of(transforms(settings, transfer, "label"), transfer, dims),
        {"label": [*items, {"name": "ToTensor"}]},
    )
    return made, left


def maker(made: Any, dims: int = 3) -> Any:
    """Return the target as it is built."""
    params = {key: value for key, value in made.target.items() if key != "use"}
    provided = CATALOG.find("target", made.target["use"])
    return CATALOG.build(provided, params, {"dims": dims, "spacing": None})


@pytest.mark.parametrize(
    ("item", "use", "names"),
    [
        ({"name": "StandardLabelToBoundary"}, "boundaries", ("boundary",)),
        ({"name": "StandardLabelToBoundary", "foreground": True}, "boundaries", ("foreground", "boundary")),
        ({"name": "BlobsToMask", "append_label": True}, "foreground", ("foreground",)),
        ({"name": "BlobsToMask", "boundary": True}, "boundaries", ("foreground", "boundary")),
        ({"name": "RandomLabelToAffinities"}, "boundaries", ("boundary",)),
        (
            {"name": "LabelToZAffinities", "offsets": [1, 2]},
            "affinities",
            ("difference 1 0 0", "difference 2 0 0"),
        ),
        (
            {"name": "LabelToAffinities", "offsets": [2], "z_offsets": [1]},
            "affinities",
            ("difference 0 0 2", "difference 0 2 0", "difference 1 0 0"),
        ),
        (
            {"name": "LabelToAffinities", "offsets": [1, 2], "aggregate_affinities": True},
            "affinities",
            ("difference 0 0 1, 0 1 0, 1 0 0", "difference 0 0 2, 0 2 0, 2 0 0"),
        ),
        (
            {"name": "LabelToBoundaryAndAffinities", "xy_offsets": [1, 2], "z_offsets": [1, 1]},
            "affinities",
            (
                "boundary", "difference 0 0 1", "difference 0 1 0", "difference 1 0 0", "difference 0 0 2",
                "difference 0 2 0",
            ),
        ),
        (
            {"name": "LabelToMaskAndAffinities", "xy_offsets": [1], "z_offsets": [1]},
            "affinities",
            ("foreground", "difference 0 0 1", "difference 0 1 0", "difference 1 0 0"),
        ),
    ],
)  # fmt: skip
def test_targets(carried: Any, item: dict[str, Any], use: str, names: tuple[str, ...]) -> None:
    made, left = labels(carried, item)
    assert (made.target["use"], maker(made).names, made.names) == (use, names, names)
    assert left == {}


@pytest.mark.parametrize("mode", ["thick", "inner", "outer"])
def test_boundaries_are_those_of_its_neighbours_at_corners(carried: Any, mode: str) -> None:
    made, _ = labels(carried, {"name": "StandardLabelToBoundary", "mode": mode})
    assert made.target == {"use": "boundaries", "mode": mode, "connectivity": 2}


def test_an_unknown_mode_is_named(carried: Any) -> None:
    made, left = labels(carried, {"name": "StandardLabelToBoundary", "mode": "subpixel"})
    assert made.target["mode"] == "thick"
    assert left == {"label.StandardLabelToBoundary.mode": "'subpixel' is none of thick, inner, outer"}


def test_affinities_of_slices_have_no_z(carried: Any) -> None:
    made, _ = labels(carried, {"name": "LabelToAffinities", "offsets": [1, 3]}, dims=2)
    assert made.target["offsets"] == [[0, 1], [1, 0], [0, 3], [3, 0]]
    assert maker(made, 2).names == made.names
    assert len(made.names) == 4


CASES = {
    325: {"name": "StandardLabelToBoundary"},
    326: {"name": "StandardLabelToBoundary", "mode": "inner", "foreground": True},
    329: {"name": "LabelToAffinities", "offsets": [1, 2, 3]},
    330: {"name": "LabelToAffinities", "offsets": [1, 3], "z_offsets": [1, 2], "aggregate_affinities": True},
    332: {"name": "LabelToZAffinities", "offsets": [1, 2]},
    333: {"name": "LabelToBoundaryAndAffinities", "xy_offsets": [1, 2], "z_offsets": [1, 1]},
    334: {"name": "LabelToMaskAndAffinities", "xy_offsets": [1, 2], "z_offsets": [1, 1]},
}


@pytest.mark.parametrize("number", CASES)
def test_targets_are_the_arrays_of_pytorch_3dunet(carried: Any, number: int, folder: Path) -> None:
    every = json.loads((folder / "cases.json").read_text(encoding="utf-8"))["cases"]
    case = next(case for case in every if case["id"] == f"transform_{number}")
    assert case["name"] == CASES[number]["name"]
    made, _ = labels(carried, CASES[number])
    with np.load(folder / "arrays.npz") as arrays:
        ids, expected = arrays[case["input"]].astype(np.int32), arrays[case["expected"]]
    found = maker(made)(ids)
    known = ~np.isnan(found)
    assert len(found) == len(made.names)
    np.testing.assert_array_equal(found[known], expected[: len(found)][known])


def test_a_target_goes_with_channels_that_have_a_sigmoid(carried: Any) -> None:
    made, _ = labels(carried, {"name": "StandardLabelToBoundary"})
    decided = decide(outputs(), "BCEDiceLoss", made, trained=True)
    recipe, left, _ = carried(lambda _, transfer: carry_task(decided, made, transfer), {})
    assert recipe == {"task": "multilabel", "target": dict(made.target)}
    assert (decided.made, left) == (made, {})


def test_a_target_that_trained_outputs_do_not_have_is_named(carried: Any) -> None:
    made, _ = labels(carried, {"name": "StandardLabelToBoundary"})
    assert decide(outputs(3), "BCEDiceLoss", made, trained=False).made is made
    trained = decide(outputs(3), "BCEDiceLoss", made, trained=True)
    recipe, left, _ = carried(lambda _, transfer: carry_task(trained, made, transfer), {})
    assert recipe == {"task": "multilabel"}
    assert trained.names == ("channel 0", "channel 1", "channel 2")
    assert "the outputs of this network are not those of target" in left["target boundaries"]


def test_classes_exclude_one_another_so_that_a_target_does_not_fit(carried: Any) -> None:
    made, _ = labels(carried, {"name": "StandardLabelToBoundary"})
    decided = decide(outputs(2, sigmoid=False), "PixelWiseCrossEntropyLoss", made, trained=False)
    recipe, left, _ = carried(lambda _, transfer: carry_task(decided, made, transfer), {})
    assert recipe == {"task": "multiclass", "classes": ["0", "1"]}
    assert "target boundaries" in left


def test_offsets_that_are_none_make_no_target(carried: Any) -> None:
    made, _ = labels(carried, {"name": "LabelToAffinities", "offsets": [0, -1]})
    assert made is None


def test_ids_that_transforms_ignore(carried: Any) -> None:
    content = {"label": [{"name": "Relabel"}, {"name": "StandardLabelToBoundary", "ignore_index": 0}]}
    _, _, found = carried(lambda settings, transfer: transforms(settings, transfer, "label"), content)
    assert ignored_ids(found) == {"label.StandardLabelToBoundary.ignore_index": 0}
    assert ignored_ids({}) == {}


def test_a_second_target_is_named(carried: Any) -> None:
    affinities = {"name": "LabelToAffinities", "offsets": [1]}
    made, left = labels(carried, affinities, {"name": "StandardLabelToBoundary", "mode": "inner"})
    assert made.target["use"] == "affinities"
    assert left == {"label.StandardLabelToBoundary": "one target is made of labels: that of LabelToAffinities"}


@pytest.mark.parametrize("content", ["RandomFlip", [1], {"name": "RandomFlip"}])
def test_what_is_no_list_of_transforms_is_named(carried: Any, content: Any) -> None:
    _, left, found = carried(lambda settings, transfer: transforms(settings, transfer, "raw"), {"raw": content})
    assert (found, left) == ({}, {"raw": "is no list of transforms, each with its name"})


def test_a_transform_that_stands_twice_is_named(carried: Any) -> None:
    content = {"raw": [{"name": "Normalize", "min_value": 0}, {"name": "Normalize", "min_value": 1}]}
    _, left, found = carried(lambda settings, transfer: transforms(settings, transfer, "raw"), content)
    assert left == {"raw.Normalize": "stands twice; the last one counts"}
    assert found["Normalize"].take("min_value") == 1
