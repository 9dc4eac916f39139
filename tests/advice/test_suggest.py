"""Suggestions follow the data and the machine, resolve, and train."""

from __future__ import annotations

import itertools
import re

import h5py
import numpy as np
import pytest
import yaml

import volseg_core
from volseg_core.advice.case import GIB, Machine
from volseg_core.advice.suggest import suggest
from volseg_core.errors import DataError
from volseg_core.network import size_rules
from volseg_core.recipe import find_recipe, resolve
from volseg_core.registry import load_registry
from volseg_core.volume import Grid, Volume

REGISTRY = load_registry(builtin_only=True)
LAPTOP, SERVER = Machine(4, 8 * GIB), Machine(16, 64 * GIB, 40 * GIB)


def volume(array, spacing=(1.0, 1.0, 1.0), unit="µm", *, independent=False):
    return Volume(array[None], Grid(spacing, unit, "scan", independent=independent))


def suggested(image, labels, machine=LAPTOP):
    text = suggest(REGISTRY, image, labels, machine)
    return yaml.safe_load(text), text


def stack(depth=24, likeness=0.9, size=96):
    """Return planes (depth, size, size) whose neighbours have about that correlation."""
    rng = np.random.default_rng(0)
    planes = [rng.normal(size=(size, size))]
    for _ in range(depth - 1):
        planes.append(likeness * planes[-1] + np.sqrt(1 - likeness**2) * rng.normal(size=(size, size)))
    return (np.array(planes) * 40 + 128).clip(0, 255).astype(np.uint8)


def halves(image, share=0.5):
    """Return labels of two classes, the second with that share."""
    labels = np.zeros(image.shape, np.uint8)
    labels[:, :, : round(image.shape[2] * share)] = 1
    return labels


def test_cubes_are_sliced_along_all_axes_and_one_slice_at_a_time(blobs):
    recipe, text = suggested(volume(blobs[0]), volume(blobs[1]))
    assert (recipe["data"]["axes"], recipe["data"]["neighbours"]) == ("zyx", 0)
    assert "three directions" in text


@pytest.mark.parametrize(("spacing", "axis"), [((1, 1, 5), "x"), ((1, 5, 1), "y")])
@pytest.mark.parametrize("dims", [2, 3])
def test_the_coarse_axis_is_named_whichever_it_is(blobs, spacing, axis, dims):
    data, labels = (volume(array, spacing) for array in blobs)
    text = suggest(REGISTRY, data, labels, LAPTOP, dims=dims)
    recipe = yaml.safe_load(text)
    assert (recipe["data"]["axes"], recipe["data"].get("neighbours", 0)) == (axis, 0)
    assert f"planes lie 5.0 times as far apart along {axis} as voxels within them" in text


def test_an_axis_that_is_finer_than_the_others_is_told_so(blobs):
    text = suggest(REGISTRY, *(volume(array, (1, 4, 4)) for array in blobs), LAPTOP, dims=3)
    assert "planes lie 4.0 times as near to each other along z as voxels within them" in text


@pytest.mark.parametrize(("likeness", "neighbours"), [(0.9, 1), (0.1, 0)])
def test_flat_voxels_are_sliced_along_z_with_neighbours_when_these_are_alike(likeness, neighbours):
    image = stack(likeness=likeness)
    recipe, text = suggested(volume(image, (10, 1, 1)), volume(halves(image), (10, 1, 1)))
    assert (recipe["data"]["axes"], recipe["data"]["neighbours"]) == ("z", neighbours)
    assert "planes lie 10.0 times as far apart" in text


def test_thin_and_independent_stacks_are_sliced_along_z():
    image = stack(depth=8)
    assert suggested(volume(image), volume(halves(image)))[0]["data"]["axes"] == "z"
    recipe, _ = suggested(volume(image, None, independent=True), volume(halves(image), None))
    assert (recipe["data"]["axes"], recipe["data"]["neighbours"]) == ("z", 0)


@pytest.mark.parametrize(
    ("spacing", "unit", "shift", "augment"),
    [((5, 5, 5), "nm", 0, "em"), ((1, 1, 1), "mm", -1000, "ct"), ((1, 1, 1), "µm", 0, "strong")],
)
def test_the_augmentation_follows_the_instrument(spacing, unit, shift, augment):
    image = stack()
    image = image.astype(np.int16) + shift
    assert (
        suggested(volume(image, spacing, unit), volume(halves(image), spacing, unit))[0]["data"]["augment"] == augment
    )


def test_with_many_voxels_of_an_unknown_instrument_the_augmentation_is_standard():
    image = stack(depth=60, size=96)
    assert suggested(volume(image), volume(halves(image)))[0]["data"]["augment"] == "standard"


@pytest.mark.parametrize(
    ("share", "losses", "sampler"),
    [
        (0.4, ["cross-entropy", {"use": "dice", "classes": "foreground"}], None),
        (0.03, [{"use": "cross-entropy", "weights": "auto"}, {"use": "dice", "classes": "foreground"}], None),
        (0.004, [{"use": "cross-entropy", "weights": "auto"}, {"use": "tversky", "classes": "foreground"}], "balanced"),
    ],
)
def test_the_loss_follows_the_rarest_class(share, losses, sampler):
    image = stack(size=256, depth=4)
    recipe, text = suggested(volume(image), volume(halves(image, share)))
    assert recipe["loss"] == losses
    assert recipe["data"].get("sampler", {}).get("kind") == sampler
    assert "the rarest class (1) has" in text


def test_a_gpu_gets_larger_batches_and_more_steps():
    image = stack()
    small, _ = suggested(volume(image), volume(halves(image)), LAPTOP)
    large, text = suggested(volume(image), volume(halves(image)), SERVER)
    assert (small["train"]["batch"], large["train"]["batch"]) == (2, 16)
    assert large["train"]["epochs"] > small["train"]["epochs"]
    assert "on a GPU with 40 GiB" in text


def test_ignored_voxels_are_not_a_class():
    image = stack()
    labels = halves(image).astype(np.int16)
    labels[:, :48] = -1
    recipe, text = suggested(volume(image), volume(labels))
    assert "the rarest class (0) has 50 %" in text or "the rarest class (1) has 50 %" in text
    assert recipe["loss"][0] == "cross-entropy"


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.zeros((24, 96, 96), np.uint8), "the labels are empty: the only id is 0"),
        (np.zeros((24, 96, 90), np.uint8), "the image has shape 24 x 96 x 96 and the labels 24 x 96 x 90"),
        (np.random.default_rng(0).random((24, 96, 96)), "no whole numbers"),
    ],
)
def test_pairs_that_cannot_be_trained_are_refused(labels, text):
    with pytest.raises(DataError, match=text):
        suggest(REGISTRY, volume(stack()), volume(labels), LAPTOP)


def test_every_choice_stands_below_its_reason(blobs):
    lines = suggested(volume(blobs[0]), volume(blobs[1]))[1].splitlines()
    for before, line in itertools.pairwise(lines):
        if not line.lstrip().startswith("#") and not line.endswith(":"):
            assert before.lstrip().startswith("#"), line


def test_the_suggestion_for_a_file_resolves_and_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    volseg_core.generate("blobs", output="cube.h5", overrides=["shape=[24, 72, 80]", "seed=3"])
    text = volseg_core.operations.suggest("cube.h5", "cube.h5:/labels", registry=REGISTRY)
    (tmp_path / "mine.yaml").write_text(text)
    recipe = resolve(REGISTRY, find_recipe(REGISTRY, "mine.yaml"))
    assert (recipe.data.train, recipe.data.labels) == (("cube.h5",), ("cube.h5:/labels",))
    quick = ["train.epochs=1", "train.steps=2", "train.batch=2", "data.window=[64, 64]", "data.axes=z"]
    run = volseg_core.train("mine.yaml", output="run", overrides=quick, registry=REGISTRY)
    assert (run.folder / "weights.safetensors").exists()


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (
            np.arange(8 * 16 * 20).reshape(8, 16, 20),
            (
                "the labels have more than 1024 ids, and suggestions for slices are for classes. Suggest a 3D network "
                "with --dims 3. Give the recipe a target that is made of objects, such as task: multilabel, target: "
                "boundaries"
            ),
        ),
        (
            np.full((8, 16, 20), 0.5),
            (
                "the labels are float64 with values that are no whole numbers, which look like values; suggestions are "
                "for classes. A recipe learns them as they are with task: regression"
            ),
        ),
        (np.zeros((2, 8, 16, 20), np.uint8), "the labels have 2 channels, which look like values; suggestions are for"),
    ],
)
def test_labels_that_are_no_classes_are_told_apart(labels, text):
    image = np.random.default_rng(0).integers(0, 255, (8, 16, 20)).astype(np.uint8)
    with pytest.raises(DataError) as caught:
        suggest(REGISTRY, image, labels, LAPTOP)
    assert str(caught.value).startswith(f"array labels: {text}")


def suggested_in_3d(image, labels, machine=LAPTOP, **settings):
    text = suggest(REGISTRY, image, labels, machine, dims=3, **settings)
    return yaml.safe_load(text), text


def numbered(shape=(24, 96, 96)):
    """Return labels of 96 cubes, each an id of its own."""
    z, y, x = np.indices(shape)
    return ((z // 12 * 8 + y // 12) * 8 + x // 12 + 1).astype(np.uint16) * (x % 12 > 1)


def test_in_3d_a_cpu_gets_small_patches_and_a_network_that_strides_first():
    image = stack(depth=60)
    recipe, text = suggested_in_3d(volume(image), volume(halves(image)))
    assert recipe["extends"] == "volseg/patches"
    assert recipe["model"] == {"use": "nnunet", "stem": 2, "norm": "batch", "width": 16, "stages": 4}
    assert (recipe["data"]["axes"], recipe["data"]["window"]) == ("zyx", "small")
    assert recipe["data"]["augment"] == {"use": "standard", "rotate90": False}
    assert "if they number objects, ask again with --objects" in text


@pytest.mark.parametrize(("gpu", "channels"), [(8, 32), (40, 64)])
def test_in_3d_channels_follow_the_memory_of_the_gpu(gpu, channels):
    image = stack(depth=60)
    recipe, text = suggested_in_3d(volume(image), volume(halves(image)), Machine(16, 64 * GIB, gpu * GIB))
    assert recipe["model"] == {"use": "unet3d", "f_maps": channels}
    assert recipe["data"]["window"] == "auto"
    assert f"a GPU with {gpu} GiB" in text


@pytest.mark.parametrize(("spacing", "axes"), [((1, 1, 1), "zyx"), ((10, 1, 1), "z")])
def test_in_3d_thick_sections_get_flat_patches(spacing, axes):
    image = stack(depth=60)
    recipe, _ = suggested_in_3d(volume(image, spacing, "nm"), volume(halves(image), spacing, "nm"))
    assert (recipe["data"]["axes"], recipe["data"]["augment"]) == (axes, "em")


def test_in_3d_networks_for_thick_sections_leave_z_until_the_plane_is_coarse():
    image = stack(depth=60)
    flat = volume(image, (10, 1, 1), "nm"), volume(halves(image), (10, 1, 1), "nm")
    model = suggested_in_3d(*flat)[0]["model"]
    assert (model["stem"], model["strides"]) == ([1, 2, 2], [[1, 2, 2], [2, 2, 2], [2, 2, 2]])
    recipe, text = suggested_in_3d(*flat, SERVER)
    assert recipe["model"]["pool_kernel_size"] == [[1, 2, 2], [1, 2, 2], [2, 2, 2]]
    assert "z has few or coarse steps" in text


@pytest.mark.parametrize(("machine", "least"), [(LAPTOP, [4, 16, 16]), (SERVER, [2, 8, 8])])
def test_in_3d_what_is_suggested_for_thick_sections_trains(machine, least, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = stack(depth=20, size=64)
    with h5py.File("thick.h5", "w") as file:
        for name, array in (("data", image), ("labels", halves(image))):
            file[name] = array
            file[name].attrs["element_size_um"] = (0.5, 0.1, 0.1)
    recipe, text = suggested_in_3d(*(volume(each, (5, 1, 1)) for each in (image, halves(image))), machine)
    (tmp_path / "mine.yaml").write_text(text)
    assert size_rules(REGISTRY.catalog, resolve(REGISTRY, find_recipe(REGISTRY, "mine.yaml"))).least == tuple(least)
    width = "model.f_maps=8" if recipe["model"]["use"] == "unet3d" else "model.width=8"
    quick = [width, "train.epochs=1", "train.steps=2", "train.device=cpu"]
    if machine.gpu:
        quick.append("data.window=[8, 32, 32]")
    run = volseg_core.train(
        "mine.yaml", data="thick.h5", labels="thick.h5:/labels", output="run", overrides=quick, registry=REGISTRY
    )
    found = volseg_core.predict(run.folder, "thick.h5", device="cpu", quality="low", registry=REGISTRY)
    assert found.arrays["labels"].shape == image.shape


def test_in_3d_epochs_follow_the_size_of_the_patches():
    image = np.zeros((64, 512, 512), np.uint8)
    steps = {}
    for spacing in ((1, 1, 1), (10, 1, 1)):
        _, text = suggested_in_3d(volume(image, spacing), volume(halves(image), spacing))
        steps[spacing] = int(re.search(r"steps, (\d+) an epoch", text)[1])
    assert steps == {(1, 1, 1): round(64 * 512**2 / 48**3 / 2), (10, 1, 1): round(64 * 512**2 / (16 * 64**2) / 2)}


@pytest.mark.parametrize("spread", [1, 100])
def test_many_ids_are_objects_in_3d_and_few_are_when_it_is_said(spread):
    image, labels = stack(), numbered() % 5 * spread
    recipe, text = suggested_in_3d(volume(image), volume(labels), objects=spread == 1)
    assert recipe["extends"] == "volseg/patches-boundary"
    assert "loss" not in recipe
    assert "the labels number objects" in text


def test_ids_that_are_too_many_for_classes_are_objects_in_3d():
    image = stack(depth=8, size=32)
    recipe, _ = suggested_in_3d(volume(image), volume(np.arange(image.size, dtype=np.uint32).reshape(image.shape)))
    assert recipe["extends"] == "volseg/patches-boundary"


def test_objects_are_refused_for_slices_and_images_without_depth_in_3d():
    image = stack()
    with pytest.raises(DataError, match="the labels number objects, and suggestions for slices are for classes"):
        suggest(REGISTRY, volume(image), volume(numbered()), LAPTOP, objects=True)
    with pytest.raises(DataError, match="no depth for a 3D network to see"):
        suggested_in_3d(volume(image, None, independent=True), volume(halves(image), None))


def test_the_suggestion_for_objects_trains_and_makes_objects(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image, labels = stack(depth=40), numbered((40, 96, 96))
    with h5py.File("cells.h5", "w") as file:
        file["data"], file["labels"] = image, labels
    text = volseg_core.operations.suggest("cells.h5", "cells.h5:/labels", dims=3, objects=True, registry=REGISTRY)
    (tmp_path / "mine.yaml").write_text(text)
    quick = ["train.epochs=1", "train.steps=2", "data.window=[32, 32, 32]", "train.device=cpu"]
    run = volseg_core.train("mine.yaml", output="run", overrides=quick, registry=REGISTRY)
    found = volseg_core.predict(run.folder, "cells.h5", device="cpu", quality="low", registry=REGISTRY)
    assert found.arrays["instances"].shape == image.shape
