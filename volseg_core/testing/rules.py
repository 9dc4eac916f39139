"""All rules of the kit, in the order of the page that lists them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from volseg_core.api import KINDS

if TYPE_CHECKING:
    from volseg_core.testing.findings import Rule

_MODULES = ("plugin", "descriptor", "conformance", *(f"kinds.{kind}" for kind in KINDS))


def all_rules() -> dict[str, dict[str, Rule]]:
    """Return the rules by name, of whole plugins, of descriptors, of what a check is given, and of each kind."""
    grouped = [import_module(f"volseg_core.testing.{module}").RULES for module in _MODULES]
    return {next(iter(group)).partition(".")[0]: group for group in grouped}
