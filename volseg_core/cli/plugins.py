"""``volseg plugins``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from volseg_core.cli.context import json_flag, print_json, print_table, registry_of

if TYPE_CHECKING:
    from volseg_core.discovery import PluginRecord, Plugins
    from volseg_core.scaffold import Names


@click.group()
def plugins() -> None:
    """List plugins, say why some do not load, and help to write one."""


@plugins.command("list", epilog="Example: volseg plugins list --broken")
@click.option("--broken", is_flag=True, help="Only those that did not load.")
@json_flag
@click.pass_context
def list_plugins(ctx: click.Context, broken: bool, as_json: bool) -> None:
    """List plugins with version, status and what they provide, and what mends those that do not work."""
    from volseg_core.mending import mend

    plugins = registry_of(ctx, warn=False).plugins
    records = plugins.failed() if broken else plugins.records
    if as_json:
        print_json([_facts(record) for record in records])
        return
    if not records:
        click.echo("Every plugin loaded." if plugins.records else "There is no plugin.")
        return
    rows = [(record.id, _version(record), record.status, _note(record)) for record in records]
    print_table(("PLUGIN", "VERSION", "STATUS", "NOTE"), rows)
    mends = [(record.id, mend(record)) for record in records if mend(record)]
    if mends:
        click.echo()
        print_table(("PLUGIN", "TO MEND IT"), mends)


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
    from volseg_core.mending import mend

    return {
        "id": record.id,
        "version": record.version,
        "status": record.status,
        "reason": record.reason,
        "mend": mend(record),
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
    from volseg_core.mending import origin

    records = [record for record in registry_of(ctx).plugins.records if record.status == "ok" and record.id != BUILTIN]
    for record in records:
        if record.version:
            click.echo(f"- {record.id}=={record.version}")
    for record in records:
        if record.sha256:
            what = f"is a file (sha256 {record.sha256[:12]}): keep it beside registry.yaml"
            click.echo(f"note: {record.id} {what}", err=True)
        elif origin(record):
            what = f"was installed from {origin(record)}: its version does not say which code that is"
            click.echo(f"note: {record.label} {what}", err=True)
    if not records:
        click.echo("There are no plugins but the built-in ones.", err=True)


@plugins.command(epilog="Example: volseg plugins check volseg-acme")
@click.argument("plugin", metavar="ID")
@click.pass_context
def check(ctx: click.Context, plugin: str) -> None:
    """Check that a plugin and its components keep to volseg's contracts; exit code 3 when they do not.

    ID is a plugin's name in volseg plugins list: volseg-acme, or local/NAME for a file of plugins.local.
    """
    from volseg_core.errors import ExitCode, known_names

    registry = registry_of(ctx, warn=False)
    record = _loaded(registry.plugins, plugin)
    names = known_names(f"{component.kind}/{component.name}" for component in record.components)
    click.echo(f"{record.label}: the plugin{f', {names}' if names else ''}")

    from volseg_core.testing import check_plugin

    problems = check_plugin(record.id, registry.file.path)
    for problem in problems:
        click.echo(f"- {problem}")
    if problems:
        click.echo("1 problem." if len(problems) == 1 else f"{len(problems)} problems.")
        ctx.exit(int(ExitCode.PLUGIN))
    click.echo("No problems.")


def _loaded(plugins: Plugins, name: str) -> PluginRecord:
    """Return the record of a plugin that loaded.

    Raises:
        UsageError: there is no such plugin. PluginError: it did not load; the text says what mends it.
    """
    from volseg_core.discovery import normalise
    from volseg_core.errors import PluginError, UsageError, did_you_mean
    from volseg_core.mending import mend

    record = plugins.record(name if name.startswith("local/") else normalise(name))
    if record is None:
        known = [record.id for record in plugins.records]
        listed = [f"known: {', '.join(known)}"]
        raise UsageError("plugins check", f"no plugin {name!r} is installed", did_you_mean(name, known), listed)
    if record.status == "ok":
        return record
    notes = [mend(record)]
    if notes == [f"volseg plugins check {record.id}"]:  # which this is
        notes = [f"volseg --traceback plugins check {record.id}  shows where"]
        notes.append(f"volseg --block {record.id} COMMAND  goes on without it")
    raise PluginError(record.label, record.complaint(), notes=notes) from _cause(record)


def _cause(record: PluginRecord) -> BaseException | None:
    """Import a broken plugin again and return what that raises, for ``--traceback``."""
    import contextlib
    import runpy
    import sys
    from importlib import import_module

    for place in record.entry_points.values() if record.status == "broken" else ():
        try:
            with contextlib.redirect_stdout(sys.stderr):
                runpy.run_path(place) if place.endswith(".py") else import_module(place)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  (third-party code may even raise SystemExit)
            return error
    return None


@plugins.command(epilog="Example: volseg plugins describe torch.nn:CrossEntropyLoss")
@click.argument("target", metavar="MODULE:NAME")
@click.option("--kind", help="Kind of component; without it, guessed from methods, parameters and name.")
def describe(target: str, kind: str | None) -> None:
    """Print a descriptor for a class or function, from its signature, to paste into plugin.py."""
    from volseg_core.describe import describe as described

    found = described(target, kind or "")
    click.echo(found.text)
    click.echo("Still yours to say:", err=True)
    for point in found.open_points:
        click.echo(f"- {point}", err=True)


@plugins.command(epilog="Example: volseg plugins new volseg-acme --kind loss --name boundary")
@click.argument("plugin", metavar="NAME")
@click.option("--kind", required=True, help="Kind of its component: architecture, encoder, loss, metric, reader, ...")
@click.option(
    "--name", "component", metavar="COMPONENT", required=True, help="Name of its component, such as boundary."
)
@click.option("-o", "--output", metavar="DIR", help="Folder of the package; default NAME.")
def new(plugin: str, kind: str, component: str, output: str | None) -> None:
    """Write a package NAME with a small working component, its conformance test and a README."""
    from pathlib import Path

    from volseg_core.scaffold import Names, create_package, usage

    names = Names.checked(plugin, kind, component)
    folder = Path(output or plugin)
    create_package(names, folder)
    source = folder / "src" / names.package
    click.echo(f"wrote {folder}: the code is {source / names.module}.py, its description {source / 'plugin.py'}")
    builtin = _built_in(names)
    if builtin:
        click.echo(f"note: the bare name {component!r} means {builtin}; recipes get yours as {names.id}")
    click.echo("next:")
    for command in (f"pip install -e {folder}", f"volseg plugins check {plugin}", f"pytest {folder}", usage(names)):
        click.echo(f"  {command}")


def _built_in(names: Names) -> str:
    """Return the built-in component that the new one's bare name means, or an empty string."""
    from volseg_core.catalog import Catalog
    from volseg_core.discovery import PluginPolicy, discover
    from volseg_core.errors import UsageError

    try:
        return Catalog(discover(PluginPolicy(mode="builtin"))).find(names.kind, names.component).id
    except UsageError:
        return ""
