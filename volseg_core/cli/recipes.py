"""``volseg recipes``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from volseg_core.cli.context import (
    json_flag,
    overrides,
    plugin_options,
    print_json,
    print_table,
    registry_of,
    root_option,
)

if TYPE_CHECKING:
    from volseg_core.recipe import RecipeSource

STARTER = """\
# The registry of this project: which plugins, defaults and recipes `volseg` works with here.
# Editors complete and check it once  volseg recipes schema -o registry.schema.json  was run and its first line is
#   # yaml-language-server: $schema=registry.schema.json
# and  volseg recipes check  says all that is wrong with it.
version: 1

plugins:
  mode: installed          # installed | listed (only `require` and built-ins) | builtin
  require: []              # such as volseg-acme>=0.3,<0.4; checked before anything is imported
  block: []                # a plugin (volseg-oldlosses) or one component (volseg-acme/dice)
  local: []                # python files next to this one, such as ./my_losses.py

aliases: {}                # such as loss: {boundary: volseg-acme/boundary}
defaults: {}               # such as loss/dice: {smooth: 1.0}

default_recipe: mine       # what a bare `volseg train` runs

recipes:
  mine:
    extends: volseg/slices
    summary: My volumes.
    # classes: [background, membrane]      # names of ids 0, 1, ...
    data:
      train: [crop.h5:/data]
      labels: [crop.h5:/labels]
    train: {epochs: 20}
"""


def _complete_recipe(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Return names of recipes for shell completion."""
    from volseg_core.recipe import list_recipes

    return [item.name for item in list_recipes(registry_of(ctx, warn=False)) if item.name.startswith(incomplete)]


@click.group()
def recipes() -> None:
    """List, show, check and start recipes."""


@recipes.command("list", epilog="Example: volseg recipes list")
@json_flag
@click.pass_context
def list_command(ctx: click.Context, as_json: bool) -> None:
    """List recipes: those of registry.yaml, then those of plugins."""
    from volseg_core.recipe import list_recipes

    found = list_recipes(registry_of(ctx))
    if as_json:
        keys = ("name", "summary", "origin", "abstract", "shadows", "problem")
        print_json([{key: getattr(item, key) for key in keys} for item in found])
        return
    print_table(("RECIPE", "SUMMARY"), [(item.name, _summary(item)) for item in found])


def _summary(item: RecipeSource) -> str:
    notes = [
        item.summary,
        "(abstract)" if item.abstract else "",
        f"(shadows {item.shadows})" if item.shadows else "",
        f"(broken: {item.problem})" if item.problem else "",
    ]
    return " ".join(note for note in notes if note)


@recipes.command(epilog="Example: volseg recipes show slices -s model.encoder=resnet34 --explain")
@click.argument("recipe", shell_complete=_complete_recipe)
@overrides
@click.option("--explain", is_flag=True, help="Say where each value comes from.")
@json_flag
@click.pass_context
def show(ctx: click.Context, recipe: str, assignments: tuple[str, ...], explain: bool, as_json: bool) -> None:
    """Show RECIPE resolved: every value filled in, every name qualified."""
    import json

    from volseg_core.recipe import find_recipe, resolve

    registry = registry_of(ctx)
    resolved = resolve(registry, find_recipe(registry, recipe), assignments)
    if explain:
        lines = resolved.explain()
        if as_json:
            print_json([{"key": key, "value": value, "origin": origin} for key, value, origin in lines])
        else:
            print_table(("KEY", "VALUE", "FROM"), [(key, json.dumps(value), origin) for key, value, origin in lines])
        return
    if as_json:
        print_json(resolved.to_dict())
        return
    import yaml

    click.echo(yaml.safe_dump(json.loads(json.dumps(resolved.to_dict())), sort_keys=False).rstrip())


@recipes.command(epilog="Example: volseg recipes check")
@click.argument("names", metavar="[RECIPE]...", nargs=-1, shell_complete=_complete_recipe)
@json_flag
@click.pass_context
def check(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Check registry.yaml and its recipes, or those that are named, without training.

    All errors of all recipes are printed. The exit code is 2, or 3 when only plugins are wrong.
    """
    from volseg_core.recipe.check import check_recipes

    report = check_recipes(root_option(ctx, "registry"), names, **plugin_options(ctx))
    if as_json:
        print_json(report.to_dict())
    else:
        if report.path is not None:
            count = len(report.errors)
            click.echo(f"{report.path.name}: {count or 'no'} error{'' if count == 1 else 's'} of its own")
        print_table(("RECIPE", "STATUS"), [(item.name, item.status) for item in report.recipes])
        for error in report.errors:
            click.echo(f"Error: {error}", err=True)
        for item in report.recipes:
            for error in item.errors:
                place = "" if error.where.startswith(item.name) else f"{item.name}: "
                click.echo(f"Error: {place}{error}", err=True)
    ctx.exit(int(report.code))


@recipes.command(epilog="Example: volseg recipes schema -o registry.schema.json")
@click.option("-o", "--output", metavar="FILE", help="Write it here instead of printing it.")
@click.pass_context
def schema(ctx: click.Context, output: str | None) -> None:
    """Write a JSON schema of registry.yaml, with which editors complete and check it.

    It holds the components that are installed: write it again when plugins change. The first line of registry.yaml then
    names it:  # yaml-language-server: $schema=registry.schema.json
    """
    import json
    from pathlib import Path

    from volseg_core.errors import DataError
    from volseg_core.recipe.schema import registry_schema

    text = json.dumps(registry_schema(registry_of(ctx)), indent=1)
    if output is None:
        click.echo(text)
        return
    try:
        Path(output).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise DataError(output, f"cannot be written ({error.strerror})") from None
    click.echo(f"wrote {output}; first line of registry.yaml:  # yaml-language-server: $schema={output}")


@recipes.command(epilog="Example: volseg recipes init")
@click.option("-o", "--output", default="registry.yaml", show_default=True, help="The file to write.")
def init(output: str) -> None:
    """Write a commented starter registry.yaml; an existing file is left alone."""
    from pathlib import Path

    from volseg_core.errors import DataError

    try:
        with Path(output).open("x", encoding="utf-8") as file:
            file.write(STARTER)
    except FileExistsError:
        raise DataError(output, "exists", "Give another name with -o.") from None
    except OSError as error:
        raise DataError(output, f"cannot be written ({error.strerror})") from None
    click.echo(f"wrote {output}; edit recipes.mine, then run: volseg train")
