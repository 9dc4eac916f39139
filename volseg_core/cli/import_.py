"""``volseg import``: one command per tool that users come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from volseg_core.cli.context import registry_of

if TYPE_CHECKING:
    from volseg_core.migration.imported import Imported


@click.group("import")
def import_() -> None:
    """Take over settings and weights of another tool."""


@import_.command(
    "volume-segmantics",
    epilog="Example: volseg import volume-segmantics 2d_model_train_settings.yaml model.pytorch -o em.yaml",
)
@click.argument("settings", metavar="SETTINGS.yaml")
@click.argument("model", metavar="[MODEL.pytorch]", required=False)
@click.option("--predict", "prediction", metavar="FILE", help="Its 2d_model_predict_settings.yaml.")
@click.option("-o", "--output", metavar="FILE", required=True, help="The recipe; weights go beside it, .safetensors.")
@click.option("--overwrite", is_flag=True, help="Replace the outputs if they exist.")
@click.pass_context
def volume_segmantics(
    ctx: click.Context, settings: str, model: str | None, prediction: str | None, output: str, overwrite: bool
) -> None:
    """Turn train SETTINGS of Volume Segmantics into a recipe, and its MODEL into weights that predict takes.

    What cannot be carried is named on standard error. Nothing in MODEL is executed.
    """
    from pathlib import Path

    from volseg_core.migration.volume_segmantics.importing import import_settings

    done = import_settings(
        registry_of(ctx),
        Path(settings),
        Path(output),
        model=None if model is None else Path(model),
        prediction=None if prediction is None else Path(prediction),
        overwrite=overwrite,
    )
    _report(done)


@import_.command(
    "pytorch-3dunet",
    epilog="Example: volseg import pytorch-3dunet train_config.yml best_checkpoint.pytorch -o cells.yaml",
)
@click.argument("config", metavar="CONFIG.yml")
@click.argument("checkpoint", metavar="[CHECKPOINT.pytorch]", required=False)
@click.option("-o", "--output", metavar="FILE", help="The recipe, by default CONFIG.yaml; weights go beside it.")
@click.option("--overwrite", is_flag=True, help="Replace the outputs if they exist.")
@click.pass_context
def pytorch_3dunet(
    ctx: click.Context, config: str, checkpoint: str | None, output: str | None, overwrite: bool
) -> None:
    """Turn a train or predict CONFIG of pytorch-3dunet into a recipe, its CHECKPOINT into weights that predict takes.

    What cannot be carried is named on standard error. Nothing in CHECKPOINT is executed.
    """
    from pathlib import Path

    from volseg_core.migration.pytorch_3dunet.importing import import_config

    done = import_config(
        registry_of(ctx),
        Path(config),
        Path(output or f"{Path(config).stem}.yaml"),
        checkpoint=None if checkpoint is None else Path(checkpoint),
        overwrite=overwrite,
    )
    _report(done)


def _report(done: Imported) -> None:
    for item in done.left:
        click.echo(f"not carried: {item}", err=True)
    click.echo(f"wrote {', '.join(map(str, done.paths))}")
