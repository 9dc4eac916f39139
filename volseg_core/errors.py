"""The one class of handled errors: a line that says where, what and how to go on, and an exit code."""

from __future__ import annotations

import difflib
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class ExitCode(IntEnum):
    """What the command line returns to the shell (documented in docs/reference.md)."""

    DONE = 0
    BUG = 1
    USAGE = 2
    PLUGIN = 3
    DATA = 4
    RESOURCE = 5
    DIVERGED = 6
    INTERRUPTED = 130


class VolsegError(Exception):
    """An error that a user can act on: ``where: what. hint`` and no traceback.

    ``notes`` are printed below, indented. Subclasses fix the exit code.
    """

    code: ExitCode = ExitCode.BUG

    def __init__(self, where: str, what: str, hint: str = "", notes: Sequence[str] = ()) -> None:
        self.where = where
        self.what = what.rstrip(".")
        self.hint = hint
        self.notes = tuple(notes)
        super().__init__(self.line())

    def line(self) -> str:
        """Return the first line, without the notes."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.hint:
            return f"{text}. {self.hint}"
        return text if text.endswith(("?", "!")) else f"{text}."

    def __str__(self) -> str:
        return "\n".join([self.line(), *(f"  {note}" for note in self.notes)])

    def __reduce__(self) -> tuple[Any, ...]:
        # errors travel between processes: the default would call the class with one argument
        return type(self), (self.where, self.what, self.hint, self.notes)


class UsageError(VolsegError):
    """The command line or the recipe is wrong."""

    code = ExitCode.USAGE


class RecipeErrors(UsageError):  # noqa: N818  (it holds several)
    """All that is wrong with a recipe, reported at once."""

    def __init__(self, errors: Sequence[VolsegError]) -> None:
        self.errors = tuple(errors)
        super().__init__("recipe", f"{len(self.errors)} errors")

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.errors,)


class PluginError(VolsegError):
    """A component or plugin cannot be found, loaded or used."""

    code = ExitCode.PLUGIN


class DataError(VolsegError):
    """A file is missing, damaged or mismatched, or cannot be written."""

    code = ExitCode.DATA


class ResourceError(VolsegError):
    """A GPU, memory or disk space is missing."""

    code = ExitCode.RESOURCE


class DivergedError(VolsegError):
    """Training produced a value that is not finite."""

    code = ExitCode.DIVERGED


class Interrupted(VolsegError):  # noqa: N818  (the user's wish, not an error)
    """The user stopped the work; the text says how to resume."""

    code = ExitCode.INTERRUPTED


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'?`` for the known name nearest to ``name``, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""


def known_names(names: Iterable[str], limit: int = 12) -> str:
    """Return at most ``limit`` names in a line, and how many more there are."""
    ordered = sorted(names)
    shown = ", ".join(ordered[:limit])
    return f"{shown} and {len(ordered) - limit} more" if len(ordered) > limit else shown
