"""What networks, losses, metrics and targets of pytorch-3dunet are called here: the one place to correct a name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Network:
    """A network here: its component, its dimensions, and how it enlarges features where nothing is said."""

    use: str
    dims: int
    residual: bool = False


NETWORKS = {
    "UNet3D": Network("unet3d", 3),
    "ResidualUNet3D": Network("residual-unet3d", 3, residual=True),
    "ResidualUNetSE3D": Network("residual-unet-se3d", 3, residual=True),
    "UNet2D": Network("unet2d", 2),
    "ResidualUNet2D": Network("residual-unet2d", 2, residual=True),
}
"""Architecture by class."""


@dataclass(frozen=True)
class Term:
    """A component: its parameters, those that keys of theirs become (theirs: ours), and the key that is its weight."""

    use: str
    params: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    weight: str = ""


@dataclass(frozen=True)
class Translation:
    """Components in place of one of theirs, and what is to be known about it."""

    terms: tuple[Term, ...]
    why: str = "the same"
    tasks: tuple[str, ...] = ()
    """Tasks that they serve; empty where the task follows from them."""
    fault: str = ""
    """A fault of theirs that is kept, so that values are equal, and what to delete for the sound form."""


CROSS_ENTROPIES = ("CrossEntropyLoss", "WeightedCrossEntropyLoss", "PixelWiseCrossEntropyLoss")
"""Losses of class indices, whatever activation the prediction has."""
NORMALISED = ("DiceLoss", "GeneralizedDiceLoss")
"""Losses whose key normalization says how outputs become probabilities: a sigmoid each, unless it says otherwise."""
SIGMOIDS = ("BCEWithLogitsLoss", "BCEDiceLoss", *NORMALISED)
"""Losses of channels with a sigmoid each, whatever activation the prediction has."""
REGRESSIONS = ("MSELoss", "L1Loss", "SmoothL1Loss", "WeightedSmoothL1Loss")
"""Losses of raw values."""

_DICE = {"squared": True, "smooth": 0, "absent": "count"}
_EMPTY = (
    "For equal values a fault of theirs is kept: a channel without a voxel in the batch costs 1, even where the "
    "prediction is perfect; delete smooth: 0 and absent: count for the sound form"
)
_RULED = (
    "For equal values a fault of theirs is kept: a channel without a voxel in the batch rules the loss, which is then "
    "near 1 even where the prediction is nearly perfect; delete absent: count for the sound form"
)
UNSCALED = (
    "Another is kept: each Dice is multiplied by its weight, and their sum is not divided by the weights, so that the "
    "loss can be negative; delete scale_weights: false for the sound form"
)
"""The fault of a Dice with weights."""
LOSSES = {
    "BCEWithLogitsLoss": Translation((Term("bce", keys={"pos_weight": "pos_weight"}),)),
    "BCEDiceLoss": Translation(
        (Term("bce"), Term("dice", _DICE, weight="alpha")), "their sum, alpha weighing Dice", fault=_EMPTY
    ),
    "DiceLoss": Translation(
        (Term("dice", _DICE, keys={"weight": "weights"}),), "squares in the denominator, as there", fault=_EMPTY
    ),
    "GeneralizedDiceLoss": Translation((Term("generalised-dice", {"absent": "count"}),), fault=_RULED),
    "CrossEntropyLoss": Translation((Term("cross-entropy", keys={"weight": "weights"}),)),
    "WeightedCrossEntropyLoss": Translation((Term("weighted-cross-entropy"),)),
    "PixelWiseCrossEntropyLoss": Translation(
        (Term("border-weighted-cross-entropy"),),
        "the nearest: weights follow from the labels here; it is gone from pytorch-3dunet too",
    ),
    "MSELoss": Translation((Term("mse"),)),
    "L1Loss": Translation((Term("l1"),)),
    "SmoothL1Loss": Translation((Term("smooth-l1"),)),
    "WeightedSmoothL1Loss": Translation(
        (Term("weighted-smooth-l1", keys={"threshold": "threshold", "initial_weight": "factor"}),)
    ),
}
"""Losses by name; their sums are over the batch and per channel, as here."""

_MEASURED = "the mean over all that is held out, where there it is the mean over patches"
_CHOSEN = "at one threshold, where there the best of several is taken, which the truth of each patch chooses"
_CHANNELS, _VALUES, _CLASSES = ("multilabel",), ("regression",), ("multiclass", "binary")
_SIZE = {"min_instance_size": "min_size"}
METRICS = {
    "DiceCoefficient": [Translation((Term("soft-dice"),), _MEASURED, (*_CLASSES, *_CHANNELS))],
    "MeanIoU": [
        Translation((Term("iou", {"background": False}),), f"{_MEASURED}; absent classes are left out", _CLASSES),
        Translation((Term("iou"),), _MEASURED, _CHANNELS),
    ],
    "AdaptedRandError": [Translation((Term("adapted-rand"),), _MEASURED, _CLASSES)],
    "BoundaryAdaptedRandError": [Translation((Term("boundary-adapted-rand"),), _CHOSEN, _CHANNELS)],
    "GenericAdaptedRandError": [Translation((Term("boundary-adapted-rand"),), _CHOSEN, _CHANNELS)],
    "BlobsAveragePrecision": [
        Translation((Term("boundary-average-precision", keys=_SIZE),), _CHOSEN, _CHANNELS),
        Translation((Term("average-precision", keys=_SIZE),), _CHOSEN, _CLASSES),
    ],
    "BlobsBoundaryAveragePrecision": [
        Translation((Term("boundary-average-precision", keys=_SIZE),), _CHOSEN, _CHANNELS)
    ],
    "BoundaryAveragePrecision": [Translation((Term("boundary-average-precision", keys=_SIZE),), _CHOSEN, _CHANNELS)],
    "PSNR": [Translation((Term("psnr"),), _MEASURED, _VALUES)],
    "MSE": [Translation((Term("mse"),), _MEASURED, _VALUES)],
}
"""What stands for each metric, by task."""

SCHEDULES = {
    "ReduceLROnPlateau": "plateau",
    "CosineAnnealingLR": "cosine",
    "OneCycleLR": "one-cycle",
    "ConstantLR": "constant",
}
"""Schedules by class of torch."""
TEMPLATES = {2: "volseg/slices", 3: "volseg/patches"}
"""Recipe that an imported one extends, by dimensions."""
