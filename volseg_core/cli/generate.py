"""``volseg generate``."""

from __future__ import annotations

import click

from volseg_core.cli.context import registry_of, start_output, verbosity


@click.command(epilog="Example: volseg generate blobs -o cube.h5 -s shape=[96,96,96] -s seed=1")
@click.argument("generator")
@click.option("-o", "--output", metavar="FILE", required=True, help="Output; its suffix chooses the format.")
@click.option("-s", "--set", "assignments", metavar="NAME=VALUE", multiple=True, help="A parameter. Repeatable.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@verbosity
@click.pass_context
def generate(
    ctx: click.Context,
    generator: str,
    output: str,
    assignments: tuple[str, ...],
    overwrite: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Make a synthetic labelled volume with GENERATOR."""
    start_output(quiet=quiet, verbose=verbose)
    registry = registry_of(ctx)

    from volseg_core import operations

    arrays = operations.generate(
        generator, output=output, overrides=assignments, overwrite=overwrite, registry=registry
    )
    shapes = ", ".join(f"{name} {' x '.join(map(str, array.shape))}" for name, array in arrays.items())
    click.echo(f"wrote {output}: {shapes}", err=quiet)
