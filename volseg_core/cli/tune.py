"""``volseg tune``."""

from __future__ import annotations

import click

from volseg_core.cli.context import overrides, registry_of, start_output, verbosity


@click.command(
    epilog="Example: volseg tune slices --data crop.h5 --labels crop.h5:/labels -o tuned --trials 20 "
    "--search train.lr=3e-4..1e-2:log --search 'model.encoder=resnet18|resnet34'"
)
@click.argument("recipe", default="slices")
@click.option("--data", metavar="FILE[:/PATH]", multiple=True, help="A volume to train on. Repeatable.")
@click.option("--labels", metavar="FILE[:/PATH]", multiple=True, help="Its labels, in the order of --data.")
@click.option("-o", "--output", metavar="DIR", required=True, help="Folder of the study.")
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True, help="Trainings in all.")
@click.option(
    "--search",
    metavar="KEY=RANGE",
    multiple=True,
    help="A key and LOW..HIGH, LOW..HIGH:log or A|B|C. Repeatable. Default: learning rate, weight decay, augmentation.",
)
@click.option("--seed", type=int, default=0, help="Seed of the search.")
@click.option("--resume", is_flag=True, help="Go on with the study in -o; several processes may work on one.")
@click.option("--overwrite", is_flag=True, help="Replace the study in -o.")
@overrides
@verbosity
@click.pass_context
def tune(
    ctx: click.Context,
    recipe: str,
    data: tuple[str, ...],
    labels: tuple[str, ...],
    output: str,
    trials: int,
    search: tuple[str, ...],
    seed: int,
    resume: bool,
    overwrite: bool,
    assignments: tuple[str, ...],
    quiet: bool,
    verbose: bool,
) -> None:
    """Search keys of RECIPE for the best score on the held-out part, and write the best recipe.

    Each trial is a training in a folder of its own; poor ones are stopped early. The first is RECIPE as it is.
    """
    progress = start_output(quiet=quiet, verbose=verbose)
    registry = registry_of(ctx)

    from volseg_core import operations

    result = operations.tune(
        recipe,
        data=data,
        labels=labels,
        output=output,
        trials=trials,
        search=search,
        seed=seed,
        resume=resume,
        overwrite=overwrite,
        overrides=assignments,
        registry=registry,
        progress=progress,
    )
    for key, value in result.values.items():
        click.echo(f"{key:24s} {value:.4g}" if isinstance(value, float) else f"{key:24s} {value}")
    click.echo(f"best trial {result.best}, score {result.score:.4f}; train it: volseg train {result.recipe}", err=quiet)
