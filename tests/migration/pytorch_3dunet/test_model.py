"""Checkpoints of pytorch-3dunet become models that give the same logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import volseg_core
from volseg_core.errors import DataError
from volseg_core.migration.pytorch_3dunet.importing import import_config
from volseg_core.migration.pytorch_3dunet.model import read_tensors
from volseg_core.model import read_model
from volseg_core.network import build_network, trained_network
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry

REGISTRY = load_registry(builtin_only=True)
MODELS = (376, 378, 379, 381, 382, 383, 385, 386, 387, 388, 390, 391, 393)
BUFFERS = {"running_mean": torch.zeros, "running_var": torch.ones}
SMALL = {
    "name": "UNet3D",
    "in_channels": 1,
    "out_channels": 2,
    "f_maps": [8, 16],
    "num_groups": 4,
    "final_sigmoid": False,
}


def imported(tmp_path: Path, model: dict[str, Any], checkpoint: Path, **sections: Any) -> tuple[Any, torch.nn.Module]:
    config = tmp_path / "config.yml"
    config.write_text(yaml.safe_dump({"model": model, **sections}))
    import_config(REGISTRY, config, tmp_path / "imported.yaml", checkpoint=checkpoint)
    written = read_model(tmp_path / "imported.safetensors")
    return written, trained_network(REGISTRY.catalog, resolve_recipe(REGISTRY, written.recipe), written)


def small(tmp_path: Path, **options: Any) -> torch.nn.Module:
    """Return a network with weights of their own, as built for the section of `SMALL`."""
    torch.manual_seed(0)
    recipe = resolve_recipe(
        REGISTRY,
        {"extends": "volseg/patches", "model": {"use": "unet3d", "f_maps": [8, 16], "num_groups": 4, **options}},
    )
    return build_network(REGISTRY.catalog, recipe, 1, 2, pretrained=False).eval()


@pytest.fixture(scope="module")
def cases(folder: Path) -> dict[str, dict[str, Any]]:
    every = json.loads((folder / "cases.json").read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case for case in every if case["kind"] == "model"}


def filled(names: list[Any]) -> dict[str, torch.Tensor]:
    """Return tensors by the formula of the cases (param_fill), which counts parameters, not buffers."""
    tensors: dict[str, torch.Tensor] = {}
    number = 0
    for name, shape in names:
        kind = name.rpartition(".")[2]
        if kind == "num_batches_tracked":
            tensors[name] = torch.tensor(0)
        elif kind in BUFFERS:
            tensors[name] = BUFFERS[kind](shape)
        else:
            wave = np.sin(0.37 * np.arange(np.prod(shape)) + 0.11 * number)
            values = 0.15 * wave if len(shape) > 1 else 0.5 + 0.1 * wave
            tensors[name] = torch.from_numpy(values.astype(np.float32)).reshape(shape)
            number += 1
    return tensors


@pytest.mark.parametrize("number", MODELS)
def test_imported_checkpoints_give_the_logits_of_pytorch_3dunet(
    number: int, cases: Any, folder: Path, tmp_path: Path
) -> None:
    case = cases[f"model_{number}"]
    checkpoint = tmp_path / "best_checkpoint.pytorch"
    torch.save({"model_state_dict": filled(case["state_dict"]), "num_epochs": 1}, checkpoint)
    model, network = imported(tmp_path, case["config"], checkpoint)
    image = np.sin(0.013 * np.arange(np.prod(case["shape"]))).astype(np.float32).reshape(case["shape"])
    with torch.no_grad():
        logits = network(torch.from_numpy(image)).numpy()
    with np.load(folder / "arrays.npz") as arrays:
        np.testing.assert_allclose(logits, arrays[case["expected_logits"]], atol=1e-5, rtol=1e-5)
    assert (model.spec.in_channels, model.spec.out_channels) == (case["shape"][1], logits.shape[1])


def test_every_case_of_a_model_is_imported(cases: Any) -> None:
    assert {name for name, case in cases.items() if "raises" not in case} == {f"model_{number}" for number in MODELS}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_imported_model_predicts(save_checkpoint: Any, tmp_path: Path, prefix: str) -> None:
    theirs = small(tmp_path)
    loaders = {"test": {"transformer": {"raw": [{"name": "Standardize"}]}}}
    model, ours = imported(tmp_path, SMALL, save_checkpoint(theirs, prefix=prefix), loaders=loaders)
    volume = np.random.default_rng(0).integers(0, 256, (16, 24, 24), np.uint8)
    standard = torch.from_numpy(((volume - volume.mean()) / volume.std()).astype(np.float32))[None, None]
    with torch.no_grad():
        assert torch.equal(ours(standard), theirs(standard))
        expected = theirs(standard).argmax(1)[0].numpy()
    found = volseg_core.predict(tmp_path / "imported.safetensors", volume, overrides=["predict.window=[16, 24, 24]"])
    assert (found.arrays["labels"] == expected).mean() > 0.999
    assert model.spec.heads[0].classes.names == ("0", "1")


def test_one_channel_with_a_sigmoid_is_binary(save_checkpoint: Any, tmp_path: Path) -> None:
    recipe = resolve_recipe(REGISTRY, {"extends": "volseg/patches", "model": {"use": "unet3d", "f_maps": [8, 16]}})
    network = build_network(REGISTRY.catalog, recipe, 1, 1, pretrained=False)
    section = SMALL | {"out_channels": 1, "final_sigmoid": True}
    model, _ = imported(tmp_path, section, save_checkpoint(network))
    (head,) = model.spec.heads
    assert (head.task, head.classes.names) == ("binary", ("background", "foreground"))


def test_channels_that_are_made_of_labels_have_the_names_of_the_target(save_checkpoint: Any, tmp_path: Path) -> None:
    recipe = resolve_recipe(REGISTRY, {"extends": "volseg/patches", "model": {"use": "unet3d", "f_maps": [8, 16]}})
    network = build_network(REGISTRY.catalog, recipe, 1, 2, pretrained=False).eval()
    label = {"name": "StandardLabelToBoundary", "foreground": True}
    train = {"transformer": {"raw": [{"name": "Standardize"}], "label": [label]}}
    section = SMALL | {"final_sigmoid": True, "num_groups": 8}
    model, _ = imported(
        tmp_path,
        section,
        save_checkpoint(network),
        loaders={"train": train},
        loss={"name": "BCEDiceLoss"},
        trainer={"iters": 2},
    )
    (head,) = model.spec.heads
    assert (head.task, head.classes.names) == ("multilabel", ("foreground", "boundary"))
    volume = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    found = volseg_core.predict(tmp_path / "imported.safetensors", volume, overrides=["predict.window=[16, 16, 16]"])
    standard = torch.from_numpy((volume - volume.mean()) / volume.std())[None, None]
    with torch.no_grad():
        expected = torch.sigmoid(network(standard))[0].numpy()
    np.testing.assert_allclose(np.float32(found.arrays["probabilities"]), expected, atol=5e-3)


def test_values_of_a_regression_are_those_of_the_network(save_checkpoint: Any, tmp_path: Path) -> None:
    network = small(tmp_path)
    loaders = {"test": {"transformer": {"raw": [{"name": "ToTensor"}]}}}
    imported(tmp_path, SMALL | {"is_segmentation": False}, save_checkpoint(network), loaders=loaders)
    volume = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    found = volseg_core.predict(tmp_path / "imported.safetensors", volume, overrides=["predict.window=[16, 16, 16]"])
    with torch.no_grad():
        expected = network(torch.from_numpy(volume)[None, None])[0].numpy()
    np.testing.assert_allclose(found.arrays["values"], expected, atol=1e-3)


def test_a_checkpoint_of_another_network_is_refused_and_nothing_is_written(
    save_checkpoint: Any, tmp_path: Path
) -> None:
    checkpoint = save_checkpoint(small(tmp_path, layer_order="cr"))
    with pytest.raises(DataError, match=r"does not fit unet3d .* tensors differ.*another model section"):
        imported(tmp_path, SMALL, checkpoint)
    assert not list(tmp_path.glob("imported.*"))


@pytest.mark.parametrize(
    ("model", "key"), [({"conv_padding": 0}, "model.conv_padding"), ({"name": "MyNet"}, "model.name")]
)
def test_networks_that_compute_something_else_are_refused(
    save_checkpoint: Any, tmp_path: Path, model: dict[str, Any], key: str
) -> None:
    with pytest.raises(DataError, match=f"no equivalent here: see {key}"):
        imported(tmp_path, SMALL | model, save_checkpoint(small(tmp_path)))


@pytest.mark.parametrize("content", [{"state_dict": {}}, {"model_state_dict": {"a": 1}}, [1]])
def test_another_file_of_torch_is_no_checkpoint(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(DataError, match="is no checkpoint of pytorch-3dunet: it lacks model_state_dict"):
        read_tensors(tmp_path / "other.pt")
