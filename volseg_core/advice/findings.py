"""A finding about data, and how it is worded."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Level = Literal["ok", "note", "fatal"]

_SHOWN = 6


@dataclass(frozen=True)
class Finding:
    """What was found, why it matters and what to do; an ``ok`` finding only says what was looked at."""

    level: Level
    what: str
    why: str = ""
    hint: str = ""

    def line(self) -> str:
        """Return the finding in one line."""
        parts = (part.rstrip(".") for part in (self.what, self.why, self.hint) if part)
        sentences = (f"{part[0].upper()}{part[1:]}." for part in parts)
        return f"{self.level.upper():5s}  {' '.join(sentences)}"

    def to_dict(self) -> dict[str, str]:
        """Return plain data."""
        return asdict(self)


def times(shape: Sequence[int]) -> str:
    """Return ``2 x 3 x 4``."""
    return " x ".join(map(str, shape))


def percent(share: float) -> str:
    """Return a share in percent, two digits below ten."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"  # noqa: PLR2004


def count(number: int, noun: str) -> str:
    """Return ``1 plane`` or ``2 planes``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def be(items: Sequence[int]) -> str:
    """Return the verb for that many."""
    return "is" if len(items) == 1 else "are"


def listed(items: Sequence[int]) -> str:
    """Return the first few, and whether there are more."""
    return ", ".join(map(str, items[:_SHOWN])) + (", ..." if len(items) > _SHOWN else "")
