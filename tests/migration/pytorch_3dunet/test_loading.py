"""Loaders: files, windows, normalisation and augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from volseg_core.migration.pytorch_3dunet.loading import carry_loaders
from volseg_core.registry import load_registry
from volseg_core.volume import Normalisation

CATALOG = load_registry(builtin_only=True).catalog


def loaders(carried: Any, dims: int = 3, **content: Any) -> tuple[dict[str, Any], dict[str, str], Any]:
    return carried(lambda settings, transfer: carry_loaders(settings, transfer, dims), content)  # type: ignore[no-any-return]


def training(*raw: Any, label: Any = (), **slices: Any) -> dict[str, Any]:
    return {"slice_builder": slices, "transformer": {"raw": list(raw), "label": list(label)}}


def augment(carried: Any, *raw: Any, **more: Any) -> Any:
    return loaders(carried, train=training(*raw), **more)[0]["data.augment"]


def normalise(carried: Any, *raw: Any, **more: Any) -> Any:
    recipe, left, _ = loaders(carried, train=training(*raw), **more)
    rule = recipe["data.normalise"]
    Normalisation(rule["kind"], tuple(rule["clip"]))
    return rule, left


def test_files_have_the_paths_inside_them(carried: Any, tmp_path: Path) -> None:
    for name in ("b.h5", "a.hdf5", "notes.txt"):
        (tmp_path / name).touch()
    recipe, left, _ = loaders(
        carried,
        raw_internal_path="/volumes/raw",
        train={"file_paths": [str(tmp_path), "elsewhere.h5"], **training()},
        val={"file_paths": ["v.hd5"], **training()},
    )
    files = [f"{tmp_path}/a.hdf5", f"{tmp_path}/b.h5", "elsewhere.h5"]
    assert recipe["data.train"] == [f"{file}:/volumes/raw" for file in files]
    assert recipe["data.labels"] == [f"{file}:/label" for file in files]
    assert (recipe["data.val.files"], recipe["data.val.labels"]) == (["v.hd5:/volumes/raw"], ["v.hd5:/label"])
    assert left == {}


@pytest.mark.parametrize("paths", [["PATH_TO_TRAIN_DIR"], [""], None, "folder"])
def test_files_that_are_none_are_named(carried: Any, paths: Any) -> None:
    recipe, left, _ = loaders(carried, train={"file_paths": paths, **training()})
    assert "data.train" not in recipe
    assert left["train.file_paths"].endswith("give files with --data and --labels")


def test_folders_of_images_are_named(carried: Any) -> None:
    recipe, left, _ = loaders(carried, dims=2, dataset="DSB2018Dataset", train={"file_paths": ["a.h5"], **training()})
    assert "data.train" not in recipe
    assert left["train.file_paths"].startswith("images and masks")


@pytest.mark.parametrize(("dims", "window"), [(3, [8, 64, 96]), (2, [64, 96])])
def test_windows_are_the_patches_of_the_training(carried: Any, dims: int, window: list[int]) -> None:
    recipe, left, _ = loaders(
        carried, dims, train=training(patch_shape=[8, 64, 96], stride_shape=[8, 8, 8], name="SliceBuilder")
    )
    assert (recipe["data.window"], left) == (window, {})


def test_windows_of_images_are_what_they_are_cropped_to(carried: Any) -> None:
    recipe, left, _ = loaders(carried, 2, train=training({"name": "CropToFixed", "size": [128, 64]}))
    assert (recipe["data.window"], left) == ([128, 64], {})


def test_a_window_of_other_dimensions_is_named(carried: Any) -> None:
    recipe, left, _ = loaders(carried, train=training(patch_shape=[64, 64]))
    assert "data.window" not in recipe
    assert left == {"train.slice_builder.patch_shape": "[64, 64] is no shape of 3 dimensions"}


def test_batches_and_workers(carried: Any) -> None:
    recipe, left, _ = loaders(carried, batch_size=4, num_workers=8, train=training())
    assert (recipe["train.batch"], recipe["train.workers"], left) == (4, 8, {})
    assert loaders(carried, train=training())[0]["train.batch"] == 1
    recipe, left, _ = loaders(carried, batch_size=4, num_workers=8, test={})
    assert (recipe["predict.batch"], set(left)) == (4, {"num_workers"})


@pytest.mark.parametrize(
    ("dims", "axes", "ours"),
    [(2, None, "z"), (3, [[2, 1]], "z"), (3, [[1, 2]], "z"), (3, None, "zyx"), (3, [[1, 0], [2, 1]], "zyx")],
)
def test_which_directions_look_alike(carried: Any, dims: int, axes: Any, ours: str) -> None:
    turn = {"name": "RandomRotate"} | ({"axes": axes} if axes else {})
    assert loaders(carried, dims, train=training(turn))[0]["data.axes"] == ours
    assert loaders(carried, 3, train=training({"name": "RandomRotate90"}))[0]["data.axes"] == "z"


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        ({"name": "Standardize"}, {"kind": "zscore", "clip": [0, 100]}),
        ({"name": "PercentileNormalizer"}, {"kind": "percentile", "clip": [1.0, 99.6]}),
        ({"name": "PercentileNormalizer", "pmin": 2, "pmax": 98}, {"kind": "percentile", "clip": [2.0, 98.0]}),
        ({"name": "Normalize", "min_value": -5, "max_value": 5}, {"kind": "range", "clip": [-5.0, 5.0]}),
        ({"name": "Normalize"}, {"kind": "percentile", "clip": [0, 100]}),
        ({"name": "ToTensor"}, {"kind": "none", "clip": [0, 100]}),
    ],
)
def test_normalisation(carried: Any, item: dict[str, Any], rule: dict[str, Any]) -> None:
    found, left = normalise(carried, item)
    assert (found, left) == (rule, {})


def test_statistics_that_are_given_are_named(carried: Any) -> None:
    _, left = normalise(carried, {"name": "Standardize", "mean": 3, "std": 2, "channelwise": True, "typo": 1})
    raw = "train.transformer.raw.Standardize"
    assert left == {
        f"{raw}.mean": "mean and standard deviation are those of each volume",
        f"{raw}.std": "mean and standard deviation are those of each volume",
        f"{raw}.channelwise": "each channel has its own statistics",
        f"{raw}.typo": "Standardize has no such parameter, here or there",
    }


def test_without_random_transforms_there_is_no_augmentation(carried: Any) -> None:
    assert augment(carried, {"name": "Standardize"}) == "none"


def test_steps_that_are_not_there_are_off(carried: Any) -> None:
    found = augment(carried, {"name": "RandomFlip"})
    assert found == {
        "use": "standard", "flip": True, "rotate90": False, "rotate": 0.0, "elastic": 0.0, "scale": 0.0,
        "brightness": 0.0, "contrast": 0.0, "gamma": 0.0, "noise": 0.0, "blur": 0.0,
    }  # fmt: skip
    provided = CATALOG.find("augmentation", "standard")
    for name, value in found.items():
        if name != "use":
            provided.component.params[name].coerce(value)


def test_steps_have_the_strengths_that_have_one_unit(carried: Any) -> None:
    found = augment(
        carried,
        {"name": "RandomRotate90"},
        {"name": "RandomRotate", "angle_spectrum": 45},
        {"name": "ElasticDeformation", "spline_order": 3, "execution_probability": 0.2},
        {"name": "RandomContrast", "alpha": [0.7, 1.2]},
        {"name": "RandomGammaCorrection", "gamma": [0.8, 1.4]},
        {"name": "AdditivePoissonNoise", "lam": [0, 1]},
        {"name": "GaussianBlur3D"},
        random_scale=8,
    )
    assert found == {
        "use": "standard", "flip": False, "rotate90": True, "rotate": 45.0, "elastic": 0.2, "contrast": 0.3,
        "gamma": 0.4, "blur": 0.5, "brightness": 0.0,
    }  # fmt: skip


def test_fault_b13_probabilities_that_are_inverted_there_are_named(carried: Any) -> None:
    _, left, _ = loaders(
        carried,
        random_scale=8,
        random_scale_probability=0.1,
        train=training({"name": "RandomFlip", "axis_prob": 0.1}),
    )
    assert "there it is that of no change" in left["random_scale_probability"]
    assert left["train.transformer.raw.RandomFlip.axis_prob"] == "each axis is mirrored with probability 1/2"


def test_strengths_in_other_units_are_named(carried: Any) -> None:
    raw = (
        {"name": "AdditiveGaussianNoise", "scale": [0, 1], "execution_probability": 0.2},
        {"name": "RandomContrast", "mean": 0.1, "alpha": "wide"},
        {"name": "ElasticDeformation", "spline_order": 0, "alpha": 10},
    )
    _, left, _ = loaders(carried, train=training(*raw))
    assert {key.removeprefix("train.transformer.raw.") for key in left} == {
        "AdditiveGaussianNoise.scale", "AdditiveGaussianNoise.execution_probability", "RandomContrast.mean",
        "RandomContrast.alpha", "ElasticDeformation.spline_order", "ElasticDeformation.alpha",
    }  # fmt: skip


PERCENTILES = {"name": "PercentileNormalizer", "pmin": 2, "pmax": 98}


@pytest.mark.parametrize(
    ("raw", "kind", "others"),
    [
        ([PERCENTILES, {"name": "Standardize"}], "zscore", ["PercentileNormalizer"]),
        ([{"name": "Standardize"}, PERCENTILES], "percentile", ["Standardize"]),
        ([{"name": "Standardize"}, PERCENTILES, {"name": "Standardize"}], "zscore", ["PercentileNormalizer"]),
        ([{"name": "Standardize"}, {"name": "Normalize", "norm01": True}], "percentile", ["Standardize"]),
        ([{"name": "Standardize"}, {"name": "Normalize", "min_value": -3, "max_value": 3}], "zscore", ["Normalize"]),
    ],
)
def test_the_last_rule_normalises_and_the_others_are_named(
    carried: Any, raw: list[dict[str, Any]], kind: str, others: list[str]
) -> None:
    rule, left = normalise(carried, *raw)
    chosen = {"zscore": "Standardize", "percentile": raw[-1]["name"]}[kind]
    named = {key.removeprefix("train.transformer.raw."): why for key, why in left.items() if "twice" not in why}
    assert rule["kind"] == kind
    assert named == dict.fromkeys(others, f"intensities are normalised once, as {chosen} does")


def test_transforms_of_ids_and_of_labels_alone_are_named(carried: Any) -> None:
    label = [{"name": "Relabel", "run_cc": True}, {"name": "RgbToLabel"}, {"name": "RandomFlip"}]
    _, left, _ = loaders(carried, train=training(label=label))
    assert {key.removeprefix("train.transformer.label."): why.partition(":")[0] for key, why in left.items()} == {
        "Relabel": "ids of objects are taken as they stand",
        "RgbToLabel": "labels are ids; convert files whose colours are ids",
        "RandomFlip": "labels move as the raw data does, which has no such transform",
    }


def test_a_crop_is_the_window_where_there_is_no_patch(carried: Any) -> None:
    crop = {"name": "CropToFixed", "size": [64, 64]}
    recipe, left, _ = loaders(carried, 2, train=training({"name": "CropToFixed"}))
    assert (recipe["data.window"], left) == ([256, 256], {})
    recipe, left, _ = loaders(carried, 2, train=training(crop, patch_shape=[1, 96, 96]))
    assert recipe["data.window"] == [96, 96]
    assert left == {"train.transformer.raw.CropToFixed": "windows are as large as patch_shape says"}


def test_transforms_of_the_validation_are_named(carried: Any) -> None:
    val = training({"name": "Standardize"}, {"name": "GaussianBlur3D"}, label=[{"name": "BlobsToMask"}])
    _, left, _ = loaders(carried, train=training(), val=val)
    names = ("raw.Standardize", "raw.GaussianBlur3D", "label.BlobsToMask")
    assert {key: why for key, why in left.items() if "transformer" in key} == dict.fromkeys(
        (f"val.transformer.{name}" for name in names),
        "validation normalises as the training does, without augmentation",
    )


def test_unknown_transforms_are_named_with_a_suggestion(carried: Any) -> None:
    _, left, _ = loaders(
        carried, train=training({"name": "RandomFlips"}, label=[{"name": "Foo"}]), val=training({"name": "Foo"})
    )
    assert left == {
        "train.transformer.raw.RandomFlips": "no such transform is known here. Did you mean 'RandomFlip'?",
        "train.transformer.label.Foo": "no such transform is known here",
        "val.transformer.raw.Foo": "no such transform is known here",
    }


def test_parameters_of_the_transforms_of_labels_are_named(carried: Any) -> None:
    label = [
        {"name": "ElasticDeformation", "spline_order": 0},
        {"name": "StandardLabelToBoundary", "append_label": True, "ignore_index": 9},
        {"name": "ToTensor", "expand_dims": False},
    ]
    _, left, labels = loaders(carried, train=training({"name": "ElasticDeformation"}, label=label))
    assert {key.removeprefix("train.transformer.label.") for key in left} == {
        "ElasticDeformation.spline_order", "StandardLabelToBoundary.append_label", "ToTensor.expand_dims",
    }  # fmt: skip
    ignored = {"train.transformer.label.StandardLabelToBoundary.ignore_index": 9}
    assert (labels.made.target["use"], labels.ignored) == ("boundaries", ignored)


def test_a_prediction_has_windows_with_their_halo(carried: Any) -> None:
    slices = {
        "patch_shape": [32, 64, 64],
        "stride_shape": [16, 32, 48],
        "halo_shape": [4, 8, 8],
        "name": "SliceBuilder",
    }
    test = {"slice_builder": slices, "transformer": {"raw": [{"name": "PercentileNormalizer"}]}}
    recipe, left, _ = loaders(carried, test=test)
    assert recipe["predict.window"] == [40, 80, 80]
    assert recipe["predict.overlap"] == 0.6
    assert recipe["data.normalise"]["kind"] == "percentile"
    assert set(left) == {"test.slice_builder.name"}


def test_a_prediction_beside_a_training_normalises_as_the_training(carried: Any) -> None:
    test = {"transformer": {"raw": [{"name": "PercentileNormalizer", "pmin": 3}]}, "file_paths": ["a.h5"]}
    recipe, left, _ = loaders(carried, train=training({"name": "Standardize"}), test=test)
    assert recipe["data.normalise"]["kind"] == "zscore"
    assert set(left) == {"test.transformer.raw.PercentileNormalizer", "test.file_paths"}


def test_transforms_that_a_prediction_does_not_have_are_named(carried: Any) -> None:
    raw = [
        {"name": "Standardize"},
        {"name": "RandomFlip"},
        {"name": "GaussianBlur3D", "sigma": [1, 2]},
        {"name": "Foo"},
    ]
    _, left, _ = loaders(carried, test={"transformer": {"raw": raw}})
    assert left == {
        "test.transformer.raw.RandomFlip": "a prediction takes the data as it is",
        "test.transformer.raw.GaussianBlur3D": "a prediction takes the data as it is",
        "test.transformer.raw.Foo": "no such transform is known here",
    }


def test_every_key_of_the_loaders_is_named(carried: Any) -> None:
    content = {
        "dataset": "LazyHDF5Dataset", "output_dir": "out", "weight_internal_path": "w", "mirror_padding": [1, 2, 3],
        "batch_sizes": 3,
    }  # fmt: skip
    _, left, _ = loaders(carried, **content)
    assert set(left) == set(content)
    assert left["batch_sizes"] == "no key of pytorch-3dunet's loaders. Did you mean 'batch_size'?"
