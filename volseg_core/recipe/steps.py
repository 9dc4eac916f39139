"""Steps after the merge as chains: which array each one takes, of which head, and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from volseg_core.api import Postprocess
from volseg_core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from volseg_core.recipe.assembled import ComponentUse

SAME = "same"
"""What a step gives that gives what it takes."""


@dataclass(frozen=True)
class Step:
    """A step in its chain: it takes the array ``takes`` of ``head`` and gives ``gives``.

    ``first``: it begins a chain, and takes what the network gave; else what the step before it made.
    """

    use: ComponentUse
    head: str
    takes: str
    gives: str
    first: bool


def link_steps(uses: Sequence[ComponentUse], heads: Mapping[str, Sequence[str]]) -> list[Step]:
    """Return the steps with what they take; ``heads`` are the arrays of each head, by name (one may have none).

    A step takes what the one before it gives. The first one, and one that names a ``head`` of its own, begins a chain:
    it takes of its head, else of the first head that has one, the first array of its ``takes`` that is there.

    Raises:
        UsageError: there is no such head, or nothing that a step takes.
    """
    steps: list[Step] = []
    for use in uses:
        if use.head and use.head not in heads:
            hint = did_you_mean(use.head, heads) if any(heads) else "The recipe has one head, without a name."
            raise UsageError(use.where, f"there is no head named {use.head!r}", hint)
        last = steps[-1] if steps else None
        if last is None or (use.head and use.head != last.head):
            steps.append(_first(use, heads))
        else:
            steps.append(_next(use, last))
    return steps


def _first(use: ComponentUse, heads: Mapping[str, Sequence[str]]) -> Step:
    among = {use.head: heads[use.head]} if use.head else heads
    found = [(head, kind) for head, kinds in among.items() for kind in takes(use) if kind in kinds]
    if not found:
        given = ", ".join(sorted({kind for kinds in among.values() for kind in kinds}))
        what = f"{use.provided.component.name!r} takes {' or '.join(takes(use))}, and there are {given}"
        raise UsageError(use.where, what, "Put a step before it that makes them.")
    head, kind = found[0]
    return Step(use, head, kind, _gives(use, kind), first=True)


def _next(use: ComponentUse, last: Step) -> Step:
    if last.gives not in takes(use):
        name, before = use.provided.component.name, last.use.provided.component.name
        what = f"{name!r} takes {' or '.join(takes(use))}, and {before!r} before it gives {last.gives}"
        raise UsageError(use.where, what, "Put it elsewhere, or leave one of them out.")
    return Step(use, last.head, last.gives, _gives(use, last.gives), first=False)


def takes(use: ComponentUse) -> tuple[str, ...]:
    """Return what a step can take."""
    return _described(use).takes


def _gives(use: ComponentUse, taken: str) -> str:
    gives = _described(use).gives
    return taken if gives == SAME else gives


def _described(use: ComponentUse) -> Postprocess:
    component = use.provided.component
    assert isinstance(component, Postprocess)  # noqa: S101  (the catalog keeps kinds apart)
    return component
