"""Descriptors of the metrics of values: a regression against its target."""

from __future__ import annotations

from volseg_core.api import Metric, Param

_LICENCE = "Apache-2.0"
_TASKS = ("regression",)
_RANGE = Param("float?", None, "Largest minus smallest value that there can be; null is that of the target.", min=0)

MSE = Metric(
    name="mse",
    target="volseg_metrics.differences:MeanSquaredError",
    summary="Mean squared error of each channel and their mean.",
    wants=("classes",),
    tasks=_TASKS,
    licence=_LICENCE,
    better="lower",
    outputs=("mse",),
    inputs="values",
)

MAE = Metric(
    name="mae",
    target="volseg_metrics.differences:MeanAbsoluteError",
    summary="Mean absolute error of each channel and their mean.",
    wants=("classes",),
    tasks=_TASKS,
    licence=_LICENCE,
    better="lower",
    outputs=("mae",),
    inputs="values",
)

PSNR = Metric(
    name="psnr",
    target="volseg_metrics.differences:PeakSignalToNoise",
    summary="Peak signal-to-noise ratio of each channel in decibels and their mean.",
    params={"range": _RANGE},
    wants=("classes",),
    tasks=_TASKS,
    licence=_LICENCE,
    better="higher",
    outputs=("psnr",),
    inputs="values",
)

SSIM = Metric(
    name="ssim",
    target="volseg_metrics.ssim:StructuralSimilarity",
    summary="Structural similarity of each channel over windows of a slice or volume, and their mean.",
    params={"window": Param("int", 7, "Edge of a window in voxels, odd.", min=3), "range": _RANGE},
    wants=("classes",),
    tasks=_TASKS,
    needs=("scikit-image>=0.22",),
    extra="metrics",
    licence=_LICENCE,
    citation="doi:10.1109/TIP.2003.819861",
    better="higher",
    outputs=("ssim",),
    inputs="values",
    streaming=False,
)

VALUES = [MSE, MAE, PSNR, SSIM]
"""The metrics of values."""
