"""Intensity normalisation: a rule that belongs to the model, statistics that belong to each volume.

Values are clipped to the bounds ``low`` and ``high``, mapped to the unit range (where augmentation works) and from
there to what the network sees: ``network = unit * gain + bias``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from volseg_core.errors import DataError
from volseg_core.volume.grid import check_finite

KINDS = ("zscore", "percentile", "range", "none")
SAMPLE = 16_000_000
"""Voxels that statistics look at; larger volumes are sampled by planes."""


@dataclass(frozen=True)
class ChannelStatistics:
    """What was measured on one channel of one volume."""

    low: float
    high: float
    mean: float
    std: float


@dataclass(frozen=True)
class Normalisation:
    """The rule: ``zscore`` (mean 0, sd 1 after clipping), ``percentile`` ([0, 1] between percentiles), ``range``
    ([-1, 1] between two fixed values, such as a CT window) or ``none``.

    ``clip`` are the percentiles to clip at, or for ``range`` the two values.
    """  # noqa: D205

    kind: str = "zscore"
    clip: tuple[float, float] = (0.5, 99.5)

    def fit(self, data: np.ndarray[Any, Any], where: str = "volume") -> Normaliser:
        """Measure a volume ``(C, Z, Y, X)`` and return its normaliser.

        Raises:
            DataError: NaN, infinity or a constant channel.
        """
        check_finite(data, where)
        step = max(1, -(-data[0].size // SAMPLE))
        statistics = []
        for index, channel in enumerate(data):
            if self.kind != "none" and self.kind != "range":
                _check_varies(channel, where if len(data) == 1 else f"{where}, channel {index}")
            statistics.append(self._measure(channel[::step]))
        return Normaliser(self, tuple(statistics), sampled=step > 1)

    def _measure(self, channel: np.ndarray[Any, Any]) -> ChannelStatistics:
        if self.kind == "range":
            low, high = self.clip
        elif self.kind == "none":
            low, high = float(channel.min()), float(channel.max())
            high = high if high > low else low + 1
        else:
            low, high = (float(value) for value in np.percentile(channel, self.clip))
            if high <= low:  # a few bright voxels on a constant ground: the percentiles coincide
                low, high = float(channel.min()), float(channel.max())
        total, squares, count = 0.0, 0.0, 0
        for plane in channel:
            values = np.clip(plane.astype(np.float64), low, high)
            total, squares, count = total + values.sum(), squares + (values**2).sum(), count + values.size
        mean = total / count
        std = max(squares / count - mean**2, 0.0) ** 0.5
        return ChannelStatistics(low, high, mean, std)


@dataclass(frozen=True)
class Normaliser:
    """A rule with the statistics of one volume."""

    rule: Normalisation
    channels: tuple[ChannelStatistics, ...]
    sampled: bool = False

    def unit(self, window: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return a window ``(C, ...)`` as float32 clipped to [0, 1] between the bounds."""
        low, high = self._column("low", window), self._column("high", window)
        result = (window.astype(np.float32) - low) / (high - low)
        return np.clip(result, 0, 1, out=result)

    def to_network(self, unit: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return what the network sees of a window ``(C, ...)`` in unit range."""
        gain, bias = zip(*(self._gain_bias(channel) for channel in self.channels), strict=True)
        result: np.ndarray[Any, np.dtype[np.float32]] = unit * _column(gain, unit) + _column(bias, unit)
        return result

    def __call__(self, window: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return what the network sees of a raw window ``(C, ...)``, float32."""
        scale, offset = [], []
        for channel in self.channels:
            gain, bias = self._gain_bias(channel)
            scale.append(gain / (channel.high - channel.low))
            offset.append(bias - channel.low * gain / (channel.high - channel.low))
        result = window.astype(np.float32)
        if self.rule.kind != "none":
            np.clip(result, self._column("low", window), self._column("high", window), out=result)
            result *= _column(scale, window)
            result += _column(offset, window)
        return result

    def _gain_bias(self, channel: ChannelStatistics) -> tuple[float, float]:
        width = channel.high - channel.low
        if self.rule.kind == "zscore":
            return width / channel.std, (channel.low - channel.mean) / channel.std
        if self.rule.kind == "range":
            return 2.0, -1.0
        if self.rule.kind == "percentile":
            return 1.0, 0.0
        return width, channel.low

    def _column(self, name: str, window: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return _column([getattr(channel, name) for channel in self.channels], window)

    def as_dict(self) -> dict[str, Any]:
        """Return rule and statistics as plain data, for records."""
        return {
            "kind": self.rule.kind,
            "clip": list(self.rule.clip),
            "sampled": self.sampled,
            "channels": [asdict(channel) for channel in self.channels],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Normaliser:
        """Return the normaliser that `as_dict` recorded."""
        rule = Normalisation(str(content["kind"]), tuple(content["clip"]))
        return cls(rule, tuple(ChannelStatistics(**item) for item in content["channels"]), bool(content["sampled"]))


def _column(values: Any, window: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return one value per channel, shaped to broadcast against ``window`` (C, ...)."""
    return np.asarray(values, np.float32).reshape(-1, *(1 for _ in window.shape[1:]))


def _check_varies(channel: np.ndarray[Any, Any], where: str) -> None:
    first = channel.flat[0]
    if all(bool((plane == first).all()) for plane in channel):
        raise DataError(
            where, f"is constant: every voxel is {first}", "Check the dataset path: there is nothing to learn from it."
        )
