"""Majority vote."""

from __future__ import annotations

from typing import Any

from volseg_merges.scores import Box, ScoreMerge, best_class


class Vote(ScoreMerge):
    """Label each voxel with the class that most views give it; equal counts give the first class.

    The state is a byte per voxel and class, the weight of the views whose most probable class it is (of equal
    probabilities the first): exact in any order. Probabilities are shares of votes, confidence is the winner's
    share, and entropy that of the shares (vote entropy; Argamon-Engelson and Dagan 1999, arXiv:1106.0220).
    """

    name = "merge 'vote'"

    def _allocate(self, xp: Any, shape: tuple[int, ...], device: Any) -> None:
        self._state = xp.zeros((self._classes, *shape), dtype=xp.uint8, device=device)

    def _receive(self, xp: Any, probabilities: Any, where: Box, view: int, weight: int) -> None:  # noqa: ARG002 - all views count alike
        chosen, best = best_class(xp, probabilities, xp.int32)
        self._watch.see(xp, best)
        for index in range(self._classes):
            votes = xp.astype(chosen == index, xp.uint8)
            votes *= weight
            self._state[index][where] += votes
