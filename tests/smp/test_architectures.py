"""Every network on encoders of every family: shapes, depths, and what cannot go together."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import torch

from volseg_core.api import UsageError
from volseg_smp.plugin import volseg_architectures

if TYPE_CHECKING:
    from collections.abc import Callable

ARCHITECTURES = {architecture.name: architecture for architecture in volseg_architectures()}
PYRAMIDS = [name for name in ARCHITECTURES if name != "dpt"]
VIT = "tu-test_vit"


def make(name: str, encoder: Any, in_channels: int = 1, num_classes: int = 3, **params: Any) -> torch.nn.Module:
    module, _, attribute = ARCHITECTURES[name].target.partition(":")
    context = {"in_channels": in_channels, "num_classes": num_classes, "encoder": encoder}
    defaults = {key: param.default for key, param in ARCHITECTURES[name].params.items()}
    return getattr(import_module(module), attribute)(**context, **(defaults | params)).eval()


@torch.no_grad()
def sizes(network: torch.nn.Module, *sides: tuple[int, int], channels: int = 1) -> list[tuple[int, ...]]:
    device = next(network.parameters()).device
    return [tuple(network(torch.randn(2, channels, *side, device=device)).shape) for side in sides]


@pytest.mark.parametrize("name", PYRAMIDS)
def test_a_network_keeps_the_size_and_trains(name: str, choose: Callable[..., Any]) -> None:
    network = make(name, choose("resnet18"))
    least = ARCHITECTURES[name].min_size
    assert sizes(network, (least, least), (least + 32, least)) == [(2, 3, least, least), (2, 3, least + 32, least)]
    network.train()(torch.randn(2, 1, least, least)).square().mean().backward()
    stem = next(network.encoder.parameters())
    assert stem.grad is not None
    assert stem.grad.abs().sum() > 0


@pytest.mark.parametrize("name", PYRAMIDS)
@pytest.mark.parametrize("depth", [3, 4])
def test_a_shallower_encoder_still_gives_the_full_size(name: str, depth: int, choose: Callable[..., Any]) -> None:
    network = make(name, choose("tu-test_resnet", depth=depth), in_channels=2)
    assert len(network.encoder.out_channels) == depth + 1
    side = ARCHITECTURES[name].min_size
    assert sizes(network, (side, side), channels=2) == [(2, 3, side, side)]


@pytest.mark.parametrize("name", PYRAMIDS)
def test_an_encoder_that_starts_at_stride_4_works(name: str, choose: Callable[..., Any]) -> None:
    network = make(name, choose("tu-test_convnext"))
    assert network.encoder.out_channels[1] == 0
    side = ARCHITECTURES[name].min_size
    assert sizes(network, (side, side + 32)) == [(2, 3, side, side + 32)]


def test_convnext_works(choose: Callable[..., Any]) -> None:
    assert sizes(make("unet", choose("tu-convnext_atto")), (64, 32)) == [(2, 3, 64, 32)]


def test_windows_of_a_transformer_take_any_size(choose: Callable[..., Any]) -> None:
    with torch.device("meta"):
        network = make("unet", choose("tu-swin_tiny_patch4_window7_224"))
    assert sizes(network, (64, 96)) == [(2, 3, 64, 96)]


def test_a_stem_of_several_branches_takes_one_channel(choose: Callable[..., Any]) -> None:
    assert sizes(make("unet", choose("mobileone_s0")), (32, 32)) == [(2, 3, 32, 32)]


@pytest.mark.parametrize("name", PYRAMIDS)
def test_convnext_v2_works_with_every_decoder_on_a_pyramid(name: str, choose: Callable[..., Any]) -> None:
    with torch.device("meta"):
        network = make(name, choose("tu-convnextv2_atto"))
    side = ARCHITECTURES[name].min_size
    assert sizes(network, (side, side), (side + 64, side)) == [(2, 3, side, side), (2, 3, side + 64, side)]


def test_convnext_v2_trains(choose: Callable[..., Any]) -> None:
    network = make("unet", choose("tu-convnextv2_atto")).train()
    network(torch.randn(2, 1, 64, 32)).square().mean().backward()
    assert all(p.grad is not None for p in network.encoder.parameters())


SMALL = {"decoder_fusion_channels": 16, "decoder_intermediate_channels": (8, 8, 8, 8)}


def test_dpt_takes_any_number_of_patches(choose: Callable[..., Any]) -> None:
    network = make("dpt", choose(VIT), **SMALL)
    sides = [(64, 64), (96, 32), (48, 80), (16, 112)]
    assert sizes(network, *sides) == [(2, 3, *side) for side in sides]
    assert ARCHITECTURES["dpt"].divisor == 1


@torch.no_grad()
@pytest.mark.parametrize("readout", ["cat", "add", "ignore"])
def test_dpt_on_an_even_grid_is_smps_own(readout: str, choose: Callable[..., Any]) -> None:
    import segmentation_models_pytorch as smp

    network = make("dpt", choose(VIT), decoder_readout=readout, **SMALL)
    own = smp.DPT(
        VIT,
        encoder_weights=None,
        in_channels=1,
        classes=3,
        decoder_readout=readout,
        dynamic_img_size=True,
        num_classes=0,
        **SMALL,
    ).eval()
    own.load_state_dict(network.state_dict())
    image = torch.randn(1, 1, 64, 96)
    assert torch.equal(network(image), own(image))


DINO = ["tu-vit_small_patch14_dinov2", "tu-vit_small_patch14_reg4_dinov2", "tu-vit_small_patch16_dinov3"]


@pytest.mark.parametrize("name", DINO)
def test_dinos_transformers_take_any_number_of_patches_and_train(name: str, choose: Callable[..., Any]) -> None:
    network = make("dpt", choose(name), **SMALL)
    patch = network.encoder.output_stride
    assert patch == (14 if "patch14" in name else 16)
    sides = [(3 * patch, 4 * patch), (5 * patch, 2 * patch)]
    assert sizes(network, *sides) == [(2, 3, *side) for side in sides]
    network.train()(torch.randn(2, 1, 4 * patch, 3 * patch)).square().mean().backward()
    stem = network.encoder.model.patch_embed.proj.weight
    assert stem.grad is not None
    assert stem.grad.abs().sum() > 0


@torch.no_grad()
def test_a_patch_of_14_pixels_moves_nothing(choose: Callable[..., Any]) -> None:
    # what lies in the left half of the input lies in the left half of the output
    torch.manual_seed(0)
    network = make("dpt", choose("tu-vit_small_patch14_dinov2", depth=1), decoder_readout="ignore", **SMALL)
    features = torch.zeros(1, 384, 8, 8)
    features[..., :4] = torch.randn(1, 384, 8, 4)
    decoded = network.segmentation_head(network.decoder([features], [None]))
    base = network.segmentation_head(network.decoder([features * 0], [None]))
    change = (decoded - base).abs().sum((0, 1, 2))
    assert change.shape == (8 * 14,)
    assert change[:40].min() > 1e3 * change[80:].max()


@pytest.mark.parametrize("name", PYRAMIDS)
def test_dinos_transformers_are_for_dpt_only(name: str, choose: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="is a vision transformer without a feature pyramid; only 'dpt' works with it"):
        make(name, choose(DINO[0]))


@torch.no_grad()
def test_a_model_of_one_size_is_built_for_the_wanted_one(choose: Callable[..., Any]) -> None:
    assert sizes(make("unet", choose("tu-test_maxvit", input_size=96)), (96, 96)) == [(2, 3, 96, 96)]
    network = make("dpt", choose("tu-test_vit_relpos", input_size=48), **SMALL)
    assert sizes(network, (48, 48)) == [(2, 3, 48, 48)]


def test_dpt_obeys_depth_and_output_indices(choose: Callable[..., Any]) -> None:
    network = make("dpt", choose(VIT, depth=2), decoder_fusion_channels=8, encoder_output_indices=[0, 3])
    assert network.encoder._output_indices == [0, 3]
    assert sizes(network, (64, 64)) == [(2, 3, 64, 64)]
    with pytest.raises(UsageError, match=r"^model.encoder_output_indices: \[0, 3\] has 2 items for depth 3"):
        make("dpt", choose(VIT, depth=3), encoder_output_indices=[0, 3])


def test_options_reach_the_decoder(choose: Callable[..., Any]) -> None:
    network = make(
        "unet",
        choose("resnet18", depth=3),
        decoder_channels=[24, 12, 6],
        decoder_use_norm="identity",
        decoder_attention_type="scse",
        decoder_interpolation="bilinear",
    )
    blocks = network.decoder.blocks
    assert [block.conv2[0].out_channels for block in blocks] == [24, 12, 6]
    assert isinstance(blocks[0].conv1[1], torch.nn.Identity)
    assert type(blocks[0].attention1.attention).__name__ == "SCSEModule"
    assert blocks[0].interpolation_mode == "bilinear"


def test_a_shallower_decoder_keeps_its_finest_stages(choose: Callable[..., Any]) -> None:
    network = make("unet", choose("resnet18", depth=2))
    assert [block.conv2[0].out_channels for block in network.decoder.blocks] == [32, 16]


def test_deeplab_dilates_what_is_ours(choose: Callable[..., Any]) -> None:
    network = make("deeplabv3", choose("resnet18"), encoder_output_stride=16)
    with torch.no_grad():
        assert network.encoder(torch.randn(1, 1, 64, 64))[-1].shape[-1] == 4


ANOTHER = "Take another encoder, or change the options of the model."
REFUSED: list[tuple[tuple[str, str, dict[str, Any], dict[str, Any]], str]] = [
    (
        ("unet", VIT, {}, {}),
        (
            "model.encoder: encoder 'tu-test_vit' is a vision transformer without a feature pyramid; only "
            "'dpt' works with it. Take -s model=dpt, or an encoder such as 'resnet34' or 'tu-convnext_tiny'."
        ),
    ),
    (
        ("dpt", "resnet18", {}, {}),
        (
            "model.encoder: 'dpt' works on vision transformers; encoder 'resnet18' is a feature pyramid. Take "
            "an encoder such as 'tu-vit_small_patch16_224' or 'tu-vit_base_patch16_224', or another "
            "architecture."
        ),
    ),
    (
        ("unetplusplus", "mit_b0", {}, {}),
        (
            "model: 'unetplusplus' cannot be built on encoder 'mit_b0': UnetPlusPlus is not support "
            f"encoder_name=mit_b0. {ANOTHER}"
        ),
    ),
    (
        ("linknet", "mit_b0", {}, {}),
        (
            "model: 'linknet' cannot be built on encoder 'mit_b0': Encoder `mit_b0` is not supported for "
            f"Linknet. {ANOTHER}"
        ),
    ),
    (
        ("deeplabv3", "densenet121", {}, {}),
        (
            "model: 'deeplabv3' cannot be built on encoder 'densenet121': DenseNet encoders do not support "
            f"dilated mode due to pooling operation for downsampling!. {ANOTHER}"
        ),
    ),
    (
        ("fpn", "resnet18", {"depth": 2}, {}),
        "model.encoder.depth: 'fpn' works with 3 to 5 stages, not 2.",
    ),
    (
        ("unet", "tu-convnext_atto", {"depth": 1}, {}),
        (
            "model.encoder.depth: 'unet' with 1 stages needs a feature that 'tu-convnext_atto' lacks. This "
            "encoder starts at stride 4: take a larger depth."
        ),
    ),
    (
        ("fpn", "tu-convnext_atto", {"depth": 4}, {}),
        (
            "model.encoder.depth: 'fpn' with 4 stages needs a feature that 'tu-convnext_atto' lacks. This "
            "encoder starts at stride 4: take a larger depth."
        ),
    ),
    (
        ("unet", "resnet18", {}, {"decoder_channels": [8, 4]}),
        (
            "model: [8, 4] has 2 items for 5 stages of the encoder. Give one number of channels per stage, or "
            "a smaller model.encoder.depth."
        ),
    ),
    (
        ("manet", "tu-inception_v3", {}, {}),
        (
            "model.encoder: 'manet' needs features of exactly half the size each; encoder 'tu-inception_v3' "
            "has others. Only 'unet' works with it (-s model=unet)."
        ),
    ),
    (
        ("pspnet", "dpn68", {"depth": 1}, {}),
        (
            "model.encoder: 'pspnet' needs a multiple of 4 channels; 'dpn68' has 10. "
            "Take another encoder or model.encoder.depth."
        ),
    ),
    (
        ("unet", "resnet19", {}, {}),
        "model.encoder: no encoder named 'resnet19' in smp or timm.",
    ),
]


@pytest.mark.parametrize(("request_", "text"), REFUSED)
def test_what_cannot_go_together_is_a_usage_error(
    request_: tuple[str, str, dict[str, Any], dict[str, Any]], text: str, choose: Callable[..., Any]
) -> None:
    name, encoder, encoder_params, params = request_
    with pytest.raises(UsageError) as caught:
        make(name, choose(encoder, **encoder_params), **params)
    assert str(caught.value) == text
