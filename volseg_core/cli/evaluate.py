"""``volseg evaluate``."""

from __future__ import annotations

import click

from volseg_core.cli.context import registry_of, start_output, verbosity


@click.command(
    epilog="Example: volseg evaluate --prediction seg.h5 --labels truth.h5:/labels --metric dice --metric surface-dice "
    "-s surface-dice.tolerance=2 --json scores.json"
)
@click.option("--prediction", metavar="FILE[:/PATH]", required=True, help="The segmentation; floats are probabilities.")
@click.option("--labels", metavar="FILE[:/PATH]", required=True, help="The truth.")
@click.option(
    "--metric", "metrics", metavar="NAME", multiple=True, help="A metric; default dice and iou; see docs. Repeatable."
)
@click.option(
    "-s",
    "--set",
    "assignments",
    metavar="METRIC.NAME=VALUE",
    multiple=True,
    help="A parameter of a metric. Repeatable.",
)
@click.option("--ignore", type=int, multiple=True, default=(-1,), help="A label id that does not count. Repeatable.")
@click.option(
    "--probabilities",
    metavar="FILE[:/PATH]",
    help="Probabilities, for metrics of them; default: what predict wrote beside the prediction.",
)
@click.option("--instances", is_flag=True, help="The ids are those of objects (0 for none), not of classes.")
@click.option("--values", is_flag=True, help="Numbers are compared (a regression), not ids.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the scores here.")
@verbosity
@click.pass_context
def evaluate(
    ctx: click.Context,
    prediction: str,
    labels: str,
    metrics: tuple[str, ...],
    assignments: tuple[str, ...],
    ignore: tuple[int, ...],
    probabilities: str | None,
    instances: bool,
    values: bool,
    json_file: str | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Score a prediction against labels of the same shape."""
    progress = start_output(quiet=quiet, verbose=verbose)
    registry = registry_of(ctx)

    from volseg_core import operations

    scores = operations.evaluate(
        prediction,
        labels,
        metrics=metrics,
        ignore=ignore,
        overrides=assignments,
        probabilities=probabilities,
        instances=instances,
        values=values,
        registry=registry,
        progress=progress,
    )
    width = max(24, *map(len, scores))
    for name, value in scores.items():
        click.echo(f"{name:{width}s} {value:.4f}")
    if json_file:
        _write(json_file, scores)


def _write(name: str, scores: dict[str, float]) -> None:
    import math
    from pathlib import Path

    from volseg_core.errors import DataError
    from volseg_core.provenance import write_json

    plain = {key: value if math.isfinite(value) else None for key, value in scores.items()}
    try:
        write_json(Path(name), plain)
    except OSError as error:
        raise DataError(name, f"cannot be written ({error.strerror})") from None
