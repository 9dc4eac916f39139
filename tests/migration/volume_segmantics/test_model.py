"""Checkpoints of Volume Segmantics become models that give the same logits."""

from __future__ import annotations

import sys
from collections import OrderedDict

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

import volseg_core
from volseg_core.errors import DataError
from volseg_core.migration.volume_segmantics.importing import import_settings
from volseg_core.migration.volume_segmantics.model import ModelKind, read_model
from volseg_core.model import read_model as read_ours
from volseg_core.network import trained_network
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry

REGISTRY = load_registry(builtin_only=True)


def structure(kind="U_NET", channels=1, classes=3, encoder="resnet18", **more):
    return {
        "type": kind, "encoder_name": encoder, "encoder_weights": "imagenet", "in_channels": channels,
        "classes": classes, **more,
    }  # fmt: skip


def network(cls=smp.Unet, channels=1, classes=3, encoder="resnet18", **more):
    torch.manual_seed(0)
    built = cls(encoder_name=encoder, encoder_weights=None, in_channels=channels, classes=classes, **more)
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return built.eval()


def imported(settings_files, checkpoint, tmp_path):
    output = tmp_path / "imported.yaml"
    import_settings(REGISTRY, settings_files["train_032.yaml"], output, model=checkpoint)
    model = read_ours(tmp_path / "imported.safetensors")
    return model, trained_network(REGISTRY.catalog, resolve_recipe(REGISTRY, model.recipe), model)


@pytest.mark.parametrize(
    ("kind", "cls", "prefix"),
    [("U_NET", smp.Unet, ""), ("FPN", smp.FPN, "module."), ("LINKNET", smp.Linknet, "_orig_mod.")],
)
def test_the_imported_model_gives_the_same_logits(save_checkpoint, settings_files, tmp_path, kind, cls, prefix):
    theirs = network(cls)
    checkpoint = save_checkpoint(theirs, structure(kind), prefix=prefix)
    assert "volume_segmantics" not in sys.modules, "their package is not needed"
    model, ours = imported(settings_files, checkpoint, tmp_path)
    batch = torch.randn(2, 1, 64, 96)
    with torch.no_grad():
        assert torch.equal(ours(batch), theirs(batch))
    assert (model.spec.in_channels, model.spec.axes, model.spec.heads[0].task) == (1, "zyx", "multiclass")
    assert [(item.id, item.name) for item in model.spec.heads[0].classes.classes] == [(0, "0"), (1, "1"), (2, "2")]


class Pipeline(torch.nn.Module):
    """The network of its newer trainer: a U-Net whose parts have other names."""

    def __init__(self, unet):
        super().__init__()
        self.encoder = unet.encoder
        self.decoders = torch.nn.ModuleList([unet.decoder])
        self.heads = torch.nn.ModuleList([torch.nn.ModuleDict({"conv": unet.segmentation_head[0]})])


def test_a_model_of_the_newer_trainer_is_a_unet_if_its_one_head_is_semantic(save_checkpoint, settings_files, tmp_path):
    theirs = network()
    kind = structure("PIPELINE_MULTITASK_UNET", encoder_depth=5, heads=[{"name": "semantic", "out_channels": 3}])
    checkpoint = save_checkpoint(Pipeline(theirs), kind)
    _, ours = imported(settings_files, checkpoint, tmp_path)
    batch = torch.randn(2, 1, 64, 96)
    with torch.no_grad():
        assert torch.equal(ours(batch), theirs(batch))


def test_neighbouring_slices_and_names_of_classes_are_carried(save_checkpoint, settings_files, tmp_path):
    theirs = network(channels=5)
    checkpoint = save_checkpoint(theirs, structure(channels=5), codes={0: "resin", 1: "cell", 2: "villus"})
    model, _ = imported(settings_files, checkpoint, tmp_path)
    assert (model.spec.in_channels, model.spec.neighbours, model.spec.volume_channels) == (5, 2, 1)
    assert model.spec.heads[0].classes.names == ("resin", "cell", "villus")


def test_the_imported_model_predicts_and_its_recipe_fine_tunes(save_checkpoint, settings_files, tmp_path):
    checkpoint = save_checkpoint(network(classes=2), structure(classes=2))
    model, ours = imported(settings_files, checkpoint, tmp_path)
    volume = np.random.default_rng(0).integers(0, 256, (8, 64, 64), np.uint8)
    found = volseg_core.predict(tmp_path / "imported.safetensors", volume, overrides=["predict.views=[z]"])
    normalised = model.spec.normalisation.fit(volume[None])(volume[None])
    with torch.no_grad():
        expected = ours(torch.from_numpy(normalised).transpose(0, 1)).argmax(1).numpy()
    np.testing.assert_array_equal(found.arrays["labels"], expected)


@pytest.mark.parametrize(
    ("codes", "names"),
    [
        ({}, ("0", "1", "2")),
        ({"0": "a", "1": "b", "2": "c"}, ("a", "b", "c")),
        ({0: "a", 1: "a", 2: "c"}, ("0", "1", "2")),
        ({0: "a", 7: "b"}, ("0", "1", "2")),
        ({0: {"rgb": [1, 2, 3]}, 1: "b", 2: "c"}, ("0", "b", "c")),
    ],
)
def test_label_codes(save_checkpoint, codes, names):
    assert read_model(save_checkpoint(network(), structure(), codes=codes)).classes == names


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": "VANILLA_UNET"}, "a network of type VANILLA_UNET, which has no equivalent here"),
        ({"heads_config": []}, "options that have no equivalent here: heads_config"),
        ({"channels": 4}, "4 channels, which have no middle slice"),
        ({"classes": "three"}, "a damaged model_struc_dict: classes is 'three'"),
    ],
)
def test_networks_that_cannot_be_carried_are_refused(save_checkpoint, changes, text):
    with pytest.raises(DataError, match=text):
        read_model(save_checkpoint(network(), structure(**changes)))


def test_a_checkpoint_whose_tensors_differ_is_refused_and_nothing_is_written(save_checkpoint, settings_files, tmp_path):
    checkpoint = save_checkpoint(network(classes=2), structure(classes=3))
    with pytest.raises(DataError, match=r"unet on resnet18 .*2 tensors differ, the first is 'segmentation_head.0"):
        imported(settings_files, checkpoint, tmp_path)
    assert not list(tmp_path.glob("imported.*"))


def test_another_file_of_torch_is_no_checkpoint(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(DataError, match="lacks model_struc_dict or model_state_dict"):
        read_model(tmp_path / "other.pt")


def test_members_pickled_by_name_are_understood(tmp_path, save_checkpoint, model_types, monkeypatch):
    """Python 3.11.0 to 3.11.3 pickle a member as getattr(ModelType, name)."""
    monkeypatch.setattr(model_types, "__reduce_ex__", lambda self, _: (getattr, (type(self), self.name)))
    assert read_model(save_checkpoint(network(smp.FPN), structure("FPN"))).architecture == "fpn"


class Reach:
    """Pickled as an attribute of some object."""

    def __init__(self, owner, name):
        self.call = getattr, (owner, name)

    def __reduce__(self):
        return self.call


def test_the_stand_in_for_getattr_reaches_nothing_else(save_checkpoint):
    checkpoint = save_checkpoint(network(smp.FPN), structure("FPN"), extra=Reach(OrderedDict, "fromkeys"))
    with pytest.raises(DataError, match="getattr of something else than ModelType"):
        read_model(checkpoint)


def test_kinds_have_the_numbers_of_their_enumeration():
    assert [ModelKind(number).name for number in (1, 3, 9)] == ["U_NET", "FPN", "SEGFORMER"]
    assert ModelKind(99).name == "99"
