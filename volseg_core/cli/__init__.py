"""The command line: a static table of commands, each imported only when it runs."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

COMMANDS = {
    "train": ("volseg_core.cli.train:train", "Train a network on labelled volumes."),
    "tune": ("volseg_core.cli.tune:tune", "Search keys of a recipe for the best score."),
    "predict": ("volseg_core.cli.predict:predict", "Segment a volume with a trained model."),
    "postprocess": ("volseg_core.cli.postprocess:postprocess", "Turn a finished prediction into objects."),
    "export": ("volseg_core.cli.export:export", "Write a trained model as one ONNX file."),
    "verify": ("volseg_core.cli.export:verify", "Check an ONNX file against the trained network."),
    "fit-merge": ("volseg_core.cli.fit_merge:fit_merge", "Learn how far to trust each direction, per class."),
    "suggest-labels": ("volseg_core.cli.suggest_labels:suggest_labels", "Say which parts of a volume to label next."),
    "evaluate": ("volseg_core.cli.evaluate:evaluate", "Score a prediction against labels."),
    "generate": ("volseg_core.cli.generate:generate", "Make a synthetic labelled volume."),
    "inspect": ("volseg_core.cli.inspect:inspect", "Say what is in a model or a volume."),
    "import": ("volseg_core.cli.import_:import_", "Take over settings and weights of another tool."),
    "suggest": ("volseg_core.cli.suggest:suggest", "Write a recipe for a labelled volume."),
    "recipes": ("volseg_core.cli.recipes:recipes", "List, show, check and start recipes."),
    "components": ("volseg_core.cli.components:components", "List what plugins provide."),
    "show": ("volseg_core.cli.components:show", "Describe one component."),
    "plugins": ("volseg_core.cli.plugins:plugins", "List, check, describe and start plugins."),
    "doctor": ("volseg_core.cli.doctor:doctor", "Check machine and plugins, or data and labels."),
}
"""Import string and help line of every command."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Return names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101  (the table is ours)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, with a suggestion for a misspelt one."""
        from volseg_core.errors import did_you_mean

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}. {did_you_mean(args[0], COMMANDS)}".rstrip())
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: volseg train slices --data crop.h5 --labels crop_labels.h5 -o runs/first",
)
@click.option("--registry", metavar="FILE", help="Registry file; default: $VOLSEG_REGISTRY, ./registry.yaml.")
@click.option("--block", metavar="ID", multiple=True, help="Do not load this plugin or component. Repeatable.")
@click.option("--no-plugins", is_flag=True, help="Load built-in plugins only.")
@click.option("--traceback", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="volseg", prog_name="volseg", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, /, **options: object) -> None:
    """Segment volumetric images: train on a labelled crop, predict a scan, deploy the model."""
    ctx.obj = options


def main() -> None:
    """Run the command line and leave with the documented exit code."""
    # Threads that wait by spinning starve one another when anything else runs (docs/benchmarks.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    traceback_wanted = "--traceback" in sys.argv[1:]
    try:
        # without standalone mode click returns the code that a command left with
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        _leave("Interrupted.", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        _leave("Interrupted.", 130)
    except Exception as error:  # noqa: BLE001  (the last resort: a line instead of a traceback)
        _handle(error, traceback_wanted=traceback_wanted)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _handle(error: Exception, *, traceback_wanted: bool) -> None:
    from volseg_core.errors import ExitCode, RecipeErrors, VolsegError

    if traceback_wanted:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, RecipeErrors):
        for part in error.errors:
            click.echo(f"Error: {part}", err=True)
        sys.exit(error.code)
    if isinstance(error, VolsegError):
        _leave(f"Error: {error}", error.code)
    if isinstance(error, MemoryError):
        _leave("Error: memory is exhausted. Use a smaller volume, batch or window.", ExitCode.RESOURCE)
    if isinstance(error, OSError) and error.errno == 28:  # noqa: PLR2004  (ENOSPC)
        _leave(f"Error: {error.filename or 'disk'}: no space left on the device.", ExitCode.RESOURCE)
    text = " ".join(str(error).split())
    _leave(
        f"Error: {type(error).__name__}: {text}\n"
        "  This is a bug of volseg. Run again with  volseg --traceback ...  and report what it prints.",
        ExitCode.BUG,
    )


def _leave(text: str, code: int) -> None:
    click.echo(text, err=True)
    sys.exit(int(code))
