"""Write the tables of built-in components from the catalog: ``python tools/component_table.py``.

That of all kinds stands in the README, that of architectures in the reference.
"""

from __future__ import annotations

import re
from pathlib import Path

from volseg_core.api import KINDS
from volseg_core.discovery import BUILTIN
from volseg_core.registry import load_registry

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "reference.md")
MARKERS = re.compile(r"(<!-- (components|architectures):.*?-->\n)(.*?)(<!-- /\2 -->)", re.DOTALL)
MANY = 20


def components() -> str:
    """Return the table of all kinds as Markdown: a row per kind."""
    catalog = load_registry(builtin_only=True).catalog
    lines = ["| kind | components |", "|---|---|"]
    for kind in KINDS:
        names = [provided.component.name for provided in catalog.all(kind) if provided.plugin.id == BUILTIN]
        if len(names) > MANY:
            lines.append(f"| {kind} | {len(names)}, such as `{names[0]}`; `volseg components {kind}` lists them |")
        elif names:
            lines.append(f"| {kind} | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines) + "\n"


def architectures() -> str:
    """Return the table of architectures as Markdown: a row for each."""
    lines = ["| architecture | `dims` | encoder | |", "|---|---|---|---|"]
    for provided in load_registry(builtin_only=True).catalog.all("architecture"):
        item = provided.component
        lines.append(f"| `{item.name}` | {', '.join(map(str, sorted(item.dims)))} | {item.encoder} | {item.summary} |")
    return "\n".join(lines) + "\n"


TABLES = {"components": components, "architectures": architectures}


def with_table(text: str) -> str:
    """Return the text of a page with fresh tables between the markers."""
    return MARKERS.sub(lambda match: match[1] + TABLES[match[2]]() + match[4], text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
