"""``volseg postprocess``."""

from __future__ import annotations

import click

from volseg_core.cli.context import registry_of, start_output, verbosity


@click.command(
    epilog="Example: volseg postprocess seg.h5:/probabilities -o cells.h5 --use watershed --use size-filter "
    "-s watershed.seeds=0.2 -s size-filter.min_size=0.5"
)
@click.argument("volume")
@click.option("-o", "--output", metavar="FILE", required=True, help="Output; its suffix chooses the format.")
@click.option("--use", "steps", metavar="NAME", multiple=True, required=True, help="A step. Repeatable, in order.")
@click.option(
    "-s",
    "--set",
    "assignments",
    metavar="[STEP.]NAME=VALUE",
    multiple=True,
    help="A parameter of a step, which is named where there are several. Repeatable.",
)
@click.option("--instances", is_flag=True, help="The ids are those of objects (0 for none), not of classes.")
@click.option("--block", type=click.IntRange(min=1), help="Largest edge of a block in voxels.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@verbosity
@click.pass_context
def postprocess(
    ctx: click.Context,
    volume: str,
    output: str,
    steps: tuple[str, ...],
    assignments: tuple[str, ...],
    instances: bool,
    block: int | None,
    overwrite: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Apply steps to VOLUME, a finished prediction: labels or instances, probabilities or values (K, Z, Y, X).

    Labels get their ids, objects numbers from 1 on, in /labels and /instances of an HDF5 file or as files of their own.
    """
    progress = start_output(quiet=quiet, verbose=verbose)
    registry = registry_of(ctx)

    from volseg_core import operations

    done = operations.postprocess(
        volume,
        steps,
        output=output,
        overrides=assignments,
        instances=instances,
        block=block,
        overwrite=overwrite,
        registry=registry,
        progress=progress,
    )
    click.echo(f"wrote {', '.join(map(str, done.paths))} in {done.record['seconds']:.1f} s", err=quiet)
