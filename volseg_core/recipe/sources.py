"""Where recipes come from: registry.yaml, plugins and files; and the chain of what a recipe extends."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.discovery import BUILTIN
from volseg_core.errors import UsageError, VolsegError, did_you_mean, known_names
from volseg_core.reading import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from volseg_core.registry import Registry

log = logging.getLogger("volseg")

OWN_KEYS = ("extends", "abstract")
"""Keys that say how a recipe is made; no part of the result."""
IDENTITY_KEYS = ("name", "summary", "made_with")
"""Keys that a recipe does not hand on to those that extend it."""
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class RecipeSource:
    """A recipe as written: its qualified name, the file where it stands (or nothing) and its content.

    ``shadows`` is the built-in of the same name; ``problem`` says why the file of a plugin cannot be read.
    """

    name: str
    origin: str
    content: Mapping[str, Any]
    shadows: str = ""
    problem: str = ""

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
    provided = _provided(registry)
    return [_own(registry, name) for name in registry.file.recipes] + [
        _listed(name, path) for name, path in sorted(provided.items())
    ]


def find_recipe(registry: Registry, word: str, where: str = "recipe") -> RecipeSource:
    """Return the recipe that ``word`` means: a file, a recipe of the registry file, or one of a plugin.

    Raises:
        UsageError: nothing has that name, or the file does not exist or is no recipe. DataError: it cannot be read.
    """
    path = Path(word)
    if word.endswith(_SUFFIXES) or ("/" in word and path.is_file()):
        if not path.is_file():
            raise UsageError(where, f"{word!r} does not exist")
        return RecipeSource(path.stem, str(path.resolve()), read_yaml(path))
    if word in registry.file.recipes:
        found = _own(registry, word)
        if found.shadows:
            log.info("recipe %r is the one of %s; the built-in is %s", word, found.origin, found.shadows)
        return found
    provided = _provided(registry)
    qualified = word if "/" in word else f"{BUILTIN}/{word}"
    if qualified in provided:
        return RecipeSource(qualified, str(provided[qualified]), read_yaml(provided[qualified]))
    names = [*registry.file.recipes, *provided]
    names += [name.removeprefix(f"{BUILTIN}/") for name in provided if name.startswith(f"{BUILTIN}/")]
    raise UsageError(where, f"no recipe named {word!r}", did_you_mean(word, names), [f"known: {known_names(names)}"])


def chain(registry: Registry, recipe: RecipeSource) -> list[RecipeSource]:
    """Return what ``recipe`` extends, left to right and deepest first, and the recipe itself at the end.

    What is extended twice counts once, where it is met first.

    Raises:
        UsageError: a recipe extends itself, or something that does not exist.
    """
    found: dict[tuple[str, str], RecipeSource] = {}
    _extend(registry, recipe, (), found)
    return list(found.values())


def _extend(
    registry: Registry,
    recipe: RecipeSource,
    above: tuple[RecipeSource, ...],
    found: dict[tuple[str, str], RecipeSource],
) -> None:
    where = f"{recipe.name}: extends"
    identity = (recipe.origin, recipe.name)
    way = [*above, recipe]
    if identity in [(item.origin, item.name) for item in above]:
        raise UsageError(where, f"{recipe.name!r} extends itself: {' > '.join(item.name for item in way)}")
    parents = recipe.content.get("extends") or []
    for parent in [parents] if isinstance(parents, str) else parents:
        if not isinstance(parent, str):
            raise UsageError(where, f"{parent!r} is not the name of a recipe")
        _extend(registry, find_recipe(registry, _meant(recipe, parent), where), tuple(way), found)
    found.setdefault(identity, recipe)


def _meant(recipe: RecipeSource, parent: str) -> str:
    """Return what a recipe means by the name of a parent."""
    if recipe.shadows and parent == recipe.name:
        return recipe.shadows
    if parent.endswith(_SUFFIXES) and recipe.origin:
        # a file is found from the file that names it, wherever volseg is run
        return str(Path(recipe.origin).parent / parent)
    return parent


def _provided(registry: Registry) -> dict[str, Path]:
    return {f"{record.id}/{path.stem}": path for record in registry.plugins.records for path in record.recipes}


def _own(registry: Registry, name: str) -> RecipeSource:
    builtin = f"{BUILTIN}/{name}"
    shadows = builtin if builtin in _provided(registry) else ""
    return RecipeSource(name, str(registry.file.path), registry.file.recipes[name], shadows)


def _listed(name: str, path: Path) -> RecipeSource:
    """Return a plugin's recipe for a listing, which one bad file does not spoil."""
    try:
        return RecipeSource(name, str(path), read_yaml(path))
    except VolsegError as error:
        return RecipeSource(name, str(path), {}, problem=error.what)
