"""Hooks of this plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.api import Param, Postprocess, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

_LICENCE = "Apache-2.0"
_SKIMAGE = ("scikit-image>=0.22",)
_BOTH = ("labels", "instances")

_CHANNEL = Param("int?", None, "Channel from 0; null is the last.", min=0)
_BOUNDARY = Param("int?", None, "Channel of the boundary's probability; null is the last.", min=0)
_FOREGROUND = Param(
    "int?", None, "Channel of the foreground's probability, below 0.5 of which there is no object; null: none.", min=0
)
_HALO = Param("int", 32, "Voxels of context around a block; at least the radius of an object.", min=1)
_SMOOTH = "Standard deviation of a Gaussian on the distances, in the smallest edge of a voxel."
_OFFSETS = "The step [z, y, x] of each channel of affinities, as in the head's target"

THRESHOLD = Postprocess(
    name="threshold",
    target="volseg_instances.threshold:Threshold",
    summary="Labels where a channel of probabilities or values exceeds a threshold.",
    params={"channel": _CHANNEL, "threshold": Param("float", 0.5, "What a voxel must exceed.")},
    wants=("classes",),
    licence=_LICENCE,
    takes=("probabilities", "values"),
    gives="labels",
)

COMPONENTS = Postprocess(
    name="connected-components",
    target="volseg_instances.components:ConnectedComponents",
    summary="Numbers the connected sets of voxels of one class.",
    params={
        "label": Param("int?", None, "Class index; null is every class but the background.", min=1),
        "connectivity": Param("int", 1, "Neighbours share 1: a face, 2: also an edge, 3: also a corner.", min=1, max=3),
    },
    licence=_LICENCE,
    citation="doi:10.1145/321356.321357",
    gives="instances",
)

REMOVE_SMALL = Postprocess(
    name="remove-small",
    target="volseg_instances.sizes:RemoveSmall",
    summary="Removes instances, or connected parts of a class, of too few voxels.",
    params={"min_size": Param("int", 64, "Voxels of the smallest object that stays.", min=0)},
    wants=("taken",),
    licence=_LICENCE,
    takes=_BOTH,
    gives="same",
)

SIZE_FILTER = Postprocess(
    name="size-filter",
    target="volseg_instances.sizes:SizeFilter",
    summary="Removes instances, or connected parts of a class, outside a range of volumes in physical units.",
    params={
        "min_size": Param("float", 0.0, "Smallest volume that stays, in the unit of the spacing cubed.", min=0),
        "max_size": Param("float?", None, "Largest volume that stays; null is any.", min=0),
    },
    wants=("spacing", "taken"),
    licence=_LICENCE,
    takes=_BOTH,
    gives="same",
)

FILL_HOLES = Postprocess(
    name="fill-holes",
    target="volseg_instances.holes:FillHoles",
    summary="Fills background that one label or instance encloses.",
    params={
        "max_size": Param(
            "int?", None, "Voxels of the largest hole that is filled; null is any, in the whole volume at once.", min=1
        )
    },
    licence=_LICENCE,
    takes=_BOTH,
    gives="same",
)

DISTANCE_WATERSHED = Postprocess(
    name="distance-watershed",
    target="volseg_instances.watersheds:DistanceWatershed",
    summary="Parts touching objects where they are narrow, by a watershed of the distance to the background.",
    params={
        "channel": Param(
            "int?", None, "Class index or channel; null is every class but the background, or the last channel.", min=0
        ),
        "threshold": Param("float", 0.5, "What a probability or a predicted distance must exceed."),
        "min_distance": Param(
            "float", 8.0, "Seeds are the highest of a box that reaches so far, in the smallest edge of a voxel.", min=1
        ),
        "smooth": Param("float", 2.0, _SMOOTH, min=0),
        "prominence": Param(
            "float",
            0.25,
            "Share of its height by which a peak must rise above what parts it from a higher one; 0 parts at any.",
            min=0,
            max=1,
        ),
        "halo": _HALO,
    },
    wants=("spacing", "taken"),
    needs=_SKIMAGE,
    extra="instances",
    licence=_LICENCE,
    citation="doi:10.1109/34.87344",
    takes=("labels", "probabilities", "values"),
    gives="instances",
)

WATERSHED = Postprocess(
    name="watershed",
    target="volseg_instances.watersheds:Watershed",
    summary="Floods a map of boundaries from seeds where there is none.",
    params={
        "channel": _BOUNDARY,
        "seeds": Param("float", 0.3, "Probability of a boundary below which a voxel belongs to a seed.", min=0, max=1),
        "min_seed": Param("int", 8, "Voxels of the smallest seed.", min=1),
        "min_distance": Param(
            "float",
            0.0,
            "Seeds are peaks of the distance to the boundary in a box that reaches so far; 0 takes components.",
            min=0,
        ),
        "threshold": Param("float", 0.5, "Probability from which a voxel is boundary, for distances.", min=0, max=1),
        "smooth": Param("float", 0.0, "Standard deviation of a Gaussian on the distances, else on the map.", min=0),
        "foreground": _FOREGROUND,
        "halo": _HALO,
    },
    wants=("spacing",),
    needs=_SKIMAGE,
    extra="instances",
    licence=_LICENCE,
    citation="doi:10.1109/34.87344",
    takes=("probabilities",),
    gives="instances",
)

MUTEX_WATERSHED = Postprocess(
    name="mutex-watershed",
    target="volseg_instances.mutex:MutexWatershed",
    summary="Joins voxels by affinities, the most decided first, and forbids joins by those that repel.",
    params={
        "offsets": Param("list[any]", help=f"{_OFFSETS}."),
        "bias": Param("float", 0.5, "Affinity that says nothing; a larger one splits more.", min=0, max=1),
        "foreground": _FOREGROUND,
        "halo": _HALO,
    },
    needs=("mwatershed>=0.5",),
    extra="instances",
    licence=_LICENCE,
    citation="doi:10.1007/978-3-030-01225-0_34",
    takes=("probabilities",),
    gives="instances",
)

AGGLOMERATION = Postprocess(
    name="agglomeration",
    target="volseg_instances.agglomeration:Agglomeration",
    summary="Joins fragments of a watershed by the mean affinity, or boundary, of the faces where they touch.",
    params={
        "offsets": Param("list[any]?", None, f"{_OFFSETS}; null takes a boundary's channel."),
        "channel": _BOUNDARY,
        "threshold": Param(
            "float", 0.4, "Joining stops where 1 minus the mean affinity reaches it; a larger one joins more.", min=0
        ),
        "min_distance": Param(
            "float", 3.0, "Seeds of fragments are peaks of the distance to the boundary in a box of this reach.", min=1
        ),
        "foreground": _FOREGROUND,
        "halo": _HALO,
    },
    wants=("spacing",),
    needs=(*_SKIMAGE, "waterz>=0.10"),
    extra="instances",
    licence=_LICENCE,
    citation="doi:10.1109/TPAMI.2018.2835450",
    takes=("probabilities",),
    gives="instances",
)


@hookimpl
def volseg_postprocessors() -> Iterable[Postprocess]:
    """Return the steps after the merge of this plugin."""
    return [
        THRESHOLD,
        COMPONENTS,
        REMOVE_SMALL,
        SIZE_FILTER,
        FILL_HOLES,
        DISTANCE_WATERSHED,
        WATERSHED,
        MUTEX_WATERSHED,
        AGGLOMERATION,
    ]
