"""The prediction settings of Volume Segmantics as keys of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.migration.volume_segmantics.reasons import INPUT_KEYS, INPUT_REASON
from volseg_core.volume.views import AXES, plane_rotations

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from volseg_core.migration.settings import Settings, Transfer

_MEDIUM = ("z", "y", "x,y,z")
"""Its three directions; it takes the slices along x transposed."""
_SLIDING = ("sw_roi_size", "sw_overlap", "sw_batch_size", "sw_mode")
_SAME_RULE = ("clip_data", "st_dev_factor")


def carry_prediction(settings: Settings, transfer: Transfer, training: Mapping[str, Any]) -> None:
    """Carry the quality, the axes, the merge and the windows; ``training`` are the settings of the training."""
    _views(settings, transfer)
    transfer.carry("predict.merge", "max", "the most confident direction decides, as there; 'mean' is volseg's default")
    _windows(settings, transfer)
    for key in _SAME_RULE:
        if key in settings:
            value = settings.take(key)
            differs = f", not {value!r} as these settings say" if key in training and training[key] != value else ""
            transfer.leave(f"{key} (prediction)", f"intensities are normalised as in training{differs}")
    if other := tuple(key for key in INPUT_KEYS if key in settings):
        for key in other:
            settings.take(key)
        transfer.leave(tuple(f"{key} (prediction)" for key in other), INPUT_REASON)
    if beside := tuple(key for key in ("use_2_5d_prediction", "num_slices", "augmentation_library") if key in settings):
        for key in beside:
            settings.take(key)
        transfer.leave(tuple(f"{key} (prediction)" for key in beside), "the model itself knows how it was trained")


def _views(settings: Settings, transfer: Transfer) -> None:
    quality, axis = settings.word("quality").lower(), settings.word("prediction_axis").lower()
    if quality == "high":
        note = "quality high (12 passes, 4 of them repeats; 'high' has 12 distinct ones)"
        transfer.carry("predict.quality", "legacy12", note)
    elif quality == "medium":
        transfer.carry("predict.views", list(_MEDIUM), "quality medium, with slices along x transposed as there")
    elif quality == "low":
        if axis in tuple(AXES):
            transfer.carry("predict.views", [axis], f"quality low along prediction_axis {axis.upper()}")
        else:
            transfer.carry("predict.quality", "low", "quality low: one direction")
    elif quality == "z_only":
        names = [view.name for view in plane_rotations(0)]
        transfer.carry("predict.views", names, "quality z_only: the slices along z, turned by quarters")
    elif quality:
        transfer.leave("quality", f"{quality!r} is none of low, medium, high and z_only")
    if axis and quality != "low":
        transfer.leave("prediction_axis", "it counts for quality low alone")


def _windows(settings: Settings, transfer: Transfer) -> None:
    on = settings.flag("use_sliding_window")
    present = tuple(key for key in _SLIDING if key in settings)
    if not on:
        for key in present:
            settings.take(key)
        if "use_sliding_window" in settings or present:
            why = "off: whole slices there, whole slices or overlapping windows here, as memory allows"
            transfer.leave(("use_sliding_window", *present), why)
        return
    size = settings.take("sw_roi_size")
    if isinstance(size, (list, tuple)) and len(size) == 2 and all(isinstance(item, int) for item in size):  # noqa: PLR2004
        transfer.carry("predict.window", list(size), "use_sliding_window with sw_roi_size")
    elif size is not None:
        transfer.leave("sw_roi_size", f"{size!r} is not a pair of numbers")
    overlap, batch = settings.number("sw_overlap", lambda value: 0 <= value < 1), settings.whole("sw_batch_size", 1)
    if overlap is not None:
        transfer.carry("predict.overlap", overlap, "sw_overlap")
    if batch is not None:
        transfer.carry("predict.batch", batch, "sw_batch_size")
    mode = settings.word("sw_mode")
    if mode in ("gaussian", "constant"):
        transfer.carry("predict.blend", mode, "sw_mode")
    elif mode:
        transfer.leave("sw_mode", f"{mode!r} is neither gaussian nor constant")
