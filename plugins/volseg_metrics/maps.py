"""Objects of a boundary map at a fixed threshold, scored against true ids: adapted Rand error, average precision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import ndimage

from volseg_core.api import UsageError
from volseg_metrics.detection import OVERLAPS, AveragePrecision
from volseg_metrics.inputs import check_channels, check_image, check_probabilities, check_target, labelled
from volseg_metrics.partition import AdaptedRand
from volseg_metrics.scores import mean

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]


class OfMaps(ABC):
    """Base of metrics of objects that are cut out of probability maps.

    Each of the ``channels`` makes objects of its own: the sets of voxels that touch face to face where the channel's
    map exceeds ``threshold``. The map of a boundary is 1 - p; that of a channel in ``inside`` (affinities, foreground)
    is p; with a ``foreground`` its probability is added and 1 taken off, which leaves foreground minus boundary. The
    objects are compared with the true ids. The threshold is what it is set to, whatever the data would like best.

    Each update is a whole slice (H, W) or volume (Z, Y, X); voxels that do not count (target -1 or ``valid`` False)
    are cut out before objects are found.

    Args:
        threshold: value of a map that an object exceeds.
        channels: names of the channels that make objects; None is all but ``foreground``.
        inside: names of channels that are high inside of objects instead of on their boundaries.
        foreground: name of the channel that says where objects are.
        classes: names of the network's channels.

    Raises:
        UsageError: there is no channel of a name, or none that makes objects.
    """

    name: ClassVar[str]

    def __init__(
        self,
        *,
        threshold: float,
        channels: Sequence[str] | None,
        inside: Sequence[str],
        foreground: str | None,
        classes: Sequence[str],
    ) -> None:
        self.classes = tuple(classes)
        chosen = [name for name in self.classes if name != foreground] if channels is None else list(channels)
        for name in (*chosen, *inside, *([] if foreground is None else [foreground])):
            self._check_name(name)
        if not chosen:
            raise UsageError(f"metric {self.name!r}", "no channel makes objects", "Name one in channels.")
        self.threshold, self.inside, self.foreground = threshold, frozenset(inside), foreground
        self._scorers = {name: self._scorer() for name in chosen}

    def reset(self) -> None:
        """Forget all images."""
        for scorer in self._scorers.values():
            scorer.reset()

    def update(self, prediction: Array, target: Array, valid: Array | None = None) -> None:
        """Add probabilities (K, *S) and ids (*S), 0 for the background and -1 for none, of a slice or volume.

        Raises:
            DataError: neither slice nor volume, shapes differ, or values are no probabilities or no ids.
        """
        check_channels(prediction, len(self.classes))
        check_target(target, valid, prediction.shape[1:])
        check_image(target.shape)
        counted = labelled(target, valid)
        check_probabilities(prediction[:, counted])
        for name, scorer in self._scorers.items():
            objects, _ = ndimage.label((self._map(prediction, name) > self.threshold) & counted)
            scorer.update(objects, target, counted)

    def compute(self) -> dict[str, float]:
        """Return the means over channels as the metric and ``NAME/PART``, and each channel's as ``NAME/CHANNEL``."""
        each = {name: scorer.compute() for name, scorer in self._scorers.items()}
        inner = self._scorer()
        names = {key: key.replace(inner.name, self.name, 1) for key in inner.compute()}
        means = {names[key]: mean(scores[key] for scores in each.values()) for key in names}
        return means | {f"{self.name}/{name}": scores[inner.name] for name, scores in each.items()}

    @abstractmethod
    def _scorer(self) -> AdaptedRand | AveragePrecision:
        """Return a metric that compares ids."""

    def _map(self, prediction: Array, name: str) -> Array:
        """Return how surely a voxel is inside of an object by a channel, float64 (*S)."""
        chances: Array = prediction[self.classes.index(name)].astype(np.float64)
        inside = chances if name in self.inside else 1 - chances
        return inside if self.foreground is None else inside + prediction[self.classes.index(self.foreground)] - 1

    def _check_name(self, name: str) -> None:
        if name not in self.classes:
            known = ", ".join(self.classes)
            raise UsageError(f"metric {self.name!r}", f"no channel {name!r}; the channels are {known}")


class BoundaryAdaptedRand(OfMaps):
    """Adapted Rand error of the objects of each channel's map; see `AdaptedRand`."""

    name = "boundary-adapted-rand"

    def __init__(
        self,
        *,
        threshold: float = 0.5,
        channels: Sequence[str] | None = None,
        inside: Sequence[str] = (),
        foreground: str | None = None,
        classes: Sequence[str],
    ) -> None:
        super().__init__(threshold=threshold, channels=channels, inside=inside, foreground=foreground, classes=classes)

    def _scorer(self) -> AdaptedRand:
        return AdaptedRand(classes=(), task="instance")


class BoundaryAveragePrecision(OfMaps):
    """Average precision of the objects of each channel's map; see `AveragePrecision`.

    Args:
        overlaps: intersections over union that a match must exceed.
        min_size: what has fewer voxels is no object, true or predicted.
    """

    name = "boundary-average-precision"

    def __init__(
        self,
        *,
        threshold: float = 0.5,
        channels: Sequence[str] | None = None,
        inside: Sequence[str] = (),
        foreground: str | None = None,
        overlaps: Sequence[float] = OVERLAPS,
        min_size: int = 0,
        classes: Sequence[str],
    ) -> None:
        self.overlaps, self.min_size = overlaps, min_size
        super().__init__(threshold=threshold, channels=channels, inside=inside, foreground=foreground, classes=classes)

    def _scorer(self) -> AveragePrecision:
        return AveragePrecision(overlaps=self.overlaps, min_size=self.min_size, classes=(), task="instance")
