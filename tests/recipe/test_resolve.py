from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from volseg_core.errors import RecipeErrors, UsageError
from volseg_core.recipe import RecipeSource, find_recipe, resolve
from volseg_core.recipe.resolve import absolute, resolve_component

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., Any]


def resolved(registry: Make, content: Any, *sets: Any, extra: Any = None) -> Any:
    return resolve(registry, RecipeSource("test", "", content), sets, extra)


def errors(registry: Make, content: Any, *sets: Any) -> Any:
    with pytest.raises(RecipeErrors) as caught:
        resolved(registry, content, *sets)
    return [str(error) for error in caught.value.errors]


def origins(recipe: Any) -> Any:
    return {key: origin for key, _, origin in recipe.explain()}


def test_an_empty_recipe_is_complete(registry: Make) -> None:
    recipe = resolved(registry(), {})
    assert recipe.name == "test"
    assert recipe.architecture.provided.id == "volseg/unet"
    assert recipe.encoder.params == {"weights": "imagenet"}
    assert [use.where for use in recipe.heads[0].losses] == ["loss.0", "loss.1"]
    assert set(origins(recipe).values()) == {"default"}


def test_values_come_from_default_then_defaults_then_the_chain_then_set(registry: Make) -> None:
    made = registry(
        {
            "defaults": {"loss/dice": {"smooth": 1.0}},
            "recipes": {
                "base": {"loss": ["dice"], "train": {"epochs": 3, "batch": 3, "lr": 3}},
                "top": {"extends": "base", "train": {"batch": 2, "lr": 2}},
            },
        }
    )
    recipe = resolve(made, find_recipe(made, "top"), ["train.lr=1e-1"])
    assert (recipe.train.epochs, recipe.train.batch, recipe.train.lr) == (3, 2, 0.1)
    assert recipe.heads[0].losses[0].params == {"smooth": 1.0, "squared": False}
    found = origins(recipe)
    assert found["train.epochs"] == "base"
    assert found["train.batch"] == "top"
    assert found["train.lr"] == "--set"
    assert found["loss.0.smooth"] == "defaults"
    assert found["loss.0.squared"] == "default"
    assert found["loss.0.use"] == "base"
    assert found["loss.0.weight"] == "default"


def test_what_a_recipe_says_lies_above_defaults(registry: Make) -> None:
    made = registry({"defaults": {"loss/volseg/dice": {"smooth": 1.0}}})
    assert resolved(made, {"loss": [{"use": "dice", "smooth": 2}]}).heads[0].losses[0].params["smooth"] == 2.0


def test_null_takes_a_value_back_to_below(registry: Make) -> None:
    made = registry({"defaults": {"loss/dice": {"smooth": 1.0}}})
    recipe = resolved(
        made,
        {"train": {"epochs": 5}, "loss": [{"use": "dice", "smooth": 7}]},
        "train.epochs=null",
        "loss.dice.smooth=null",
    )
    assert recipe.train.epochs == 20
    assert recipe.heads[0].losses[0].params["smooth"] == 1.0


def test_null_is_the_value_of_an_optional_parameter(registry: Make) -> None:
    recipe = resolved(registry(), {"model": {"use": "unet", "encoder": {"use": "resnet18", "weights": None}}})
    assert recipe.encoder.params == {"weights": None}
    assert origins(recipe)["model.encoder.weights"] == "test"


def test_null_brings_back_what_every_recipe_needs(registry: Make) -> None:
    recipe = resolved(registry(), {"predict": None, "data": {"augment": None}, "loss": None})
    assert recipe.merge.provided.id == "volseg/mean"
    assert recipe.augment.provided.id == "volseg/standard"
    assert len(recipe.heads[0].losses) == 2


ENCODED = {"model": {"use": "unet", "depth": 4, "encoder": {"use": "resnet18", "weights": "own"}}}


def test_an_encoder_survives_another_architecture_that_takes_one(registry: Make) -> None:
    recipe = resolved(registry(), ENCODED, "model=fpn")
    assert recipe.architecture.params == {"norm": "batch"}
    assert (recipe.encoder.provided.id, recipe.encoder.params["weights"]) == ("volseg/resnet18", "own")
    assert resolved(registry(), ENCODED, "model=either").encoder.provided.id == "volseg/resnet18"


def test_an_inherited_encoder_is_dropped_where_the_architecture_takes_none(registry: Make) -> None:
    recipe = resolved(registry(), ENCODED, "model=plain")
    assert recipe.encoder is None
    assert "encoder" not in recipe.to_dict()["model"]
    assert resolved(registry(), {"model": "plain"}).encoder is None


def test_an_encoder_that_the_user_sets_on_top_is_an_error_there(registry: Make) -> None:
    message = "architecture 'plain' takes no encoder."
    assert errors(registry(), ENCODED, "model=plain", "model.encoder=resnet34") == [
        f"--set model.encoder=resnet34: {message}"
    ]
    assert errors(registry(), ENCODED, "model.encoder=resnet34", "model=plain") == [
        f"--set model.encoder=resnet34: {message}"
    ]
    assert errors(registry(), {"model": {"use": "plain", "encoder": "resnet18"}}) == [f"model.encoder: {message}"]


def test_the_default_encoder_is_not_forced_on_an_architecture_that_can_do_without(registry: Make) -> None:
    assert resolved(registry(), {"model": "either"}).encoder is None
    assert resolved(registry(), {"model": {"use": "either", "encoder": "resnet18"}}).encoder is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"loss": [{"use": "dice", "smoth": 1}]},
            (
                "loss.0: loss 'dice' has no parameter 'smoth'. Did you mean 'smooth'?\n"
                "  parameters: smooth (float, default 1e-05), squared (bool, default False)"
            ),
        ),
        (
            {"loss": ["dicee"]},
            "loss.0: no loss named 'dicee'. Did you mean 'dice'?\n  known: ce, cross-entropy, dice, old, regress",
        ),
        (
            {"model": {"norm": "instnace"}},
            "model.norm: 'instnace' is not one of batch, instance, group. Did you mean 'instance'?",
        ),
        ({"model": "unet3d"}, "model: architecture 'unet3d' works in 3D; this recipe has dims: 2."),
        ({"loss": "regress"}, "loss.0: loss 'regress' serves regression; this recipe has task: multiclass."),
        ({"loss": []}, "loss: a recipe needs at least one loss. For example: loss: [cross-entropy]"),
        ({"loss": [{"weight": 1}]}, "loss.0: names no loss. Set loss.0.use."),
        ({"loss": [["dice"]]}, "loss.0: ['dice'] is not the name of a component."),
        ({"loss": [{"use": "dice", "weight": "much"}]}, "loss.0.weight: 'much' is not a float."),
        ({"loss": [{"use": "dice", "weight": -1}]}, "loss.0.weight: -1 is below the minimum 0."),
        (
            {"metrics": [{"use": "iou", "weight": 1}]},
            "metrics.0: metric 'iou' has no parameter 'weight'.\n  parameters: none",
        ),
        ({"data": {"generate": "blobs"}}, "data.generate: generator 'blobs' needs 'shape'."),
        ({"data": 5}, "data: 5 is not a mapping."),
        ({"trian": {}}, "trian: 'trian' is not in a recipe. Did you mean 'train'?"),
        ({"train": {"lrr": 1}}, "train.lrr: 'lrr' is not in 'train'. Did you mean 'lr'?"),
        (
            {"task": "binry"},
            "task: 'binry' is not one of multiclass, binary, multilabel, regression. Did you mean 'binary'?",
        ),
        ({"classes": ["a"]}, "recipe: task 'multiclass' with 1 classes; binary has two, multiclass two or more."),
    ],
)
def test_each_mistake_has_its_place_rule_and_suggestion(registry: Make, content: Any, message: str) -> None:
    assert errors(registry(), content) == [message]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.lrr=1", "--set train.lrr=1: 'lrr' is not in 'train'. Did you mean 'lr'?"),
        ("loss.0=dicee", "--set loss.0=dicee: no loss named 'dicee'. Did you mean 'dice'?"),
        ("loss.dice.smoth=1", "--set loss.dice.smoth=1: loss 'dice' has no parameter 'smoth'. Did you mean 'smooth'?"),
        ("model.norm=x", "--set model.norm=x: 'x' is not one of batch, instance, group."),
        ("model=unet3d", "--set model=unet3d: architecture 'unet3d' works in 3D; this recipe has dims: 2."),
        ("extends=x", "--set extends=x: 'extends' is not in a recipe."),
    ],
)
def test_a_mistake_on_the_command_line_quotes_it(registry: Make, assignment: str, message: str) -> None:
    with pytest.raises(RecipeErrors) as caught:
        resolved(registry(), {}, assignment)
    assert [error.line() for error in caught.value.errors] == [message]


def test_all_mistakes_are_reported_at_once_and_each_once(registry: Make) -> None:
    made = registry({"defaults": {"loss/dice": {"smoth": 1}, "loss/dicee": {}, "loss/ce": {}}})
    found = errors(made, {"loss": ["dice", "dice", "x"], "train": {"epochs": 0}}, "predict.blend=crops", "oops")
    assert [line.partition(":")[0] for line in found] == [
        "--set oops",
        "train.epochs",
        "--set predict.blend=crops",
        "defaults.loss/dice",
        "defaults.loss/dicee",
        "loss.2",
    ]


def test_defaults_of_a_plugin_that_did_not_load_are_left_alone(registry: Make) -> None:
    made = registry({"defaults": {"loss/volseg-acme/x": {"a": 1}}})
    made.plugins.records[0].fail("broken", "for this test")
    assert resolved(made, {}).heads[0].losses


def test_a_wrong_value_in_defaults_is_reported_there(registry: Make) -> None:
    made = registry({"defaults": {"loss/dice": {"smooth": "a"}}})
    assert errors(made, {}) == ["defaults.loss/dice.smooth: 'a' is not a float."]


def test_the_resolved_form_is_qualified_complete_and_resolves_to_itself(registry: Make) -> None:
    made = registry({"defaults": {"loss/dice": {"smooth": 1.0}}})
    content = {
        "summary": "For this test.",
        "classes": {"background": 0, "er": 3},
        "data": {"reader": "zarr", "generate": {"use": "blobs", "shape": [8, 8, 8]}, "window": 64},
        "model": {"use": "unet", "encoder": {"use": "resnet18", "weights": None}},
        "loss": ["ce", {"use": "dice", "weight": 0.5, "start_epoch": 3}],
        "metrics": ["surface"],
    }
    first = resolved(made, content, "train.lr=1e-4").to_dict()
    assert first["loss"] == [
        {"use": "volseg/cross-entropy", "weight": 1.0, "start_epoch": 0},
        {"use": "volseg/dice", "weight": 0.5, "start_epoch": 3, "smooth": 1.0, "squared": False},
    ]
    assert first["model"]["encoder"] == {"use": "volseg/resnet18", "weights": None}
    assert first["summary"] == "For this test."
    text = yaml.safe_dump(json.loads(json.dumps(first)), sort_keys=False)
    assert resolved(made, yaml.safe_load(text)).to_dict() == first
    # and also where other defaults hold
    assert resolved(registry(), yaml.safe_load(text)).to_dict() == first


@pytest.mark.parametrize("model", ["unet", "plain", "either", {"use": "either", "encoder": "resnet34"}])
def test_the_round_trip_holds_with_and_without_an_encoder(registry: Make, model: Any) -> None:
    first = resolved(registry(), {"model": model}).to_dict()
    assert resolved(registry(), first).to_dict() == first


def test_name_and_summary_are_not_inherited(registry: Make) -> None:
    made = registry({"recipes": {"base": {"name": "b", "summary": "Base.", "made_with": {"x": "1"}}}})
    recipe = resolved(made, {"extends": "base"})
    assert (recipe.name, recipe.header.summary, recipe.header.made_with) == ("test", "", {})


def test_options_of_the_command_lie_between_recipe_and_set(registry: Make) -> None:
    recipe = resolved(
        registry(), {"train": {"seed": 1, "batch": 1}}, "train.batch=3", extra={"train": {"seed": 2, "batch": 2}}
    )
    assert (recipe.train.seed, recipe.train.batch) == (2, 3)
    assert origins(recipe)["train.seed"] == "command line"


def test_the_recipe_as_written_is_kept_as_plain_data(registry: Make, tmp_path: Path) -> None:
    content = {"data": {"train": tmp_path / "a.h5", "labels": tmp_path / "b.h5", "window": (64, 64)}, "loss": ["ce"]}
    recipe = resolved(registry(), content)
    assert yaml.safe_load(yaml.safe_dump(recipe.written)) == recipe.written
    assert recipe.written["data"]["window"] == [64, 64]
    assert recipe.written["loss"] == ["ce"]


def test_a_deprecated_component_is_said(registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "volseg"):
        resolved(registry(), {"loss": ["old"]})
    assert caplog.messages == ["loss.0: loss 'volseg/old' is deprecated: use 'dice' (removed in 0.4)"]


def test_defaults_of_a_descriptor_are_never_shared(registry: Make) -> None:
    made = registry()
    first = resolved(made, {"metrics": ["surface"]}).heads[0].metrics[0].params
    first["spacing"].append(4)
    assert resolved(made, {"metrics": ["surface"]}).heads[0].metrics[0].params["spacing"] == [1.0, 1.0, 1.0]


def test_one_component_is_resolved_outside_a_recipe(registry: Make) -> None:
    provided, params = resolve_component(registry(), "generator", "blobs", ["shape=[4, 4, 4]"])
    assert provided.id == "volseg/blobs"
    assert params == {"shape": [4, 4, 4], "seed": 0}
    with pytest.raises(RecipeErrors) as caught:
        resolve_component(registry(), "generator", "blobs", ["sed=1", "seed=x", "huh"])
    assert [error.line() for error in caught.value.errors] == [
        "--set huh: is not KEY=VALUE. For example: -s train.lr=1e-4",
        "--set sed=1: generator 'blobs' has no parameter 'sed'. Did you mean 'seed'?",
        "generator: generator 'blobs' needs 'shape'.",
        "--set seed=x: 'x' is not an int.",
    ]
    with pytest.raises(UsageError, match=r"no generator named 'blob'\. Did you mean 'blobs'"):
        resolve_component(registry(), "generator", "blob", [])


def test_absolute_keeps_the_path_inside_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("a.h5:/raw/x") == f"{tmp_path}/a.h5:/raw/x"
    assert absolute("a.tif") == f"{tmp_path}/a.tif"
