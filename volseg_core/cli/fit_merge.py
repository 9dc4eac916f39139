"""``volseg fit-merge``."""

from __future__ import annotations

import click

from volseg_core.cli.context import overrides, print_table, registry_of, start_output, verbosity


@click.command(epilog="Example: volseg fit-merge runs/em --data other.h5 --labels other.h5:/labels --quality high")
@click.argument("model")
@click.option("--data", metavar="FILE[:/PATH]", required=True, help="A volume that the network was not trained on.")
@click.option("--labels", metavar="FILE[:/PATH]", required=True, help="Its labels; those of a part are enough.")
@click.option(
    "--quality",
    type=click.Choice(["medium", "high", "max", "legacy12"]),
    default="high",
    show_default=True,
    help="How many directions are merged: 3, 12 or 24; of 3D networks 4, 8 or 48 (16 where one axis differs).",
)
@click.option("-o", "--output", metavar="FILE", help="Write a copy of the model here and leave MODEL as it is.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@click.option("--force", is_flag=True, help="Store the weights even if they score lower than equal ones.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where the network runs.")
@overrides
@verbosity
@click.pass_context
def fit_merge(
    ctx: click.Context,
    model: str,
    data: str,
    labels: str,
    quality: str,
    output: str | None,
    overwrite: bool,
    force: bool,
    device: str,
    assignments: tuple[str, ...],
    quiet: bool,
    verbose: bool,
) -> None:
    """Learn a weight per direction and class for MODEL, a run folder or its weights.

    The weights are fitted on a slab of the volume and scored on another. They are stored in the model, which from
    then on merges by them along these directions; its tensors and its id stay the same.
    """
    progress = start_output(quiet=quiet, verbose=verbose)
    registry = registry_of(ctx)

    from volseg_core import operations

    fit = operations.fit_merge(
        model,
        data=data,
        labels=labels,
        quality=quality,
        output=output,
        overwrite=overwrite,
        force=force,
        device=device,
        overrides=assignments,
        registry=registry,
        progress=progress,
    )
    rows = [[name, f"{fit.mean[name]:.4f}", f"{fit.fusion[name]:.4f}"] for name in fit.mean]
    print_table(("Dice", "mean", "fusion"), rows)
    if fit.path is None:
        click.echo("equal weights score higher: the model stays as it is (--force stores the weights all the same)")
    else:
        click.echo(f"wrote {fit.path}: mean Dice {fit.gain:+.4f}", err=quiet)
