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


CROSS_ENTROPIES = ("CrossEntropyLoss", "WeightedCrossEntropyLoss", "PixelWiseCrossEntropyLoss")
"""Losses of class indices, whatever activation the prediction has."""
SIGMOIDS = ("BCEWithLogitsLoss", "BCEDiceLoss")
"""Losses of channels that do not exclude one another."""
REGRESSIONS = ("MSELoss", "L1Loss", "SmoothL1Loss", "WeightedSmoothL1Loss")
"""Losses of raw values."""

_DICE = Term("dice", {"squared": True})
LOSSES = {
    "BCEWithLogitsLoss": Translation((Term("bce", keys={"pos_weight": "pos_weight"}),)),
    "BCEDiceLoss": Translation(
        (Term("bce"), Term("dice", {"squared": True}, weight="alpha")), "their sum, alpha weighing Dice"
    ),
    "DiceLoss": Translation((_DICE,), "squares in the denominator, as there"),
    "GeneralizedDiceLoss": Translation((Term("generalised-dice"),)),
    "CrossEntropyLoss": Translation((Term("cross-entropy", keys={"weight": "weights"}),)),
    "WeightedCrossEntropyLoss": Translation(
        (Term("cross-entropy", {"weights": "auto"}),),
        "the nearest: there the weights of classes follow from the prediction, here from the labels",
    ),
    "PixelWiseCrossEntropyLoss": Translation(
        (Term("cross-entropy"),), "the nearest: no weight map is read; it is gone from pytorch-3dunet too"
    ),
    "MSELoss": Translation((Term("mse"),)),
    "L1Loss": Translation((Term("l1"),)),
    "SmoothL1Loss": Translation((Term("smooth-l1"),)),
    "WeightedSmoothL1Loss": Translation(
        (
            Term(
                "weighted-smooth-l1",
                keys={
                    "threshold": "threshold",
                    "initial_weight": "weight_factor",
                    "apply_below_threshold": "below",
                },
            ),
        )
    ),
}
"""Losses by name; their sums are over the batch and per channel, as here."""

_MEASURED = "the mean over all that is held out, where there it is the mean over patches"
_CHOSEN = "at one threshold, where there the best of several is taken, which the truth of each patch chooses"
_CHANNELS, _VALUES, _CLASSES = ("multilabel", "binary"), ("regression",), ("multiclass", "binary")
_THRESHOLD = {"threshold": "threshold"}
METRICS = {
    "DiceCoefficient": Translation((Term("dice"),), _MEASURED, (*_CLASSES, "multilabel")),
    "MeanIoU": Translation((Term("iou"),), f"{_MEASURED}; absent classes are left out", (*_CLASSES, "multilabel")),
    "AdaptedRandError": Translation((Term("adapted-rand"),), _MEASURED, _CLASSES),
    "BoundaryAdaptedRandError": Translation((Term("boundary-adapted-rand", keys=_THRESHOLD),), _CHOSEN, _CHANNELS),
    "GenericAdaptedRandError": Translation((Term("boundary-adapted-rand", keys=_THRESHOLD),), _CHOSEN, _CHANNELS),
    "BlobsAveragePrecision": Translation((Term("average-precision", keys=_THRESHOLD),), _CHOSEN, _CHANNELS),
    "BlobsBoundaryAveragePrecision": Translation((Term("average-precision", keys=_THRESHOLD),), _CHOSEN, _CHANNELS),
    "BoundaryAveragePrecision": Translation((Term("boundary-average-precision", keys=_THRESHOLD),), _CHOSEN, _CHANNELS),
    "PSNR": Translation((Term("psnr"),), _MEASURED, _VALUES),
    "MSE": Translation((Term("mse"),), _MEASURED, _VALUES),
}
"""Metrics by name."""

SCHEDULES = {
    "ReduceLROnPlateau": "plateau",
    "CosineAnnealingLR": "cosine",
    "OneCycleLR": "one-cycle",
    "ConstantLR": "constant",
}
"""Schedules by class of torch."""
TEMPLATES = {2: "volseg/slices", 3: "volseg/patches"}
"""Recipe that an imported one extends, by dimensions."""
