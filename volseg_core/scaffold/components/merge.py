"""The minimum rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import array_api_compat

from volseg_core.api import MergeResult, PluginError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = "merge 'component-name'"
_GIVES = ("labels", "confidence", "probabilities")
_TOLERANCE = 1e-3


class ComponentClass:
    """Label each voxel with the class whose smallest probability over the views is largest (Kittler et al. 1998).

    Probabilities are the smallest ones, divided by their sum (doi:10.1109/34.667881). A minimum is the same in any
    order, and weights do not change it. Arrays may be of numpy or torch, on any device, and stay there: use their
    namespace ``xp`` and import neither.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._least: Any = None

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:  # noqa: ARG002  (the contract's)
        """Begin a block of (Z, Y, X) voxels; every voxel will receive the total weight ``views``."""
        self._shape = (classes, *shape)
        self._least = None

    def add(self, probabilities: Any, where: tuple[slice, ...], view: int, weight: int = 1) -> None:  # noqa: ARG002
        """Add the probabilities (C, *box) of one view, in the block's orientation."""
        xp = array_api_compat.array_namespace(probabilities)
        values = xp.astype(probabilities, xp.float32)
        if self._least is None:  # here, not in start: now the namespace and the device are known
            self._least = xp.ones(self._shape, dtype=xp.float32, device=array_api_compat.device(probabilities))
        box = (slice(None), *where)
        self._least[box] = xp.minimum(self._least[box], values)

    def result(self, where: tuple[slice, ...], wanted: Sequence[str] = ("labels",)) -> MergeResult:
        """Return labels (class indices) of a box, and what else is ``wanted`` as float32.

        Raises:
            UsageError: ``wanted`` names what this merge does not keep.
            PluginError: the box was not covered, or values were no probabilities.
        """
        for name in wanted:
            if name not in _GIVES:
                raise UsageError(_NAME, f"cannot give {name!r}; it gives {', '.join(_GIVES)}")
        if self._least is None:
            raise PluginError(_NAME, "no view was added")
        least = self._least[(slice(None), *where)]
        xp = array_api_compat.array_namespace(least)
        total = xp.sum(least, axis=0)  # at most 1 where a view was added, the number of classes elsewhere
        if not bool(xp.all(total <= 1 + _TOLERANCE)):
            raise PluginError(_NAME, "the box was not covered, or a view gave values that are no probabilities")
        shares = least / xp.clip(total, 1e-12, None)
        return MergeResult(
            labels=xp.astype(xp.argmax(least, axis=0), xp.int32),
            confidence=xp.max(shares, axis=0) if "confidence" in wanted else None,
            probabilities=shares if "probabilities" in wanted else None,
        )
