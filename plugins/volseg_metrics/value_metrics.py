"""Descriptors of the metrics of values: a regression against its target."""

from __future__ import annotations

from functools import partial

from volseg_core.api import Metric, Param

_of_values = partial(Metric, wants=("classes",), tasks=("regression",), licence="Apache-2.0", inputs="values")
_RANGE = Param("float?", None, "Largest minus smallest value that there can be; null is that of the target.", min=0)

MSE = _of_values(
    name="mse",
    target="volseg_metrics.differences:MeanSquaredError",
    summary="Mean squared error of each channel and their mean.",
    better="lower",
    outputs=("mse",),
)

MAE = _of_values(
    name="mae",
    target="volseg_metrics.differences:MeanAbsoluteError",
    summary="Mean absolute error of each channel and their mean.",
    better="lower",
    outputs=("mae",),
)

PSNR = _of_values(
    name="psnr",
    target="volseg_metrics.differences:PeakSignalToNoise",
    summary="Peak signal-to-noise ratio of each channel in decibels and their mean.",
    params={"range": _RANGE},
    better="higher",
    outputs=("psnr",),
)

SSIM = _of_values(
    name="ssim",
    target="volseg_metrics.ssim:StructuralSimilarity",
    summary="Structural similarity of each channel over windows of a slice or volume, and their mean.",
    params={"window": Param("int", 7, "Edge of a window in voxels, odd.", min=3), "range": _RANGE},
    needs=("scikit-image>=0.22",),
    extra="metrics",
    citation="doi:10.1109/TIP.2003.819861",
    better="higher",
    outputs=("ssim",),
    streaming=False,
)

VALUES = [MSE, MAE, PSNR, SSIM]
"""The metrics of values."""
