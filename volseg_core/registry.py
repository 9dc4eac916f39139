"""The registry: registry.yaml (which plugins, aliases, defaults, recipes) and the catalog it leads to."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volseg_core.api import KINDS
from volseg_core.catalog import Catalog
from volseg_core.discovery import PluginPolicy, discover, normalise
from volseg_core.errors import RecipeErrors, UsageError, VolsegError, did_you_mean
from volseg_core.policy import check_required
from volseg_core.reading import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from volseg_core.plugins import Plugins

__all__ = ["Registry", "RegistryFile", "find_registry_file", "load_registry", "read_registry_file", "read_yaml"]

FILE_NAME = "registry.yaml"
IMAGE_FILE = Path("/opt/volseg/registry.yaml")
_KEYS = ("version", "plugins", "aliases", "defaults", "recipes", "default_recipe")
_PLUGIN_KEYS = ("mode", "require", "block", "local")
MODES = ("installed", "listed", "builtin")


@dataclass(frozen=True)
class RegistryFile:
    """The contents of a registry file, checked."""

    path: Path | None = None
    sha256: str = ""
    policy: PluginPolicy = field(default_factory=PluginPolicy)
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default_recipe: str = ""


@dataclass(frozen=True)
class Registry:
    """What a command works with: the file, the plugins and the catalog of their components."""

    file: RegistryFile
    plugins: Plugins
    catalog: Catalog


def load_registry(path: Path | str | None = None, *, block: Sequence[str] = (), builtin_only: bool = False) -> Registry:
    """Find and read the registry file, discover plugins and return the catalog.

    The file is ``path``, else ``$VOLSEG_REGISTRY``, else ``./registry.yaml``, else the image's, else none.

    Raises:
        RecipeErrors: all that is wrong with the file. DataError: it cannot be read.
        PluginError: a required plugin is missing.
    """
    file = read_registry_file(find_registry_file(path))
    check_required(() if builtin_only else file.policy.require)
    return assemble(file, block=block, builtin_only=builtin_only)


def assemble(file: RegistryFile, *, block: Sequence[str] = (), builtin_only: bool = False) -> Registry:
    """Discover plugins as a registry file and the caller want; requirements are not checked."""
    policy = PluginPolicy(
        mode="builtin" if builtin_only else file.policy.mode,
        require=() if builtin_only else file.policy.require,
        block=_blocked(block, "--block") | _blocked_by_environment() | dict(file.policy.block),
        local=file.policy.local,
    )
    plugins = discover(policy)
    return Registry(file, plugins, Catalog(plugins, file.aliases, policy.block))


def _blocked_by_environment() -> dict[str, str]:
    return _blocked(os.environ.get("VOLSEG_BLOCK", "").replace(",", " ").split(), "VOLSEG_BLOCK")


def _blocked(names: Sequence[str], place: str) -> dict[str, str]:
    """Return what blocks each plugin id or qualified component name; the distribution's name may be spelt freely."""
    ids = []
    for name in names:
        plugin, slash, component = name.partition("/")
        ids.append(f"{plugin if plugin == 'local' else normalise(plugin)}{slash}{component}")
    return dict.fromkeys(ids, place)


def find_registry_file(path: Path | str | None) -> Path | None:
    """Return the registry file that applies, or None.

    Raises:
        UsageError: a file was named and does not exist.
    """
    for origin, named in (("--registry", path), ("VOLSEG_REGISTRY", os.environ.get("VOLSEG_REGISTRY"))):
        if named:
            if not Path(named).is_file():
                raise UsageError(origin, f"{str(named)!r} does not exist")
            return Path(named)
    return next((file for file in (Path(FILE_NAME), IMAGE_FILE) if file.is_file()), None)


def read_registry_file(path: Path | None) -> RegistryFile:
    """Parse and check a registry file.

    Raises:
        RecipeErrors: all that is wrong with it. DataError: it cannot be read.
    """
    file, errors = parse_registry_file(path)
    if errors:
        raise RecipeErrors(errors)
    return file


def parse_registry_file(path: Path | None) -> tuple[RegistryFile, list[VolsegError]]:
    """Return what is right in a registry file, and all that is wrong with it.

    Raises:
        UsageError: it is not YAML. DataError: it cannot be read.
    """
    if path is None:
        return RegistryFile(), []
    checked = _Checked(read_yaml(path), path.name)
    checked.keys(checked.content, _KEYS, path.name)
    version = checked.content.get("version", 1)
    if version != 1:
        checked.wrong(f"{path.name}: version", f"{version!r} is not 1, the version that this volseg reads")
    file = RegistryFile(
        path=path.resolve(),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        policy=_policy(checked, path),
        aliases=_aliases(checked),
        defaults=_defaults(checked),
        recipes=_recipes(checked),
        default_recipe=str(checked.content.get("default_recipe") or ""),
    )
    return file, checked.errors


class _Checked:
    """The content of a registry file, with the errors found so far."""

    def __init__(self, content: dict[str, Any], name: str) -> None:
        self.content, self.name = content, name
        self.errors: list[VolsegError] = []

    def wrong(self, where: str, what: str, hint: str = "", notes: Sequence[str] = ()) -> None:
        self.errors.append(UsageError(where, what, hint, notes))

    def keys(self, content: Mapping[str, Any], known: Sequence[str], where: str) -> None:
        for key in content:
            if key not in known:
                listed = [f"known: {', '.join(known)}"]
                self.wrong(where, f"unknown key {key!r}", did_you_mean(str(key), known), listed)

    def mapping(self, content: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
        value = content.get(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(f"{where}{key}", f"{value!r} is not a mapping")
        return value if isinstance(value, dict) else {}

    def strings(self, content: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        value = content.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.wrong(f"{where}{key}", f"{value!r} is not a list of names")
            return ()
        return tuple(value)

    def kind(self, kind: str, where: str) -> None:
        if kind not in KINDS:
            listed = [f"kinds: {', '.join(KINDS)}"]
            self.wrong(where, f"{kind!r} is not a kind of component", did_you_mean(kind, KINDS), listed)


def _policy(checked: _Checked, path: Path) -> PluginPolicy:
    plugins = checked.mapping(checked.content, "plugins", "")
    checked.keys(plugins, _PLUGIN_KEYS, "plugins")
    mode = plugins.get("mode", "installed")
    if mode not in MODES:
        hint = did_you_mean(str(mode), MODES)
        checked.wrong("plugins.mode", f"{mode!r} is not one of {', '.join(MODES)}", hint)
    return PluginPolicy(
        mode=str(mode),
        require=checked.strings(plugins, "require", "plugins."),
        block=_blocked(checked.strings(plugins, "block", "plugins."), f"plugins.block in {path.name}"),
        local=tuple((path.parent / item).resolve() for item in checked.strings(plugins, "local", "plugins.")),
    )


def _aliases(checked: _Checked) -> dict[str, dict[str, str]]:
    sections = checked.mapping(checked.content, "aliases", "")
    for kind in sections:
        checked.kind(str(kind), "aliases")
        for name, target in checked.mapping(sections, kind, "aliases.").items():
            if not isinstance(target, str) or "/" not in target:
                hint = "For example: volseg/dice"
                checked.wrong(f"aliases.{kind}.{name}", f"{target!r} is not a qualified name PLUGIN/NAME", hint)
    return {
        str(kind): {name: target for name, target in section.items() if isinstance(target, str) and "/" in target}
        for kind, section in sections.items()
        if isinstance(section, dict)
    }


def _defaults(checked: _Checked) -> dict[str, dict[str, Any]]:
    sections = checked.mapping(checked.content, "defaults", "")
    for key in sections:
        kind, slash, name = str(key).partition("/")
        checked.kind(kind, f"defaults.{key}")
        if kind in KINDS and not (slash and name):
            checked.wrong(f"defaults.{key}", "names no component", f"For example: {kind}/NAME")
        checked.mapping(sections, key, "defaults.")
    return {str(key): section for key, section in sections.items() if isinstance(section, dict)}


def _recipes(checked: _Checked) -> dict[str, dict[str, Any]]:
    recipes = {str(name): recipe for name, recipe in checked.mapping(checked.content, "recipes", "").items()}
    for name, recipe in recipes.items():
        if not isinstance(recipe, dict):
            checked.wrong(f"recipes.{name}", "a recipe is a mapping")
        if "/" in name or name.endswith((".yaml", ".yml")):
            checked.wrong(f"recipes.{name}", "a recipe's name has no '/' and no suffix; those mean plugins and files")
    return {name: recipe for name, recipe in recipes.items() if isinstance(recipe, dict)}
