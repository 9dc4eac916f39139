"""What a prediction will do: views, windows, merge and arrays, decided and checked before work starts."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from volseg_core.api import Merge
from volseg_core.errors import UsageError
from volseg_core.tasks import HEAD_ARRAYS
from volseg_core.volume import SLICES, Tiling, View, box_preset, preset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.model import HeadSpec, ModelSpec
    from volseg_core.recipe import ComponentUse, PredictBlock

log = logging.getLogger("volseg")

Shape = tuple[int, ...]

WHOLE_SLICE = 2048 * 2048
"""Slices up to this many pixels are predicted whole unless the recipe names a window."""
AUTO_WINDOW = 1024
_ALWAYS = HEAD_ARRAYS["multiclass"]
"""Arrays that may be asked for whatever the network gives."""
AUTO_BOX = 96
"""Edge of the windows of a 3D network, unless its recipe or the caller names one."""


@dataclass(frozen=True)
class Plan:
    """The views with their weights, the arrays wanted, and how planes are covered."""

    views: tuple[tuple[View, int], ...]
    wanted: tuple[str, ...]
    rule: PredictBlock
    spec: ModelSpec

    @property
    def total_weight(self) -> int:
        """The weight that every voxel receives."""
        return sum(weight for _, weight in self.views)

    @property
    def results(self) -> int:
        """Results that views give for a voxel, of all heads; binary heads give both classes."""
        return sum(len(head.classes) for head in self.spec.heads)

    @property
    def parts(self) -> list[tuple[HeadSpec, slice]]:
        """The heads with their share of the results."""
        ends = list(accumulate(len(head.classes) for head in self.spec.heads))
        return [(head, slice(end - len(head.classes), end)) for head, end in zip(self.spec.heads, ends, strict=True)]

    def wanted_of(self, head: HeadSpec) -> tuple[str, ...]:
        """Return the arrays that are wanted of a head: heads that give no classes have one only."""
        return self.wanted if head.of_classes else HEAD_ARRAYS[head.task]

    def merge_context(self, head: HeadSpec) -> dict[str, Any]:
        """Return what the merge of a head may want to know: views, task, classes or channels, and the arrays wanted."""
        views = [view.name for view, _ in self.views]
        names, wanted = list(head.classes.names), self.wanted_of(head)
        return {"views": views, "classes": names, "wanted": wanted, "task": head.task}

    @property
    def in_order(self) -> bool:
        """Whether there is one view, which gives the planes of the volume one after the other along z."""
        view = self.views[0][0]
        return len(self.views) == 1 and view.axis == 0 and not view.flips[0]

    @property
    def unit(self) -> str:
        """What progress counts."""
        return "slices" if self.spec.dims == SLICES else "windows"

    def count(self, shape: tuple[int, int, int]) -> int:
        """Return how many slices, or windows of a 3D network, there are in all views, for progress."""
        extents = [view.shape(shape) for view, _ in self.views]
        if self.spec.dims == SLICES:
            return sum(extent[0] for extent in extents)
        return sum(len(self.tiling(extent).boxes()) for extent in extents)

    def tiling(self, extent: Shape) -> Tiling:
        """Return the windows that cover a plane (H, W) or, for a 3D network, a view (D, H, W), padded."""
        return Tiling(*self.window(extent), self.rule.overlap, self.rule.blend)

    def window(self, extent: Shape) -> tuple[Shape, Shape]:
        """Return the padded shape of a plane, or of a view, and the shape of the windows that cover it."""
        padded = self.spec.sizes.padded(extent)
        if self.spec.window:  # an exported network that takes this size only
            return tuple(map(max, padded, self.spec.window)), self.spec.window
        if self.rule.window != "auto":
            wanted = self.rule.window
        elif self.spec.dims != SLICES:
            wanted = (AUTO_BOX,) * len(extent)
        elif math.prod(padded) <= WHOLE_SLICE:
            return padded, padded
        else:
            wanted = (AUTO_WINDOW,) * len(extent)
        return padded, tuple(map(min, padded, self.spec.sizes.padded(wanted)))


def make_plan(
    spec: ModelSpec,
    rule: PredictBlock,
    merge: ComponentUse,
    shape: tuple[int, int, int],
    wanted: Sequence[str],
    *,
    independent: bool,
) -> Plan:
    """Choose the views and check that the merge can give what is wanted.

    Raises:
        UsageError: the merge cannot give an array, it would hold nothing, or views would mix directed channels.
    """
    component = merge.provided.component
    assert isinstance(component, Merge)  # noqa: S101  (the catalog keeps kinds apart)
    of_classes = [head for head in spec.heads if head.of_classes]
    extra = next((name for name in wanted if name not in _ALWAYS), "")
    if extra and not of_classes:
        what = f"is for networks that give classes; this one gives {HEAD_ARRAYS[spec.heads[0].task][0]}"
        raise UsageError(f"--{extra}", what, f"Leave --{extra} out.")
    needed = [
        *(wanted if of_classes else ()),
        *(HEAD_ARRAYS[head.task][0] for head in spec.heads if not head.of_classes),
    ]
    for name in needed:
        if name not in component.gives:
            raise UsageError(
                f"--{name}",
                f"merge {component.name!r} gives {', '.join(component.gives)}, not {name}",
                "Use another merge, such as -s predict.merge=mean.",
            )
    directed = any(head.directed for head in spec.heads)
    views = tuple(_only_view(spec, rule) if directed else _views(spec, rule, shape, independent=independent))
    if "variance" in wanted and len(views) == 1:
        what = f"is 0 everywhere: there is one direction ({views[0][0].name}), and variance is that over directions"
        raise UsageError("--variance", what, "Use --quality high, or --entropy.")
    return Plan(views, tuple(wanted), rule, spec)


def _views(
    spec: ModelSpec, rule: PredictBlock, shape: tuple[int, int, int], *, independent: bool
) -> list[tuple[View, int]]:
    if rule.views:
        return [(View.parse(name), 1) for name in rule.views]
    quality = rule.quality
    if spec.dims != SLICES:
        return box_preset("low" if quality == "auto" else quality, spec.axes)
    if quality == "auto":
        quality = "medium" if len(spec.axes) > 1 else "low"
    axes = spec.axes
    if (shape[0] == 1 or independent) and axes != "z":
        log.info("the input is single or independent images: only directions along z are used")
        axes = "z"
    elif axes != "zyx" and quality in ("medium", "high", "max", "legacy12"):
        log.info("the network was trained on slices along %s only: directions along other axes are left out", axes)
    if quality == "medium" and len(axes) == 1:
        log.info("quality medium becomes low: there is one slicing axis")
        quality = "low"
    return preset(quality, axes)


def _only_view(spec: ModelSpec, rule: PredictBlock) -> list[tuple[View, int]]:
    """Return the one view in which the channels of directed heads are what they are called.

    Raises:
        UsageError: the recipe or the caller wants others.
    """
    only = preset("low", spec.axes) if spec.dims == SLICES else box_preset("low")
    if rule.views and [View.parse(name) for name in rule.views] != [only[0][0]]:
        where, what = "predict.views", ", ".join(rule.views)
    elif rule.quality not in ("auto", "low"):
        where, what = "--quality", rule.quality
    else:
        if spec.dims == SLICES and len(spec.axes) > 1:
            log.info("the channels have directions: only slices along %s are used", spec.axes[0])
        return only
    names = ", ".join(next(head for head in spec.heads if head.directed).classes.names)
    raise UsageError(
        where,
        f"{what} shows the network views in which {names} point elsewhere",
        "Use --quality low, and no predict.views.",
    )


def check_input(spec: ModelSpec, channels: int, where: str, *, independent: bool) -> None:
    """Raise a UsageError when the volume is not of the kind that the network was trained on."""
    if spec.dims != SLICES and independent:
        raise UsageError(where, "independent images have no depth, which this 3D model looks at")
    if spec.neighbours and independent:
        raise UsageError(where, "independent images have no neighbouring slices, which this model looks at")
    if channels != spec.volume_channels:
        raise UsageError(where, f"has {channels} channels; the model was trained on {spec.volume_channels}")
