"""Hooks of this plugin."""

from __future__ import annotations

from volseg_core.api import Merge, hookimpl


@hookimpl
def volseg_merges() -> list[Merge]:
    """Return the merges ``max`` and ``mean``."""
    return [
        Merge(
            name="max",
            aliases=("maximum",),
            target="volseg_merges.maximum:Maximum",
            summary="The label of the most confident view; safe to repeat, four bytes per voxel.",
            tasks=("binary", "multiclass"),
            needs=("array-api-compat>=1.11",),
            licence="Apache-2.0",
            state_bytes="4",
            gives=("labels", "confidence"),
        ),
        Merge(
            name="mean",
            aliases=("average",),
            target="volseg_merges.mean:Mean",
            summary="The label with the highest mean probability over the views.",
            tasks=("binary", "multiclass"),
            needs=("array-api-compat>=1.11",),
            licence="Apache-2.0",
            state_bytes="2 * (classes - 1)",
            gives=("labels", "confidence", "probabilities"),
        ),
    ]
