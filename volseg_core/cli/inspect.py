"""``volseg inspect``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from volseg_core.cli.context import json_flag, print_json, registry_of
from volseg_core.discovery import BUILTIN

if TYPE_CHECKING:
    from pathlib import Path

    from volseg_core.data.files import VolumeSource
    from volseg_core.model import ModelSpec


@click.command(epilog="Example: volseg inspect runs/em    volseg inspect scan.tif")
@click.argument("item", metavar="MODEL|VOLUME")
@click.option("--role", type=click.Choice(["data", "labels"]), default="data", help="What a volume file is opened as.")
@json_flag
@click.pass_context
def inspect(ctx: click.Context, item: str, role: str, as_json: bool) -> None:
    """Say what is in a model (a run folder or its weights) or a volume."""
    from pathlib import Path

    path = Path(item)
    is_model = path.suffix.lower() in (".safetensors", ".onnx") or (path / "resolved.yaml").is_file()
    facts = _model(ctx, path) if is_model else _volume(ctx, item, role)
    if as_json:
        print_json(facts)
        return
    if is_model:
        facts["plugins"] = [_told(plugin) for plugin in facts["plugins"]]
    for key, value in facts.items():
        click.echo(f"{key:14s} {_shown(value)}")


def _told(plugin: dict[str, Any]) -> str:
    """Return a plugin of a model in words: version, what the model uses of it, and how it differs from what is here."""
    notes = [] if plugin["id"] == BUILTIN else plugin["components"]
    if plugin["here"] != plugin["version"]:
        notes = [*notes, f"{plugin['here']} here" if plugin["here"] else "not here"]
    return f"{plugin['id']} {plugin['version']}" + (f" ({', '.join(notes)})" if notes else "")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return " x ".join(map(str, value)) if value and isinstance(value[0], int) else ", ".join(map(str, value))
    return "unknown" if value is None else str(value)


def _model(ctx: click.Context, path: Path) -> dict[str, Any]:
    from volseg_core.model import read_model
    from volseg_core.recipe.made_with import plugins_of

    model = read_model(path)
    recipe = model.recipe
    exported = {}
    if model.export:
        from volseg_core.exporting.reading import describe_export

        exported = describe_export(model)
    encoder = recipe["model"].get("encoder", {}).get("use", "none")
    return {
        "model": str(model.path),
        "id": model.id,
        "recipe": recipe["name"],
        **_heads(model.spec),
        "network": f"{recipe['model']['use']}, encoder {encoder}",
        "networks": model.spec.members,
        "dimensions": model.spec.dims,
        "channels": model.spec.in_channels,
        "axes": ", ".join(model.spec.axes),
        "window": list(model.spec.window) or "any",
        "sizes": str(model.spec.sizes),
        "normalisation": f"{model.spec.normalisation.kind}, clip {list(model.spec.normalisation.clip)}",
        "spacing": model.spec.spacing,
        "unit": model.spec.unit or "unknown",
        "plugins": plugins_of(registry_of(ctx, warn=False), model.spec.made_with, recipe),
        **exported,
    }


def _heads(spec: ModelSpec) -> dict[str, Any]:
    """Return task and classes, or channels, of every head."""
    facts: dict[str, Any] = {}
    for head in spec.heads:
        facts[f"{head.name} task".strip()] = head.task
        named = {item.name: f"(id {item.id})" for item in head.classes.classes}
        facts[f"{head.name} {'classes' if head.of_classes else 'channels'}".strip()] = (
            named if head.of_classes else list(named)
        )
    return facts


def _volume(ctx: click.Context, item: str, role: str) -> dict[str, Any]:
    from volseg_core.data.files import open_volume

    with open_volume(registry_of(ctx).catalog, item, role) as source:
        facts: dict[str, Any] = {
            "volume": source.grid.source,
            "dataset": source.dataset or "-",
            "shape (z, y, x)": list(source.shape),
            "channels": source.channels,
            "type": str(source.dtype),
            "spacing": source.grid.spacing,
            "unit": source.grid.unit or "unknown",
        }
        middle = source.shape[0] // 2
        plane = source.read((slice(middle, middle + 1), slice(0, source.shape[1]), slice(0, source.shape[2])))
        facts["middle plane"] = f"minimum {plane.min()}, maximum {plane.max()}, mean {plane.mean():.4g}"
        if role == "labels":
            facts |= _labels(source)
    return facts


def _labels(source: VolumeSource) -> dict[str, Any]:
    """Return the ids of labels with their voxels, or what labels look like that are no ids of classes."""
    from volseg_core.errors import DataError
    from volseg_core.volume.labels import find_ids

    if source.channels != 1 or source.dtype.kind not in "biu":
        return {"values": "no ids of classes: for task regression, or multilabel if they are 0 or 1"}
    try:
        found = find_ids(source.read()[0], source.grid.source)
    except DataError as error:
        return {"ids": error.what}
    return {"ids": {str(key): f"({count} voxels)" for key, count in found.items()}}
