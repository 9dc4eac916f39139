"""STAPLE: the label that is most probable given how reliable each view turns out to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np

from volseg_core.api import UsageError
from volseg_merges.scores import Box, ScoreMerge, best_class, softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, np.dtype[np.float64]]
    Votes = np.ndarray[Any, np.dtype[np.int64]]

NAME = "merge 'staple'"
CLASSES = 256
ROUNDS = 100
TOLERANCE = 1e-6
_LEAST = 1e-30


class Staple(ScoreMerge):
    """Label each voxel by expectation maximisation over the votes of the views.

    Simultaneous truth and performance level estimation (Warfield, Zou and Wells 2004, doi:10.1109/TMI.2004.828354) in
    its form for several classes: the chance ``theta[v][s, t]`` that view v says s where the truth is t, and the
    probability of each truth, are estimated in turn until no chance changes by 1e-6, or 100 times. The prior of a
    class is its share of all votes. Probabilities are the posterior, which is close to 0 or 1 where views are many.
    A view of weight w counts as w views that agree.

    Only the most probable class of each view is used (of equal probabilities the first): the state is a byte per
    voxel and view. Chances are estimated over the whole block at the first `result`; the order of views and boxes
    does not matter, bit for bit.
    """

    name = NAME
    gives = ("labels", "confidence", "probabilities")

    def __init__(self, *, views: Sequence[str]) -> None:
        super().__init__()
        self._views = len(views)
        self._weights: list[int] = []
        self._estimate: Estimate | None = None

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:
        """Begin a block of ``(Z, Y, X)`` voxels that will each receive the total weight ``views``.

        Raises:
            UsageError: more than 256 classes, or a total weight below 1 or above 255.
        """
        if classes > CLASSES:
            raise UsageError(NAME, f"takes at most {CLASSES} classes, got {classes}", "Use predict.merge=mean.")
        super().start(shape, classes, views)
        self._weights = [0] * self._views
        self._estimate = None

    def _allocate(self, xp: Any, shape: tuple[int, ...], device: Any) -> None:
        self._state = xp.zeros((self._views, *shape), dtype=xp.uint8, device=device)

    def _receive(self, xp: Any, probabilities: Any, where: Box, view: int, weight: int) -> None:
        chosen, best = best_class(xp, probabilities, xp.uint8)
        self._watch.see(xp, best)
        self._state[view][where] = chosen
        self._weights[view] = weight

    def _scores(self, xp: Any, where: Box) -> Sequence[Any]:
        """Return the logarithm of prior and chances of each class, float32, added up in the order of the views."""
        if self._estimate is None:
            votes, counts = patterns(xp, self._state, self._classes)
            self._estimate = estimate(votes, counts, self._classes, self._weights)
        found = self._estimate
        device = array_api_compat.device(self._state)
        tables = xp.asarray((found.chances * np.array(self._weights)[:, None, None]).astype(np.float32), device=device)
        scores = []
        for truth in range(self._classes):
            score: Any = float(found.prior[truth])
            for view in range(self._views):
                votes = xp.astype(self._state[view][where], xp.int32)
                score = score + tables[view][:, truth][votes]
            scores.append(score)
        return scores

    def _probabilities(self, xp: Any, scores: Sequence[Any]) -> Any:
        return softmax(xp, scores, 1.0)


@dataclass(frozen=True)
class Estimate:
    """Logarithms: ``chances`` (V, said, true) of what each view says given the truth, ``prior`` (true)."""

    chances: Array
    prior: Array


def patterns(xp: Any, state: Any, classes: int) -> tuple[Votes, Array]:
    """Return the different votes of voxels (P, V) and how many voxels cast each (P), from a state (V, Z, Y, X).

    Voxels where all views agree, which are most, are only counted.
    """
    flat = xp.reshape(state, (state.shape[0], -1))
    split = xp.zeros(flat.shape[1:], dtype=xp.bool, device=array_api_compat.device(state))
    for votes in flat[1:]:
        split |= votes != flat[0]
    agreed = [int(xp.sum(xp.astype((flat[0] == index) & ~split, xp.int64))) for index in range(classes)]
    disputed = xp.stack([votes[split] for votes in flat], axis=1)
    rows = np.asarray(disputed.cpu() if hasattr(disputed, "cpu") else disputed)
    found, counts = np.unique(rows, axis=0, return_counts=True)
    unanimous = np.repeat(np.arange(classes)[:, None], state.shape[0], axis=1)
    votes = np.concatenate([unanimous, found]).astype(np.int64)
    return votes, np.concatenate([agreed, counts]).astype(np.float64)


def estimate(votes: Votes, counts: Array, classes: int, weights: Sequence[int]) -> Estimate:
    """Return prior and chances for the votes (P, V) of ``counts`` voxels each; a view of weight w is w views.

    It starts from the shares of votes as the probability of each truth.
    """
    factors = np.asarray(weights, np.float64)
    said = [votes == index for index in range(classes)]
    shares = np.stack([mask @ factors for mask in said], axis=1) / factors.sum()
    prior = np.log(np.maximum(counts @ shares / counts.sum(), _LEAST))
    truth, before = shares, np.zeros((votes.shape[1], classes, classes))
    for _ in range(ROUNDS):
        chances = _chances(said, counts[:, None] * truth)
        logs = np.log(np.maximum(chances, _LEAST))
        if np.abs(chances - before).max() < TOLERANCE:
            break
        before = chances
        truth = _truth(votes, prior, logs * factors[:, None, None])
    return Estimate(logs, prior)


def _chances(said: Sequence[Any], weighted: Array) -> Array:
    """Maximise: return how often each view says s where the truth is t, (V, s, t), from the weight of truths (P, t)."""
    total = np.maximum(weighted.sum(0), _LEAST)
    return np.stack([mask.T.astype(np.float64) @ weighted for mask in said], axis=1) / total


def _truth(votes: Votes, prior: Array, logs: Array) -> Array:
    """Expect: return the probability of each truth for each pattern, (P, t)."""
    scores = prior + sum(logs[view][votes[:, view]] for view in range(votes.shape[1]))
    scores -= scores.max(1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(1, keepdims=True)
    return scores
