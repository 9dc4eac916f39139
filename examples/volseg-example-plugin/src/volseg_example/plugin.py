"""What this plugin provides. Every volseg command reads it: only the standard library and volseg_core.api here."""

from __future__ import annotations

from pathlib import Path

from volseg_core.api import Loss, Merge, Param, Reader, hookimpl


@hookimpl
def volseg_losses() -> list[Loss]:
    """Return the losses of this plugin."""
    return [
        Loss(
            name="supervoxel",
            target="volseg_example.supervoxel:SupervoxelLoss",
            summary="Cross-entropy in which mistakes that split, join, lose or invent objects weigh more.",
            params={"factor": Param("float", 10.0, "Weight of a voxel of such a mistake, beside 1 of any.", min=0)},
            wants=("task",),
            tasks=("multiclass", "binary"),
            ignore="mask",
            needs=("scipy>=1.11",),
            licence="Apache-2.0",
            citation="arXiv:2501.01022",
        )
    ]


@hookimpl
def volseg_merges() -> list[Merge]:
    """Return the merges of this plugin."""
    return [
        Merge(
            name="median",
            target="volseg_example.median:Median",
            summary="The label with the highest median probability over the views: some may be wrong altogether.",
            wants=("views",),
            tasks=("multiclass", "binary"),
            needs=("array-api-compat>=1.11",),
            licence="Apache-2.0",
            streaming=False,
            state_bytes="2 * classes * views",
            gives=("labels", "confidence", "probabilities"),
        )
    ]


@hookimpl
def volseg_readers() -> list[Reader]:
    """Return the readers of this plugin."""
    return [
        Reader(
            name="mrc",
            target="volseg_example.mrc:MrcReader",
            summary="MRC and CCP4 files of electron tomography, with their voxel size; memory-mapped.",
            suffixes=(".mrc", ".rec", ".map", ".st", ".ali"),
            needs=("mrcfile>=1.5",),
            extra="mrc",
            licence="Apache-2.0",
            citation="doi:10.1016/j.jsb.2015.04.002",
        )
    ]


@hookimpl
def volseg_recipes() -> list[Path]:
    """Return the recipes of this plugin; they name components in full, so that no registry file changes them."""
    return [Path(__file__).with_name("membranes.yaml")]
