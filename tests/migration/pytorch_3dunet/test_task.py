"""What the outputs mean: by the loss, the activation, and what labels are made into."""

from __future__ import annotations

from typing import Any

import pytest

from volseg_core.migration.pytorch_3dunet.network import Outputs
from volseg_core.migration.pytorch_3dunet.task import carry_task, decide
from volseg_core.migration.pytorch_3dunet.transforms import ignored_ids, made_of, transforms
from volseg_core.migration.pytorch_3dunet.vocabulary import LOSSES, NETWORKS


def outputs(channels: int = 1, *, sigmoid: bool = True, segments: bool = True) -> Outputs:
    return Outputs(NETWORKS["UNet3D"], 1, channels, sigmoid, segments, padded=True)


@pytest.mark.parametrize(
    ("found", "loss", "task", "names"),
    [
        (outputs(), "BCEDiceLoss", "binary", ("background", "foreground")),
        (outputs(), "", "binary", ("background", "foreground")),
        (outputs(3), "BCEWithLogitsLoss", "multilabel", ("0", "1", "2")),
        (outputs(3, sigmoid=False), "BCEWithLogitsLoss", "multilabel", ("0", "1", "2")),
        (outputs(3, sigmoid=False), "", "multiclass", ("0", "1", "2")),
        (outputs(3, sigmoid=False), "DiceLoss", "multiclass", ("0", "1", "2")),
        (outputs(2), "CrossEntropyLoss", "multiclass", ("0", "1")),
        (outputs(1, segments=False), "", "regression", ("0",)),
        (outputs(2), "MSELoss", "regression", ("0", "1")),
    ],
)
def test_tasks(found: Outputs, loss: str, task: str, names: tuple[str, ...]) -> None:
    decided = decide(found, loss, None, trained=False)
    assert (decided.name, decided.names) == (task, names)
    assert loss in LOSSES or not loss


def labels(carried: Any, *items: Any) -> tuple[Any, dict[str, str]]:
    """Return what a list of transforms of labels makes, and what is left of it."""
    _, left, found = carried(
        lambda settings, transfer: transforms(settings, transfer, "label"), {"label": [*items, {"name": "ToTensor"}]}
    )
    return made_of(found), left


@pytest.mark.parametrize(
    ("item", "target", "channels"),
    [
        ({"name": "StandardLabelToBoundary"}, {"use": "boundaries", "mode": "thick"}, ("boundary",)),
        (
            {"name": "StandardLabelToBoundary", "mode": "inner", "foreground": True},
            {"use": "boundaries", "mode": "inner", "foreground": True},
            ("foreground", "boundary"),
        ),
        ({"name": "BlobsToMask", "append_label": True}, {"use": "foreground"}, ("foreground",)),
        (
            {"name": "BlobsToMask", "boundary": True},
            {"use": "boundaries", "mode": "outer", "foreground": True},
            ("foreground", "boundary"),
        ),
        ({"name": "RandomLabelToAffinities"}, {"use": "boundaries", "mode": "thick"}, ("boundary",)),
        (
            {"name": "LabelToAffinities", "offsets": [1, 4], "aggregate_affinities": True},
            {"use": "boundaries", "mode": "thick"},
            ("boundary",),
        ),
        (
            {"name": "LabelToZAffinities", "offsets": [1, 2]},
            {"use": "affinities", "offsets": [[1, 0, 0], [2, 0, 0]]},
            ("affinity 1 0 0", "affinity 2 0 0"),
        ),
    ],
)
def test_targets(carried: Any, item: dict[str, Any], target: dict[str, Any], channels: tuple[str, ...]) -> None:
    made, _ = labels(carried, item)
    assert (made.target, made.channels) == (target, channels)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("LabelToAffinities", "offsets"),
        ("LabelToBoundaryAndAffinities", "xy_offsets"),
        ("LabelToMaskAndAffinities", "xy_offsets"),
    ],
)
def test_affinities_go_along_x_y_and_z_in_turn(carried: Any, name: str, key: str) -> None:
    made, _ = labels(carried, {"name": name, key: [1, 5], "z_offsets": [1, 2]})
    assert made.target["offsets"] == [[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 5], [0, 5, 0], [2, 0, 0]]
    assert made.inverse
    assert "there 1 where two voxels differ" in made.why


def test_a_target_goes_with_channels_that_have_a_sigmoid(carried: Any) -> None:
    made, _ = labels(carried, {"name": "StandardLabelToBoundary"})
    decided = decide(outputs(), "BCEDiceLoss", made, trained=True)
    recipe, left, _ = carried(lambda _, transfer: carry_task(decided, made, transfer), {})
    assert recipe == {"task": "multilabel", "target": {"use": "boundaries", "mode": "thick"}}
    assert (decided.names, left) == (("boundary",), {})


def test_a_target_that_trained_outputs_do_not_have_is_named(carried: Any) -> None:
    affinities, _ = labels(carried, {"name": "LabelToZAffinities", "offsets": [1]})
    assert decide(outputs(), "BCEDiceLoss", affinities, trained=False).made is affinities
    trained = decide(outputs(), "BCEDiceLoss", affinities, trained=True)
    recipe, left, _ = carried(lambda _, transfer: carry_task(trained, affinities, transfer), {})
    assert recipe == {"task": "multilabel"}
    assert "the outputs of this network are not those of target" in left["target affinities"]
    boundaries, _ = labels(carried, {"name": "StandardLabelToBoundary"})
    assert decide(outputs(3), "BCEDiceLoss", boundaries, trained=True).names == ("0", "1", "2")


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
    content = {"label": [{"name": "StandardLabelToBoundary", "ignore_index": 0}, {"name": "Relabel"}]}
    _, _, found = carried(lambda settings, transfer: transforms(settings, transfer, "label"), content)
    assert ignored_ids(found) == [0]


@pytest.mark.parametrize("content", ["RandomFlip", [1], {"name": "RandomFlip"}])
def test_what_is_no_list_of_transforms_is_named(carried: Any, content: Any) -> None:
    _, left, found = carried(lambda settings, transfer: transforms(settings, transfer, "raw"), {"raw": content})
    assert (found, left) == ({}, {"raw": "is no list of transforms, each with its name"})


def test_a_transform_that_stands_twice_is_named(carried: Any) -> None:
    content = {"raw": [{"name": "Normalize", "min_value": 0}, {"name": "Normalize", "min_value": 1}]}
    _, left, found = carried(lambda settings, transfer: transforms(settings, transfer, "raw"), content)
    assert left == {"raw.Normalize": "stands twice; the last one counts"}
    assert found["Normalize"].take("min_value") == 1
