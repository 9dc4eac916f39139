"""``volseg suggest-labels``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from volseg_core.cli.context import overrides, print_table, registry_of, start_output, verbosity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.prediction.suggest import Suggestion


def _sizes(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """Return the whole numbers of ``N`` or ``Z,Y,X``."""
    try:
        return tuple(int(part) for part in value.split(",")) if value else ()
    except ValueError:
        message = f"{value!r} is not N or Z,Y,X in whole numbers."
        raise click.BadParameter(message, ctx, param) from None


@click.command(epilog="Example: volseg suggest-labels runs/em scan.h5 --count 5 --size 32,96,96 --json next.json")
@click.argument("model")
@click.argument("volume")
@click.option("--count", type=int, default=5, show_default=True, help="How many boxes.")
@click.option("--size", callback=_sizes, default="", metavar="N|Z,Y,X", help="Edges of a box; default: about 64.")
@click.option("--slabs", is_flag=True, help="Whole planes along z instead of boxes; --size is their number.")
@click.option(
    "--score",
    type=click.Choice(["entropy", "variance"]),
    default="entropy",
    show_default=True,
    help="Rank by undecided probabilities, or by directions that disagree.",
)
@click.option(
    "--quality",
    type=click.Choice(["auto", "low", "medium", "high", "max", "legacy12"]),
    help="How many directions are merged: 1, 3, 12 or 24; of 3D networks 1, 4, 8 or 48 (16 where one axis differs).",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where the network runs.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the boxes here.")
@overrides
@verbosity
@click.pass_context
def suggest_labels(
    ctx: click.Context,
    model: str,
    volume: str,
    count: int,
    size: tuple[int, ...],
    slabs: bool,
    score: str,
    quality: str | None,
    device: str,
    json_file: str | None,
    assignments: tuple[str, ...],
    quiet: bool,
    verbose: bool,
) -> None:
    """Rank the boxes of VOLUME whose labels would teach MODEL most: those where it is least certain.

    Boxes do not overlap. Ranges are start:stop, as in Python: z 0:64 are planes 0 to 63.
    """
    progress = start_output(quiet=quiet, verbose=verbose)
    registry = registry_of(ctx)

    from volseg_core import operations

    found = operations.suggest_labels(
        model,
        volume,
        count=count,
        size=size,
        slabs=slabs,
        score=score,
        quality=quality or "",
        device=device,
        overrides=assignments,
        registry=registry,
        progress=progress,
    )
    print_table(("z", "y", "x", score, "predicted"), [_row(item) for item in found])
    if len(found) < count:
        click.echo(f"{len(found)} of {count} boxes lie side by side; a smaller --size makes more", err=True)
    if json_file:
        _write(json_file, score, found)


def _row(item: Suggestion) -> list[str]:
    ranges = [f"{part.start}:{part.stop}" for part in item.box]
    shares = ", ".join(f"{name} {share:.1%}" for name, share in item.shares.items() if share)
    return [*ranges, f"{item.score:.4f}", shares]


def _write(name: str, score: str, found: Sequence[Suggestion]) -> None:
    from pathlib import Path

    from volseg_core.errors import DataError
    from volseg_core.provenance import write_json

    try:
        write_json(Path(name), {"ranked_by": score, "boxes": [item.to_dict() for item in found]})
    except OSError as error:
        raise DataError(name, f"cannot be written ({error.strerror})") from None
