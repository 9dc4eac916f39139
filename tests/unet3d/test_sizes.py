"""Sizes as a recipe writes them, and what is said of those that are none."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from volseg_core.api import UsageError
from volseg_unet3d.sizes import check_input, odd, padding, per_level, product, widths


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
