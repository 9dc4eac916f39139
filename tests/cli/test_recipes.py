from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml

Make = Callable[..., Any]
Env = dict[str, str]

REGISTRY = """
version: 1
defaults:
  loss/dice: {smooth: 1.0}
recipes:
  base:
    abstract: true
    summary: Common to all.
    extends: volseg/slices
    train: {epochs: 7}
    loss: [dice]
  slices:
    extends: [base, slices]
    train: {batch: 2}
"""


def test_recipes_of_the_file_come_first_and_say_what_they_shadow(volseg_project: Make) -> None:
    result = volseg_project({"registry.yaml": REGISTRY}).run("recipes", "list")
    assert result.ok
    lines = result.out.splitlines()
    assert lines[1].split(maxsplit=1) == ["base", "Common to all. (abstract)"]
    assert lines[2].split(maxsplit=1) == ["slices", "(shadows volseg/slices)"]
    assert any(line.startswith("volseg/slices ") for line in lines)


def test_explain_says_where_each_value_comes_from(volseg_project: Make) -> None:
    project = volseg_project({"registry.yaml": REGISTRY})
    result = project.run("recipes", "show", "slices", "-s", "train.lr=1e-4", "--explain", "--json")
    origins = {row["key"]: (row["value"], row["origin"]) for row in json.loads(result.out)}
    assert origins["train.seed"] == (0, "default")
    assert origins["train.batch"] == (2, "slices")
    assert origins["train.lr"] == (1e-4, "--set")
    assert origins["loss.0.smooth"] == (1.0, "defaults")
    assert origins["loss.0.squared"] == (False, "default")
    assert origins["task"] == ("multiclass", "volseg/slices")
    # the built-in is extended twice and counts once, below base
    assert origins["train.epochs"] == (7, "base")


def test_the_resolved_form_resolves_to_itself(volseg_project: Make) -> None:
    project = volseg_project({"registry.yaml": REGISTRY})
    first = project.run("recipes", "show", "slices", "-s", "model.encoder=resnet34", "-s", "loss.dice.weight=0.3")
    assert yaml.safe_load(first.out)["model"]["use"] == "volseg/unet"
    project.write({"resolved.yaml": first.out})
    assert project.run("recipes", "show", "resolved.yaml").out == first.out


def test_all_errors_are_reported_at_once(volseg_project: Make) -> None:
    project = volseg_project(
        {"bad.yaml": "train: {lrr: 1, epochs: none}\nloss: [dicee, {use: dice, smoth: 1}]\npredict: {blend: crops}\n"}
    )
    result = project.run("recipes", "show", "bad.yaml", "-s", "train.seeed=1")
    assert result.code == 2
    assert [line for line in result.err.splitlines() if line.startswith("Error: ")] == [
        "Error: train.epochs: 'none' is not an int.",
        "Error: train.lrr: 'lrr' is not in 'train'. Did you mean 'lr'?",
        "Error: --set train.seeed=1: 'seeed' is not in 'train'. Did you mean 'seed'?",
        "Error: predict.blend: 'crops' is not one of gaussian, constant, crop. Did you mean 'crop'?",
        "Error: loss.0: no loss named 'dicee'. Did you mean 'dice'?",
        "Error: loss.1: loss 'dice' has no parameter 'smoth'. Did you mean 'smooth'?",
    ]


def test_a_plugins_recipe_has_a_qualified_name(volseg_project: Make, good_plugins: Env) -> None:
    result = volseg_project().run("recipes", "show", "volseg-acme/em", "--json", env=good_plugins)
    assert json.loads(result.out)["loss"] == [
        {"use": "volseg-acme/dice", "weight": 1.0, "start_epoch": 0, "smooth": 1.0}
    ]


def test_an_unknown_recipe_gets_a_suggestion(volseg_project: Make) -> None:
    result = volseg_project().run("recipes", "show", "slcies")
    assert result.code == 2
    error, known = result.err.splitlines()
    assert error == "Error: recipe: no recipe named 'slcies'. Did you mean 'slices'?"
    assert {"demo", "slices", "slices-em"} <= set(known.removeprefix("  known: ").split(", "))


def test_init_writes_a_registry_that_resolves_and_never_replaces_one(volseg_project: Make) -> None:
    project = volseg_project()
    assert project.run("recipes", "init").ok
    text = (project.folder / "registry.yaml").read_text()
    assert project.run("recipes", "show", "mine").ok
    result = project.run("recipes", "init")
    assert result.code == 4
    assert result.err == "Error: registry.yaml: exists. Give another name with -o.\n"
    assert (project.folder / "registry.yaml").read_text() == text


def test_a_registry_file_with_errors_reports_them_all(volseg_project: Make) -> None:
    project = volseg_project(
        {"registry.yaml": "verson: 1\nplugins: {mode: instaled, block: x}\naliases: {los: {a: b}}\nrecipes: {a/b: 3}"}
    )
    result = project.run("components")
    assert result.code == 2
    assert [line for line in result.err.splitlines() if line.startswith("Error: ")] == [
        "Error: registry.yaml: unknown key 'verson'. Did you mean 'version'?",
        "Error: plugins.mode: 'instaled' is not one of installed, listed, builtin. Did you mean 'installed'?",
        "Error: plugins.block: 'x' is not a list of names.",
        "Error: aliases: 'los' is not a kind of component. Did you mean 'loss'?",
        "Error: aliases.los.a: 'b' is not a qualified name PLUGIN/NAME. For example: volseg/dice",
        "Error: recipes.a/b: a recipe is a mapping.",
        "Error: recipes.a/b: a recipe's name has no '/' and no suffix; those mean plugins and files.",
    ]


def test_the_registry_file_is_chosen_by_option_then_environment_then_folder(volseg_project: Make) -> None:
    project = volseg_project(
        {name: f"recipes: {{{name[0]}: {{summary: x}}}}" for name in ("registry.yaml", "env.yaml", "option.yaml")}
    )

    def first(*options: Any, **env: Any) -> Any:
        return json.loads(project.run(*options, "recipes", "list", "--json", env=env).out)[0]["name"]

    assert first() == "r"
    assert first(VOLSEG_REGISTRY="env.yaml") == "e"
    assert first("--registry", "option.yaml", VOLSEG_REGISTRY="env.yaml") == "o"
    result = project.run("--registry", "gone.yaml", "recipes", "list")
    assert result.code == 2
    assert result.err == "Error: --registry: 'gone.yaml' does not exist.\n"
