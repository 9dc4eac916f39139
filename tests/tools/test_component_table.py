from __future__ import annotations

import runpy
from pathlib import Path

from volseg_core.registry import load_registry

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def test_the_reference_names_every_architecture():
    tool = runpy.run_path(str(ROOT / "tools" / "component_table.py"))
    assert tool["with_table"](REFERENCE) == REFERENCE, "run: python tools/component_table.py"
    for provided in load_registry(builtin_only=True).catalog.all("architecture"):
        item = provided.component
        assert (
            f"| `{item.name}` | {', '.join(map(str, sorted(item.dims)))} | {item.encoder} | {item.summary} |"
            in REFERENCE
        )
