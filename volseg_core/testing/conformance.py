"""Checking one component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volseg_core.testing.subject import Subject


def check(component: Subject, *, params: Mapping[str, Any] | None = None, sample: Path | str | None = None) -> None:
    """Raise an AssertionError that lists every rule that a component breaks (see `problems`).

    Raises:
        AssertionError: with one sentence per line.
    """
    found = problems(component, params=params, sample=sample)
    if found:
        lines = "\n".join(f"- {problem}" for problem in found)
        message = f"{component} breaks {len(found)} rule{'s' if len(found) > 1 else ''}:\n{lines}"
        raise AssertionError(message)


def problems(
    component: Subject, *, params: Mapping[str, Any] | None = None, sample: Path | str | None = None
) -> list[str]:
    """Return every rule that a component breaks, each as a sentence that says what was seen and the cure.

    ``params`` are values of its parameters, at least of those without a default. ``sample`` is a file that a
    reader opens; without one, a writer of the same suffix makes it.
    """
    raise NotImplementedError
