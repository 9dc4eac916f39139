"""Which plugins a recipe needs, without installing any; tests/test_third_party_models.py does it with real packages."""

from __future__ import annotations

import logging

import pytest

from volseg_core.errors import PluginError, RecipeErrors
from volseg_core.model import ModelFile
from volseg_core.recipe import resolve_model, resolve_recipe
from volseg_core.recipe.resolve import NETWORK, PREDICTION

MADE = {"volseg": "0", "volseg-acme": "0.3.0", "local/mine": "0123456789ab"}
MERGES = """
from volseg_core.api import Loss, Merge, hookimpl
@hookimpl
def volseg_merges():
    return [Merge(name="gauss", target="m:f", summary="s")]
@hookimpl
def volseg_losses():
    return [Loss(name="rim", target="m:f", summary="s")]
"""


def model(recipe, path="runs/em.onnx"):
    return ModelFile(path, None, {"made_with": MADE, **recipe}, "")


def lines(raised):
    return str(raised.value).splitlines()


@pytest.mark.parametrize(
    ("recipe", "unused", "hint"),
    [
        ({"predict": {"merge": "volseg-acme/gauss"}}, (), "--set predict.merge=mean"),
        ({"predict": {"runtime": "volseg-acme/fast"}}, (), "--set predict.runtime=torch"),
        ({"predict": {"runtime": "volseg-acme/fast"}}, NETWORK, "--set predict.runtime=onnxruntime"),
        ({"data": {"reader": "volseg-acme/vox"}}, (), "--set data.reader=null"),
        (
            {"predict": {"merge": "volseg-acme/gauss", "runtime": {"use": "volseg-acme/fast", "threads": 3}}},
            (),
            "--set predict.merge=mean --set predict.runtime=torch",
        ),
    ],
)
def test_what_stands_in_at_prediction(registry, recipe, unused, hint):
    with pytest.raises(PluginError) as raised:
        resolve_model(registry(), model(recipe), unused=unused)
    assert lines(raised)[1] == f'  pip install "volseg-acme==0.3.0"      or use a built-in:  {hint}'


def test_a_component_without_a_stand_in_leaves_one_way(registry):
    recipe = {"model": "volseg-acme/net", "predict": {"merge": "volseg-acme/gauss"}}
    with pytest.raises(PluginError) as raised:
        resolve_model(registry(), model(recipe))
    used = "architecture 'volseg-acme/net', merge 'volseg-acme/gauss'"
    assert lines(raised) == [
        f"runs/em.onnx was trained with volseg-acme 0.3.0 ({used}), which is not installed.",
        '  pip install "volseg-acme==0.3.0"',
    ]


def test_what_is_not_used_stays_as_it_is_written(registry):
    recipe = {
        "model": {"use": "volseg-acme/net", "width": 3, "encoder": "volseg-acme/deep"},
        "loss": [{"use": "volseg-acme/rim", "theta": 2, "weight": 0.5, "start_epoch": 0}],
        "data": {"augment": "volseg-acme/still", "reader": "volseg-acme/vox"},
        "metrics": [],
        "predict": {"merge": {"use": "volseg-acme/gauss"}},
    }
    found = resolve_model(registry(), model(recipe), unused=(*NETWORK, *PREDICTION)).to_dict()
    assert found["model"] == {"use": "volseg-acme/net", "width": 3, "encoder": {"use": "volseg-acme/deep"}}
    assert found["loss"] == recipe["loss"]
    assert found["data"]["augment"] == {"use": "volseg-acme/still"}
    assert found["predict"]["merge"] == {"use": "volseg-acme/gauss"}


def test_an_unused_network_without_an_encoder_gets_none(registry):
    assert resolve_model(registry(), model({"model": "volseg-acme/net"}), unused=NETWORK).encoder is None


def test_a_name_that_is_none_is_an_error_also_where_it_is_not_used(registry):
    with pytest.raises(RecipeErrors) as raised:
        resolve_model(registry(), model({"loss": ["not a name"]}))
    assert str(raised.value) == "loss.0: 'not a name' is not the name of a component."


def test_an_override_needs_no_plugin_of_the_model_and_may_name_another(registry):
    recipe = {"predict": {"merge": "volseg-acme/gauss"}}
    found = resolve_model(registry(), model(recipe), ["predict.merge=mean"], frozen=True)
    assert found.merge.provided.id == "volseg/mean"


def test_a_local_file_is_to_be_named_in_the_registry(registry, tmp_path):
    path = tmp_path / "run" / "weights.safetensors"
    (path.parent / "plugins").mkdir(parents=True)
    (path.parent / "plugins" / "mine.py").touch()
    recipe = {"model": "local/mine/net"}
    with pytest.raises(PluginError) as raised:
        resolve_model(registry(), model(recipe, str(path)))
    used = "local/mine 0123456789ab (architecture 'local/mine/net')"
    assert lines(raised) == [
        f"{path} was trained with {used}, which is not in plugins.local of registry.yaml.",
        f"  add mine.py to plugins.local in registry.yaml; a copy is kept in {path.parent}/plugins/mine.py",
    ]
    with pytest.raises(PluginError, match=r"add mine.py to plugins.local in registry.yaml$"):
        resolve_model(registry(), model(recipe))


def test_volsegs_own_version_matters_to_training_and_where_it_is_frozen(registry, caplog):
    made = {"made_with": {"volseg": "0.0.9"}, "loss": ["volseg/dice"], "predict": {"merge": "volseg/mean"}}
    with caplog.at_level(logging.WARNING, "volseg"):
        resolve_model(registry(), model(made))
        assert caplog.messages == []
        resolve_recipe(registry(), {"name": "again", **made})
    assert caplog.messages == ["Warning: recipe 'again' was trained with volseg 0.0.9, and this is 0"]
    with pytest.raises(PluginError) as raised:
        resolve_model(registry(), model(made), frozen=True)
    assert lines(raised) == [
        "--frozen: runs/em.onnx was trained with volseg 0.0.9, and this is 0.",
        '  pip install "volseg==0.0.9"',
    ]


def test_a_recipe_that_says_nothing_of_versions_is_not_held_to_any(registry, caplog):
    made = registry(others={"volseg-acme": MERGES})
    with caplog.at_level(logging.WARNING, "volseg"):
        assert resolve_recipe(made, {"name": "r", "loss": ["volseg-acme/rim"]}, frozen=True).heads[0].losses
    assert caplog.messages == []
