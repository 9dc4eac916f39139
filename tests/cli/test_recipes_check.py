from __future__ import annotations

import json

from jsonschema import Draft202012Validator

GOOD = """
version: 1
default_recipe: em
defaults: {loss/dice: {smooth: 1.0}}
recipes:
  base: {abstract: true, extends: volseg/slices, train: {epochs: 7}}
  em: {extends: base, loss: [dice]}
  other: {extends: em}
"""
BAD = """
version: 1
plugins: {mode: instaled, require: [volseg>=99, volseg-nowhere, 'no requirement!'], local: [gone.py]}
aliases: {loss: {boundary: volseg-acme/boundary, edge: volseg/dicee}}
defaults: {loss/dice: {smoth: 1}}
default_recipe: emm
recipes:
  base: {abstract: true, train: {lrr: 1}}
  em: {extends: base, loss: [dicee, {use: dice, smoth: 1}]}
  other: {extends: nothing, task: segmentation}
  good: {extends: volseg/slices}
"""


def lines(result):
    return [line for line in result.err.splitlines() if line.startswith("Error: ")]


def check(volseg_project, text, *args, **options):
    return volseg_project({"registry.yaml": text}).run("recipes", "check", *args, **options)


def test_a_good_registry_is_a_list_of_good_recipes(volseg_project):
    result = check(volseg_project, GOOD)
    assert result.ok, result.err
    assert [line.split() for line in result.out.splitlines()[1:]] == [
        ["RECIPE", "STATUS"],
        ["base", "base"],
        ["em", "ok"],
        ["other", "ok"],
    ]
    assert result.out.startswith("registry.yaml: no errors of its own\n")
    assert result.err == ""


def test_everything_that_is_wrong_is_told_at_once(volseg_project):
    result = check(volseg_project, BAD)
    assert result.code == 2
    errors = lines(result)
    assert errors.pop(1).startswith("Error: plugins.require: 'no requirement!' is not a requirement (PEP 508): ")
    gone = (
        f"{volseg_project().folder / 'gone.py'} is not a python file that exists (paths are relative to registry.yaml)"
    )
    assert errors == [
        "Error: plugins.mode: 'instaled' is not one of installed, listed, builtin. Did you mean 'installed'?",
        "Error: plugins.require: volseg>=99 is not met: 0.1.0 is installed; volseg-nowhere is not installed.",
        f"Error: plugins.local: local/gone did not load ({gone}). See: volseg plugins list --broken",
        "Error: aliases.loss.boundary: no loss named 'volseg-acme/boundary'. Did you mean 'volseg/boundary'?",
        "Error: aliases.loss.edge: no loss named 'volseg/dicee'. Did you mean 'volseg/dice'?",
        "Error: defaults.loss/dice: loss 'dice' has no parameter 'smoth'. Did you mean 'smooth'?",
        "Error: default_recipe: no recipe named 'emm'. Did you mean 'em'?",
        "Error: em: train.lrr: 'lrr' is not in 'train'. Did you mean 'lr'?",
        "Error: em: loss.0: no loss named 'dicee'. Did you mean 'dice'?",
        "Error: em: loss.1: loss 'dice' has no parameter 'smoth'. Did you mean 'smooth'?",
        "Error: other: extends: no recipe named 'nothing'.",
    ]
    assert [line.split(maxsplit=1)[1] for line in result.out.splitlines()[2:]] == ["base", "3 errors", "1 error", "ok"]


def test_a_named_recipe_is_checked_alone(volseg_project):
    result = check(volseg_project, GOOD.replace("{extends: em}", "{extends: em, loss: [nothing]}"), "em")
    assert result.ok
    assert result.out.splitlines()[-1].split() == ["em", "ok"]


def test_a_file_is_checked_without_a_registry(volseg_project):
    project = volseg_project({"mine.yaml": "extends: volseg/slices\ntrain: {epochs: none}\n"})
    result = project.run("recipes", "check", "mine.yaml", "gone.yaml", "slices")
    assert result.code == 2
    assert lines(result) == [
        "Error: mine.yaml: train.epochs: 'none' is not an int.",
        "Error: gone.yaml: recipe: 'gone.yaml' does not exist.",
    ]
    assert [line.split()[0] for line in result.out.splitlines()[1:]] == ["mine.yaml", "gone.yaml", "slices"]


def test_a_registry_file_given_as_a_recipe_is_told_apart(volseg_project):
    hint = "Check it with: volseg --registry registry.yaml recipes check"
    assert lines(check(volseg_project, GOOD, "registry.yaml")) == [
        f"Error: registry.yaml: is a registry file, not a recipe. {hint}"
    ]


def test_without_anything_to_check_it_says_what_to_give(volseg_project):
    result = volseg_project().run("recipes", "check")
    assert result.code == 2
    assert result.err == (
        "Error: recipes check: there is no registry file. "
        "Name a recipe, or write a registry file with: volseg recipes init\n"
    )


def test_unmet_requirements_alone_leave_with_the_plugin_exit_code(volseg_project, good_plugins):
    text = "plugins: {require: [volseg-acme>=0.4]}\nrecipes: {r: {loss: [volseg-acme/dice]}}"
    result = check(volseg_project, text, env=good_plugins)
    assert result.code == 3
    assert lines(result) == ["Error: plugins.require: volseg-acme>=0.4 is not met: 0.3.0 is installed."]
    needs = "recipes: {r: {loss: [volseg-acme/tree]}}"
    result = check(volseg_project, needs, env=good_plugins)
    assert result.code == 3
    assert lines(result) == [
        "Error: r: loss.0: loss 'volseg-acme/tree' needs no-such-library-xyz>=1.11, which is not installed."
    ]


def test_a_required_plugin_that_does_not_load_is_an_error(volseg_project, broken_plugins):
    text = "plugins: {require: [volseg-broken]}\nrecipes: {}"
    reason = "ModuleNotFoundError: No module named 'no_such_library_xyz'"
    assert lines(check(volseg_project, text, env=broken_plugins)) == [
        f"Error: plugins.require: volseg-broken did not load ({reason}). See: volseg plugins list --broken"
    ]


def test_json_holds_every_error_in_parts(volseg_project):
    found = json.loads(check(volseg_project, BAD, "--json").out)
    assert not found["ok"]
    assert len(found["errors"]) == 8
    assert found["recipes"][1]["errors"][1] == {
        "where": "loss.0",
        "what": "no loss named 'dicee'",
        "hint": "Did you mean 'dice'?",
        "notes": found["recipes"][1]["errors"][1]["notes"],
    }


def test_the_schema_is_printed_or_written_and_named_in_the_starter(volseg_project, good_plugins):
    project = volseg_project()
    printed = project.run("recipes", "schema", env=good_plugins)
    written = project.run("recipes", "schema", "-o", "registry.schema.json", env=good_plugins)
    assert written.out == (
        "wrote registry.schema.json; first line of registry.yaml:  "
        "# yaml-language-server: $schema=registry.schema.json\n"
    )
    schema = json.loads((project.folder / "registry.schema.json").read_text())
    assert schema == json.loads(printed.out)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"recipes": {"r": {"loss": [{"use": "volseg-acme/rim", "theta": 2}]}}})
    assert not validator.is_valid({"recipes": {"r": {"loss": ["rim"]}}})  # two plugins provide it
    assert project.run("recipes", "init").ok
    text = (project.folder / "registry.yaml").read_text()
    assert "volseg recipes schema -o registry.schema.json" in text
    assert "# yaml-language-server: $schema=registry.schema.json" in text


def test_a_schema_that_cannot_be_written_is_an_error(volseg_project):
    result = volseg_project().run("recipes", "schema", "-o", "nowhere/x.json")
    assert (result.code, result.err) == (4, "Error: nowhere/x.json: cannot be written (No such file or directory).\n")
