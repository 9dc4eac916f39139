"""Recipes and models that say what they were made with, compared with the plugins that are here."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from volseg_core.discovery import BUILTIN
from volseg_core.errors import PluginError
from volseg_core.recipe.layers import Layers, Path, in_head

if TYPE_CHECKING:
    from volseg_core.plugins import PluginRecord
    from volseg_core.recipe.sources import RecipeSource
    from volseg_core.registry import Registry

log = logging.getLogger("volseg")

_STAND_INS: dict[Path, str] = {
    ("data", "reader"): "data.reader=null",
    ("predict", "merge"): "predict.merge=mean",
    ("predict", "runtime"): "predict.runtime=torch",
    ("postprocess",): "postprocess=[]",
}
"""Overrides that do without a component; null leaves the reader to the file's suffix."""
_LOCAL = "local/"
_SHOWN = 3


@dataclass(frozen=True)
class _Used:
    """A plugin that a recipe needs: its version then, what it is now, and the components by place."""

    plugin: str
    version: str
    record: PluginRecord | None
    components: Mapping[Path, str]

    @property
    def then(self) -> str:
        """Plugin and version of then, with what is used of it."""
        listed = list(self.components.values())
        more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
        used = "" if self.plugin == BUILTIN else f" ({', '.join(listed[:_SHOWN])}{more})"
        return f"{self.plugin} {self.version}{used}"

    @property
    def now(self) -> str:
        """The version that is loaded, or an empty string when none is."""
        return self.record.state if self.record is not None and self.record.status == "ok" else ""

    def complaint(self) -> str:
        """What keeps the plugin from being used."""
        if self.record is not None:
            return self.record.complaint()
        return "is not in plugins.local of registry.yaml" if self.plugin.startswith(_LOCAL) else "is not installed"


def check_made_with(
    registry: Registry, source: RecipeSource, layers: Layers, unused: Collection[Path] = (), *, frozen: bool = False
) -> None:
    """Compare the plugins that a recipe names in ``made_with`` with those that are here.

    Components at ``unused`` places, and those that an override put in their place, need none. A version that differs is
    a warning; that of volseg itself only where everything is used: models are meant to outlive it.

    Raises:
        PluginError: a plugin is missing, or with ``frozen`` in another version.
    """
    used = _used(registry, source.content.get("made_with"), layers, source.name, unused)
    subject = source.origin or f"recipe {source.name!r}"
    if source.origin and source.origin == str(registry.file.path):
        subject = f"recipe {source.name!r}"
    missing = [item for item in used if not item.now]
    if missing:
        what = "; ".join(f"{item.then}, which {item.complaint()}" for item in missing)
        raise PluginError("", f"{subject} was trained with {what}", notes=_ways_out(missing, source, unused))
    other = [item for item in used if item.now != item.version]
    if frozen and other:
        what = "; ".join(f"{item.then}, and this is {item.now}" for item in other)
        raise PluginError("--frozen", f"{subject} was trained with {what}", notes=_installs(other))
    for item in other:
        if item.plugin != BUILTIN or not unused:
            log.warning("Warning: %s was trained with %s, and this is %s", subject, item.then, item.now)


def plugins_of(registry: Registry, made_with: Mapping[str, str], recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a model was made with, for people: id and version, the components, and the version that is here."""
    layers = Layers()
    layers.add(recipe, "model")
    return [
        {"id": item.plugin, "version": item.version, "components": list(item.components.values()), "here": item.now}
        for item in _used(registry, made_with, layers, "model")
    ]


def _used(
    registry: Registry, made_with: Any, layers: Layers, origin: str, unused: Collection[Path] = ()
) -> list[_Used]:
    components: dict[str, dict[Path, str]] = {}
    for path, kind, name in _named(layers, origin, unused):
        components.setdefault(name.rpartition("/")[0], {})[path] = f"{kind} {name!r}"
    return [
        _Used(plugin, str(version), registry.plugins.record(plugin), components[plugin])
        for plugin, version in (made_with.items() if isinstance(made_with, Mapping) else ())
        if plugin in components
    ]


def _named(layers: Layers, origin: str, unused: Collection[Path]) -> Iterator[tuple[Path, str, str]]:
    """Yield place, kind and name of each component that the layer ``origin`` names."""
    for path, kind in layers.places():
        name = layers.value((*path, "use"))
        if isinstance(name, str) and layers.origins[*path, "use"] == origin and not is_unused(path, unused):
            yield path, kind, name


def is_unused(path: Path, unused: Collection[Path]) -> bool:
    """Whether ``path`` is one of the unused places or inside one; each head has those of the nameless one."""
    return any(in_head(path)[: len(place)] == place for place in unused)


def _ways_out(missing: list[_Used], source: RecipeSource, unused: Collection[Path]) -> list[str]:
    """Return how to get the plugins, and the overrides that do without them where there are such."""
    notes = _installs([item for item in missing if item.record is None])
    places = [path for item in missing for path in item.components]
    stand_ins = dict.fromkeys(_STAND_INS.get(path) or _STAND_INS.get(path[:1]) for path in places)
    if None not in stand_ins:
        in_onnx = is_unused(("model",), unused)
        overrides = [str(item).replace("torch", "onnxruntime" if in_onnx else "torch") for item in stand_ins]
        instead = f"use a built-in:  {' '.join(f'--set {item}' for item in overrides)}"
        notes = [f"{notes[0]}      or {instead}", *notes[1:]] if notes else [instead]
    for item in missing:
        name = f"{item.plugin.removeprefix(_LOCAL)}.py"
        copy = FilePath(source.origin).parent / "plugins" / name
        if item.record is None and item.plugin.startswith(_LOCAL):
            kept = f"; a copy is kept in {copy}" if copy.is_file() else ""
            notes.append(f"add {name} to plugins.local in registry.yaml{kept}")
    return notes


def _installs(items: list[_Used]) -> list[str]:
    wanted = [f'"{item.plugin}=={item.version}"' for item in items if not item.plugin.startswith(_LOCAL)]
    return [f"pip install {' '.join(wanted)}"] if wanted else []
