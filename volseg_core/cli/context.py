"""What commands share: the registry of this call, verbosity, output as tables or JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from volseg_core.progress import Progress
    from volseg_core.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])


def registry_of(ctx: click.Context, *, warn: bool = True) -> Registry:
    """Return the registry that the options before the command choose; ``warn`` of plugins that did not load."""
    from volseg_core.registry import load_registry

    registry = load_registry(root_option(ctx, "registry"), **plugin_options(ctx))
    for record in registry.plugins.failed() if warn else ():
        click.echo(f"Warning: plugin {record.label} {record.complaint()}; skipped. (volseg plugins list)", err=True)
    return registry


def root_option(ctx: click.Context, name: str) -> Any:
    """Return an option that stands before the command; shell completion parses them without keeping them."""
    return (ctx.find_root().obj or ctx.find_root().params).get(name)


def plugin_options(ctx: click.Context) -> dict[str, Any]:
    """Return which plugins the options before the command leave out."""
    return {"block": root_option(ctx, "block") or (), "builtin_only": bool(root_option(ctx, "no_plugins"))}


def verbosity(command: F) -> F:
    """Add ``-q`` and ``-v`` to a command that works long."""
    command = click.option("-q", "--quiet", is_flag=True, help="Print errors and results only.")(command)
    return click.option("-v", "--verbose", is_flag=True, help="Print more.")(command)


def overrides(command: F) -> F:
    """Add ``-s KEY=VALUE``."""
    return click.option(
        "-s",
        "--set",
        "assignments",
        metavar="KEY=VALUE",
        multiple=True,
        help="Override a key of the recipe. Repeatable.",
    )(command)


def json_flag(command: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def start_output(*, quiet: bool, verbose: bool) -> Progress:
    """Set up messages on standard error and return the progress display."""
    from volseg_core.progress import display

    logger = logging.getLogger("volseg")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    return display(quiet=quiet)


def print_json(content: Any) -> None:
    """Print plain data as JSON; NaN becomes null."""
    click.echo(json.dumps(_plain(content), indent=2, default=str))


def _plain(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(item) for item in content]
    return None if isinstance(content, float) and content != content else content  # noqa: PLR0124


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns as wide as they need; the last one runs on."""
    lines = [list(header), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)]
        click.echo("  ".join([*cells, line[-1]]).rstrip())
