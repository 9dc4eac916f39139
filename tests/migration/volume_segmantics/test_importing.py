"""From the files of Volume Segmantics to a recipe that resolves."""

from __future__ import annotations

import itertools

import pytest
import yaml

from volseg_core.errors import DataError
from volseg_core.migration.volume_segmantics.importing import import_settings
from volseg_core.recipe import find_recipe, resolve
from volseg_core.registry import load_registry

REGISTRY = load_registry(builtin_only=True)


def named(imported):
    return [key for item in imported.left for key in item.keys]


@pytest.mark.parametrize("name", ["train_032.yaml", "train_040.yaml"])
def test_no_setting_is_dropped_silently_and_the_recipe_resolves(settings_files, tmp_path, name):
    output = tmp_path / "recipe.yaml"
    imported = import_settings(REGISTRY, settings_files[name], output, prediction=settings_files["predict.yaml"])
    recipe = resolve(REGISTRY, find_recipe(REGISTRY, str(output)))
    assert recipe.name == "recipe"
    text = output.read_text()
    mentioned = {key.removesuffix(" (prediction)") for key in named(imported)}
    for source in (name, "predict.yaml"):
        for key in yaml.safe_load(settings_files[source].read_text()):
            assert key in mentioned or key in text or key == "model", key


def test_the_recipe_of_032(settings_files, tmp_path):
    output = tmp_path / "recipe.yaml"
    import_settings(REGISTRY, settings_files["train_032.yaml"], output)
    recipe = resolve(REGISTRY, find_recipe(REGISTRY, str(output)))
    assert (recipe.data.axes, recipe.data.val.fraction, recipe.train.lr) == ("zyx", 0.2, "auto")
    assert (recipe.train.epochs, recipe.train.frozen_epochs, recipe.train.early_stop) == (13, 8, 3)
    assert recipe.architecture.provided.component.name == "unet"
    assert (recipe.encoder.provided.component.name, recipe.encoder.params["weights"]) == ("resnet34", "imagenet")
    assert [use.provided.component.name for use in recipe.heads[0].losses] == ["dice"]
    assert recipe.merge.provided.component.name == "mean", "prediction settings were not given"


def test_the_recipe_of_040_with_prediction(settings_files, tmp_path):
    output = tmp_path / "recipe.yaml"
    import_settings(REGISTRY, settings_files["train_040.yaml"], output, prediction=settings_files["predict.yaml"])
    recipe = resolve(REGISTRY, find_recipe(REGISTRY, str(output)))
    assert (recipe.data.axes, recipe.data.neighbours, recipe.train.encoder_lr) == ("z", 2, 0.1)
    assert (recipe.train.lr, recipe.train.schedule) == (5e-5, "constant")
    assert [(use.provided.component.name, use.weight) for use in recipe.heads[0].losses] == [
        ("cross-entropy", 0.2),
        ("dice", 0.8),
    ]
    assert (recipe.predict.quality, recipe.predict.window, recipe.predict.overlap) == ("legacy12", (512, 512), 0.25)
    assert recipe.merge.provided.component.name == "max"


def test_every_key_of_the_recipe_stands_below_a_comment(settings_files, tmp_path):
    output = tmp_path / "recipe.yaml"
    import_settings(REGISTRY, settings_files["train_040.yaml"], output)
    lines = output.read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if not line.lstrip().startswith("#") and not line.endswith(":"):
            assert before.lstrip().startswith("#"), line


def test_unknown_settings_are_named_as_unknown_with_a_suggestion(tmp_path):
    settings = tmp_path / "s.yaml"
    settings.write_text("image_sise: 4\nflux_capacitor: 1\n")
    imported = import_settings(REGISTRY, settings, tmp_path / "r.yaml")
    assert [str(item) for item in imported.left] == [
        "image_sise: unknown to volseg as a setting of Volume Segmantics. Did you mean 'image_size'?",
        "flux_capacitor: unknown to volseg as a setting of Volume Segmantics",
    ]


def test_an_output_that_exists_is_kept(settings_files, tmp_path):
    output = tmp_path / "recipe.yaml"
    output.write_text("mine")
    with pytest.raises(DataError, match="exists. Use --overwrite"):
        import_settings(REGISTRY, settings_files["train_032.yaml"], output)
    assert output.read_text() == "mine"
    import_settings(REGISTRY, settings_files["train_032.yaml"], output, overwrite=True)
    assert "extends: volseg/slices" in output.read_text()


def test_bad_yaml_writes_nothing(tmp_path):
    settings = tmp_path / "s.yaml"
    settings.write_text("a: 1\nb: [\n")
    with pytest.raises(DataError, match="is not YAML in line 3"):
        import_settings(REGISTRY, settings, tmp_path / "r.yaml")
    assert not (tmp_path / "r.yaml").exists()
