"""Write the README's table of built-in components from the catalog: ``python tools/component_table.py``."""

from __future__ import annotations

import re
from pathlib import Path

from volseg_core.api import KINDS
from volseg_core.discovery import BUILTIN
from volseg_core.registry import load_registry

README = Path(__file__).resolve().parents[1] / "README.md"
MARKERS = re.compile(r"(<!-- components:.*?-->\n)(.*?)(<!-- /components -->)", re.DOTALL)
MANY = 20


def table() -> str:
    """Return the table as Markdown: a row per kind."""
    catalog = load_registry(builtin_only=True).catalog
    lines = ["| kind | components |", "|---|---|"]
    for kind in KINDS:
        names = [provided.component.name for provided in catalog.all(kind) if provided.plugin.id == BUILTIN]
        if len(names) > MANY:
            lines.append(f"| {kind} | {len(names)}, such as `{names[0]}`; `volseg components {kind}` lists them |")
        elif names:
            lines.append(f"| {kind} | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """Return the README's text with a fresh table between the markers."""
    return MARKERS.sub(lambda match: match[1] + table() + match[3], text)


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
