"""Rules, and what was found against them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from volseg_core.plugins import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LONGEST = 300


@dataclass(frozen=True)
class Rule:
    """What the kit asks: a sentence without its full stop, and the sentence that says what to do about it."""

    name: str
    states: str
    cure: str


def rules(kind: str, **stated: tuple[str, str]) -> dict[str, Rule]:
    """Return rules named ``KIND.WORDS-WITH-HYPHENS`` from their statements and cures."""
    named = {f"{kind}.{key.replace('_', '-')}": texts for key, texts in stated.items()}
    return {name: Rule(name, states, cure) for name, (states, cure) in named.items()}


@dataclass(frozen=True)
class Breach:
    """A rule that is broken, and what was seen."""

    rule: Rule
    seen: str

    def __str__(self) -> str:
        return f"{self.rule.states}, but {self.seen}. {self.rule.cure} [{self.rule.name}]"


class NotGivenError(Exception):
    """A check cannot go on without something that only the author has: ``sample`` or ``encoder``."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        super().__init__(why)


class Findings:
    """The rules of one kind that a component breaks: each once, as it was first seen."""

    def __init__(self, stated: Mapping[str, Rule]) -> None:
        self._stated = stated
        self._kind = next(iter(stated)).partition(".")[0]
        self.broken: dict[str, Breach] = {}

    def broke(self, rule: str, seen: str) -> None:
        """Note that a rule is broken; ``seen`` completes "The rule, but ..."."""
        found = self._stated[f"{self._kind}.{rule}"]
        text = " ".join(seen.rstrip(".").split())
        shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
        self.broken.setdefault(found.name, Breach(found, shown))

    def broke_if(self, rule: str, seen: str) -> None:
        """Note that a rule is broken when something was seen."""
        if seen:
            self.broke(rule, seen)

    @contextmanager
    def trying(self, rule: str, doing: str) -> Iterator[None]:
        """Note an exception as a breach of a rule: "The rule, but ``doing`` it raised ..."."""
        try:
            yield
        except NotGivenError:
            raise
        except Exception as error:  # noqa: BLE001  (third-party code raises what it likes)
            self.broke(rule, f"{doing} it raised {describe(error)}")
