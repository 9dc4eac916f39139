"""``volseg export`` and ``volseg verify``."""

from __future__ import annotations

from typing import Any

import click

from volseg_core.cli.context import json_flag, print_json, registry_of, start_output, verbosity
from volseg_core.exporting.loss import MAX_LOSS


@click.command(epilog="Example: volseg export runs/em -o em.onnx")
@click.argument("model")
@click.option("-o", "--output", metavar="FILE.onnx", help="Output; default: model.onnx in the run folder.")
@click.option(
    "--exporter",
    type=click.Choice(["auto", "legacy", "dynamo"]),
    default="auto",
    show_default=True,
    help="Exporter of torch; dynamo takes minutes.",
)
@click.option("--fp16", is_flag=True, help="Half precision, for GPUs: half the size.")
@click.option("--int8", metavar="VOLUME", help="Integers, for CPUs: a quarter of the size; calibrated on VOLUME.")
@click.option("--on", metavar="VOLUME", help="Where less precision is measured; default: what the run held out.")
@click.option("--labels", metavar="FILE", help="Labels of --on, or without it of --int8.")
@click.option("--max-loss", default=MAX_LOSS, show_default=True, help="Dice that less precision may lose.")
@click.option("--force", is_flag=True, help="Write it even if it loses more.")
@click.option("--bioimageio", metavar="FILE.zip", help="Write a bioimage.io model package of it, too.")
@click.option("--triton", metavar="FOLDER", help="Add it to a Triton model repository, too.")
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@verbosity
@click.pass_context
def export(ctx: click.Context, /, model: str, quiet: bool, verbose: bool, **options: Any) -> None:
    """Write MODEL, a run folder or its weights, as one ONNX file that carries its recipe.

    The file is written only when it gives the network's logits; beside it stand test vectors for volseg verify. With
    --fp16 or --int8 the file is of less precision, and the Dice that this loses is measured and recorded in it.
    """
    progress = start_output(quiet=quiet, verbose=verbose)
    registry = registry_of(ctx)

    from volseg_core import operations

    done = operations.export(model, registry=registry, progress=progress, **options)
    for item in done.parity:
        click.echo(item.describe(), err=quiet)
    if done.loss is not None:
        click.echo(f"{done.parity[0].precision} loses {done.loss.describe()}", err=quiet)
    size = done.path.stat().st_size / 1e6
    click.echo(f"wrote {done.path} ({size:.1f} MB; {done.attempt}) in {done.seconds:.1f} s", err=quiet)


@click.command(epilog="Example: volseg verify em.onnx --device cuda")
@click.argument("model", metavar="FILE.onnx")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "tensorrt"]),
    default="auto",
    show_default=True,
    help="Where it runs.",
)
@json_flag
@click.pass_context
def verify(ctx: click.Context, model: str, device: str, as_json: bool) -> None:
    """Run the test vectors of an exported model; the exit code is 4 when its logits are not the network's."""
    registry = registry_of(ctx)

    from volseg_core import operations
    from volseg_core.errors import ExitCode

    parity, used = operations.verify(model, device=device, registry=registry)
    if as_json:
        print_json({"device": used, "good": parity.good, "difference": parity.difference,
                    "agreement": parity.agreement, "tolerance": parity.tolerance.difference})  # fmt: skip
    else:
        click.echo(f"{parity.describe()}, on {used}")
        click.echo(f"{'good' if parity.good else 'NOT good'}: allowed are {parity.tolerance} in {parity.precision}")
    if not parity.good:
        ctx.exit(int(ExitCode.DATA))
