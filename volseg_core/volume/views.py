"""Views: the 48 re-orientations of a voxel grid, and the sets of them that a quality stands for.

A direction of slice prediction is a view whose first axis is the slicing axis: the network sees the planes of
the other two. A 3D network sees boxes of a view. All operations are strided views of the array; nothing is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

AXES = "zyx"


@dataclass(frozen=True)
class View:
    """A re-orientation: ``out = transpose(volume, order)``, then the axes of ``out`` marked in ``flips`` reversed.

    Attributes:
        order: a permutation of (0, 1, 2); ``order[0]`` is the slicing axis of a 2D network.
        flips: which axes of the result are reversed.
    """

    order: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    def __post_init__(self) -> None:
        if sorted(self.order) != [0, 1, 2]:
            message = f"{self.order!r} is not a permutation of (0, 1, 2)"
            raise ValueError(message)

    @property
    def name(self) -> str:
        """Axis order with a minus before reversed axes, e.g. ``z,-x,y``."""
        return ",".join(("-" if flip else "") + AXES[axis] for axis, flip in zip(self.order, self.flips, strict=True))

    @classmethod
    def parse(cls, name: str) -> View:
        """Return the view of a name such as ``z,y,x``, ``y,-z,x`` or, short for the plain view of an axis, ``y``.

        Raises:
            ValueError: the name is not three different axes.
        """
        if name in tuple(AXES):
            axis = AXES.index(name)
            return cls((axis, *(other for other in range(3) if other != axis)))  # type: ignore[arg-type]
        parts = [part.strip() for part in name.split(",")]
        letters = [part.removeprefix("-") for part in parts]
        if sorted(letters) != sorted(AXES):
            message = f"view {name!r} is not an order of z, y, x such as 'z,y,x' or 'y,-z,x'"
            raise ValueError(message)
        order = tuple(AXES.index(letter) for letter in letters)
        return cls(order, tuple(part.startswith("-") for part in parts))  # type: ignore[arg-type]

    @property
    def axis(self) -> int:
        """The slicing axis of the volume (0 z, 1 y, 2 x)."""
        return self.order[0]

    @property
    def mirrored(self) -> bool:
        """Whether no rotation of the volume looks like this."""
        swaps = sum(self.order[first] > self.order[second] for first in range(3) for second in range(first + 1, 3))
        return (swaps + sum(self.flips)) % 2 == 1

    def shape(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Return the shape that a volume of ``shape`` (Z, Y, X) has in this view."""
        return shape[self.order[0]], shape[self.order[1]], shape[self.order[2]]

    def apply(self, array: Any) -> Any:
        """Return ``array`` (..., Z, Y, X) in this view, without a copy where the library allows it."""
        return _flip(_permute(array, self.order), self.flips)

    def invert(self, array: Any) -> Any:
        """Return an array in this view (..., A, B, C) in the orientation of the volume."""
        inverse = tuple(self.order.index(axis) for axis in range(3))
        return _permute(_flip(array, self.flips), inverse)

    def locate(self, box: Sequence[slice], shape: Sequence[int]) -> tuple[slice, slice, slice]:
        """Return where a box of this view lies in the volume of ``shape`` (Z, Y, X). Steps must be 1."""
        result = [slice(None)] * 3
        for axis, flip, part, size in zip(self.order, self.flips, box, self.shape(shape), strict=True):
            start, stop, _ = part.indices(size)
            result[axis] = slice(size - stop, size - start) if flip else slice(start, stop)
        return result[0], result[1], result[2]


def _permute(array: Any, order: Sequence[int]) -> Any:
    lead = array.ndim - 3
    axes = (*range(lead), *(lead + axis for axis in order))
    return array.permute(axes) if hasattr(array, "permute") else array.transpose(axes)


def _flip(array: Any, flips: Sequence[bool]) -> Any:
    """Reverse axes: a strided view in numpy; torch has no negative strides, so it copies there."""
    axes = tuple(array.ndim - 3 + axis for axis, flip in enumerate(flips) if flip)
    if not axes:
        return array
    if hasattr(array, "flip"):
        return array.flip(axes)
    return array[tuple(slice(None, None, -1) if axis in axes else slice(None) for axis in range(array.ndim))]


def plane_rotations(axis: int, *, mirrored: bool = False) -> list[View]:
    """Return the 4 in-plane rotations of the slices along ``axis``, and with ``mirrored`` the 4 mirrored ones."""
    first, second = (other for other in range(3) if other != axis)
    rotations = [
        View((axis, first, second)),
        View((axis, second, first), (False, True, False)),
        View((axis, first, second), (False, True, True)),
        View((axis, second, first), (False, False, True)),
    ]
    mirrors = [
        View((axis, first, second), (False, True, False)),
        View((axis, first, second), (False, False, True)),
        View((axis, second, first)),
        View((axis, second, first), (False, True, True)),
    ]
    return rotations + mirrors if mirrored else rotations


def _legacy12() -> list[tuple[View, int]]:
    """Return the 12 passes of Volume Segmantics' "high quality" as 8 distinct slice sets and their multiplicity.

    It rotates the volume by quarter turns in the (z, y) plane and takes the slices of all three axes each time, those
    along x by swapping x and z, which leaves planes (y, z). A slice set is known by its slicing axis and the
    orientation of its planes, whatever order it is walked in.
    """
    found: dict[tuple[tuple[int, int, int], tuple[bool, bool]], tuple[View, int]] = {}
    turns = [
        View(),
        View((1, 0, 2), (True, False, False)),
        View((0, 1, 2), (True, True, False)),
        View((1, 0, 2), (False, True, False)),
    ]
    for turn in turns:
        for axis in range(3):
            plane = ([1, 2], [0, 2], [1, 0])[axis]
            order = (turn.order[axis], turn.order[plane[0]], turn.order[plane[1]])
            flips = (turn.flips[plane[0]], turn.flips[plane[1]])
            view, weight = found.get((order, flips), (View(order, (False, *flips)), 0))
            found[order, flips] = (view, weight + 1)
    return list(found.values())


PRESETS = ("low", "medium", "high", "max", "legacy12")
"""Names of qualities: 1, 3, 12, 24 directions, and Volume Segmantics' 12 for comparison."""


def preset(name: str, axes: str = AXES) -> list[tuple[View, int]]:
    """Return the views of a quality with their weights, limited to slicing along ``axes``.

    ``low`` is the first of ``axes``, ``medium`` each axis, ``high`` each with 4 in-plane rotations, ``max`` these
    and their mirror images; every view is distinct.
    """
    slicing = [AXES.index(letter) for letter in axes]
    if name == "legacy12":
        return [(view, weight) for view, weight in _legacy12() if view.axis in slicing]
    if name == "low":
        return [(View.parse(axes[0]), 1)]
    if name == "medium":
        return [(View.parse(letter), 1) for letter in axes]
    if name in ("high", "max"):
        return [(view, 1) for axis in slicing for view in plane_rotations(axis, mirrored=name == "max")]
    message = f"{name!r} is not one of {', '.join(PRESETS)}"
    raise ValueError(message)


def symmetries(axes: str = AXES) -> list[View]:
    """Return the orientations in which boxes of a volume look alike, the plain one first.

    With ``axes`` zyx all 48; with one axis, which differs from the others (thick sections), the 16 that keep it.
    """
    kept = "" if len(axes) > 1 else axes
    orders = [order for order in permutations(range(3)) if not kept or order[AXES.index(kept)] == AXES.index(kept)]
    return [View(order, flips) for order in orders for flips in product((False, True), repeat=3)]  # type: ignore[arg-type]


BOX_PRESETS = ("low", "medium", "high", "max")
"""Names of qualities for 3D networks: 1, 4 and 8 mirror images, and all orientations that look alike."""


def box_preset(name: str, axes: str = AXES) -> list[tuple[View, int]]:
    """Return the views of a quality for a 3D network, each with weight 1.

    ``low`` is the volume as it is, ``medium`` with mirror images along y and x (along the two other axes where one
    of ``axes`` differs), ``high`` along all three, ``max`` all `symmetries`.
    """
    if name not in BOX_PRESETS:
        message = f"{name!r} is not one of {', '.join(BOX_PRESETS)}"
        raise ValueError(message)
    kept = AXES.index(axes) if len(axes) == 1 else 0
    views = symmetries(axes)
    mirrored = [view for view in views if view.order == (0, 1, 2)]
    chosen = {
        "low": mirrored[:1],
        "medium": [view for view in mirrored if not view.flips[kept]],
        "high": mirrored,
        "max": views,
    }[name]
    return [(view, 1) for view in chosen]
