"""What a prediction will do: views, windows, merge and arrays, decided and checked before work starts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from volseg_core.api import Merge
from volseg_core.errors import UsageError
from volseg_core.volume import View, padded_size, preset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.model import ModelSpec
    from volseg_core.recipe import ComponentUse, PredictBlock

log = logging.getLogger("volseg")

WHOLE_SLICE = 2048 * 2048
"""Slices up to this many pixels are predicted whole unless the recipe names a window."""
AUTO_WINDOW = 1024


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
    def network_classes(self) -> int:
        """Classes of the merge: binary networks are expanded to two."""
        return len(self.spec.classes)

    @property
    def merge_context(self) -> dict[str, Any]:
        """What a merge may want to know: names of the views and of the classes, and the arrays wanted of it."""
        views = [view.name for view, _ in self.views]
        return {"views": views, "classes": list(self.spec.classes.names), "wanted": self.wanted}

    def slices(self, shape: tuple[int, int, int]) -> int:
        """Return how many planes the network will see, for progress."""
        return sum(view.shape(shape)[0] for view, _ in self.views)

    def window(self, plane: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the padded shape of a plane and the shape of the windows that cover it."""
        divisor, minimum = self.spec.divisor, self.spec.min_size
        height, width = (padded_size(size, divisor, minimum) for size in plane)
        if self.spec.window:  # an exported network that takes this size only
            fixed = (self.spec.window[0], self.spec.window[1])
            return (max(height, fixed[0]), max(width, fixed[1])), fixed
        if self.rule.window == "auto":
            if height * width <= WHOLE_SLICE:
                return (height, width), (height, width)
            wanted = (AUTO_WINDOW, AUTO_WINDOW)
        else:
            wanted = (self.rule.window[0], self.rule.window[1])
        tile = (
            min(height, padded_size(wanted[0], divisor, minimum)),
            min(width, padded_size(wanted[1], divisor, minimum)),
        )
        return (height, width), tile


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
        UsageError: the merge cannot give an array, or it would hold nothing.
    """
    component = merge.provided.component
    assert isinstance(component, Merge)  # noqa: S101  (the catalog keeps kinds apart)
    for name in wanted:
        if name not in component.gives:
            raise UsageError(
                f"--{name}",
                f"merge {component.name!r} gives {', '.join(component.gives)}, not {name}",
                "Use another merge, such as -s predict.merge=mean.",
            )
    views = tuple(_views(spec, rule, shape, independent=independent))
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


def check_input(spec: ModelSpec, channels: int, where: str, *, independent: bool) -> None:
    """Raise a UsageError when the volume is not of the kind that the network was trained on."""
    if spec.neighbours and independent:
        raise UsageError(where, "independent images have no neighbouring slices, which this model looks at")
    if channels != spec.volume_channels:
        raise UsageError(where, f"has {channels} channels; the model was trained on {spec.volume_channels}")
