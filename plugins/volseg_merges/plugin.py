"""Hooks of this plugin."""

from __future__ import annotations

from typing import Any

from volseg_core.api import Merge, Param, hookimpl

_SCORES = ("labels", "confidence", "probabilities", "entropy")


def _merge(name: str, target: str, summary: str, **special: Any) -> Merge:
    return Merge(
        name=name,
        target=f"volseg_merges.{target}",
        summary=summary,
        needs=("array-api-compat>=1.11",),
        licence="Apache-2.0",
        **{"tasks": ("binary", "multiclass"), "gives": _SCORES, **special},
    )


@hookimpl
def volseg_merges() -> list[Merge]:
    """Return the merges of this plugin."""
    return [
        _merge(
            "max",
            "maximum:Maximum",
            "The label of the most confident view; safe to repeat, four bytes per voxel.",
            aliases=("maximum",),
            state_bytes="4",
            gives=("labels", "confidence"),
        ),
        _merge(
            "mean",
            "values:mean",
            "The label with the highest mean probability over the views; the mean of values.",
            tasks=("binary", "multiclass", "multilabel", "regression"),
            aliases=("average",),
            wants=("task", "wanted"),
            state_bytes="2 * (classes - 1) + 4 * variance",
            gives=(*_SCORES, "variance", "values"),
        ),
        _merge(
            "vote",
            "vote:Vote",
            "The label that most views give; confidence is its share of the votes.",
            aliases=("majority",),
            state_bytes="classes",
        ),
        _merge(
            "entropy",
            "confident:EntropyWeighted",
            "The mean in which each view weighs as much as it is certain at the voxel.",
            state_bytes="4 * classes",
        ),
        _merge(
            "geometric",
            "geometric:Geometric",
            "The geometric mean of probabilities: a view can veto a class.",
            aliases=("product",),
            citation="doi:10.1162/089976602760128018",
            state_bytes="4 * classes",
        ),
        _merge(
            "fusion",
            "fusion:Fusion",
            "The mean with a learned weight per view and class; volseg fit-merge finds them.",
            params={"weights": Param("dict", help="Run volseg fit-merge, which stores the weights in the model.")},
            wants=("views", "classes"),
            citation="doi:10.1007/978-3-030-32245-8_4",
            state_bytes="4 * classes",
        ),
        _merge(
            "staple",
            "staple:Staple",
            "The label that is most probable given how reliable each view turns out to be.",
            wants=("views",),
            citation="doi:10.1109/TMI.2004.828354",
            streaming=False,
            state_bytes="views",
            gives=("labels", "confidence", "probabilities"),
        ),
    ]
