"""``volseg components`` and ``volseg show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from volseg_core.cli.context import json_flag, print_json, print_table, registry_of

if TYPE_CHECKING:
    from volseg_core.catalog import Catalog, Provided


@click.command(epilog="Example: volseg components loss")
@click.argument("kind", required=False)
@json_flag
@click.pass_context
def components(ctx: click.Context, kind: str | None, as_json: bool) -> None:
    """List components, of one KIND or of all: architecture, encoder, loss, metric, reader, writer, merge, ..."""
    from volseg_core.api import KINDS
    from volseg_core.errors import UsageError, did_you_mean

    if kind is not None and kind not in KINDS:
        raise UsageError("components", f"{kind!r} is not a kind", did_you_mean(kind, KINDS), [f"kinds: {', '.join(KINDS)}"])
    catalog = registry_of(ctx).catalog
    found = list(catalog.all(kind or ""))
    if as_json:
        print_json([_facts(catalog, provided) for provided in found])
        return
    print_table(("KIND", "NAME", "PLUGIN", "SUMMARY"), [_row(catalog, provided) for provided in found])


def _row(catalog: Catalog, provided: Provided) -> tuple[str, str, str, str]:
    component = provided.component
    notes = [f"also {', '.join(component.aliases)}"] if component.aliases else []
    shadow = catalog.bare_name(provided)
    if shadow:
        notes.append(f"bare name is {shadow}")
    if component.deprecated:
        notes.append(f"deprecated: {component.deprecated}")
    name = provided.id if shadow else component.name
    summary = component.summary + (f" ({'; '.join(notes)})" if notes else "")
    return component.kind, name, provided.plugin.label, summary


def _facts(catalog: Catalog, provided: Provided) -> dict[str, Any]:
    from dataclasses import fields

    component = provided.component
    facts = {field.name: getattr(component, field.name) for field in fields(component) if field.name != "params"}
    params = {name: {"type": param.type, "required": param.required, **param.json_schema()} for name, param in component.params.items()}
    return {
        "kind": component.kind,
        "id": provided.id,
        "plugin": provided.plugin.id,
        "version": provided.plugin.version,
        "bare_name": catalog.bare_name(provided) or provided.id,
        **facts,
        "params": params,
    }


@click.command(epilog="Example: volseg show loss/dice")
@click.argument("component", metavar="KIND/NAME")
@json_flag
@click.pass_context
def show(ctx: click.Context, component: str, as_json: bool) -> None:
    """Describe one component: parameters, what it serves, where it comes from."""
    from volseg_core.api import KINDS
    from volseg_core.errors import UsageError, did_you_mean

    kind, _, name = component.partition("/")
    if kind not in KINDS or not name:
        raise UsageError("show", f"{component!r} is not KIND/NAME, such as loss/dice", did_you_mean(kind, KINDS))
    catalog = registry_of(ctx).catalog
    provided = catalog.find(kind, name)
    if as_json:
        print_json(_facts(catalog, provided))
        return
    _describe(provided)


def _describe(provided: Provided) -> None:
    from dataclasses import fields

    component = provided.component
    click.echo(f"{component.kind} {provided.id}  ({provided.plugin.label})")
    click.echo(f"  {component.summary}")
    for field in fields(component):
        value = getattr(component, field.name)
        if field.name in ("name", "summary", "params") or value in ("", (), None, {}):
            continue
        if isinstance(value, dict):
            value = ", ".join(value)
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
        click.echo(f"  {field.name:12s} {shown}")
    click.echo("  parameters" if component.params else "  parameters   none")
    for name, param in component.params.items():
        kind = f"{{{', '.join(map(str, param.choices))}}}" if param.choices else param.type
        default = "required" if param.required else f"default {param.default!r}"
        click.echo(f"    {name} ({kind}, {default})  {param.help}")
