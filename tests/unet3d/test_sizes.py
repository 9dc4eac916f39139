"""Sizes as a recipe writes them, and what is said of those that are none."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from volseg_core.api import UsageError
from volseg_core.network import size_rules, sizes_of
from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry
from volseg_unet3d.inputs import check_input
from volseg_unet3d.sizes import odd, padding, per_level, product, widths

REGISTRY = load_registry(builtin_only=True)
CATALOG = REGISTRY.catalog


def test_a_number_of_channels_doubles_from_level_to_level() -> None:
    assert widths(8, None, 4) == [8, 16, 32, 64]
    assert widths(8, 2, 4) == [8, 16]


def test_a_list_of_channels_is_taken_as_it_is() -> None:
    assert widths([8, 12, 40], None, 4) == [8, 12, 40]
    assert widths((8, 12), 2, 4) == [8, 12]


def test_levels_that_contradict_the_channels_are_refused() -> None:
    with pytest.raises(UsageError) as raised:
        widths([8, 16, 32], 5, 4)
    assert str(raised.value) == (
        "model.num_levels: 5 contradicts the 3 levels of f_maps [8, 16, 32]. Leave one of them out."
    )


@pytest.mark.parametrize("value", [0, -8, [8], [], "32", True, [8, 0], [8, 1.5], None, {"a": 1}])
def test_what_is_no_number_of_channels_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match=r"is neither a positive number nor a list of two or more\. Write 32, or"):
        widths(value, None, 4)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, [(2, 2, 2), (2, 2, 2)]),
        ([1, 2, 2], [(1, 2, 2), (1, 2, 2)]),
        ([[1, 2, 2], [2, 2, 2]], [(1, 2, 2), (2, 2, 2)]),
    ],
)
def test_a_size_is_given_for_all_for_axes_or_for_levels(value: Any, expected: Any) -> None:
    assert per_level("strides", value, 3, 2) == expected


@pytest.mark.parametrize("value", [0, [2, 2], [[1, 2, 2]], [[1, 2], [2, 2]], "2", [1, 2, 0], [2, [2, 2, 2]]])
def test_what_is_no_size_is_refused(value: Any) -> None:
    with pytest.raises(UsageError) as raised:
        per_level("strides", value, 3, 2)
    assert str(raised.value) == (
        f"model.strides: {value!r} is no positive number, list of 3 (one for each axis) or list of 2 such lists. "
        "Write 2, or [1, 2, 2]."
    )


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^model\.kernel: 4 is even\. Only odd kernels keep the size of an image\.$"):
        odd("kernel", [(3, 4, 3)])
    assert odd("kernel", [(1, 3, 5)]) == [(1, 3, 5)]
    assert padding((1, 3, 5)) == (0, 1, 2)


def test_factors_multiply_along_each_axis() -> None:
    assert product([(1, 2, 2), (2, 2, 3)]) == (2, 4, 6)


SIZES = {
    "unet3d": [
        ({"f_maps": 4}, [8, 8, 8]),
        ({"f_maps": [4, 8, 8], "num_groups": 4}, [4, 4, 4]),
        ({"f_maps": 4, "num_groups": 4, "num_levels": 3, "pool_kernel_size": [1, 2, 3]}, [1, 4, 9]),
        ({"f_maps": 4, "pool_kernel_size": [[1, 2, 2], [1, 2, 2], 3 * [2]]}, [2, 8, 8]),
    ],
    "unet2d": [({"f_maps": 4}, [8, 8])],
    "residual-unet3d": [({"f_maps": 4, "pool_kernel_size": [[1, 2, 2]] * 2 + [[2, 2, 2]] * 2}, [4, 16, 16])],
    "nnunet": [
        ({"width": 2}, [16, 16, 17]),
        ({"width": 2, "norm": "batch", "stages": 3}, [4, 4, 4]),
        ({"width": 2, "norm": "batch", "stages": 2, "stem": [1, 2, 2]}, [2, 4, 4]),
        ({"width": 2, "stages": 4, "strides": [[1, 2, 2], [1, 2, 2], [2, 2, 2]]}, [2, 8, 9]),
    ],
}


@pytest.mark.parametrize(
    ("name", "params", "least"), [(name, *each) for name, every in SIZES.items() for each in every]
)
def test_a_network_takes_the_sizes_that_it_states_and_none_below(
    name: str, params: dict[str, Any], least: list[int], make: Any
) -> None:
    component = CATALOG.find("architecture", name)
    dims = len(least)
    values = {key: param.default for key, param in component.component.params.items()} | params
    rule = sizes_of(CATALOG, component, values, dims)
    assert (rule.divisor, rule.least) == ((1,) * dims, tuple(least))
    network = make(name, dims=dims, **params).eval()
    assert network(torch.zeros(1, 1, *least)).shape == (1, 2, *least)
    for axis in range(dims):
        fewer = [size - (number == axis) for number, size in enumerate(least)]
        if all(fewer):
            with pytest.raises(UsageError, match="too small for the levels of this network"):
                network(torch.zeros(1, 1, *fewer))


DYNUNET = [
    ({}, (4, 4, 4), (4, 4, 8)),
    ({"strides": [1, 2, 2]}, (1, 4, 4), (1, 4, 8)),
    ({"strides": [[1, 2, 2], [2, 2, 3]], "norm": "batch"}, (2, 4, 6), (2, 4, 6)),
]


@pytest.mark.parametrize(("params", "divisor", "least"), DYNUNET)
def test_dynunet_takes_multiples_of_the_strides_of_each_axis(
    params: dict[str, Any], divisor: tuple[int, ...], least: tuple[int, ...], make: Any
) -> None:
    pytest.importorskip("monai")
    component = CATALOG.find("architecture", "dynunet")
    given = {"filters": [2, 4, 8], **params}
    values = {key: param.default for key, param in component.component.params.items()} | given
    rule = sizes_of(CATALOG, component, values, 3)
    assert (rule.divisor, rule.least) == (divisor, least)
    network = make("dynunet", dims=3, **given).eval()
    for size in (least, tuple(edge + step for edge, step in zip(least, divisor, strict=True))):
        assert network(torch.zeros(1, 1, *size)).shape == (1, 2, *size)
    with pytest.raises(UsageError, match="too small for the levels of this network"):
        network(torch.zeros(1, 1, *least[:2], least[2] - divisor[2]))


def test_thin_boxes_are_taken_by_a_network_that_pools_in_the_plane() -> None:
    thin = {"use": "residual-unet3d", "f_maps": 4, "pool_kernel_size": [[1, 2, 2]] * 3 + [[2, 2, 2]]}
    recipe = resolve_recipe(REGISTRY, {"extends": "volseg/patches", "model": thin})
    rule = size_rules(CATALOG, recipe)
    assert rule.suits((2, 128, 128))
    assert not rule.suits((1, 128, 128))
    with pytest.raises(UsageError, match=r"^model\.pool_kernel_size: "):
        size_rules(CATALOG, resolve_recipe(REGISTRY, {"extends": "volseg/patches", "model": {**thin, "num_levels": 3}}))


def test_an_encoder_states_its_stride_and_planar_halvings_spare_z() -> None:
    for encoder in ("residual-3d", "inflated"):
        for given, divisor in (({}, (32,) * 3), ({"planar": 2}, (8, 32, 32)), ({"depth": 3, "planar": 3}, (1, 8, 8))):
            model = {"use": "encoder-unet3d", "encoder": {"use": encoder, "weights": "none", **given}}
            recipe = resolve_recipe(REGISTRY, {"extends": "volseg/patches", "model": model})
            assert size_rules(CATALOG, recipe).divisor == divisor


def test_a_window_that_would_vanish_is_refused() -> None:
    image = torch.zeros(1, 1, 4, 8, 8)
    check_input(image, (4, 8, 8))
    with pytest.raises(UsageError) as raised:
        check_input(image, (8, 8, 8))
    assert str(raised.value) == (
        "data.window: a window of (4, 8, 8) is too small for the levels of this network, which need (8, 8, 8). "
        "Use larger windows, fewer levels, or leave short axes as they are."
    )
    with pytest.raises(UsageError, match=r"which need more than \(4, 8, 8\)"):
        check_input(image, (4, 8, 8), single=False)
