"""The mean over views, of classes or of channels that exclude none another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from volseg_core.api import MergeResult
from volseg_merges.mean import FULL, Mean
from volseg_merges.scores import Box, ScoreMerge

if TYPE_CHECKING:
    from collections.abc import Sequence


class MeanOfChannels(ScoreMerge):
    """Average the probabilities of each channel by itself.

    The state is one int16 per voxel and channel, as that of `Mean`: the same in any order, bit for bit.
    """

    name = "merge 'mean'"
    gives = ("probabilities",)

    @property
    def _scale(self) -> int:
        return FULL // self._total

    def _allocate(self, xp: Any, shape: tuple[int, ...], device: Any) -> None:
        self._state = xp.zeros((self._classes, *shape), dtype=xp.int16, device=device)

    def _receive(self, xp: Any, probabilities: Any, where: Box, view: int, weight: int) -> None:  # noqa: ARG002 - all views count alike
        for index in range(self._classes):
            share = xp.astype(probabilities[index], xp.float32, copy=True)
            self._watch.see(xp, share)
            share *= self._scale
            share += 0.5
            steps = xp.astype(share, xp.int16)
            steps *= weight
            self._state[index][where] += steps

    def result(self, where: Box, wanted: Sequence[str] = ("probabilities",)) -> MergeResult:
        """Return the mean probabilities (C, *box); raises as `ScoreMerge.result`."""
        xp, state = self._finished(wanted)
        mean = xp.astype(state[(slice(None), *where)], xp.float32)
        mean /= self._scale * self._total
        return MergeResult(probabilities=mean)


class MeanOfValues(ScoreMerge):
    """Average the values of each channel; the state is a float32 sum per voxel and channel."""

    name = "merge 'mean'"
    gives = ("values",)

    def _allocate(self, xp: Any, shape: tuple[int, ...], device: Any) -> None:
        self._state = xp.zeros((self._classes, *shape), dtype=xp.float32, device=device)

    def _receive(self, xp: Any, probabilities: Any, where: Box, view: int, weight: int) -> None:  # noqa: ARG002 - all views count alike
        values = xp.astype(probabilities, xp.float32, copy=False)
        self._watch.see(xp, 0 * values)
        self._state[(slice(None), *where)] += values * weight

    def result(self, where: Box, wanted: Sequence[str] = ("values",)) -> MergeResult:
        """Return the mean values (C, *box); raises as `ScoreMerge.result`."""
        _, state = self._finished(wanted)
        return MergeResult(values=state[(slice(None), *where)] / self._total)


def mean(*, task: str = "multiclass", wanted: Sequence[str] = ("labels",)) -> ScoreMerge:
    """Return the mean over views for a task."""
    if task == "multilabel":
        return MeanOfChannels()
    return MeanOfValues() if task == "regression" else Mean(wanted=wanted)
