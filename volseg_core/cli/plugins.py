"""``volseg plugins``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from volseg_core.cli.context import json_flag, print_json, print_table, registry_of

if TYPE_CHECKING:
    from volseg_core.discovery import PluginRecord


@click.group()
def plugins() -> None:
    """List plugins and say why some do not load."""


@plugins.command("list", epilog="Example: volseg plugins list --broken")
@click.option("--broken", is_flag=True, help="Only those that did not load.")
@json_flag
@click.pass_context
def list_plugins(ctx: click.Context, broken: bool, as_json: bool) -> None:
    """List plugins with version, status and what they provide."""
    plugins = registry_of(ctx, warn=False).plugins
    records = plugins.failed() if broken else plugins.records
    if as_json:
        print_json([_facts(record) for record in records])
        return
    if not records:
        click.echo("Every plugin loaded.")
        return
    rows = [(record.id, _version(record), record.status, _note(record)) for record in records]
    print_table(("PLUGIN", "VERSION", "STATUS", "NOTE"), rows)


def _version(record: PluginRecord) -> str:
    """Return the version; a local file has its hash instead."""
    return record.version or record.sha256[:12]


def _note(record: PluginRecord) -> str:
    notes = []
    if record.reason:
        notes.append(record.reason)
    counts: dict[str, int] = {}
    for component in record.components:
        counts[component.kind] = counts.get(component.kind, 0) + 1
    if counts:
        notes.append(", ".join(f"{count} {_plural(kind) if count > 1 else kind}" for kind, count in counts.items()))
    if record.recipes:
        notes.append(f"{len(record.recipes)} recipe{'s' if len(record.recipes) > 1 else ''}")
    if record.heavy:
        notes.append(f"slow {record.import_ms / 1000:.1f} s ({', '.join(record.heavy)})")
    return "; ".join(notes)


def _plural(kind: str) -> str:
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def _facts(record: PluginRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "version": record.version,
        "status": record.status,
        "reason": record.reason,
        "requires": record.requires,
        "entry_points": record.entry_points,
        "location": record.location,
        "sha256": record.sha256,
        "import_ms": round(record.import_ms, 1),
        "heavy": record.heavy,
        "components": [f"{component.kind}/{component.name}" for component in record.components],
        "recipes": [path.stem for path in record.recipes],
    }


@plugins.command(epilog="Example: volseg plugins freeze  (and paste the lines below plugins.require)")
@click.pass_context
def freeze(ctx: click.Context) -> None:
    """Print the installed plugins with their versions, as lines for plugins.require."""
    from volseg_core.discovery import BUILTIN

    for record in registry_of(ctx).plugins.records:
        if record.status == "ok" and record.id != BUILTIN and record.version:
            click.echo(f"- {record.id}=={record.version}")
