"""Settings of another tool: read tolerantly, used key by key, and what is left over is named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from volseg_core.errors import DataError, did_you_mean
from volseg_core.recipe.choices import Choice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Left:
    """Settings that a recipe does not carry, and why."""

    keys: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return f"{', '.join(self.keys)}: {self.why}"


@dataclass
class Transfer:
    """What moves into the recipe (``choices``) and what does not (``left``)."""

    choices: list[Choice] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def carry(self, key: str, value: Any, why: str) -> None:
        """Set a key of the recipe."""
        self.choices.append(Choice(key, value, why))

    def leave(self, keys: str | tuple[str, ...], why: str) -> None:
        """Name settings that do not move."""
        self.left.append(Left((keys,) if isinstance(keys, str) else keys, why))

    def grouped(self) -> list[Left]:
        """Return what does not move, settings with one reason together, in the order of the reasons."""
        by_reason: dict[str, list[str]] = {}
        for item in self.left:
            by_reason.setdefault(item.why, []).extend(item.keys)
        return [Left(tuple(keys), why) for why, keys in by_reason.items()]


class Settings:
    """The keys of a settings file, or of a section in it, whose keys are named after ``prefix``.

    Every key is taken once; `remaining` are those that nobody asked for.
    """

    def __init__(self, content: Mapping[str, Any], transfer: Transfer, prefix: str = "") -> None:
        self._content = dict(content)
        self._transfer = transfer
        self.prefix = prefix
        self._taken: set[str] = set()
        self.asked: set[str] = set()
        """Keys that were asked for, whether the file has them or not."""

    def __contains__(self, key: str) -> bool:
        self.asked.add(key)
        return key in self._content

    def remaining(self) -> list[str]:
        """Return the keys that were not taken, in the order of the file."""
        return [key for key in self._content if key not in self._taken]

    def section(self, key: str) -> Settings:
        """Return the settings of a section, none where the file has no such section."""
        content = self.take(key)
        if content is not None and not isinstance(content, Mapping):
            self.leave(key, f"{content!r} is not a mapping")
        inner = content if isinstance(content, Mapping) else {}
        return Settings({str(name): value for name, value in inner.items()}, self._transfer, f"{self.prefix}{key}.")

    def leave(self, keys: str | tuple[str, ...], why: str) -> None:
        """Name those of the settings that are there as not carried."""
        wanted = (keys,) if isinstance(keys, str) else keys
        if found := tuple(key for key in wanted if key in self):
            self._taken.update(found)
            self._transfer.leave(tuple(self.prefix + key for key in found), why)

    def leave_the_rest(self, reasons: Mapping[str, str], unknown: str) -> None:
        """Name every setting that was not asked for, those with one reason together."""
        by_reason: dict[str, list[str]] = {}
        known = {*reasons, *self.asked}
        for key in self.remaining():
            reason = reasons.get(key) or f"{unknown}. {did_you_mean(key, known)}".rstrip(" .")
            by_reason.setdefault(reason, []).append(key)
        for reason, keys in by_reason.items():
            self.leave(tuple(keys), reason)

    def take(self, key: str, default: Any = None) -> Any:
        """Return the value as it stands."""
        self._taken.add(key)
        self.asked.add(key)
        return self._content.get(key, default)

    def number(self, key: str, accept: Callable[[float], bool] = math.isfinite) -> float | None:
        """Return a number, or None where there is none; one that is not understood is named as left."""
        value = self.take(key)
        if value is None:
            return None
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if math.isfinite(number) and accept(number):
            return number
        self.leave(key, f"the value {value!r} is not understood")
        return None

    def whole(self, key: str, least: int = 0) -> int | None:
        """Return a whole number of at least ``least``, or None."""
        number = self.number(key, lambda value: value >= least and value == int(value))
        return None if number is None else int(number)

    def word(self, key: str) -> str:
        """Return a text as it stands, or an empty string."""
        value = self.take(key)
        return "" if value is None else str(value).strip()

    def flag(self, key: str) -> bool:
        """Return whether a switch is on."""
        value = self.take(key)
        return value.strip().lower() in ("true", "yes", "on", "1") if isinstance(value, str) else bool(value)


def read_settings(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML settings file; a key that stands twice has its last value.

    Raises:
        DataError: it cannot be read, is not YAML (with the line), or is no mapping.
    """
    import yaml

    where = str(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(where, f"cannot be read ({error.strerror})") from None
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DataError(where, f"is not YAML{line} ({error.problem or error.context})") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise DataError(where, f"is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise DataError(where, "holds no mapping of settings to values")
    return {str(key): value for key, value in content.items()}
