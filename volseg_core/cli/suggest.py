"""``volseg suggest``."""

from __future__ import annotations

import click

from volseg_core.cli.context import registry_of


@click.command(epilog="Example: volseg suggest --data crop.h5 --labels crop_labels.h5 -o mine.yaml")
@click.option("--data", metavar="FILE[:/PATH]", required=True, help="The volume to train on.")
@click.option("--labels", metavar="FILE[:/PATH]", required=True, help="Its labels.")
@click.option("--dims", type=click.Choice(["2", "3"]), default="2", show_default=True,
              help="A 2D network on slices, or a 3D network on patches.")  # fmt: skip
@click.option("--objects", is_flag=True, help="The labels number objects, such as cells (with --dims 3).")
@click.option("-o", "--output", metavar="FILE", help="The recipe; default: print it.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@click.pass_context
def suggest(
    ctx: click.Context, data: str, labels: str, dims: str, objects: bool, output: str | None, overwrite: bool
) -> None:
    """Write a recipe for a labelled volume and this machine, with the reason for each choice."""
    from pathlib import Path

    from volseg_core import operations
    from volseg_core.data.files import refuse_existing
    from volseg_core.errors import DataError

    path = None if output is None else Path(output)
    if path is not None:
        refuse_existing(path, overwrite=overwrite)
    text = operations.suggest(data, labels, dims=int(dims), objects=objects, registry=registry_of(ctx))
    if path is None:
        click.echo(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(str(path), f"cannot be written ({error.strerror})") from None
    click.echo(f"wrote {path}; train it: volseg train {path}")
