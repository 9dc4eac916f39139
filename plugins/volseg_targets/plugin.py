"""Hooks of this plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.api import Param, Target, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

_LICENCE = "Apache-2.0"
_CONNECTIVITY = Param("int", 1, "Neighbours share a face (1), also an edge (2), also a corner (3).", min=1, max=3)
_LIMIT = Param("float", 10.0, "Distances beyond count as this; the time grows with it.", min=0.5)
_UNITS = Param(
    "choice", "voxels", "Unit of distances; physical is that of the spacing.", choices=("voxels", "physical")
)

FOREGROUND = Target(
    name="foreground",
    target="volseg_targets.boundaries:Foreground",
    summary="Whether a voxel belongs to an object.",
    tasks=("multilabel",),
    licence=_LICENCE,
)

BOUNDARIES = Target(
    name="boundaries",
    target="volseg_targets.boundaries:Boundaries",
    summary="Voxels at the border of an object.",
    params={
        "mode": Param(
            "choice",
            "thick",
            "Both sides of a border, the object's (inner), or the background's (outer).",
            choices=("thick", "inner", "outer"),
        ),
        "connectivity": _CONNECTIVITY,
        "foreground": Param("bool", False, "Put the foreground before them as a channel."),
    },
    wants=("dims",),
    tasks=("multilabel",),
    licence=_LICENCE,
)

AFFINITIES = Target(
    name="affinities",
    target="volseg_targets.affinities:Affinities",
    summary="Whether two voxels at an offset belong to the same object, for any offsets.",
    params={
        "offsets": Param(
            "list[any]?", None, "Steps to the partner along the window's axes; null is one step back along each."
        ),
        "background": Param("bool", False, "Whether two voxels of the background belong together."),
        "values": Param(
            "choice", "same", "What 1 means: the same object, or different ones.", choices=("same", "different")
        ),
        "placed": Param("choice", "first", "Which voxel of a pair holds its value.", choices=("first", "middle")),
        "grouped": Param("int", 1, "Successive offsets that share a channel, 1 where all belong together.", min=1),
        "channel": Param(
            "choice", "none", "What comes before them as a channel.", choices=("none", "foreground", "boundary")
        ),
        "connectivity": _CONNECTIVITY,
    },
    wants=("dims",),
    tasks=("multilabel",),
    directed=True,
    licence=_LICENCE,
    citation="doi:10.1162/neco.2009.10-08-881",
)

DISTANCE = Target(
    name="distance",
    target="volseg_targets.distance:Distance",
    summary="Distance of an object's voxels from its border, 0 in the background.",
    params={"limit": _LIMIT, "units": _UNITS},
    wants=("spacing",),
    tasks=("regression",),
    licence=_LICENCE,
    citation="doi:10.4086/toc.2012.v008a019",
)

SIGNED_DISTANCE = Target(
    name="signed-distance",
    target="volseg_targets.distance:SignedDistance",
    summary="Distance from the nearest border, positive in objects and negative outside.",
    params={
        "limit": _LIMIT,
        "tanh": Param("float?", None, "Give tanh(distance / this) in (-1, 1); null gives distances.", min=0.01),
        "units": _UNITS,
    },
    wants=("spacing",),
    tasks=("regression",),
    licence=_LICENCE,
    citation="doi:10.4086/toc.2012.v008a019",
)

CENTRE_OFFSETS = Target(
    name="centre-offsets",
    target="volseg_targets.centres:CentreOffsets",
    summary="Steps from a voxel to the centre of its object, known of objects that lie whole in the window.",
    params={"units": _UNITS},
    wants=("spacing", "dims"),
    tasks=("regression",),
    directed=True,
    needs=("scikit-image>=0.22",),
    extra="train",
    licence=_LICENCE,
    citation="doi:10.1109/CVPR.2019.00904",
)


@hookimpl
def volseg_targets() -> Iterable[Target]:
    """Return the targets of this plugin."""
    return [FOREGROUND, BOUNDARIES, AFFINITIES, DISTANCE, SIGNED_DISTANCE, CENTRE_OFFSETS]
