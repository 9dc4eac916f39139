"""``volseg evaluate``."""

from __future__ import annotations

import click

from volseg_core.cli.context import registry_of, start_output, verbosity


@click.command(
    epilog="Example: volseg evaluate --prediction seg.h5 --labels truth.h5:/labels --metric dice --json scores.json"
)
@click.option("--prediction", metavar="FILE[:/PATH]", required=True, help="The segmentation.")
@click.option("--labels", metavar="FILE[:/PATH]", required=True, help="The truth.")
@click.option("--metric", "metrics", metavar="NAME", multiple=True, help="A metric; default dice and iou. Repeatable.")
@click.option("--ignore", type=int, multiple=True, default=(-1,), help="A label id that does not count. Repeatable.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the scores here.")
@verbosity
@click.pass_context
def evaluate(
    ctx: click.Context,
    prediction: str,
    labels: str,
    metrics: tuple[str, ...],
    ignore: tuple[int, ...],
    json_file: str | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Score a prediction against labels of the same shape."""
    progress = start_output(quiet=quiet, verbose=verbose)
    registry = registry_of(ctx)

    from volseg_core import operations

    scores = operations.evaluate(
        prediction, labels, metrics=metrics or ("dice", "iou"), ignore=ignore, registry=registry, progress=progress
    )
    for name, value in scores.items():
        click.echo(f"{name:24s} {value:.4f}")
    if json_file:
        _write(json_file, scores)


def _write(name: str, scores: dict[str, float]) -> None:
    from pathlib import Path

    from volseg_core.errors import DataError
    from volseg_core.provenance import write_json

    plain = {key: None if value != value else value for key, value in scores.items()}  # noqa: PLR0124  (NaN)
    try:
        write_json(Path(name), plain)
    except OSError as error:
        raise DataError(name, f"cannot be written ({error.strerror})") from None
