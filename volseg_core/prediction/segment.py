"""Segmenting one block: every view, in batches of planes or windows, through the runtime into the merge."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from array_api_compat import array_namespace

from volseg_core.errors import ResourceError
from volseg_core.prediction.blend import blend
from volseg_core.volume import BOXES, SLICES, Tiling, mirrored_planes, pad_to, reflected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from volseg_core.api import Slices
    from volseg_core.model import HeadSpec, ModelSpec
    from volseg_core.prediction.plan import Plan
    from volseg_core.volume.normalise import Normaliser

log = logging.getLogger("volseg")

_CPU_PIXELS = {SLICES: 4 * 256 * 256, BOXES: 2 * 256 * 256}
"""Pixels of a batch on a CPU: more only fills the caches, and boxes the memory."""
_BYTES_PER_PIXEL = 4096
"""Activations that a typical U-Net holds per input pixel at inference, for the first guess of a GPU batch."""
_SMALL = {SLICES: 256, BOXES: 64}
"""Edges of windows that fit nearly everywhere."""


class Receiver(Protocol):
    """What a segmenter fills: a merge (`volseg_core.api.MergeState`), or what only looks at the views."""

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:
        """Begin a block of ``(Z, Y, X)`` voxels."""

    def add(self, probabilities: Any, where: Slices, view: int, weight: int = 1) -> None:
        """Take the results ``(C, *box)`` of one view: those of all heads, one after the other."""


@dataclass
class Segmenter:
    """Runs a plan with a runtime. ``advance(count)`` reports progress: slices, or windows of a 3D network."""

    plan: Plan
    runtime: Any
    normaliser: Normaliser
    advance: Callable[[int], None]
    ceiling: int | None = None
    """Pixels of a batch that were found to fit after memory ran out; kept for the views that follow."""

    def block(self, data: np.ndarray[Any, Any], merge: Receiver) -> None:
        """Add every view of ``data`` (C, Z, Y, X), as stored, to the merge."""
        _, z, y, x = data.shape
        merge.start((z, y, x), self.plan.results, self.plan.total_weight)
        run = self._slices if self.plan.spec.dims == SLICES else self._boxes
        for number, (view, weight) in enumerate(self.plan.views):
            for planes, probabilities in run(view.apply(data)):
                _, height, width = view.shape((z, y, x))
                where = view.locate((planes, slice(0, height), slice(0, width)), (z, y, x))
                merge.add(view.invert(probabilities), where, number, weight)
                del probabilities  # or they would split the memory that the network's next batch takes

    def _slices(self, data: np.ndarray[Any, Any]) -> Iterator[tuple[slice, Any]]:
        """Yield planes of a view (C, D, H, W) and their probabilities ``(classes, planes, H, W)``."""
        _, depth, height, width = data.shape
        padded, tile = self.plan.window((height, width))

        def segment(planes: slice) -> Any:
            return self._probabilities(self._prepare(data, planes, padded), padded, tile)[..., :height, :width]

        return self._in_batches(depth, tile, segment)

    def _boxes(self, data: np.ndarray[Any, Any]) -> Iterator[tuple[slice, Any]]:
        """Yield planes of a view (C, D, H, W) and their probabilities, blended from windows that overlap."""
        _, depth, height, width = data.shape
        tiling = self.plan.tiling((depth, height, width))
        boxes = tiling.boxes()

        def segment(numbers: slice) -> Any:
            return self._network(np.stack([self.normaliser(reflected(data, box)) for box in boxes[numbers]]))

        batches = self._in_batches(len(boxes), tiling.window, segment)
        parts = (part for _, batch in batches for part in batch)
        for planes, probabilities in blend(parts, tiling):
            if planes.start < depth:
                inside = slice(planes.start, min(planes.stop, depth))
                yield inside, probabilities[:, : inside.stop - inside.start, :height, :width]

    def _in_batches(
        self, count: int, tile: tuple[int, ...], segment: Callable[[slice], Any]
    ) -> Iterator[tuple[slice, Any]]:
        """Yield runs of ``count`` slices or windows and what ``segment`` makes of each, shorter ones if memory ends."""
        batch = self._batch(tile)
        start = 0
        while start < count:
            run = slice(start, min(start + batch, count))
            try:
                result = segment(run)
            except MemoryError:
                if run.stop - run.start == 1:
                    raise ResourceError(
                        "prediction",
                        f"one window of {' x '.join(map(str, tile))} does not fit into the memory of "
                        f"{self.runtime.device}",
                        f"Set a smaller window: -s predict.window={_SMALL[len(tile)]}",
                    ) from None
                batch = max(1, (run.stop - run.start) // 2)
                self.ceiling = batch * math.prod(tile)
                log.warning("memory exhausted on %s: going on with batches of %d", self.runtime.device, batch)
                continue
            yield run, result
            del result
            self.advance(run.stop - run.start)
            start = run.stop

    def _prepare(
        self, data: np.ndarray[Any, Any], planes: slice, padded: tuple[int, ...]
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return a network batch (planes, C, H, W) of raw data (C, D, H, W), with neighbouring planes as channels."""
        around = self.plan.spec.neighbours
        if not around:
            return np.ascontiguousarray(pad_to(self.normaliser(data[:, planes]).swapaxes(0, 1), padded))
        needed = mirrored_planes(planes.start, planes.stop, around, data.shape[1])
        padded_planes = pad_to(self.normaliser(data[:, needed]).swapaxes(0, 1), padded)
        shifted = [padded_planes[at : at + planes.stop - planes.start] for at in range(2 * around + 1)]
        return np.concatenate(shifted, axis=1)

    def _probabilities(self, batch: np.ndarray[Any, Any], padded: tuple[int, ...], tile: tuple[int, ...]) -> Any:
        """Return probabilities ``(classes, planes, H, W)`` of a batch of padded planes."""
        if tile == padded:
            return self._network(batch).swapaxes(0, 1)
        tiling = Tiling(padded, tile, self.plan.rule.overlap, self.plan.rule.blend)
        blended: Any = None
        for (rows, columns), weight in zip(tiling.boxes(), tiling.weights(), strict=True):
            part = self._network(np.ascontiguousarray(batch[:, :, rows, columns]))
            xp = array_namespace(part)
            if blended is None:
                blended = xp.zeros((*part.shape[:2], *padded), dtype=xp.float32, device=_device(part))
            blended[:, :, rows, columns] += part * xp.asarray(weight, device=_device(part))
        return blended.swapaxes(0, 1)

    def _network(self, batch: np.ndarray[Any, Any]) -> Any:
        return results(self.plan.spec, self.runtime.run(batch))

    def _batch(self, tile: tuple[int, ...]) -> int:
        """Return how many planes or windows go through the network at once."""
        area = math.prod(tile)
        free = self.runtime.free_bytes()
        if self.plan.rule.batch != "auto":
            batch = self.plan.rule.batch
        elif free is None:
            batch = _CPU_PIXELS[len(tile)] // area
        else:
            batch = min(64, free // 2 // (area * _BYTES_PER_PIXEL))
        if self.ceiling is not None:
            batch = min(batch, self.ceiling // area)
        return max(1, batch)


def results(spec: ModelSpec, output: Any) -> Any:
    """Return the results (N, K, *S), in float32, of the output of a network (N, channels, *S), head after head.

    Probabilities of classes, of a binary task of both, or of the channels of a multilabel task; values of a regression
    in the unit of its labels.
    """
    parts = [result(head, output[:, part]) for head, part in zip(spec.heads, spec.parts, strict=True)]
    return array_namespace(output).concat(parts, axis=1) if len(parts) > 1 else parts[0]


def result(head: HeadSpec, output: Any) -> Any:
    """Return the results (N, K, *S), in float32, of the output of one head."""
    if head.task == "multiclass":
        return softmax(output)
    if head.task == "binary":
        foreground = _sigmoid(output)
        return array_namespace(output).concat((1 - foreground, foreground), axis=1)
    if head.task == "multilabel":
        return _sigmoid(output)
    xp = array_namespace(output)
    values = xp.astype(output, xp.float32, copy=False)
    if not head.scale:
        return values
    rows = (xp.asarray(row, dtype=xp.float32, device=_device(output)) for row in (head.scale, head.offset))
    scale, offset = (xp.reshape(row, (-1, *[1] * (output.ndim - 2))) for row in rows)
    return values * scale + offset


def softmax(logits: Any) -> Any:
    """Return probabilities over axis 1 of logits (N, C, *S), in float32."""
    xp = array_namespace(logits)
    scaled = xp.astype(logits, xp.float32, copy=False)
    scaled = xp.exp(scaled - xp.max(scaled, axis=1, keepdims=True))
    scaled /= xp.sum(scaled, axis=1, keepdims=True)
    return scaled


def _sigmoid(logits: Any) -> Any:
    xp = array_namespace(logits)
    return 1 / (1 + xp.exp(-xp.astype(logits, xp.float32, copy=False)))


def _device(array: Any) -> Any:
    from array_api_compat import device

    return device(array)


def to_numpy(array: Any) -> np.ndarray[Any, Any]:
    """Return an array of any namespace and device as numpy."""
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)
