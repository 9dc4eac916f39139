"""The README says what is true: its commands run, its table is fresh, its loss trains."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import click
import pytest

import volseg_core
from volseg_core.registry import load_registry

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(heading: str, language: str) -> str:
    """Return the first code block of a language below a heading."""
    section = README.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found, heading
    return found[1]


def test_the_first_commands_run_as_they_stand(volseg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in block("## From a crop to a segmentation", "sh").splitlines():
        program, *words = shlex.split(line)
        assert program == "volseg"
        result = volseg(*words)
        assert result.code == 0, result.err
    assert "dice/organelle" in result.out


def test_every_command_of_the_readme_exists_with_its_options():
    from volseg_core.cli import cli

    lines = [line.partition("#")[0] for line in re.findall(r"^volseg .*$", README, re.MULTILINE)]
    for line in lines:
        _, name, *words = shlex.split(line)
        command = cli.get_command(None, name)
        if isinstance(command, click.Group):
            command = command.get_command(None, words[0])
        assert command is not None, line
        known = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in words if re.fullmatch(r"--?[a-z-]+", word)} <= known, line


def test_the_example_loss_trains(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my_losses.py").write_text(block("## A loss of your own", "python"), encoding="utf-8")
    Path("registry.yaml").write_text("version: 1\nplugins: {local: [./my_losses.py]}\n", encoding="utf-8")
    run = volseg_core.train(
        "slices", data=trained.volume, labels=trained.volume, output="run", registry=load_registry(),
        overrides=[*trained.overrides, "loss=brier", "train.epochs=1"],
    )  # fmt: skip
    assert 0 < run.scores["train/loss/brier"] < 1
    assert (run.folder / "plugins" / "my_losses.py").exists()


def test_the_example_recipe_resolves(tmp_path, monkeypatch):
    from volseg_core.recipe import resolve_recipe

    monkeypatch.chdir(tmp_path)
    Path("registry.yaml").write_text(block("## Recipes", "yaml"), encoding="utf-8")
    recipe = resolve_recipe(load_registry(), "membranes")
    assert recipe.encoder is not None
    assert recipe.encoder.provided.component.name == "resnet34"
    assert [use.weight for use in recipe.heads[0].losses] == [1.0, 0.5]


def test_the_table_of_components_is_fresh():
    tool = runpy.run_path(str(ROOT / "tools" / "component_table.py"))
    assert tool["with_table"](README) == README, "run: python tools/component_table.py"


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_it_is_short():
    assert README.count("\n") <= 250


@pytest.mark.parametrize("path", ["registry.yaml"])
def test_the_repositorys_own_registry_resolves(path):
    from volseg_core.recipe import resolve_recipe

    registry = load_registry(ROOT / path)
    for name in registry.file.recipes:
        resolve_recipe(registry, name)
    default = resolve_recipe(registry, registry.file.default_recipe)
    assert default.generate is not None, "a bare `volseg train` makes its own data"
