"""How far a prediction depends on where its windows lie: a part of the volume predicted twice, on two grids.

The second grid is the first one shifted by half a stride. Content that is hard to decide makes both differ anywhere; a
seam makes them differ by something that changes abruptly where a window begins or ends. So the *score* is the mean
step of the difference ``D`` across such joints less the mean step elsewhere, ``mean |D(i) - D(i-1)|`` over pairs of
neighbours of both kinds, the largest of all classes, in units of probability (of standard deviations in regression).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.prediction.segment import Segmenter, to_numpy
from volseg_core.volume import View, reflected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from volseg_core.api import Slices
    from volseg_core.prediction.plan import Plan
    from volseg_core.volume.normalise import Normaliser

    Floats = np.ndarray[Any, np.dtype[np.float32]]

VISIBLE = 1 / 255
"""A score below this is less than one grey value of a picture of 8 bits."""
_WINDOWS = 3
"""Windows along each axis of the part that is predicted twice."""
_PLANES = 4
"""Planes of that part, where the network looks at slices."""


@dataclass(frozen=True)
class Contrast:
    """The mean of something at the borders of windows and elsewhere."""

    border: float
    inside: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[Any, Any]]) -> Contrast:
        """Return the means of what arrays hold where masks are true, and where they are not."""
        border = np.concatenate([values[mask] for values, mask in pairs])
        inside = np.concatenate([values[~mask] for values, mask in pairs])
        return cls(*(float(part.mean()) if part.size else 0.0 for part in (border, inside)))


@dataclass(frozen=True)
class Seams:
    """How two predictions on grids shifted against each other differ, at the borders of windows and inside.

    ``difference`` is of probabilities, the largest of all classes; ``labels`` the share of voxels whose label differs;
    ``step`` how much the difference changes from one voxel to the next. ``shape`` is that of the part compared,
    ``shift`` that between the grids, both along the axes of the first direction.
    """

    shape: tuple[int, ...]
    window: tuple[int, ...]
    shift: tuple[int, ...]
    difference: Contrast
    labels: Contrast
    step: Contrast

    @property
    def score(self) -> float:
        """How much more the difference changes across a border than elsewhere."""
        return self.step.border - self.step.inside

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for records."""
        return {"score": self.score, **asdict(self)}

    def __str__(self) -> str:
        verdict = "visible" if self.score > VISIBLE else f"not visible (below {VISIBLE:.4f})"
        return (
            f"seams: score {self.score:.5f}, {verdict}; at window borders and inside, probabilities differ by "
            f"{self.difference.border:.4f} and {self.difference.inside:.4f}, labels in {self.labels.border:.2%} and "
            f"{self.labels.inside:.2%} of voxels"
        )


@dataclass(frozen=True)
class _Axis:
    """Where the part lies along an axis, how far the second grid is shifted, and what of the part is compared."""

    part: slice
    shift: int
    compared: slice
    window: int

    def shifted(self) -> _Axis:
        """Return the same for the second grid, whose part begins and ends half a stride further out."""
        by = self.shift
        part = slice(self.part.start - by, self.part.stop + by)
        return replace(self, part=part, compared=slice(self.compared.start + by, self.compared.stop + by))


def measure_seams(
    plan: Plan, runtime: Any, normaliser: Normaliser, data: np.ndarray[Any, Any], advance: Callable[[int], None]
) -> Seams | None:
    """Predict the middle of ``data`` (C, Z, Y, X) in the first direction on two grids; None where one window does it.

    The part is three windows wide along each axis, or what there is. It is compared between the centres of its outer
    windows, where both grids cover it alike.
    """
    alone = replace(plan, views=((View(), 1),))
    turned = plan.views[0][0].apply(data)
    axes = _axes(plan, turned.shape[1:])
    if not any(axis.shift for axis in axes):
        return None
    parts, joints = [], []
    for shifted in (False, True):
        places = [axis.shifted() if shifted else axis for axis in axes]
        grid = np.ascontiguousarray(reflected(turned, [place.part for place in places]))
        kept = _Kept(tuple(place.compared for place in places))
        Segmenter(alone, runtime, normaliser, advance).block(grid, kept)
        parts.append(kept.values)
        joints.append(_joints(plan, grid.shape[1:], kept.box))
    borders = [sorted({*one, *other}) for one, other in zip(*joints, strict=True)]
    return _compared(plan, axes, parts[0], parts[1], borders)


def seam_windows(plan: Plan, shape: tuple[int, int, int]) -> int:
    """Return how many slices or windows `measure_seams` predicts of a volume (Z, Y, X), for progress."""
    axes = _axes(plan, plan.views[0][0].shape(shape))
    if not any(axis.shift for axis in axes):
        return 0
    grids = ([axis.part for axis in axes], [axis.shifted().part for axis in axes])
    alone = replace(plan, views=((View(), 1),))
    return sum(alone.count(_shape(grid)) for grid in grids)


def _shape(box: Sequence[slice]) -> tuple[int, int, int]:
    z, y, x = (part.stop - part.start for part in box)
    return z, y, x


def _axes(plan: Plan, extent: Sequence[int]) -> list[_Axis]:
    """Return the middle of each axis of a view; planes of slices have windows in the other two alone."""
    flat = 3 - plan.spec.dims
    tiling = plan.tiling(tuple(extent[flat:]))
    middle = max(0, (extent[0] - _PLANES) // 2)
    count = min(_PLANES, extent[0])
    axes = [_Axis(slice(middle, middle + count), 0, slice(0, count), 1)] * flat
    for axis, (window, divisor) in enumerate(zip(tiling.window, plan.spec.sizes.divisor, strict=True)):
        axes.append(_middle(tiling.starts(axis), window, extent[flat + axis], divisor))
    return axes


def _middle(starts: Sequence[int], window: int, size: int, divisor: int) -> _Axis:
    """Return some windows in the middle of an axis, in multiples of the network's divisor where that is possible."""
    if len(starts) == 1:
        return _Axis(slice(0, size), 0, slice(0, size), window)
    count = min(_WINDOWS, len(starts))
    first = (len(starts) - count) // 2
    stride = _multiple(starts[first + 1] - starts[first], divisor)
    part = slice(starts[first], starts[first] + (count - 1) * stride + window)
    centre = window // 2
    compared = slice(centre, centre + (count - 1) * stride)
    return _Axis(part, _multiple(stride // 2, divisor), compared, window)


def _multiple(size: int, divisor: int) -> int:
    return size // divisor * divisor or max(1, size)


def _joints(plan: Plan, extent: Sequence[int], box: Sequence[slice]) -> list[list[int]]:
    """Return where windows begin or end along each axis of a box of a view, from the box's start on."""
    flat = 3 - plan.spec.dims
    tiling = plan.tiling(tuple(extent[flat:]))
    found = [[] if axis < flat else tiling.joints(axis - flat) for axis in range(3)]
    return [
        [joint - part.start for joint in joints if part.start < joint < part.stop]
        for joints, part in zip(found, box, strict=True)
    ]


class _Kept:
    """Receives what a merge does and keeps a box of it: ``values`` (C, *box), float32."""

    def __init__(self, box: Slices) -> None:
        self.box = box
        self.values: Floats = np.zeros((0, 0, 0, 0), np.float32)

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:  # noqa: ARG002  (one view)
        """Begin a volume."""
        self.values = np.zeros((classes, *_shape(self.box)), np.float32)

    def add(self, probabilities: Any, where: Slices, view: int, weight: int = 1) -> None:  # noqa: ARG002
        """Keep what lies in the box; slabs come along the first axis, whole otherwise."""
        first, slab = self.box[0], where[0]
        start, stop = max(first.start, slab.start), min(first.stop, slab.stop)
        if start < stop:
            planes = probabilities[:, start - slab.start : stop - slab.start, self.box[1], self.box[2]]
            self.values[:, start - first.start : stop - first.start] = to_numpy(planes)


def _compared(plan: Plan, axes: Sequence[_Axis], one: Floats, other: Floats, borders: Sequence[list[int]]) -> Seams:
    difference = one - other
    for head, part in plan.parts:
        if head.task == "regression":
            difference[part] /= float(one[part].std()) or 1.0
    near = np.zeros(difference.shape[1:], bool)
    steps = []
    for axis, joints in enumerate(borders):
        if not axes[axis].shift:
            continue
        pairs = np.abs(np.diff(difference, axis=axis + 1)).max(0)
        at = np.zeros(pairs.shape, bool)
        np.moveaxis(at, axis, 0)[[joint - 1 for joint in joints]] = True
        np.moveaxis(near, axis, 0)[[side for joint in joints for side in (joint - 1, joint)]] = True
        steps.append((pairs, at))
    flips = np.concatenate(
        [_decided(head.task, one[part]) != _decided(head.task, other[part]) for head, part in plan.parts]
    )
    return Seams(
        shape=near.shape,
        window=tuple(axis.window for axis in axes),
        shift=tuple(axis.shift for axis in axes),
        difference=Contrast.of([(np.abs(difference).max(0), near)]),
        labels=Contrast.of([(each, near) for each in flips]),
        step=Contrast.of(steps),
    )


def _decided(task: str, values: Floats) -> np.ndarray[Any, Any]:
    """Return labels, for each channel where they are independent; what is no class has none."""
    if task == "multilabel":
        return values > 0.5  # noqa: PLR2004  (more likely than not)
    if task == "regression":
        return np.zeros((1, *values.shape[1:]), bool)
    labels: np.ndarray[Any, Any] = values.argmax(0)
    return labels[None]
