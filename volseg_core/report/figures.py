"""Figures: learning curves, and validation slices with image, truth, prediction and error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Image = np.ndarray[Any, Any]

_COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB", "#000000")
"""Paul Tol's bright scheme: told apart also by colour-blind readers."""

_WIDE = 10
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""


@dataclass(frozen=True)
class Example:
    """A slice to draw: image (H, W) in [0, 1], truth and prediction (H, W).

    They are class indices with -1 = no label, or values with NaN.
    """

    title: str
    image: Image
    truth: Image
    prediction: Image


def draw_curves(rows: Sequence[dict[str, str]], path: Path) -> None:
    """Draw losses and scores by epoch."""
    plt = _pyplot()
    epochs = [int(row["epoch"]) + 1 for row in rows]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    losses = [key for key in columns if key.endswith("/loss")]
    scores = [key for key in columns if key.startswith("val/") and key not in losses]
    figure, axes = plt.subplots(1, 2 if scores else 1, figsize=(11 if scores else 5.5, 4), squeeze=False)
    for axis, keys, label in zip(axes[0], (losses, scores), ("loss", "score on held-out data"), strict=False):
        for key in keys:
            main = key.count("/") == 1
            values = [float(row[key]) if row.get(key) else math.nan for row in rows]
            axis.plot(epochs, values, marker=".", lw=2 if main else 1, alpha=1 if main else 0.6, label=key)
        axis.set(xlabel="epoch", ylabel=label)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    shown = [float(row[key]) for key in scores for row in rows if row.get(key)]
    if shown and min(shown) >= 0 and max(shown) <= 1:
        axes[0][1].set_ylim(0, 1.02)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_rates(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], chosen: float, path: Path
) -> None:
    """Draw the loss of a range test by learning rate, and the rate that was chosen."""
    plt = _pyplot()
    figure, axis = plt.subplots(figsize=(5.5, 4), layout="constrained")
    axis.plot(rates, losses, lw=0.7, alpha=0.5, label="loss")
    axis.plot(rates, smoothed, lw=2, label="smoothed")
    axis.axvline(chosen, color=_COLOURS[1], label=f"chosen: {chosen:.2g}")
    axis.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_trials(trials: Sequence[tuple[Mapping[str, Any], float]], score: str, path: Path) -> None:
    """Draw the score of each trial, in order and by each key that was varied; numbers are text where choices are."""
    plt = _pyplot()
    keys = list(dict.fromkeys(key for params, _ in trials for key in params))
    figure, axes = plt.subplots(1, 1 + len(keys), figsize=(3.5 * (1 + len(keys)), 3.5), sharey=True, squeeze=False)
    scores = [value for _, value in trials]
    axes[0][0].plot(range(len(trials)), scores, "o", color=_COLOURS[0])
    axes[0][0].set(xlabel="finished trial", ylabel=score)
    for axis, key in zip(axes[0][1:], keys, strict=True):
        values = [params.get(key) for params, _ in trials]
        numbers = [value for value in values if isinstance(value, (int, float))]
        whole = len(numbers) == len(values)
        axis.plot(numbers if whole else list(map(str, values)), scores, "o", color=_COLOURS[0])
        axis.set_xlabel(key)
        if whole and min(numbers) > 0 and max(numbers) > _WIDE * min(numbers):
            axis.set_xscale("log")
    for axis in axes[0]:
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_examples(examples: Sequence[Example], names: Sequence[str], path: Path) -> None:
    """Draw one row per slice: image, truth, prediction, and where the two differ."""
    colours = [*_COLOURS, *(f"C{index}" for index in range(len(names)))][: len(names)]
    rows = [
        (
            (example.title, example.image),
            ("truth", _paint(example.image, example.truth, colours)),
            ("prediction", _paint(example.image, example.prediction, colours)),
            (_error_title(example), _errors(example)),
        )
        for example in examples
    ]
    plt = _pyplot()
    figure = _table_of_pictures(plt, rows, legend=True)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours[1:]]
    figure.legend(handles, names[1:], loc="outside lower center", ncols=min(8, len(names)), fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_values(examples: Sequence[Example], name: str, path: Path) -> None:
    """Draw one row per slice: image, truth, prediction and their difference, of values with NaN where there is none.

    Truth and prediction have one grey scale, from the lowest to the highest value of all truths (1 more where these are
    the same), so that rows compare and a row without objects is as dark as it should be.
    """
    known = np.concatenate([example.truth[~np.isnan(example.truth)] for example in examples])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    scale = high - low or 1.0
    rows = []
    for example in examples:
        difference = np.abs(example.prediction - example.truth)
        seen = difference[~np.isnan(difference)]
        mean = float(seen.mean()) if seen.size else math.nan
        rows.append(
            (
                (example.title, example.image),
                (f"{name}: truth", np.nan_to_num((example.truth - low) / scale)),
                ("prediction", (example.prediction - low) / scale),
                (f"difference, mean {mean:.3g}", np.nan_to_num(difference / scale)),
            )
        )
    plt = _pyplot()
    figure = _table_of_pictures(plt, rows, legend=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _table_of_pictures(plt: Any, rows: Sequence[Sequence[tuple[str, Image]]], *, legend: bool) -> Any:
    """Return a figure of titled pictures (H, W) or (H, W, 3), values from 0 to 1; the first of a row gives its size."""
    heights = [max(0.5, 3 * row[0][1].shape[0] / row[0][1].shape[1]) for row in rows]
    size = (3 * len(rows[0]), sum(heights) + 0.35 * len(rows) + 0.5 * legend)
    figure, axes = plt.subplots(
        len(rows), len(rows[0]), figsize=size, squeeze=False, layout="constrained", height_ratios=heights
    )
    for axis, (title, picture) in zip(axes.ravel(), (item for row in rows for item in row), strict=True):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    return figure


def _paint(image: Image, labels: Image, colours: Sequence[str]) -> Image:
    """Lay class colours over an image; the first class stays grey."""
    from matplotlib.colors import to_rgb

    picture = np.repeat(image[..., None], 3, axis=-1).astype(np.float32)
    for index, colour in enumerate(colours[1:], start=1):
        mask = labels == index
        picture[mask] = 0.4 * picture[mask] + 0.6 * np.asarray(to_rgb(colour), np.float32)
    return picture


def _errors(example: Example) -> Image:
    """Return the image darkened, with differing voxels in red; unlabelled voxels are blue."""
    picture = np.repeat(0.6 * example.image[..., None], 3, axis=-1).astype(np.float32)
    picture[(example.truth != example.prediction) & (example.truth >= 0)] = (0.95, 0.15, 0.15)
    picture[example.truth < 0] = 0.5 * picture[example.truth < 0] + np.asarray((0, 0, 0.35), np.float32)
    return picture


def _error_title(example: Example) -> str:
    labelled = example.truth >= 0
    wrong = ((example.truth != example.prediction) & labelled).sum()
    return f"error: {100 * wrong / max(1, labelled.sum()):.1f} % of voxels"


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt
