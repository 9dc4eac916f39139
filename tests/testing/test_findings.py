"""Rules and the sentences that breaches become."""

from __future__ import annotations

import pytest

from volseg_core.testing.findings import Findings, NotGivenError, rules

RULES = rules("tea", hot=("Tea is hot", "Warm it."), in_time=("Tea comes in time", "Hurry."))


def test_rules_are_named_after_their_kind_and_words() -> None:
    assert list(RULES) == ["tea.hot", "tea.in-time"]


def test_a_breach_says_the_rule_what_was_seen_the_cure_and_the_name() -> None:
    found = Findings(RULES)
    found.broke("hot", "it has  20 degrees.")
    assert str(found.broken["tea.hot"]) == "Tea is hot, but it has 20 degrees. Warm it. [tea.hot]"


def test_a_rule_is_told_once_as_it_was_first_seen() -> None:
    found = Findings(RULES)
    found.broke("hot", "it has 20 degrees")
    found.broke("hot", "it has 30 degrees")
    found.broke_if("in-time", "")
    assert {name: breach.seen for name, breach in found.broken.items()} == {"tea.hot": "it has 20 degrees"}


def test_what_was_seen_is_cut_to_a_readable_length() -> None:
    found = Findings(RULES)
    found.broke("hot", "x" * 1000)
    assert found.broken["tea.hot"].seen == "x" * 297 + "..."


def test_an_exception_becomes_a_breach_but_for_what_only_the_author_can_give() -> None:
    found = Findings(RULES)
    with found.trying("in-time", "poured"):
        raise ValueError("no\npot")
    assert found.broken["tea.in-time"].seen == "poured it raised ValueError: no pot"
    with pytest.raises(NotGivenError), found.trying("hot", "poured"):
        raise NotGivenError("sample", "none")
    assert list(found.broken) == ["tea.in-time"]
