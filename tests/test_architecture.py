"""Guards: who may import whom, every plugin has its entry point, every hook is documented with its signature."""

from __future__ import annotations

import ast
import inspect
import tomllib
from pathlib import Path

import pytest

from volseg_core import hookspecs

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/plugin.py"))
PUBLIC = ("volseg_core.api", "volseg_core.volume", "volseg_core.testing")


def imports(path: Path) -> set[str]:
    """Return the full names of all modules that a file imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def test_every_plugin_folder_has_an_entry_point_and_the_other_way_round() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = set(project["entry-points"]["volseg"].values())
    assert declared == {f"{folder.name}.plugin" for folder in PLUGINS}


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_built_in_imports_the_public_core_and_no_other_plugin(folder: Path) -> None:
    foreign = tuple(other.name for other in PLUGINS if other != folder)
    for path in folder.rglob("*.py"):
        for name in imports(path):
            assert not within(name, ("volseg_core",)) or within(name, PUBLIC), f"{path.name} imports {name}"
            assert not within(name, (*foreign, "plugins")), f"{path.name} imports {name}"


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_built_in_has_a_docstring_only_init(folder: Path) -> None:
    body = ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


def test_the_core_imports_no_plugin() -> None:
    names = (*(folder.name for folder in PLUGINS), "plugins")
    for path in (ROOT / "volseg_core").rglob("*.py"):
        for name in imports(path):
            assert not within(name, names), f"{path} imports {name}"


def test_every_hook_is_in_the_docs_with_its_signature() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    hooks = [value for name, value in vars(hookspecs).items() if name.startswith("volseg_")]
    assert len(hooks) == 15
    for hook in hooks:
        assert f"{hook.__name__}{inspect.signature(hook)}".replace("'", "") in page


def test_every_kind_is_collected_by_a_hook() -> None:
    from volseg_core.api import KINDS

    assert list(hookspecs.COLLECTING) == list(KINDS)
    for hook in hookspecs.COLLECTING.values():
        assert not inspect.signature(getattr(hookspecs, hook)).parameters


def test_the_example_of_the_docs_trains_like_cross_entropy_without_its_exponent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from volseg_core.recipe import find_recipe, resolve
    from volseg_core.registry import load_registry

    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for language, name in (("python", "my_losses.py"), ("yaml", "registry.yaml")):
        block = page.split(f"```{language}\n# {name}\n")[1].partition("```")[0]
        (tmp_path / name).write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    registry = load_registry()
    recipe = resolve(registry, find_recipe(registry, "mine"), ["loss.my-focal.gamma=0"])
    use = recipe.losses[0]
    assert use.provided.id == "local/my_losses/my-focal"

    loss = registry.catalog.build(use.provided, use.params)
    logits, target = torch.randn(2, 3, 4, 5), torch.randint(-1, 3, (2, 4, 5))
    expected = torch.nn.functional.cross_entropy(logits, target, ignore_index=-1)
    torch.testing.assert_close(loss(logits, target, valid=target >= 0), expected)
