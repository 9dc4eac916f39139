"""Intensity normalisation: a rule that belongs to the model, statistics that belong to each volume.

Values are clipped to the bounds ``low`` and ``high``, mapped to the unit range (where augmentation works) and from
there to what the network sees: ``network = unit * gain + bias``.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.errors import DataError
from volseg_core.volume.grid import check_finite
from volseg_core.volume.statistics import values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from volseg_core.volume.statistics import Values

KINDS = ("zscore", "percentile", "range", "none")
SAMPLE = 16_000_000
"""Voxels of a channel that statistics look at; of larger volumes, a regular grid of about that many."""
_SPREAD = 16
"""Planes, rows and columns that a sample keeps at least, where there are as many."""
_EXACT = (np.dtype(np.float32), np.dtype(np.float16))

Window = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class ChannelStatistics:
    """What was measured on one channel of one volume."""

    low: float
    high: float
    mean: float
    std: float


@dataclass(frozen=True)
class Normalisation:
    """A rule: ``zscore``, ``percentile``, ``range`` or ``none``.

    ``zscore`` gives mean 0 and sd 1 after clipping, ``percentile`` [0, 1] between percentiles, ``range`` [-1, 1]
    between two fixed values, such as a CT window. ``clip`` are the percentiles to clip at, or for ``range`` the two
    values.

    Raises:
        ValueError: an unknown kind, or bounds that do not ascend.
    """

    kind: str = "zscore"
    clip: tuple[float, float] = (0.5, 99.5)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            message = f"normalisation {self.kind!r} is not one of {', '.join(KINDS)}"
            raise ValueError(message)
        low, high = self.clip
        if not low < high:
            message = f"clip [{low:g}, {high:g}] is not in ascending order"
            raise ValueError(message)

    def fit(self, data: np.ndarray[Any, Any], where: str = "volume", limit: int = SAMPLE) -> Normaliser:
        """Measure a volume ``(C, Z, Y, X)`` and return its normaliser; above ``limit`` voxels a sample is measured.

        Raises:
            DataError: NaN, infinity or, where the rule needs contrast, a constant channel.
        """
        check_finite(data, where)
        names = [where] if len(data) == 1 else [f"{where}, channel {index}" for index in range(len(data))]
        samples = [_sample(channel, limit) for channel in data]
        statistics = tuple(map(self._measure, data, samples, names))
        return Normaliser(self, statistics, sampled=samples[0].size < data[0].size)

    def _measure(self, channel: np.ndarray[Any, Any], sample: np.ndarray[Any, Any], where: str) -> ChannelStatistics:
        values = values_of(sample)
        low, high = self._bounds(channel, values, where)
        mean, std = values.moments(low, high)
        if std == 0:  # the sample missed the few voxels that differ
            mean, std = values_of(channel).moments(low, high)
        return ChannelStatistics(low, high, mean, std)

    def _bounds(self, channel: np.ndarray[Any, Any], values: Values, where: str) -> tuple[float, float]:
        if self.kind == "range":
            return self.clip
        if self.kind != "none":
            low, high = values.percentiles(self.clip)
            least, most = self.clip
            if least == 0 or most == 100:  # noqa: PLR2004  (nothing is cut off there, of what a sample misses neither)
                extrema = _extrema(channel)
                low, high = extrema[0] if least == 0 else low, extrema[1] if most == 100 else high  # noqa: PLR2004
            if high > low:
                return low, high
        low, high = _extrema(channel)  # the percentiles coincide: a few bright voxels on a constant ground
        if high > low:
            return low, high
        if self.kind == "none":
            return low, low + 1
        raise DataError(
            where, f"is constant: every voxel is {low:g}", "Check the dataset path: there is nothing to see in it."
        )


@dataclass(frozen=True)
class Normaliser:
    """A rule with the statistics of one volume."""

    rule: Normalisation
    channels: tuple[ChannelStatistics, ...]
    sampled: bool = False

    def unit(self, window: np.ndarray[Any, Any]) -> Window:
        """Return a window ``(C, ...)`` as float32 clipped to [0, 1] between the bounds."""
        result = self._above_low(window)
        result *= _column((1 / (item.high - item.low) for item in self.channels), window)
        return np.clip(result, 0, 1, out=result)

    def to_network(self, unit: np.ndarray[Any, Any]) -> Window:
        """Return what the network sees of a window ``(C, ...)`` in unit range."""
        gain, bias = zip(*(self._gain_bias(channel) for channel in self.channels), strict=True)
        result: Window = unit * _column(gain, unit)
        result += _column(bias, unit)
        return result

    def __call__(self, window: np.ndarray[Any, Any]) -> Window:
        """Return what the network sees of a raw window ``(C, ...)``, float32: ``to_network(unit(window))``."""
        if self.rule.kind == "none":
            return window.astype(np.float32)
        widths = [item.high - item.low for item in self.channels]
        gain, bias = zip(*(self._gain_bias(channel) for channel in self.channels), strict=True)
        result = self._above_low(window)
        np.clip(result, 0, _column(widths, window), out=result)
        result *= _column((each / width for each, width in zip(gain, widths, strict=True)), window)
        if any(bias):
            result += _column(bias, window)
        return result

    def _above_low(self, window: np.ndarray[Any, Any]) -> Window:
        """Return ``window - low``: subtracted first, so that float32 keeps the contrast of large grey values."""
        narrow = window.dtype in _EXACT or (window.dtype.kind in "biu" and window.dtype.itemsize <= 2)  # noqa: PLR2004
        dtype = np.float32 if narrow else np.float64
        low = _column((item.low for item in self.channels), window, dtype)
        difference: np.ndarray[Any, Any] = np.subtract(window, low, dtype=dtype)
        return difference.astype(np.float32, copy=False)

    def _gain_bias(self, channel: ChannelStatistics) -> tuple[float, float]:
        width = channel.high - channel.low
        if self.rule.kind == "zscore":
            return width / channel.std, (channel.low - channel.mean) / channel.std
        if self.rule.kind == "range":
            return 2.0, -1.0
        if self.rule.kind == "percentile":
            return 1.0, 0.0
        return width, channel.low

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


def _column(
    values: Iterable[float], window: np.ndarray[Any, Any], dtype: type[np.floating[Any]] = np.float32
) -> np.ndarray[Any, Any]:
    """Return one value per channel, shaped to broadcast against ``window`` (C, ...)."""
    return np.fromiter(values, dtype).reshape(-1, *(1 for _ in window.shape[1:]))


def _sample(channel: np.ndarray[Any, Any], limit: int) -> np.ndarray[Any, Any]:
    """Return a regular grid of about ``limit`` voxels of ``(Z, Y, X)``: planes and rows first, columns last."""
    share = channel.size / limit
    if share <= 1:
        return channel
    z = min(math.ceil(math.sqrt(share)), max(1, channel.shape[0] // _SPREAD))
    y = min(math.ceil(share / z), max(1, channel.shape[1] // _SPREAD))
    x = min(math.ceil(share / z / y), max(1, channel.shape[2] // _SPREAD))
    return channel[z // 2 :: z, y // 2 :: y, x // 2 :: x]


def _extrema(channel: np.ndarray[Any, Any]) -> tuple[float, float]:
    return float(channel.min()), float(channel.max())
