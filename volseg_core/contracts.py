"""What components are given and give back while they work: protocols and plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import numpy as np

Slices = tuple[slice, ...]
Spacing = tuple[float, float, float]


class EncoderChoice(Protocol):
    """The recipe's encoder as an architecture receives it."""

    name: str
    """Name of the component."""
    target: str
    """Its import string: an architecture of the same plugin may build such an encoder its own way."""
    params: Mapping[str, Any]
    """Its parameters, complete."""

    def build(self, *, in_channels: int, depth: int, output_stride: int = 32) -> Any:
        """Return the encoder as a torch module."""


class Source(Protocol):
    """An opened array on disk, read piece by piece.

    ``shape`` and ``dtype`` as stored; ``axes`` names each dimension with one of ``c z y x n`` (n: independent
    images); ``spacing`` is ``(z, y, x)`` in ``unit`` or None; ``dataset`` is the internal path or an empty string.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: str
    spacing: Spacing | None
    unit: str
    dataset: str
    attributes: Mapping[str, Any]

    def read(self, slices: Slices) -> np.ndarray[Any, Any]:
        """Return the box ``slices`` (one slice per dimension, step 1)."""

    def close(self) -> None:
        """Release the file."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of an output file: ``axes`` is ``zyx`` or ``czyx``."""

    shape: tuple[int, ...]
    dtype: str
    axes: str = "zyx"


class Sink(Protocol):
    """An output that becomes visible only when it is complete."""

    paths: Sequence[Path]
    """Files that `commit` puts in place."""

    def write(self, name: str, slices: Slices, values: np.ndarray[Any, Any]) -> None:
        """Write a box of the array ``name``."""

    def commit(self) -> None:
        """Finish and rename to the final names."""

    def abort(self) -> None:
        """Remove what was written; safe to call after `commit` (does nothing)."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort unless committed."""


@dataclass(frozen=True)
class MergeResult:
    """Arrays of one box: labels (class index, integer), the others float32.

    ``confidence`` is the winner's probability in [0, 1], ``probabilities`` (C, *box); ``entropy`` in [0, 1] is that of
    the mean probabilities divided by log(C), and ``variance`` the sum over classes of the variance over views. Where
    the network gives no classes there are only ``probabilities`` of its channels, or its ``values`` (C, *box).
    """

    labels: Any = None
    confidence: Any = None
    probabilities: Any = None
    entropy: Any = None
    variance: Any = None
    values: Any = None


class MergeState(Protocol):
    """A merge at work on one volume or block. Arrays follow the array API standard (numpy, torch, ...)."""

    def start(self, shape: tuple[int, int, int], classes: int, views: int) -> None:
        """Begin a block of ``(Z, Y, X)`` voxels; ``views`` is the total weight that every voxel will receive."""

    def add(self, probabilities: Any, where: Slices, view: int, weight: int = 1) -> None:
        """Add the probabilities ``(C, *box)`` of one view, given in the orientation of the block."""

    def result(self, where: Slices, wanted: Sequence[str] = ("labels",)) -> MergeResult:
        """Return the wanted arrays of a box once every view was added."""


@dataclass(frozen=True)
class Sample:
    """What a generator returns: ``data`` (Z, Y, X) or (C, Z, Y, X), ``labels`` (Z, Y, X) and more by name."""

    data: Any
    labels: Any
    classes: Sequence[str] = ()
    spacing: Spacing | None = None
    unit: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunInfo:
    """What hooks of a run receive: its folder, its recipe's name and the resolved recipe as plain data."""

    folder: Path
    recipe: str
    resolved: Mapping[str, Any]
