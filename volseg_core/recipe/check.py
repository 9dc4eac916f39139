"""Checking a registry file and its recipes without training: everything that is wrong, at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from volseg_core.catalog import check_needs
from volseg_core.errors import ExitCode, PluginError, RecipeErrors, UsageError, VolsegError
from volseg_core.policy import normalise, required_errors, required_names
from volseg_core.recipe.components import Components
from volseg_core.recipe.layers import Layers
from volseg_core.recipe.resolve import resolve
from volseg_core.recipe.sources import RecipeSource, chain, find_recipe
from volseg_core.registry import Registry, assemble, find_registry_file, parse_registry_file

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_core.registry import RegistryFile


@dataclass(frozen=True)
class Checked:
    """A recipe and what is wrong with it; ``only_base`` says that it only serves those that extend it."""

    name: str
    errors: Sequence[VolsegError] = ()
    only_base: bool = False

    @property
    def status(self) -> str:
        """``ok``, ``base`` or how many errors."""
        count = len(self.errors)
        return f"{count} error{'s' if count > 1 else ''}" if count else "base" if self.only_base else "ok"


@dataclass(frozen=True)
class Report:
    """What was checked: the registry file (or nothing), its own errors, and each recipe with its errors."""

    path: Path | None
    errors: Sequence[VolsegError]
    recipes: Sequence[Checked]

    @property
    def code(self) -> ExitCode:
        """The exit code: that of the errors where they agree, else that of a recipe."""
        codes = {error.code for error in (*self.errors, *(error for item in self.recipes for error in item.errors))}
        return ExitCode.DONE if not codes else codes.pop() if len(codes) == 1 else ExitCode.USAGE

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "registry": None if self.path is None else str(self.path),
            "ok": self.code == ExitCode.DONE,
            "errors": [_told(error) for error in self.errors],
            "recipes": [
                {"name": item.name, "status": item.status, "errors": [_told(error) for error in item.errors]}
                for item in self.recipes
            ],
        }


def check_recipes(
    path: str | None = None, names: Sequence[str] = (), *, block: Sequence[str] = (), builtin_only: bool = False
) -> Report:
    """Check the registry file that `load_registry` would take, and the recipes named, or all that it holds.

    An abstract recipe is checked through those that extend it.

    Raises:
        UsageError: there is neither a registry file nor a name, or the file is not YAML. DataError: it cannot be read.
    """
    found = find_registry_file(path)
    if found is None and not names:
        what = "there is no registry file"
        raise UsageError("recipes check", what, "Name a recipe, or write a registry file with: volseg recipes init")
    file, errors = parse_registry_file(found)
    if not builtin_only:
        errors += required_errors(file.policy.require)
        usable = tuple(line for line in file.policy.require if not _is_none(line))
        file = replace(file, policy=replace(file.policy, require=usable))
    registry = assemble(file, block=block, builtin_only=builtin_only)
    errors += _file_errors(registry, builtin_only=builtin_only)
    recipes = [_check_one(registry, name) for name in names or file.recipes]
    known = {str(error) for error in errors}
    recipes = [replace(item, errors=[error for error in item.errors if str(error) not in known]) for item in recipes]
    return Report(file.path, errors, recipes)


def _is_none(requirement: str) -> bool:
    return any(isinstance(error, UsageError) for error in required_errors([requirement]))


def _file_errors(registry: Registry, *, builtin_only: bool) -> list[VolsegError]:
    """Return what is wrong beyond the form of a registry file: names that mean nothing, plugins that do not load."""
    file, errors = registry.file, list[VolsegError]()
    required = set() if builtin_only else required_names(file.policy.require)
    for record in registry.plugins.failed():
        local = record.location in map(str, file.policy.local)
        if local or normalise(record.id) in required:
            where = "plugins.local" if local else "plugins.require"
            errors.append(PluginError(where, f"{record.id} {record.complaint()}", "See: volseg plugins list --broken"))
    for kind, name, target in _aliases(file):
        errors += _raised(registry.catalog.find, kind, target, f"aliases.{kind}.{name}")
    Components(registry, Layers(), errors, None)
    if file.default_recipe:
        errors += _raised(find_recipe, registry, file.default_recipe, "default_recipe")
    return errors


def _aliases(file: RegistryFile) -> list[tuple[str, str, str]]:
    return [(kind, name, target) for kind, section in file.aliases.items() for name, target in section.items()]


def _raised(function: Any, *arguments: Any) -> list[VolsegError]:
    """Return the handled errors of a call."""
    try:
        function(*arguments)
    except RecipeErrors as error:
        return list(error.errors)
    except VolsegError as error:
        return [error]
    return []


def _check_one(registry: Registry, name: str) -> Checked:
    found: list[RecipeSource] = []
    errors = _raised(lambda: found.append(find_recipe(registry, name)))
    if errors:
        return Checked(name, errors)
    source = found[0]
    if isinstance(source.content.get("recipes"), Mapping):
        hint = f"Check it with: volseg --registry {name} recipes check"
        return Checked(name, [UsageError(name, "is a registry file, not a recipe", hint)])
    if source.abstract and any(_extends(registry, other, source) for other in registry.file.recipes):
        return Checked(name, only_base=True)
    return Checked(name, _raised(_resolve, registry, source))


def _extends(registry: Registry, name: str, base: RecipeSource) -> bool:
    """Whether a recipe of the registry file that is not abstract extends another one."""
    other = find_recipe(registry, name)
    try:
        return not other.abstract and any(item.name == base.name for item in chain(registry, other))
    except VolsegError:
        return False


def _resolve(registry: Registry, source: RecipeSource) -> None:
    """Resolve a recipe; what its components need must be installed."""
    recipe = resolve(registry, source)
    errors = [error for use in recipe.components() for error in _raised(check_needs, use.provided, use.where)]
    if errors:
        raise RecipeErrors(errors)


def _told(error: VolsegError) -> dict[str, Any]:
    return {"where": error.where, "what": error.what, "hint": error.hint, "notes": list(error.notes)}
