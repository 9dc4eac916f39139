"""Where recipes come from: registry.yaml, plugins and files; and the chain of what a recipe extends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volseg_core.discovery import BUILTIN
from volseg_core.errors import DataError, UsageError, did_you_mean, known_names
from volseg_core.registry import Registry, read_yaml

OWN_KEYS = ("extends", "abstract", "summary")
"""Keys that a recipe does not hand on to those that extend it."""


@dataclass(frozen=True)
class RecipeSource:
    """A recipe as written: its qualified name, where it stands and its content."""

    name: str
    origin: str
    content: Mapping[str, Any]
    shadows: str = ""

    @property
    def summary(self) -> str:
        """One line for tables."""
        return str(self.content.get("summary", ""))

    @property
    def abstract(self) -> bool:
        """Whether it only serves to be extended."""
        return bool(self.content.get("abstract", False))


def list_recipes(registry: Registry) -> list[RecipeSource]:
    """Return all recipes: those of the registry file first, then those of plugins, qualified."""
    provided = {
        f"{record.id}/{path.stem}": path for record in registry.plugins.records for path in record.recipes
    }
    builtin = {name.removeprefix(f"{BUILTIN}/") for name in provided if name.startswith(f"{BUILTIN}/")}
    own = [
        RecipeSource(name, str(registry.file.path), content, f"{BUILTIN}/{name}" if name in builtin else "")
        for name, content in registry.file.recipes.items()
    ]
    return own + [RecipeSource(name, str(path), read_yaml(path)) for name, path in sorted(provided.items())]


def find_recipe(registry: Registry, word: str) -> RecipeSource:
    """Return the recipe that ``word`` means: a file, a recipe of the registry file, or one of a plugin.

    Raises:
        UsageError: nothing has that name. DataError: the file cannot be read.
    """
    path = Path(word)
    if word.endswith((".yaml", ".yml")) or ("/" in word and path.is_file()):
        if not path.is_file():
            raise DataError(word, "does not exist")
        return RecipeSource(path.stem, str(path.resolve()), read_yaml(path))
    if word in registry.file.recipes:
        return next(recipe for recipe in list_recipes(registry) if recipe.name == word)
    qualified = word if "/" in word else f"{BUILTIN}/{word}"
    for record in registry.plugins.records:
        for file in record.recipes:
            if f"{record.id}/{file.stem}" == qualified:
                return RecipeSource(qualified, str(file), read_yaml(file))
    names = [recipe.name for recipe in list_recipes(registry)]
    names += [name.removeprefix(f"{BUILTIN}/") for name in names if name.startswith(f"{BUILTIN}/")]
    raise UsageError("recipe", f"no recipe named {word!r}", did_you_mean(word, names), [f"known: {known_names(names)}"])


def chain(registry: Registry, recipe: RecipeSource, seen: tuple[str, ...] = ()) -> list[RecipeSource]:
    """Return what ``recipe`` extends, left to right and deepest first, and the recipe itself at the end.

    Raises:
        UsageError: a recipe extends itself, or something that does not exist.
    """
    identity = f"{recipe.origin}#{recipe.name}"
    if identity in seen:
        raise UsageError(f"recipe {recipe.name!r}", "extends itself")
    parents = recipe.content.get("extends") or []
    result: list[RecipeSource] = []
    for parent in [parents] if isinstance(parents, str) else parents:
        # a recipe of the registry file that has a built-in's name and extends that name means the built-in
        word = f"{BUILTIN}/{parent}" if parent == recipe.name and recipe.shadows else str(parent)
        result += chain(registry, find_recipe(registry, word), (*seen, identity))
    return [*result, recipe]
