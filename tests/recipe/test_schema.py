"""The schema against the ``jsonschema`` package: what volseg takes validates, mistakes do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from volseg_core.cli.recipes import STARTER
from volseg_core.discovery import Plugins, plugins_from_modules
from volseg_core.recipe.schema import registry_schema
from volseg_core.registry import load_registry

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def schema():
    return registry_schema(load_registry(ROOT / "registry.yaml"))


@pytest.fixture(scope="module")
def valid(schema):
    """Return a function that says whether a registry (YAML text) validates."""
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    return lambda text: validator.is_valid(yaml.safe_load(text))


@pytest.mark.parametrize("path", sorted(ROOT.glob("plugins/volseg_recipes/*.yaml")), ids=lambda path: path.stem)
def test_every_built_in_recipe_validates(schema, path):
    one = Draft202012Validator({**schema, "$ref": "#/$defs/recipe", "properties": {}, "additionalProperties": True})
    assert [error.message for error in one.iter_errors(yaml.safe_load(path.read_text()))] == []


def test_a_resolved_recipe_validates(schema):
    from volseg_core.recipe import resolve_recipe

    registry = load_registry(ROOT / "registry.yaml")
    recipes = {name: resolve_recipe(registry, name).to_dict() for name in ("slices", "demo", "membranes")}
    content = json.loads(json.dumps({"recipes": recipes}))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(content)] == []


@pytest.mark.parametrize("text", [(ROOT / "registry.yaml").read_text(), STARTER], ids=["repository", "starter"])
def test_the_registry_of_the_repository_and_the_starter_validate(valid, text):
    assert valid(text)


@pytest.mark.parametrize(
    "recipe",
    [
        "{extends: volseg/slices, abstract: true}",
        "{extends: [slices, ./mine.yaml], train: {lr: 1e-3, precision: 32}}",  # PyYAML reads 1e-3 as text
        "{loss: dice}",
        "{loss: [ce, volseg/dice, {use: dice, weight: 0.5, start_epoch: 3, smooth: 1}]}",
        "{model: {encoder: resnet34}}",
        "{task: multilabel, target: boundaries, classes: [rim]}",
        "{task: regression, target: {use: distance}, loss: mae, data: {sampler: grid}}",
        "{heads: {cells: {classes: {bg: 0, cell: 1}, weight: 2}, rims: {task: multilabel, target: boundaries}}}",
        "{heads: {rims: {task: multilabel, loss: [{use: bce, weight: 2}], metrics: dice, weight: null}, old: null}}",
        "{model: {use: volseg/unet, encoder: {use: resnet34, weights: null}}}",
        "{data: {window: 128, sampler: balanced, axes: [z, y], ignore: 255, train: a.h5, labels: [a.h5]}}",
        "{data: {reader: hdf5, augment: {use: none}}}",
        "{classes: {inside: 0, membrane: 1}, train: null, metrics: null}",
        "{classes: [a, 1, true], predict: {merge: {use: mean}, views: [z, 'y,-z']}}",
        "{train: {steps: auto, channels_last: true, teacher: {weight: 2}, optimizer_options: {betas: [0.9, 0.99]}}}",
    ],
)
def test_what_volseg_takes_validates(valid, recipe):
    assert valid(f"recipes: {{r: {recipe}}}")


@pytest.mark.parametrize(
    "text",
    [
        "verson: 1",
        "version: 2",
        "plugins: {mode: instaled}",
        "plugins: {require: volseg-acme}",
        "aliases: {los: {a: volseg/dice}}",
        "aliases: {loss: {a: dice}}",
        "aliases: {loss: {a: volseg/dicee}}",
        "defaults: {loss/dicee: {smooth: 1}}",
        "defaults: {loss/dice: {smoth: 1}}",
        "defaults: {loss/dice: {smooth: big}}",
        "recipes: {a/b: {}}",
        "recipes: {r: [slices]}",
        "recipes: {r: {los: [dice]}}",
        "recipes: {r: {loss: [dicee]}}",
        "recipes: {r: {loss: [{use: dicee}]}}",
        "recipes: {r: {loss: [{use: dice, smoth: 1}]}}",
        "recipes: {r: {loss: [{use: dice, smooth: -1}]}}",
        "recipes: {r: {loss: [{use: dice, weight: -1}]}}",
        "recipes: {r: {model: {use: unet, encoder: {use: resnet34, weigths: none}}}}",
        "recipes: {r: {model: {encodr: resnet34}}}",
        "recipes: {r: {metrics: [iou, {use: surface-dice, tolerance: wide}]}}",
        "recipes: {r: {data: {augment: strnog}}}",
        "recipes: {r: {data: {window: [64, 64, 64, 64]}}}",
        "recipes: {r: {data: {val: {fraction: 1}}}}",
        "recipes: {r: {data: {sampler: {kind: evenly}}}}",
        "recipes: {r: {train: {epochs: none}}}",
        "recipes: {r: {train: {epochs: 0}}}",
        "recipes: {r: {train: {lrr: 1}}}",
        "recipes: {r: {train: {schedule: cosin}}}",
        "recipes: {r: {predict: {blend: crops}}}",
        "recipes: {r: {predict: {merge: {use: mean, power: 2}}}}",
        "recipes: {r: {task: segmentation}}",
        "recipes: {r: {abstract: maybe}}",
        "recipes: {r: {target: boundariess}}",
        "recipes: {r: {heads: [a]}}",
        "recipes: {r: {heads: {a: {taks: binary}}}}",
        "recipes: {r: {heads: {a: {weight: -1}}}}",
        "recipes: {r: {heads: {a: {loss: [dicee]}}}}",
        "recipes: {r: {heads: {a: {target: {use: affinities, offset: 1}}}}}",
    ],
)
def test_a_mistake_does_not(valid, text):
    assert not valid(text)


def test_installed_components_are_in_it_under_every_name_that_means_them(registry, hook_module):
    source = (
        "from volseg_core.api import Loss, Param, hookimpl\n@hookimpl\ndef volseg_losses():\n"
        "    return [Loss(name=n, target='m:f', summary='s', aliases=a, params={'theta': Param('float', 3.0, min=1)})\n"
        "            for n, a in (('rim', ('edge',)), ('dice', ()))]\n"
    )
    made = registry({"aliases": {"loss": {"border": "volseg-acme/rim"}}}, others={"volseg-acme": source})
    schema = registry_schema(made)
    names = schema["$defs"]["names:loss:volseg-acme.dice"]["enum"]  # both have the same parameters
    assert names == ["border", "edge", "rim", "volseg-acme/dice", "volseg-acme/edge", "volseg-acme/rim"]
    assert "dice" in schema["$defs"]["names:loss:volseg.dice"]["enum"]  # the bare name is the built-in's
    validator = Draft202012Validator(schema)
    for use, good in (("border, theta: 2", True), ("rim, theta: 0", False), ("dice, theta: 2", False)):
        content = yaml.safe_load(f"recipes: {{r: {{loss: [{{use: {use}}}]}}}}")
        assert validator.is_valid(content) is good, use


def test_without_any_component_it_is_still_a_schema():
    from volseg_core.catalog import Catalog
    from volseg_core.registry import Registry, RegistryFile

    plugins = Plugins(plugins_from_modules([]).records, None)
    schema = registry_schema(Registry(RegistryFile(), plugins, Catalog(plugins)))
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid({"recipes": {"r": {"loss": ["dice"]}}})
