"""Every training setting of Volume Segmantics is carried or named."""

from __future__ import annotations

import math

import pytest

from volseg_core.migration.settings import Settings, Transfer
from volseg_core.migration.volume_segmantics.training import carry_training
from volseg_core.registry import load_registry

CATALOG = load_registry(builtin_only=True).catalog


def carried(**content):
    """Return what settings become: values by key of the recipe, and reasons by setting that stays behind."""
    transfer = Transfer()
    settings = Settings(content, transfer)
    carry_training(settings, transfer, CATALOG)
    assert not settings.remaining(), "the settings of this test are all known"
    left = {key: item.why for item in transfer.left for key in item.keys}
    assert all(item.why for item in transfer.choices)
    return {item.key: item.value for item in transfer.choices}, left


@pytest.mark.parametrize(("theirs", "ours"), [("All", "zyx"), ("all", "zyx"), ("Z", "z"), ("y", "y"), ("X", "x")])
def test_axes(theirs, ours):
    assert carried(training_axes=theirs)[0] == {"data.axes": ours}


def test_an_unknown_axis_stays_behind():
    assert carried(training_axes="T") == ({}, {"training_axes": "'t' is none of All, Z, Y and X"})


def test_standard_deviations_become_the_percentiles_of_normal_data():
    recipe, _ = carried(clip_data=True, st_dev_factor=2.575)
    low, high = recipe["data.normalise"]["clip"]
    assert recipe["data.normalise"]["kind"] == "zscore"
    assert (low, high) == (0.501, 99.499)
    assert carried(clip_data=True, st_dev_factor=1)[0]["data.normalise"]["clip"] == [15.866, 84.134]
    assert math.isclose(low + high, 100)


def test_without_clipping_nothing_is_clipped_and_the_factor_is_named():
    recipe, left = carried(clip_data=False, st_dev_factor=2.575)
    assert recipe == {"data.normalise": {"kind": "zscore", "clip": [0, 100]}}
    assert left == {"st_dev_factor": "without effect: clip_data is off"}


def test_scale_and_split():
    recipe, left = carried(image_size=256, training_set_proportion=0.85)
    assert recipe == {"data.val.fraction": 0.15}
    assert "never rescaled (there to 256)" in left["image_size"]


@pytest.mark.parametrize(("count", "neighbours"), [(1, 0), (3, 1), (5, 2), (9, 4)])
def test_an_odd_number_of_slices_is_a_number_of_neighbours(count, neighbours):
    assert carried(use_2_5d_slicing=True, num_slices=count)[0] == {"data.neighbours": neighbours}


def test_slices_without_a_middle_or_without_effect_stay_behind():
    assert "no middle slice" in carried(use_2_5d_slicing=True, num_slices=4)[1]["use_2_5d_slicing"]
    assert carried(use_2_5d_slicing=False, num_slices=3) == (
        {},
        {"num_slices": "without effect: use_2_5d_slicing is off"},
    )


@pytest.mark.parametrize(
    ("frozen", "free", "expected"),
    [
        (8, 5, {"train.epochs": 13, "train.frozen_epochs": 8}),
        (0, 20, {"train.epochs": 20}),
        (6, 0, {"train.epochs": 6, "train.frozen_epochs": 5}),
        (0, 0, {}),
    ],
)
def test_epochs(frozen, free, expected):
    assert carried(num_cyc_frozen=frozen, num_cyc_unfrozen=free)[0] == expected


def test_patience_and_seed():
    assert carried(patience=3, random_seed=7)[0] == {"train.early_stop": 3, "train.seed": 7}
    assert "always has a seed" in carried(random_seed=None)[1]["random_seed"]


def test_the_rate_of_032_is_searched_for():
    recipe, left = carried(starting_lr="1e-6", end_lr=50, lr_find_epochs=1, lr_reduce_factor=500, pct_lr_inc=0.3)
    assert recipe == {"train.lr": "auto", "train.warmup": 0.3}
    assert set(left) == {"starting_lr", "end_lr", "lr_find_epochs", "lr_reduce_factor"}


def test_the_rate_of_040_is_its_lower_bound_and_constant():
    recipe, left = carried(starting_lr="5e-5", end_lr=1e-3, pct_lr_inc=0.3, encoder_lr_multiplier=0.1)
    assert recipe == {"train.lr": 5e-5, "train.schedule": "constant", "train.encoder_lr": 0.1}
    assert set(left) == {"end_lr", "pct_lr_inc"}


@pytest.mark.parametrize(
    ("name", "losses"),
    [
        ("BCELoss", ["cross-entropy"]),
        ("CrossEntropyLoss", ["cross-entropy"]),
        ("DiceLoss", ["dice"]),
        ("GeneralizedDiceLoss", ["generalised-dice"]),
        ("TverskyLoss", ["tversky"]),
        ("BoundaryLoss", ["cross-entropy", {"use": "boundary", "weight": 0.1}]),
        ("BoundaryDoULoss", ["jaccard"]),
        ("BoundaryDoULossV2", ["jaccard"]),
        ("BoundaryDoUDiceLoss", ["dice"]),
    ],
)
def test_losses(name, losses):
    assert carried(loss_criterion=name)[0] == {"loss": losses}


def test_sums_of_losses_have_their_weights():
    recipe, left = carried(loss_criterion="BCEDiceLoss", alpha=0.75, beta=0.25, ce_weight=0.2)
    assert recipe["loss"] == [{"use": "cross-entropy", "weight": 0.75}, {"use": "dice", "weight": 0.25}]
    assert left == {"ce_weight": "without effect on BCEDiceLoss, or off"}
    recipe, left = carried(
        loss_criterion="CombinedCEDiceLoss",
        alpha=0.5,
        ce_weight=0.2,
        dice_weight=0.8,
        exclude_background_from_dice=True,
    )
    assert recipe["loss"] == [
        {"use": "cross-entropy", "weight": 0.2},
        {"use": "dice", "classes": "foreground", "weight": 0.8},
    ]
    assert left == {"alpha": "without effect on CombinedCEDiceLoss, or off"}


def test_class_weights_of_dice_become_the_power_of_the_generalised_one():
    recipe, _ = carried(loss_criterion="ClassWeightedDiceLoss", dice_weight_mode="inverse_sqrt_freq")
    assert recipe["loss"] == [{"use": "generalised-dice", "power": 0.5}]


def test_an_unknown_loss_stays_behind_with_a_suggestion():
    recipe, left = carried(loss_criterion="DiceLos")
    assert recipe == {}
    assert left["loss_criterion"].endswith("Did you mean 'DiceLoss'?")


@pytest.mark.parametrize(("name", "metrics"), [("MeanIoU", ["iou", "dice"]), ("DiceCoefficient", ["dice", "iou"])])
def test_the_metric_that_chooses_comes_first(name, metrics):
    assert carried(eval_metric=name)[0] == {"metrics": metrics}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("U_Net", "unet"), ("U_Net_Plus_plus", "unetplusplus"), ("FPN", "fpn"), ("DeepLabV3", "deeplabv3"),
        ("DeepLabV3_Plus", "deeplabv3plus"), ("MA_Net", "manet"), ("Linknet", "linknet"), ("PAN", "pan"),
        ("Segformer", "segformer"),
    ],
)  # fmt: skip
def test_networks(theirs, ours):
    assert carried(model={"type": theirs})[0] == {"model.use": ours}
    CATALOG.find("architecture", ours)


def test_encoders():
    model = {"type": "U_Net", "encoder_name": "tu-convnextv2_base", "encoder_weights": None, "encoder_depth": 4}
    recipe, left = carried(model=model)
    assert recipe == {
        "model.use": "unet",
        "model.encoder.use": "tu-convnextv2_base",
        "model.encoder.weights": "none",
        "model.encoder.depth": 4,
    }
    assert left == {}


def test_networks_and_encoders_that_are_not_here_stay_behind():
    recipe, left = carried(
        model={"type": "VANILLA_UNET", "encoder_name": "dinov2_vits14", "encoder_weights": "dinov2", "extra": 1}
    )
    assert recipe == {}
    assert "VANILLA_UNET has no equivalent here" in left["model.type"]
    assert "no encoder 'dinov2_vits14' here" in left["model.encoder_name"]
    assert set(left) == {"model.type", "model.encoder_name", "model.encoder_weights", "model.extra"}


def test_a_mean_teacher_is_named_with_what_to_write():
    _, left = carried(use_semi_supervised=True, unlabeled_batch_size=6, consistency_weight=0.2, ema_decay=0.95)
    assert "train.ema: 0.95 and train.teacher: {weight: 0.2, batch: 6}" in left["use_semi_supervised"]
    _, left = carried(use_semi_supervised=False, ema_decay=0.99)
    assert left == {
        "use_semi_supervised": "off, as in volseg",
        "ema_decay": "it belongs to use_semi_supervised, which is off",
    }
