"""``volseg export`` and ``volseg verify``."""

from __future__ import annotations

import click

from volseg_core.cli.context import json_flag, print_json, registry_of, start_output, verbosity


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
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@verbosity
@click.pass_context
def export(
    ctx: click.Context, model: str, output: str | None, exporter: str, overwrite: bool, quiet: bool, verbose: bool
) -> None:
    """Write MODEL, a run folder or its weights, as one ONNX file that carries its recipe.

    The file is written only when it gives the network's logits; beside it stand test vectors for volseg verify.
    """
    start_output(quiet=quiet, verbose=verbose)
    registry = registry_of(ctx)

    from volseg_core import operations

    done = operations.export(model, output=output, exporter=exporter, overwrite=overwrite, registry=registry)
    for item in done.parity:
        click.echo(item.describe(), err=quiet)
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
    from volseg_core.exporting.vectors import AGREEMENT, TOLERANCE

    parity, used = operations.verify(model, device=device, registry=registry)
    if as_json:
        print_json({"device": used, "good": parity.good, "difference": parity.difference,
                    "agreement": parity.agreement, "tolerance": TOLERANCE})  # fmt: skip
    else:
        click.echo(f"{parity.describe()}, on {used}")
        click.echo(f"{'good' if parity.good else 'NOT good'}: allowed are {TOLERANCE:g} and {AGREEMENT:.1%}")
    if not parity.good:
        ctx.exit(int(ExitCode.DATA))
