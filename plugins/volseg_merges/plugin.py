"""Hooks of this plugin."""

from __future__ import annotations

from volseg_core.api import Merge, Param, hookimpl

_TASKS = ("binary", "multiclass")
_NEEDS = ("array-api-compat>=1.11",)
_LICENCE = "Apache-2.0"


@hookimpl
def volseg_merges() -> list[Merge]:
    """Return the merges of this plugin."""
    return [
        Merge(
            name="max",
            aliases=("maximum",),
            target="volseg_merges.maximum:Maximum",
            summary="The label of the most confident view; safe to repeat, four bytes per voxel.",
            tasks=_TASKS,
            needs=_NEEDS,
            licence=_LICENCE,
            state_bytes="4",
            gives=("labels", "confidence"),
        ),
        Merge(
            name="mean",
            aliases=("average",),
            target="volseg_merges.mean:Mean",
            summary="The label with the highest mean probability over the views.",
            wants=("wanted",),
            tasks=_TASKS,
            needs=_NEEDS,
            licence=_LICENCE,
            state_bytes="2 * (classes - 1) + 4 * variance",
            gives=("labels", "confidence", "probabilities", "entropy", "variance"),
        ),
        Merge(
            name="vote",
            aliases=("majority",),
            target="volseg_merges.vote:Vote",
            summary="The label that most views give; confidence is its share of the votes.",
            tasks=_TASKS,
            needs=_NEEDS,
            licence=_LICENCE,
            state_bytes="classes",
            gives=("labels", "confidence", "probabilities", "entropy"),
        ),
        Merge(
            name="entropy",
            target="volseg_merges.confident:EntropyWeighted",
            summary="The mean in which each view weighs as much as it is certain at the voxel.",
            tasks=_TASKS,
            needs=_NEEDS,
            licence=_LICENCE,
            state_bytes="4 * classes",
            gives=("labels", "confidence", "probabilities", "entropy"),
        ),
        Merge(
            name="geometric",
            aliases=("product",),
            target="volseg_merges.geometric:Geometric",
            summary="The geometric mean of probabilities: a view can veto a class.",
            tasks=_TASKS,
            needs=_NEEDS,
            licence=_LICENCE,
            citation="doi:10.1162/089976602760128018",
            state_bytes="4 * classes",
            gives=("labels", "confidence", "probabilities", "entropy"),
        ),
        Merge(
            name="fusion",
            target="volseg_merges.fusion:Fusion",
            summary="The mean with a learned weight per view and class; volseg fit-merge finds them.",
            params={"weights": Param("dict", help="Run volseg fit-merge, which stores the weights in the model.")},
            wants=("views", "classes"),
            tasks=_TASKS,
            needs=_NEEDS,
            licence=_LICENCE,
            citation="doi:10.1007/978-3-030-32245-8_4",
            state_bytes="4 * classes",
            gives=("labels", "confidence", "probabilities", "entropy"),
        ),
        Merge(
            name="staple",
            target="volseg_merges.staple:Staple",
            summary="The label that is most probable given how reliable each view turns out to be.",
            wants=("views",),
            tasks=_TASKS,
            needs=_NEEDS,
            licence=_LICENCE,
            citation="doi:10.1109/TMI.2004.828354",
            streaming=False,
            state_bytes="views",
            gives=("labels", "confidence", "probabilities"),
        ),
    ]
