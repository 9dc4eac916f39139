"""From the configurations that pytorch-3dunet ships to recipes that resolve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from volseg_core.data.labelled import read_labelled
from volseg_core.errors import DataError
from volseg_core.migration.imported import Imported
from volseg_core.migration.pytorch_3dunet.importing import carry_config, import_config
from volseg_core.recipe import find_recipe, resolve
from volseg_core.recipe.blocks import SamplerBlock
from volseg_core.registry import load_registry

REGISTRY = load_registry(builtin_only=True)
NAMES = (
    "confocal", "lightsheet", "weighted", "slices", "multiclass", "multiclass-2d", "nuclei", "nuclei-test", "old-test",
    "lazy-test",
)  # fmt: skip


def leaves(content: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of a configuration that hold something; transforms go by their names, each a key too."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key != "name" or "transformer" not in prefix:
                yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(content, list) and content and isinstance(content[0], dict):
        for item in content:
            yield f"{prefix}.{item['name']}"
            yield from leaves(item, f"{prefix}.{item['name']}")
    elif content is not None:
        yield prefix


CARRIED = {
    "model.name", "model.out_channels", "model.final_sigmoid", "model.is_segmentation", "model.layer_order",
    "model.f_maps", "model.num_groups", "loss.name", "optimizer.learning_rate", "optimizer.weight_decay",
    "eval_metric.name", "eval_metric.threshold", "eval_metric.metric", "lr_scheduler.name",
    "trainer.validate_after_iters", "trainer.iters",
    "trainer.max_num_iterations", "loaders.num_workers", "loaders.batch_size", "loaders.raw_internal_path",
    "loaders.label_internal_path", "loaders.global_normalization", "loaders.train.slice_builder.patch_shape",
    "loaders.train.file_paths", "loaders.val.file_paths", "loaders.test.slice_builder.patch_shape",
    "loaders.test.slice_builder.stride_shape", "loaders.test.slice_builder.halo_shape", "manual_seed",
    *(f"loaders.train.slice_builder.{key}" for key in ("name", "stride_shape", "threshold")),
    *(f"loaders.train.transformer.raw.{key}" for key in (
        "RandomRotate.axes", "RandomRotate.angle_spectrum", "ElasticDeformation.execution_probability",
        "GaussianBlur3D.execution_probability", "CropToFixed.size", "Standardize", "RandomFlip", "RandomRotate90",
        "RandomRotate", "ElasticDeformation", "GaussianBlur3D", "AdditiveGaussianNoise", "AdditivePoissonNoise",
        "CropToFixed", "ToTensor")),
    *(f"loaders.train.transformer.label.{key}" for key in (
        "RandomFlip", "RandomRotate90", "RandomRotate", "ElasticDeformation", "CropToFixed", "StandardLabelToBoundary",
        "BlobsToMask", "ToTensor")),
    "loaders.test.transformer.raw.Standardize", "loaders.test.transformer.raw.ToTensor",
}  # fmt: skip
"""Keys whose values the recipes hold, where they can, and transforms that they have or need not have."""


@pytest.mark.parametrize("name", NAMES)
def test_no_key_is_dropped_silently(configs: dict[str, Path], carried: Any, name: str) -> None:
    content = yaml.safe_load(configs[name].read_text())
    _, left, _ = carried(lambda settings, transfer: carry_config(settings, transfer, trained=False), content)
    for key in leaves(content):
        known = key in CARRIED or key in left or any(key.startswith(f"{item}.") for item in left)
        assert known, key


def imported(config: Path, tmp_path: Path, **more: Any) -> tuple[Any, Imported]:
    output = tmp_path / "recipe.yaml"
    done = import_config(REGISTRY, config, output, **more)
    return resolve(REGISTRY, find_recipe(REGISTRY, str(output))), done


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_resolves(configs: dict[str, Path], tmp_path: Path, name: str) -> None:
    recipe, done = imported(configs[name], tmp_path)
    assert recipe.name == "recipe"
    assert done.paths == (tmp_path / "recipe.yaml",)
    reasons = [item.why for item in done.left]
    assert len(set(reasons)) == len(reasons), "keys with one reason stand together"


def test_the_recipe_of_a_training(configs: dict[str, Path], tmp_path: Path) -> None:
    recipe, _ = imported(configs["multiclass"], tmp_path)
    assert recipe.architecture.provided.component.name == "unet3d"
    assert recipe.architecture.params["f_maps"] == 16
    assert (recipe.data.window, recipe.data.train) == ((32, 64, 64), ("a.h5:/raw",))
    assert (recipe.data.sampler.kind, recipe.data.sampler.overlap) == ("grid", 0)
    assert (recipe.train.steps, recipe.train.epochs, recipe.train.seed) == (2, 1, 0)
    assert (recipe.train.optimizer, recipe.train.lr, recipe.train.weight_decay) == ("Adam", 2e-4, 1e-5)
    assert recipe.train.schedule == "constant"
    assert recipe.augment.provided.component.name == "none"


def test_the_recipe_of_a_prediction(configs: dict[str, Path], tmp_path: Path) -> None:
    recipe, _ = imported(configs["lazy-test"], tmp_path)
    assert (recipe.predict.window, recipe.predict.overlap, recipe.predict.batch) == ((112, 234, 234), 0.2857, 1)
    assert (recipe.data.normalise.kind, recipe.data.normalise.clip) == ("zscore", (0, 100))


def test_patches_are_those_of_the_filter_where_labels_are_ids(configs: dict[str, Path], tmp_path: Path) -> None:
    recipe, done = imported(configs["confocal"], tmp_path)
    assert recipe.data.sampler == SamplerBlock(kind="grid", overlap=0.7647, foreground=0.6)
    left = {key: item.why for item in done.left for key in item.keys}
    assert left["loaders.train.slice_builder.stride_shape"].startswith("windows lie 18 x 40 x 40 apart")
    content = yaml.safe_load(configs["confocal"].read_text())
    content["loss"] = {"name": "MSELoss"}
    config = tmp_path / "values.yml"
    config.write_text(yaml.safe_dump(content))
    recipe, done = imported(config, tmp_path, overwrite=True)
    assert recipe.data.sampler == SamplerBlock(kind="grid", overlap=0.7647)
    left = {key: item.why for item in done.left for key in item.keys}
    assert left["loaders.train.slice_builder.threshold"] == "labels hold values, of which none is foreground"


def test_ids_that_a_loss_and_a_transform_ignore_are_one_list(configs: dict[str, Path], carried: Any) -> None:
    content = yaml.safe_load(configs["confocal"].read_text())
    content["loss"]["ignore_index"] = 0
    content["loaders"]["train"]["transformer"]["label"][-2]["ignore_index"] = 7
    recipe, _, _ = carried(lambda settings, transfer: carry_config(settings, transfer, trained=False), content)
    assert recipe["data.ignore"] == [-1, 0, 7]
    content["loss"]["ignore_index"] = content["loaders"]["train"]["transformer"]["label"][-2]["ignore_index"] = None
    recipe, _, _ = carried(lambda settings, transfer: carry_config(settings, transfer, trained=False), content)
    assert "data.ignore" not in recipe


def test_a_regression_learns_numbers_that_are_ignored_there_and_the_import_says_so(
    configs: dict[str, Path], tmp_path: Path
) -> None:
    content = yaml.safe_load(configs["confocal"].read_text())
    label = content["loaders"]["train"]["transformer"]["label"][-2]
    content["loss"] = {"name": "MSELoss", "ignore_index": 5}
    label["ignore_index"] = 7
    config = tmp_path / "regression.yml"
    config.write_text(yaml.safe_dump(content))
    recipe, done = imported(config, tmp_path)
    assert (recipe.heads[0].rule.task, recipe.data.ignore) == ("regression", (-1,))
    (line,) = (str(item) for item in done.left if "loss.ignore_index" in item.keys)
    assert line == (
        "loaders.train.transformer.label.StandardLabelToBoundary.ignore_index, loss.ignore_index: a regression learns "
        "every number of its labels, data.ignore or not; write NaN where there is no value"
    )
    image = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    values = np.where(image == 5, np.nan, image).astype(np.float32)
    (volume,), _ = read_labelled(REGISTRY.catalog, recipe, [image], [values])
    assert np.isnan(volume.taught).sum() == 1
    (volume,), _ = read_labelled(REGISTRY.catalog, recipe, [image], [image])
    np.testing.assert_array_equal(volume.taught[0], image)


@pytest.mark.parametrize("loss", ["DiceLoss", "GeneralizedDiceLoss"])
def test_a_recipe_of_channels_takes_labels_of_channels(configs: dict[str, Path], tmp_path: Path, loss: str) -> None:
    content = yaml.safe_load(configs["multiclass"].read_text())
    content["loss"] = {"name": loss}
    content["eval_metric"] = {"name": "BlobsAveragePrecision"}
    config = tmp_path / "channels.yml"
    config.write_text(yaml.safe_dump(content))
    recipe, _ = imported(config, tmp_path)
    image = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    labels = np.stack([image % 2, image > 30]).astype(np.uint8)
    (volume,), (head,) = read_labelled(REGISTRY.catalog, recipe, [image], [labels])
    assert (head.task, head.classes.names) == ("multilabel", ("channel 0", "channel 1"))
    np.testing.assert_array_equal(volume.taught, labels)


def test_unknown_keys_are_named_with_a_suggestion(tmp_path: Path) -> None:
    config = tmp_path / "c.yml"
    config.write_text("modle: {}\nmodel: {name: UNet3D, f_map: 16}\npredictor: {name: X, save: 1}\nloaders: 3\n")
    _, done = imported(config, tmp_path)
    left = [str(item) for item in done.left]
    assert "modle: unknown to pytorch-3dunet. Did you mean 'model'?" in left
    assert "predictor.save: unknown to pytorch-3dunet" in left
    assert "loaders: 3 is not a mapping" in left
    assert any(item.startswith("model.f_map: ") and item.endswith("Did you mean 'f_maps'?") for item in left)


def test_an_output_that_exists_is_kept(configs: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "recipe.yaml"
    output.write_text("mine")
    with pytest.raises(DataError, match="exists. Use --overwrite"):
        import_config(REGISTRY, configs["multiclass"], output)
    assert output.read_text() == "mine"
    import_config(REGISTRY, configs["multiclass"], output, overwrite=True)
    assert "extends: volseg/patches" in output.read_text()


def test_the_command_says_what_it_wrote_and_what_it_left(volseg_project: Any, configs: dict[str, Path]) -> None:
    project = volseg_project({"train.yml": configs["multiclass"].read_text()})
    result = project.run("import", "pytorch-3dunet", "train.yml")
    assert result.ok, result.err
    assert result.out == "wrote train.yaml\n"
    assert "not carried: lr_scheduler.name: MultiStepLR has no equivalent here" in result.err
    assert project.run("recipes", "check", "train.yaml").ok
