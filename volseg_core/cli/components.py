"""``volseg components`` and ``volseg show``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from volseg_core.cli.context import json_flag, print_json, print_table, registry_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from volseg_core.catalog import Catalog, Provided


def _complete_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Return kinds for shell completion."""
    from volseg_core.api import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]


def _complete_component(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Return KIND/NAME for shell completion; no target is imported."""
    catalog = registry_of(ctx, warn=False).catalog
    kind = incomplete.partition("/")[0] if "/" in incomplete else ""
    names = (f"{provided.kind}/{_name(catalog, provided)}" for provided in catalog.all(kind))
    return [name for name in names if name.startswith(incomplete)]


@click.command(epilog="Example: volseg components loss")
@click.argument("kind", required=False, shell_complete=_complete_kind)
@json_flag
@click.pass_context
def components(ctx: click.Context, kind: str | None, as_json: bool) -> None:
    """List components, of one KIND or of all: architecture, encoder, loss, metric, reader, writer, merge, ..."""
    from volseg_core.api import KINDS
    from volseg_core.errors import UsageError, did_you_mean

    if kind is not None and kind not in KINDS:
        listed = [f"kinds: {', '.join(KINDS)}"]
        raise UsageError("components", f"{kind!r} is not a kind of component", did_you_mean(kind, KINDS), listed)
    catalog = registry_of(ctx).catalog
    found = list(catalog.all(kind or ""))
    if as_json:
        print_json([_facts(catalog, provided) for provided in found])
        return
    print_table(("KIND", "NAME", "PLUGIN", "SUMMARY"), [_row(catalog, provided) for provided in found])


def _name(catalog: Catalog, provided: Provided) -> str:
    """Return the shortest name that means the component."""
    return provided.id if catalog.bare_name(provided) else provided.component.name


def _row(catalog: Catalog, provided: Provided) -> tuple[str, str, str, str]:
    component = provided.component
    notes = [f"also {', '.join(component.aliases)}"] if component.aliases else []
    shadow = catalog.bare_name(provided)
    if shadow:
        notes.append(f"bare name is {shadow}")
    if component.deprecated:
        notes.append(f"deprecated: {component.deprecated}")
    summary = component.summary + (f" ({'; '.join(notes)})" if notes else "")
    return component.kind, _name(catalog, provided), provided.plugin.label, summary


def _facts(catalog: Catalog, provided: Provided) -> dict[str, Any]:
    from dataclasses import asdict, fields, is_dataclass

    component = provided.component
    facts = {field.name: getattr(component, field.name) for field in fields(component) if field.name != "params"}
    for key, value in facts.items():
        if isinstance(value, Mapping):
            facts[key] = {
                name: asdict(item) if is_dataclass(item) and not isinstance(item, type) else item
                for name, item in value.items()
            }
    params = {
        name: {"type": param.type, "required": param.required, **param.json_schema()}
        for name, param in component.params.items()
    }
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
@click.argument("component", metavar="KIND/NAME", shell_complete=_complete_component)
@json_flag
@click.pass_context
def show(ctx: click.Context, component: str, as_json: bool) -> None:
    """Describe one component: parameters, what it serves, where it comes from."""
    from volseg_core.api import KINDS
    from volseg_core.errors import UsageError, did_you_mean

    kind, _, name = component.partition("/")
    catalog = registry_of(ctx).catalog
    if kind not in KINDS or not name:
        hint = _meant(catalog.all(), component) or did_you_mean(kind, KINDS)
        raise UsageError("show", f"{component!r} is not KIND/NAME, such as loss/dice", hint)
    provided = catalog.find(kind, name)
    if as_json:
        print_json(_facts(catalog, provided))
        return
    _describe(provided)


def _meant(components: Iterable[Provided], word: str) -> str:
    """Return a suggestion for a component that is named without its kind."""
    kinds = dict.fromkeys(f"{item.kind}/{word}" for item in components if word in (item.component.name, item.id))
    return f"Did you mean {' or '.join(map(repr, kinds))}?" if kinds else ""


def _describe(provided: Provided) -> None:
    from dataclasses import fields

    component = provided.component
    click.echo(f"{component.kind} {provided.id}  ({provided.plugin.label})")
    click.echo(f"  {component.summary}")
    for field in fields(component):
        value = getattr(component, field.name)
        if field.name in ("name", "summary", "params") or value in ("", (), None, {}):
            continue
        if isinstance(value, Mapping):
            value = ", ".join(value)
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
        click.echo(f"  {field.name:12s} {shown}")
    click.echo("  parameters" if component.params else "  parameters   none")
    for name, param in component.params.items():
        kind = f"{{{', '.join(map(str, param.choices))}}}" if param.choices else param.type
        default = "required" if param.required else f"default {param.default!r}"
        click.echo(f"    {name} ({kind}, {default})  {param.help}")
