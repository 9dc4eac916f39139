"""Recipes that volseg brings, each a YAML file of this folder."""

from __future__ import annotations

from pathlib import Path

from volseg_core.api import hookimpl


@hookimpl
def volseg_recipes() -> list[Path]:
    """Return the recipe files."""
    return sorted(Path(__file__).parent.glob("*.yaml"))
