"""Checking a whole plugin, in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def check_plugin(plugin: str, registry: Path | str | None = None) -> list[str]:
    """Return every rule that an installed plugin or one of its components breaks, as sentences.

    It runs in a fresh process: the status, the time and the libraries that discovery takes, the package's
    ``__init__``, then `problems` of each component.
    """
    raise NotImplementedError
