"""The foreground and the boundaries of objects."""

from __future__ import annotations

import numpy as np

from volseg_core.api import UsageError
from volseg_targets.neighbours import UNLABELLED, Array, any_neighbour, known_channels


class Foreground:
    """Whether a voxel belongs to an object: ids (*S) to (1, *S), NaN where there is no label."""

    names = ("foreground",)

    def __call__(self, ids: Array) -> Array:
        """Return 1 where the id is positive and 0 in the background."""
        return known_channels([ids > 0], ids)


class Boundaries:
    """Voxels at the border of an object: ids (*S) to (1, *S) or (2, *S), as scikit-image's ``find_boundaries``.

    A voxel is at a border when a neighbour has another id. NaN where a voxel or a neighbour has no label or lies
    outside of the window, so that the outermost voxels are not known.

    Args:
        mode: ``thick`` marks both sides, ``inner`` only objects, ``outer`` the background around objects, and both
            sides where objects touch.
        connectivity: 1 for neighbours that share a face, 2 also an edge, 3 also a corner.
        foreground: put the foreground before the boundaries as a channel.
        dims: dimensions of the windows.

    Raises:
        UsageError: the connectivity is larger than the dimensions.
    """

    def __init__(self, *, mode: str = "thick", connectivity: int = 1, foreground: bool = False, dims: int) -> None:
        check_connectivity(connectivity, dims)
        self.mode = mode
        self.connectivity = connectivity
        self.foreground = foreground
        self.names = ("foreground", "boundary") if foreground else ("boundary",)

    def __call__(self, ids: Array) -> Array:
        """Return 1 at borders, else 0."""
        boundary = boundary_map(ids, self.mode, self.connectivity)
        return known_channels([ids > 0, boundary] if self.foreground else [boundary], ids)


def check_connectivity(connectivity: int, dims: int) -> None:
    """Raise a UsageError unless neighbours in ``dims`` dimensions can share what ``connectivity`` says."""
    if connectivity > dims:
        message = f"connectivity {connectivity} is more than the {dims} dimensions of the windows"
        raise UsageError("target.connectivity", message, f"Give 1 to {dims}.")


def boundary_map(ids: Array, mode: str, connectivity: int) -> Array:
    """Return the borders (*S) of objects as float32; `Boundaries` says which voxels they are."""
    around = np.pad(ids, 1, constant_values=UNLABELLED)
    border = any_neighbour(around, connectivity, np.not_equal)
    reach = connectivity
    if mode == "inner":
        border &= around > 0
    elif mode == "outer":
        reach = ids.ndim
        border &= (around == 0) | any_neighbour(around, reach, _other_object)
    unlabelled = around <= UNLABELLED
    unknown = any_neighbour(unlabelled, reach, np.not_equal)
    inside = (slice(1, -1),) * ids.ndim
    return np.where(unknown | unlabelled, np.float32(np.nan), border)[inside]


def _other_object(one: Array, other: Array) -> Array:
    return (one != other) & (one > 0) & (other > 0)
