"""The registry: registry.yaml (which plugins, aliases, defaults, recipes) and the catalog it leads to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from volseg_core.api import KINDS
from volseg_core.catalog import Catalog
from volseg_core.discovery import PluginPolicy, Plugins, discover
from volseg_core.errors import DataError, RecipeErrors, UsageError, VolsegError, did_you_mean

FILE_NAME = "registry.yaml"
IMAGE_FILE = Path("/opt/volseg/registry.yaml")
_KEYS = ("version", "plugins", "aliases", "defaults", "recipes", "default_recipe")
_PLUGIN_KEYS = ("mode", "require", "block", "local")
_MODES = ("installed", "listed", "builtin")


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


def load_registry(
    path: Path | str | None = None, *, block: Sequence[str] = (), builtin_only: bool = False
) -> Registry:
    """Find and read the registry file, discover plugins and return the catalog.

    The file is ``path``, else ``$VOLSEG_REGISTRY``, else ``./registry.yaml``, else the image's, else none.

    Raises:
        UsageError: the file has unknown keys or values. DataError: it cannot be read.
        PluginError: a required plugin is missing.
    """
    file = read_registry_file(find_registry_file(path))
    blocked = [*file.policy.block, *block, *os.environ.get("VOLSEG_BLOCK", "").replace(",", " ").split()]
    policy = PluginPolicy(
        mode="builtin" if builtin_only else file.policy.mode,
        require=() if builtin_only else file.policy.require,
        block=tuple(blocked),
        local=file.policy.local,
    )
    plugins = discover(policy)
    return Registry(file, plugins, Catalog(plugins, file.aliases, policy.block))


def find_registry_file(path: Path | str | None) -> Path | None:
    """Return the registry file that applies, or None.

    Raises:
        DataError: a file was named and does not exist.
    """
    for origin, named in (("--registry", path), ("VOLSEG_REGISTRY", os.environ.get("VOLSEG_REGISTRY"))):
        if named:
            if not Path(named).is_file():
                raise DataError(origin, f"{str(named)!r} does not exist")
            return Path(named)
    return next((file for file in (Path(FILE_NAME), IMAGE_FILE) if file.is_file()), None)


def read_registry_file(path: Path | None) -> RegistryFile:
    """Parse and check a registry file.

    Raises:
        RecipeErrors: all that is wrong with it.
    """
    if path is None:
        return RegistryFile()
    content = read_yaml(path)
    errors: list[VolsegError] = []
    _check_keys(content, _KEYS, path.name, errors)
    version = content.get("version", 1)
    if version != 1:
        errors.append(UsageError(f"{path.name}: version", f"{version!r} is not 1, the version that this volseg reads"))
    plugins = _mapping(content, "plugins", path.name, errors)
    _check_keys(plugins, _PLUGIN_KEYS, f"{path.name}: plugins", errors)
    mode = plugins.get("mode", "installed")
    if mode not in _MODES:
        hint = did_you_mean(str(mode), _MODES)
        errors.append(UsageError("plugins.mode", f"{mode!r} is not one of {', '.join(_MODES)}", hint))
    aliases = _mapping(content, "aliases", path.name, errors)
    defaults = _mapping(content, "defaults", path.name, errors)
    for section in aliases:
        _check_kind(section, "aliases", errors)
    for section in defaults:
        _check_kind(section.partition("/")[0], f"defaults.{section}", errors)
    recipes = _mapping(content, "recipes", path.name, errors)
    for name, recipe in recipes.items():
        if not isinstance(recipe, Mapping):
            errors.append(UsageError(f"recipes.{name}", "a recipe is a mapping"))
    if errors:
        raise RecipeErrors(errors)
    return RegistryFile(
        path=path.resolve(),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        policy=PluginPolicy(
            mode=mode,
            require=tuple(map(str, plugins.get("require") or ())),
            block=tuple(map(str, plugins.get("block") or ())),
            local=tuple((path.parent / str(item)).resolve() for item in plugins.get("local") or ()),
        ),
        aliases=aliases,
        defaults=defaults,
        recipes=recipes,
        default_recipe=str(content.get("default_recipe") or ""),
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        DataError: the file cannot be read or is not YAML. UsageError: it is not a mapping.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(str(path), f"is not YAML ({' '.join(str(error).split())})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(str(path), f"holds {type(content).__name__}, not a mapping of keys to values")
    return content


def _mapping(content: Mapping[str, Any], key: str, where: str, errors: list[VolsegError]) -> dict[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, dict):
        errors.append(UsageError(f"{where}: {key}", f"{value!r} is not a mapping"))
        return {}
    return value


def _check_keys(content: Mapping[str, Any], known: Sequence[str], where: str, errors: list[VolsegError]) -> None:
    for key in content:
        if key not in known:
            errors.append(UsageError(where, f"unknown key {key!r}", did_you_mean(str(key), known), [f"known: {', '.join(known)}"]))


def _check_kind(kind: str, where: str, errors: list[VolsegError]) -> None:
    if kind not in KINDS:
        errors.append(UsageError(where, f"{kind!r} is not a kind of component", did_you_mean(kind, KINDS), [f"kinds: {', '.join(KINDS)}"]))
