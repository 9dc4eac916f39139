"""Checking one component."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.testing import descriptor
from volseg_core.testing.findings import Findings, NotGivenError, rules
from volseg_core.testing.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from volseg_core.testing.findings import Breach
    from volseg_core.testing.subject import Subject

RULES = rules(
    "given",
    params=(
        "A component is built with its parameters, and the check is given those without a default",
        "Call check(component, params={...}) in a test of its own.",
    ),
    sample=(
        "A reader opens a file, which the check is given where no writer of its suffix makes one",
        "Call check(component, sample=PATH) in a test of its own.",
    ),
    encoder=(
        "An architecture is built on an encoder, which the check is given where any will not do",
        "Call check(component, encoder=NAME) in a test of its own.",
    ),
)


def check(
    component: Subject,
    *,
    params: Mapping[str, Any] | None = None,
    sample: Path | str | None = None,
    encoder: str = "",
) -> None:
    """Raise an AssertionError that lists every rule that a component breaks; the arguments are those of `problems`.

    Raises:
        AssertionError: with one sentence per line.
    """
    found = problems(component, params=params, sample=sample, encoder=encoder)
    if found:
        lines = "\n".join(f"- {problem}" for problem in found)
        message = f"{component} breaks {len(found)} rule{'s' if len(found) > 1 else ''}:\n{lines}"
        raise AssertionError(message)


def problems(
    component: Subject,
    *,
    params: Mapping[str, Any] | None = None,
    sample: Path | str | None = None,
    encoder: str = "",
) -> list[str]:
    """Return every rule that a component breaks, each as a sentence that says what was seen and the cure.

    ``params`` are values of its parameters, at least of those without a default. ``sample`` is a file that a
    reader opens; without one, a writer of the same suffix makes it. ``encoder`` names the encoder that an
    architecture is built on; without one, a small reference encoder.

    Raises:
        UsageError: the component has no such parameter.
    """
    trial = Trial(component, dict(params or {}), None if sample is None else Path(sample), encoder)
    return [str(breach) for breach in broken_rules(trial).values()]


def broken_rules(trial: Trial) -> dict[str, Breach]:
    """Return the broken rules by name."""
    described = Findings(descriptor.RULES)
    if not descriptor.examine(trial, described):
        return described.broken
    given = Findings(RULES)
    if trial.missing:
        given.broke("params", f"none was given for {', '.join(trial.missing)}")
        return described.broken | given.broken
    kind = import_module(f"volseg_core.testing.kinds.{trial.provided.kind}")
    behaved = Findings(kind.RULES)
    try:
        kind.examine(trial, behaved)
    except NotGivenError as lack:
        given.broke(lack.what, str(lack))
    return described.broken | behaved.broken | given.broken
