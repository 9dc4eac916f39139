"""``volseg predict``."""

from __future__ import annotations

import click

from volseg_core.cli.context import overrides, registry_of, start_output, verbosity


@click.command(epilog="Example: volseg predict runs/em scan.tif -o seg.h5 --quality high --confidence")
@click.argument("model")
@click.argument("volume")
@click.option("-o", "--output", metavar="FILE", required=True, help="Output; its suffix chooses the format.")
@click.option(
    "--quality",
    type=click.Choice(["auto", "low", "medium", "high", "max", "legacy12"]),
    help="How many directions are merged: 1, 3, 12 or 24; of 3D networks 1, 4, 8 or 48 (16 where one axis differs).",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "tensorrt"]), default="auto", help="Where the network runs."
)
@click.option("--runtime", default="auto", metavar="NAME", help="torch, onnxruntime or auto: what is faster here.")
@click.option("--confidence", is_flag=True, help="Also write the winner's probability (uint8).")
@click.option("--probabilities", is_flag=True, help="Also write all probabilities (float16).")
@click.option("--entropy", is_flag=True, help="Also write how undecided the probabilities are (uint8, 255 = fully).")
@click.option("--variance", is_flag=True, help="Also write how far the directions disagree (float16).")
@click.option("--seams", is_flag=True, help="Also measure how far windows show, by predicting the middle again.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@click.option("--recipe", default="", metavar="NAME|FILE", help="For an ONNX file that volseg did not make.")
@click.option("--frozen", is_flag=True, help="Fail when the model was trained with other plugin versions.")
@overrides
@verbosity
@click.pass_context
def predict(
    ctx: click.Context,
    model: str,
    volume: str,
    output: str,
    quality: str | None,
    device: str,
    runtime: str,
    confidence: bool,
    probabilities: bool,
    entropy: bool,
    variance: bool,
    seams: bool,
    overwrite: bool,
    recipe: str,
    frozen: bool,
    assignments: tuple[str, ...],
    quiet: bool,
    verbose: bool,
) -> None:
    """Segment VOLUME with MODEL: a run folder, its weights, or an exported ONNX file.

    Labels get the original ids, in /labels of an HDF5 file or as a file of their own.
    """
    progress = start_output(quiet=quiet, verbose=verbose)
    registry = registry_of(ctx)

    from volseg_core import operations

    done = operations.predict(
        model,
        volume,
        output=output,
        quality=quality or "",
        device=device,
        runtime=runtime,
        confidence=confidence,
        probabilities=probabilities,
        entropy=entropy,
        variance=variance,
        seams=seams,
        overwrite=overwrite,
        recipe=recipe,
        frozen=frozen,
        overrides=assignments,
        registry=registry,
        progress=progress,
    )
    if seams:
        click.echo(str(done.seams or "seams: none, there is one window"), err=quiet)
    click.echo(f"wrote {', '.join(map(str, done.paths))} in {done.record['seconds']:.1f} s", err=quiet)
