from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]
Env = dict[str, str]


def test_components_of_one_kind(volseg_project: Make) -> None:
    result = volseg_project().run("components", "merge")
    assert result.ok
    header, *lines = result.out.splitlines()
    assert header.split() == ["KIND", "NAME", "PLUGIN", "SUMMARY"]
    assert {line.split()[0] for line in lines} == {"merge"}
    assert "mean" in {line.split()[1] for line in lines}


def test_a_misspelt_kind_gets_a_suggestion(volseg_project: Make) -> None:
    result = volseg_project().run("components", "losses")
    assert result.code == 2
    assert result.err.splitlines()[0] == (
        "Error: components: 'losses' is not a kind of component. Did you mean 'loss'?"
    )


def test_a_third_party_name_of_a_built_in_is_listed_qualified(volseg_project: Make, good_plugins: Env) -> None:
    lines = volseg_project().run("components", "loss", env=good_plugins).out.splitlines()
    built_in, third = (line for line in lines if " dice " in line or "volseg-acme/dice" in line)
    assert built_in.split()[1:4] == ["dice", "volseg", "0.1.0"]
    assert third.split()[1:4] == ["volseg-acme/dice", "volseg-acme", "0.3.0"]
    assert third.endswith("(bare name is volseg/dice)")


def test_json_holds_parameters_as_a_schema(volseg_project: Make, good_plugins: Env) -> None:
    facts = json.loads(volseg_project().run("show", "loss/volseg-acme/dice", "--json", env=good_plugins).out)
    assert facts["id"] == "volseg-acme/dice"
    assert facts["bare_name"] == "volseg/dice"
    assert facts["params"]["smooth"] == {
        "type": "number",
        "required": False,
        "minimum": 0,
        "description": "Added to both sums.",
        "default": 1.0,
    }


def test_weights_of_an_encoder_are_plain_data(volseg_project: Make) -> None:
    found = json.loads(volseg_project().run("components", "encoder", "--json").out)
    pretrained = next(item for item in found if item["weights"])
    assert all(isinstance(weights, dict) and weights["source"] for weights in pretrained["weights"].values())


def test_show_describes_parameters(volseg_project: Make) -> None:
    result = volseg_project().run("show", "loss/dice")
    assert result.ok
    assert result.out.splitlines()[0] == "loss volseg/dice  (volseg 0.1.0)"
    assert "    smooth (float, default 1e-05)" in result.out


def test_show_suggests_a_name_and_a_kind(volseg_project: Make) -> None:
    project = volseg_project()
    result = project.run("show", "loss/dicee")
    assert result.code == 2
    assert result.err.splitlines()[0] == "Error: loss: no loss named 'dicee'. Did you mean 'dice'?"
    assert result.err.splitlines()[1].startswith("  known: ")
    result = project.run("show", "dice")
    assert result.err.splitlines()[0] == (
        "Error: show: 'dice' is not KIND/NAME, such as loss/dice. Did you mean 'loss/dice' or 'metric/dice'?"
    )


def test_a_name_of_two_plugins_is_an_error_only_where_it_is_used(volseg_project: Make, good_plugins: Env) -> None:
    project = volseg_project()
    assert "volseg-lab/rim" in project.run("components", "loss", env=good_plugins).out
    result = project.run("show", "loss/rim", env=good_plugins)
    assert result.code == 2
    assert result.err.splitlines() == [
        "Error: loss: loss 'rim' is provided by volseg-acme 0.3.0 and volseg-lab 1.2.",
        (
            "  Write volseg-acme/rim or volseg-lab/rim, or add to registry.yaml:  "
            "aliases: {loss: {rim: volseg-acme/rim}}"
        ),
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("dice", "volseg-acme/dice"), ("rim", "volseg-lab/rim"), ("lonely", "volseg-lab/lonely")],
)
def test_aliases_decide_and_a_single_provider_needs_none(
    volseg_project: Make, good_plugins: Env, name: str, meant: str
) -> None:
    project = volseg_project({"registry.yaml": "aliases: {loss: {dice: volseg-acme/dice, rim: volseg-lab/rim}}"})
    assert project.run("show", f"loss/{name}", env=good_plugins).out.startswith(f"loss {meant} ")


def test_one_component_can_be_blocked(volseg_project: Make, good_plugins: Env) -> None:
    project = volseg_project({"registry.yaml": "plugins: {block: [volseg-acme/rim, volseg-acme/dice]}"})
    assert project.run("show", "loss/rim", env=good_plugins).out.startswith("loss volseg-lab/rim")
    result = project.run("show", "loss/volseg-acme/dice", env=good_plugins)
    assert result.code == 2
    assert result.err == "Error: loss: loss 'volseg-acme/dice' is blocked by plugins.block in registry.yaml.\n"


def test_a_name_of_a_blocked_plugin_says_so(volseg_project: Make, good_plugins: Env) -> None:
    result = volseg_project().run("--block", "volseg-acme", "show", "loss/volseg-acme/dice", env=good_plugins)
    assert result.err.splitlines()[-1] == ("  note: plugin volseg-acme is blocked by --block. See: volseg plugins list")


def test_shell_completion_knows_components(volseg_project: Make) -> None:
    env = {"_VOLSEG_COMPLETE": "bash_complete", "COMP_WORDS": "volseg show merge/", "COMP_CWORD": "2"}
    assert "plain,merge/mean" in volseg_project().run(env=env).out.splitlines()
