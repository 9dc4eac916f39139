"""Tasks and heads of a recipe: defaults, inheritance, overrides, and what does not go together."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from volseg_core.errors import RecipeErrors
from volseg_core.model import ModelFile
from volseg_core.recipe import RecipeSource, find_recipe, resolve, resolve_model

Make = Callable[..., Any]

OTHERS = """
from volseg_core.api import Loss, Metric, Param, Postprocess, Target, hookimpl

def make(kind, name, **more):
    return kind(name=name, target="hooks:make", summary="Made up.", **more)

@hookimpl
def volseg_losses():
    return [make(Loss, "binary-cross-entropy"), make(Loss, "mean-absolute-error", tasks=("regression",))]

@hookimpl
def volseg_metrics():
    of = dict(inputs="values", tasks=("regression",))
    return [
        make(Metric, "mae", **of), make(Metric, "psnr", **of), make(Metric, "any-values", inputs="values"),
        make(Metric, "chances", inputs="probabilities"),
        make(Metric, "objects", inputs="probabilities", truth="instances"),
    ]

@hookimpl
def volseg_targets():
    return [
        make(Target, "rim", tasks=("multilabel",), params={"width": Param("int", 1)}),
        make(Target, "depth", tasks=("regression",)),
    ]

@hookimpl
def volseg_postprocessors():
    return [make(Postprocess, "flood", takes=("probabilities",), gives="instances")]
"""
RIMS = {"task": "multilabel", "target": "rim"}
HEADS = {"cells": {"task": "multiclass"}, "rims": RIMS, "depth": {"task": "regression", "target": "depth"}}


@pytest.fixture
def made(registry: Make) -> Make:
    """Return a function that makes the registry of a file."""
    return lambda file=None: registry(file, others={"acme": OTHERS})


def resolved(registry: Any, content: Any, *sets: str) -> Any:
    return resolve(registry, RecipeSource("test", "", content), sets)


def errors(registry: Any, content: Any, *sets: str) -> list[str]:
    with pytest.raises(RecipeErrors) as caught:
        resolved(registry, content, *sets)
    return [str(error) for error in caught.value.errors]


def names(uses: Any) -> list[str]:
    return [use.provided.component.name for use in uses]


@pytest.mark.parametrize(
    ("task", "losses", "metrics"),
    [
        ("multiclass", ["cross-entropy", "dice"], ["dice", "iou"]),
        ("binary", ["cross-entropy", "dice"], ["dice", "iou"]),
        ("multilabel", ["binary-cross-entropy", "dice"], ["dice"]),
        ("regression", ["mean-absolute-error"], ["mae", "psnr"]),
    ],
)
def test_losses_and_metrics_are_those_of_the_task(made: Make, task: str, losses: list[str], metrics: list[str]) -> None:
    (head,) = resolved(made(), {"task": task}).heads
    assert (names(head.losses), names(head.metrics)) == (losses, metrics)
    (head,) = resolved(made(), {}, f"task={task}").heads
    assert (names(head.losses), names(head.metrics)) == (losses, metrics)
    named = {head.name: head for head in resolved(made(), {"heads": {"a": {"task": task}, "b": {}}}).heads}
    assert (names(named["a"].losses), names(named["a"].metrics)) == (losses, metrics)
    assert names(named["b"].losses) == ["cross-entropy", "dice"]


def test_heads_are_read_with_their_target_and_weight(made: Make) -> None:
    recipe = resolved(made(), {"heads": {**HEADS, "rims": {**RIMS, "weight": 0.5, "loss": ["dice"]}}})
    assert [(head.name, head.rule.task, head.weight) for head in recipe.heads] == [
        ("cells", "multiclass", 1.0),
        ("rims", "multilabel", 0.5),
        ("depth", "regression", 1.0),
    ]
    cells, rims, depth = recipe.heads
    assert cells.target is None
    assert (rims.target.provided.id, rims.target.params, rims.target.where) == (
        "acme/rim",
        {"width": 1},
        "heads.rims.target",
    )
    assert [use.where for use in rims.losses] == ["heads.rims.loss.0"]
    assert depth.target.provided.component.name == "depth"
    assert {"rim", "depth", "mae"} <= set(names(recipe.components()))


@pytest.mark.parametrize(
    "content",
    [
        {"task": "regression"},
        {"task": "multilabel", "target": {"use": "rim", "width": 3}, "classes": ["rim"]},
        {"heads": {**HEADS, "rims": {**RIMS, "weight": 0.25, "loss": [{"use": "dice", "weight": 2}]}}},
        {"heads": {"only": RIMS}},
    ],
)
def test_the_resolved_form_resolves_to_itself(made: Make, content: Any) -> None:
    once = json.loads(json.dumps(resolved(made(), content).to_dict()))
    assert json.loads(json.dumps(resolved(made(), once).to_dict())) == once
    assert ("heads" in once) == ("heads" in content)
    assert ("task" in once) != ("heads" in content)


def test_heads_take_the_place_of_what_was_inherited(made: Make) -> None:
    base = {"task": "binary", "classes": ["a", "b"], "loss": ["dice"], "metrics": ["iou"], "train": {"epochs": 3}}
    registry = made({"recipes": {"base": base, "top": {"extends": "base", "heads": HEADS}}})
    recipe = resolve(registry, find_recipe(registry, "top"))
    assert {head.name: head.rule.task for head in recipe.heads} == {
        "cells": "multiclass",
        "rims": "multilabel",
        "depth": "regression",
    }
    assert names(recipe.heads[0].losses) == ["cross-entropy", "dice"]
    assert recipe.heads[0].rule.classes == "auto"
    assert recipe.train.epochs == 3
    origin = {key: origin for key, _, origin in recipe.explain()}
    assert origin["heads.rims.task"] == "top"
    assert origin["heads.rims.loss.0.use"] == "default"
    assert not {"task", "classes", "loss.0.use"} & set(origin)


def test_one_of_inherited_heads_is_changed_added_or_taken_away(made: Make) -> None:
    change = {"rims": {"weight": 3}, "depth": None, "more": {"task": "binary"}}
    registry = made({"recipes": {"base": {"heads": HEADS}, "top": {"extends": "base", "heads": change}}})
    recipe = resolve(registry, find_recipe(registry, "top"))
    assert {head.name: head.weight for head in recipe.heads} == {"cells": 1.0, "rims": 3.0, "more": 1.0}
    assert recipe.heads[1].target.provided.component.name == "rim"


def test_keys_of_an_only_head_beside_heads_are_refused(made: Make) -> None:
    assert errors(made(), {"heads": HEADS, "loss": ["dice"], "task": "binary"}) == [
        "task: does not go with heads, each of which has its own. Set heads.NAME.task.",
        "loss: does not go with heads, each of which has its own. Set heads.NAME.loss.",
    ]
    assert errors(made(), {"heads": HEADS}, "task=binary") == [
        "--set task=binary: does not go with heads, each of which has its own. Set heads.NAME.task."
    ]


def test_overrides_reach_into_heads(made: Make) -> None:
    recipe = resolved(
        made(),
        {"heads": HEADS},
        "heads.rims.loss.0.weight=2",
        "heads.rims.loss.dice.smooth=0.5",
        "heads.rims.target.width=4",
        "heads.cells.task=binary",
        "heads.cells.weight=0",
        "heads.depth.metrics=[mae]",
    )
    cells, rims, depth = recipe.heads
    assert [use.weight for use in rims.losses] == [2.0, 1.0]
    assert rims.losses[1].params["smooth"] == 0.5
    assert rims.target.params == {"width": 4}
    assert (cells.rule.task, cells.weight) == ("binary", 0.0)
    assert names(depth.metrics) == ["mae"]
    assert {key: origin for key, _, origin in recipe.explain()}["heads.rims.loss.0.weight"] == "--set"


def test_a_head_of_an_override_has_its_defaults_before_others_reach_into_it(made: Make) -> None:
    recipe = resolved(made(), {}, "heads.deep.loss.0.weight=3", "heads.deep={task: regression, target: depth}")
    assert [(head.name, head.rule.task) for head in recipe.heads] == [("deep", "regression")]
    assert [use.weight for use in recipe.heads[0].losses] == [3.0]


def test_a_new_target_drops_the_parameters_of_the_old_one(made: Make) -> None:
    content = {"heads": {"rims": {**RIMS, "target": {"use": "rim", "width": 7}}}}
    recipe = resolved(made(), content, "heads.rims.task=regression", "heads.rims.target=depth")
    assert recipe.heads[0].target.params == {}


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (
            {"heads": {"a": {"task": "multiclass", "target": "rim"}}},
            ["heads.a.target: target 'rim' serves multilabel; heads.a has task: multiclass."],
        ),
        ({"target": "rim"}, ["target: target 'rim' serves multilabel; this recipe has task: multiclass."]),
        (
            {"heads": {"a": {}, "b": {"loss": ["mean-absolute-error"]}}},
            ["heads.b.loss.0: loss 'mean-absolute-error' serves regression; heads.b has task: multiclass."],
        ),
        (
            {"heads": {"a": {"loss": []}}},
            ["heads.a.loss: heads.a needs at least one loss. For example: loss: [cross-entropy]"],
        ),
        (
            {"heads": {"a": {"loss": [{"use": "dice", "start_epoch": 1}]}}},
            ["heads.a.loss: every loss starts later; one must start at epoch 0."],
        ),
        (
            {"heads": ["a"]},
            [
                (
                    "heads: ['a'] is not a mapping of heads by name. For example: heads: {cells: {task: multiclass}, "
                    "rims: {task: multilabel, target: boundaries}}"
                )
            ],
        ),
        ({"heads": {"a": 3}}, ["heads.a: 3 is not a mapping."]),
        (
            {"heads": {"My head": {}}},
            ["heads.My head: head 'My head' must be named in lower-case letters, digits and hyphens."],
        ),
        ({"heads": {"image": {}}}, ["heads.image: 'image' is what an exported network calls its input."]),
        (
            {"task": "regression", "metrics": ["dice"]},
            ["metrics.0: metric 'dice' compares classes; task regression gives values."],
        ),
        (
            {"task": "regression", "metrics": ["chances"]},
            ["metrics.0: metric 'chances' compares probabilities; task regression gives values."],
        ),
        (
            {"heads": {"a": {**RIMS, "metrics": ["any-values"]}}},
            ["heads.a.metrics.0: metric 'any-values' compares values; task multilabel gives probabilities or classes."],
        ),
        (
            {"metrics": ["dice", "any-values"]},
            ["metrics.1: metric 'any-values' compares values; task multiclass gives classes or probabilities."],
        ),
        (
            {"metrics": ["objects"]},
            [
                (
                    "metrics.0: metric 'objects' compares with ids of objects, and no head makes a target of such ids. "
                    "Give a head a target, such as boundaries."
                )
            ],
        ),
    ],
)
def test_what_does_not_go_together_is_refused(made: Make, content: Any, texts: list[str]) -> None:
    assert errors(made(), content) == texts


def test_a_metric_of_another_task_is_told_once(made: Make) -> None:
    assert errors(made(), {"metrics": ["mae"]}) == [
        "metrics.0: metric 'mae' serves regression; this recipe has task: multiclass."
    ]


def test_null_gives_an_inherited_head_the_losses_and_metrics_of_its_new_task(made: Make) -> None:
    registry = made({"recipes": {"base": {"task": "multiclass", "loss": ["cross-entropy"], "metrics": ["iou"]}}})
    top = {"extends": "base", "task": "regression", "loss": None, "metrics": None}
    (head,) = resolved(registry, top).heads
    assert (names(head.losses), names(head.metrics)) == (["mean-absolute-error"], ["mae", "psnr"])


def test_a_key_that_no_head_has_is_named(made: Make) -> None:
    (found,) = errors(made(), {"heads": {"a": {"taks": "binary"}}})
    assert found.startswith("heads.a.taks: ")
    assert "Did you mean 'task'?" in found
    (found,) = errors(made(), {"heads": {"a": {"weight": -1}}})
    assert found.startswith("heads.a.weight: ")


def test_a_metric_of_objects_needs_a_target_of_any_head(made: Make) -> None:
    recipe = resolved(made(), {"heads": {"cells": {"metrics": ["objects"]}, "rims": RIMS}})
    assert names(recipe.heads[0].metrics) == ["objects"]
    assert names(resolved(made(), {**RIMS, "metrics": ["objects"]}).heads[0].metrics) == ["objects"]


def test_prediction_needs_nothing_that_heads_only_train_with(made: Make) -> None:
    head = {"task": "regression", "target": "gone/far", "loss": ["gone/huber"], "metrics": ["gone/score"]}
    content = {"made_with": {"gone": "1.0"}, "heads": {"a": head}, "predict": {"merge": "mean"}}
    model = ModelFile(None, None, content, "")  # type: ignore[arg-type]  # only the recipe is looked at
    recipe = resolve_model(made(), model)
    unused = [use for use in recipe.components() if not use.used]
    assert names(unused) == ["standard", "far", "huber", "score"]
    with pytest.raises(Exception, match=r"gone 1.0 \(target 'gone/far', loss 'gone/huber', metric 'gone/score'\)"):
        resolved(made(), content)


def test_steps_are_of_the_heads_that_they_name(made: Make) -> None:
    recipe = resolved(made(), {"heads": HEADS, "postprocess": [{"use": "flood", "head": "rims"}]})
    assert recipe.postprocess[0].head == "rims"
    assert errors(made(), {"heads": HEADS, "postprocess": [{"use": "flood", "head": "rim"}]}) == [
        "postprocess.0: there is no head named 'rim'. Did you mean 'rims'?"
    ]


def test_another_task_gives_up_the_losses_that_were_inherited(made: Make) -> None:
    """Those that are named with the task, or above it, stay."""
    file = {"recipes": {"base": {"loss": ["cross-entropy"], "metrics": ["iou"]}}}
    registry = made(file)

    def losses(content: dict[str, Any], *overrides: str) -> list[str]:
        recipe = resolve(registry, RecipeSource("own", "", {"extends": "base", **content}), overrides)
        return [use.provided.component.name for use in recipe.heads[0].losses]

    assert losses({}) == losses({"task": "binary"}) == ["cross-entropy"]
    assert losses({"task": "regression"}) == losses({}, "task=regression") == ["mean-absolute-error"]
    assert losses({"task": "regression", "loss": ["regress"]}) == ["regress"]
