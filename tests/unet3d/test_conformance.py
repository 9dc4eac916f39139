"""The networks of pytorch-3dunet 1.9.6: names and shapes of its checkpoints, parameter counts, and its logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

COMPONENTS = {
    "UNet3D": "unet3d",
    "ResidualUNet3D": "residual-unet3d",
    "ResidualUNetSE3D": "residual-unet-se3d",
    "UNet2D": "unet2d",
    "ResidualUNet2D": "residual-unet2d",
}
NO_PARAMETERS = ("name", "in_channels", "out_channels", "final_sigmoid", "is_segmentation")
MODELS = (376, 378, 379, 381, 382, 383, 385, 386, 387, 388, 390, 391, 393)
COUNTS = {
    "unet3d": {64: 16_318_691, 32: 4_081_267, 16: 1_021_115},
    "residual-unet3d": {64: 113_735_233},
    "residual-unet-se3d": {64: 117_233_866},
    "unet2d": {64: 5_443_235},
    "residual-unet2d": {64: 38_385_217},
}


def network_of(config: dict[str, Any], make: Any) -> nn.Module:
    params = {key: value for key, value in config.items() if key not in NO_PARAMETERS}
    name = COMPONENTS[config["name"]]
    return make(name, in_channels=config["in_channels"], num_classes=config["out_channels"], **params)


@torch.no_grad()
def fill(network: nn.Module) -> None:
    """The formula of the cases (param_fill)."""
    for number, parameter in enumerate(network.parameters()):
        wave = np.sin(0.37 * np.arange(parameter.numel()) + 0.11 * number)
        values = 0.15 * wave if parameter.ndim > 1 else 0.5 + 0.1 * wave
        parameter.copy_(torch.from_numpy(values.astype(np.float32)).view_as(parameter))


def image_of(shape: list[int]) -> torch.Tensor:
    return torch.from_numpy(np.sin(0.013 * np.arange(np.prod(shape))).astype(np.float32).reshape(shape))


@pytest.mark.parametrize("number", MODELS)
def test_names_and_logits_are_those_of_pytorch_3dunet(
    number: int, cases: Any, arrays: Any, make: Any, count: Any
) -> None:
    case = cases[f"model_{number}"]
    network = network_of(case["config"], make).eval()
    assert [[name, list(value.shape)] for name, value in network.state_dict().items()] == case["state_dict"]
    assert count(network) == case["n_params"]
    fill(network)
    with torch.no_grad():
        logits = network(image_of(case["shape"])).numpy()
    np.testing.assert_allclose(logits, arrays[case["expected_logits"]], atol=1e-5, rtol=1e-5)


def test_every_case_of_a_network_is_tested(cases: Any) -> None:
    models = {name for name, case in cases.items() if case["kind"] == "model" and "raises" not in case}
    assert models == {f"model_{number}" for number in MODELS}
    assert not [name for name, case in cases.items() if case.get("quirk")]


@pytest.mark.parametrize("name", COUNTS)
def test_the_parameters_of_the_default_networks_are_as_many(name: str, make: Any, count: Any) -> None:
    with torch.device("meta"):
        networks = {f_maps: make(name, num_classes=1, f_maps=f_maps) for f_maps in COUNTS[name]}
    assert {f_maps: count(network) for f_maps, network in networks.items()} == COUNTS[name]


def test_the_counts_are_those_of_the_cases(cases: Any) -> None:
    counted: dict[str, dict[int, int]] = {name: {} for name in COUNTS}
    for case in cases.values():
        if case["kind"] == "n_params":
            counted[COMPONENTS[case["config"]["name"]]][case["config"]["f_maps"]] = case["expected"]
    assert counted == COUNTS


def test_a_case_that_fails_there_works_here(cases: Any, make: Any) -> None:
    case = cases["model_396"]
    assert case["raises"].startswith("RuntimeError")
    network = network_of(case["config"], make)
    assert network(image_of(case["shape"])).shape == (1, 2, *case["shape"][2:])
