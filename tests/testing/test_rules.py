"""The page of rules says what the kit checks and what proves it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from volseg_core.api import KINDS
from volseg_core.testing.rules import all_rules

ROOT = Path(__file__).resolve().parents[2]


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("conformance_page", ROOT / "tools" / "conformance_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_rules_are_grouped_by_what_they_are_about() -> None:
    assert list(all_rules()) == ["plugin", "descriptor", "given", *KINDS]


def test_the_page_lists_exactly_the_rules_of_the_kit() -> None:
    page = (ROOT / "docs" / "plugins" / "conformance.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+\.[a-z-]+)` \|", page, re.MULTILINE) == [
        name for group in all_rules().values() for name in group
    ]
    assert page == tool().page(), "run python tools/conformance_page.py"


def test_rules_and_cures_are_sentences() -> None:
    for group in all_rules().values():
        for rule in group.values():
            assert not rule.states.endswith((".", ",")), rule.name
            assert rule.cure[0].isupper(), rule.name
            assert rule.cure.endswith("."), rule.name
