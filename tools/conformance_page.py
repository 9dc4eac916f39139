"""Write docs/plugins/conformance.md: every rule of the kit and the wrong component that proves it.

python tools/conformance_page.py
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from volseg_core.testing.rules import all_rules

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "plugins" / "conformance.md"
TESTS = ROOT / "tests" / "testing"

HEAD = """\
# Conformance

`volseg_core.testing` checks whether components keep to their contracts. In the tests of a plugin:

```python
import pytest
from volseg_core.testing import check, components


@pytest.mark.parametrize("component", components("volseg-acme"), ids=str)
def test_conforms(component):
    check(component)
```

`components("volseg-acme")` are all components of the installed plugin, `components("local/my_losses")` those of a file
of registry.yaml, and `components(Catalog.from_modules([module]))` those of modules, whatever is installed
(`from volseg_core.catalog import Catalog`). `check` fails with every rule that is broken, each as a sentence that
states the rule, what was seen, and the cure, with the rule's name; `problems(component)` returns the sentences, and
`check_plugin("volseg-acme")`, which `volseg plugins check` prints, looks at the whole plugin in a process of its own.

What the kit cannot know is given: `check(component, params={...})` for parameters without a default, `sample=PATH` for
a reader whose files no writer makes, `encoder=NAME` for an architecture that a small pyramid of convolutions does not
serve. A merge is given views named `z`, `y`, `x` and `z,-y,x` and classes named `background`, `first` and `second`.
ONNX is checked where `volseg[export]` and ONNX Runtime are installed, in all dimensions that a network declares.
An encoder with parameters named `weights` and `input_size` is built with `none` and 224.
Readers, writers, metrics and merges are checked a second time in a process in which torch cannot be imported.

Each rule below is proved by a component that is deliberately wrong (`tests/testing/wrong/`, the last column says in
which way) and is caught by this rule; the built-ins keep to all of them (`tests/contract/`).
This page is made by `tools/conformance_page.py`.
"""
TITLES = {
    "plugin": "Whole plugins",
    "descriptor": "Every descriptor",
    "given": "What a check must be given",
}


def page() -> str:
    """Return the text of the page."""
    return "\n".join([HEAD, *(section(group, rules) for group, rules in all_rules().items())])


def section(group: str, rules: dict[str, Any]) -> str:
    """Return the table of a group of rules."""
    cases = wrong(group)
    title = TITLES.get(group, f"{group.capitalize()}")
    rows = [f"| `{name}` | {rule.states}. {rule.cure} | {cases[name]} |" for name, rule in rules.items()]
    return "\n".join(
        [f"## {title}", "", "| rule | states, and the cure | one that breaks it |", "|---|---|---|", *rows, ""]
    )


def wrong(group: str) -> dict[str, str]:
    """Return in which way the wrong component of each rule is wrong."""
    if group == "plugin":
        return {name: case[0] for name, case in load(TESTS / "test_plugin.py").WRONG.items()}
    module = load(TESTS / "wrong" / f"{'descriptor' if group == 'given' else group}.py")
    cases = module.GIVEN if group == "given" else module.WRONG
    return {f"{group}.{rule}": component.summary.strip() for rule, (component, _) in cases.items()}


def load(path: Path) -> Any:
    """Import a file of the tests."""
    spec = importlib.util.spec_from_file_location(f"conformance_{path.stem}", path)
    assert spec is not None  # noqa: S101  (the file is there)
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
