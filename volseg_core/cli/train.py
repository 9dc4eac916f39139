"""``volseg train``."""

from __future__ import annotations

import sys

import click

from volseg_core.cli.context import overrides, registry_of, start_output, verbosity

_NOTHING = (
    "Give a labelled volume:  volseg train --data crop.h5 --labels crop_labels.h5",
    "or a registry file whose default_recipe names its data (volseg recipes init), or try  volseg train --demo",
)


@click.command(
    epilog="Example: volseg train slices --data crop.h5:/data --labels crop.h5:/labels -o runs/em -s train.epochs=5"
)
@click.argument("recipe", required=False)
@click.option("--data", metavar="FILE[:/PATH]", multiple=True, help="A volume to train on. Repeatable.")
@click.option("--labels", metavar="FILE[:/PATH]", multiple=True, help="Its labels, in the order of --data.")
@click.option("-o", "--output", metavar="DIR", help="Run folder; default runs/RECIPE.")
@overrides
@click.option("--from", "start_from", metavar="RUN|MODEL", help="Fine-tune the weights of a run or .safetensors file.")
@click.option("--resume", is_flag=True, help="Go on with the run in -o after its last finished epoch.")
@click.option("--overwrite", is_flag=True, help="Replace the run in -o.")
@click.option("--frozen", is_flag=True, help="Fail when a resolved recipe or run was made with other plugin versions.")
@click.option("--demo", is_flag=True, help="Train on a small synthetic volume.")
@click.option("--dry-run", is_flag=True, help="Resolve the recipe and stop.")
@verbosity
@click.pass_context
def train(
    ctx: click.Context,
    recipe: str | None,
    data: tuple[str, ...],
    labels: tuple[str, ...],
    output: str | None,
    assignments: tuple[str, ...],
    start_from: str | None,
    resume: bool,
    overwrite: bool,
    frozen: bool,
    demo: bool,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Train a network on labelled volumes and leave a run folder.

    RECIPE is the name of a recipe or a .yaml file; without it, slices. A run's own resolved.yaml repeats it.
    """
    from pathlib import Path

    progress = start_output(quiet=quiet, verbose=verbose)
    registry = registry_of(ctx)
    name = _choose(recipe, data, resume=resume, demo=demo, output=output, default=registry.file.default_recipe)
    folder = Path(output or f"runs/{Path(name).stem}")

    from volseg_core import operations

    if dry_run:
        from volseg_core.recipe import resolve_recipe

        resolved = resolve_recipe(registry, name, assignments, frozen=frozen)
        click.echo(f"{resolved.name}: the recipe is complete ({len(resolved.components())} components).")
        return
    result = operations.train(
        name,
        data=data,
        labels=labels,
        output=folder,
        overrides=assignments,
        resume=resume,
        overwrite=overwrite,
        start_from=start_from,
        frozen=frozen,
        argv=sys.argv,
        registry=registry,
        progress=progress,
    )
    scores = {key.removeprefix("val/"): value for key, value in result.scores.items() if key.startswith("val/")}
    for key, value in scores.items():
        click.echo(f"{key:24s} {value:.4f}")
    best = "means over folds" if result.best_epoch is None else f"best epoch {result.best_epoch + 1}"
    click.echo(f"run {result.folder}, {best}, report {result.folder}/report/index.html", err=quiet)


def _choose(
    recipe: str | None, data: tuple[str, ...], *, resume: bool, demo: bool, output: str | None, default: str
) -> str:
    """Return the recipe that a call means."""
    from pathlib import Path

    from volseg_core.errors import UsageError

    if demo:
        return "volseg/demo"
    if recipe:
        return recipe
    if resume and not data and output and (Path(output) / "resolved.yaml").is_file():
        return str(Path(output) / "resolved.yaml")
    if data:
        return "slices"
    if default:
        return default
    raise UsageError("train", "there is nothing to train on", notes=_NOTHING)
