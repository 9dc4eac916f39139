"""What a file of less precision loses: Dice of the labels that it gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LOSS = 0.01
"""Dice that a file of less precision may lose, unless another limit is set."""


@dataclass(frozen=True)
class Loss:
    """Mean Dice over the foreground classes of ``on``: of the file's labels, and of those of the float32 file.

    ``same`` compares the two with each other; ``reduced`` and ``full`` compare each with true labels, where known.
    """

    on: str
    same: float
    reduced: float | None = None
    full: float | None = None

    @property
    def lost(self) -> float:
        """How much less Dice there is: against true labels, or where none are known against float32, which has 1."""
        if self.reduced is None or self.full is None:
            return 1 - self.same
        return self.full - self.reduced

    def describe(self) -> str:
        """Return one line for people."""
        line = f"{self.lost:.4f} of Dice on {self.on} ({self.same:.4f} against float32"
        if self.reduced is None:
            return f"{line}; no labels)"
        return f"{line}; against the labels {self.reduced:.4f}, float32 {self.full:.4f})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, what is lost included."""
        return {**asdict(self), "lost": self.lost}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Loss:
        """Return what `to_dict` recorded; raises KeyError or TypeError where it is something else."""
        against = (None if content[name] is None else float(content[name]) for name in ("reduced", "full"))
        return cls(str(content["on"]), float(content["same"]), *against)
