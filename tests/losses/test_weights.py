from typing import Any

import pytest
import torch

from volseg_core.api import UsageError
from volseg_losses.weights import class_weights, positive_weights


def test_none_means_no_weights() -> None:
    assert class_weights(None, [1, 2], classes=2, where="loss") is None


def test_numbers_are_taken_as_they_are() -> None:
    weights = class_weights([1, 0.25, 0], None, classes=3, where="loss")
    assert weights is not None
    assert weights.tolist() == [1.0, 0.25, 0.0]
    assert weights.dtype == torch.float32


def test_auto_falls_with_the_root_of_the_voxels_and_has_mean_one() -> None:
    weights = class_weights("auto", [900, 100], classes=2, where="loss")
    assert weights is not None
    assert weights.tolist() == pytest.approx([0.5, 1.5])


def test_auto_gives_a_class_that_never_occurs_no_weight_and_no_part_in_the_mean() -> None:
    weights = class_weights("auto", [900, 0, 100], classes=3, where="loss")
    assert weights is not None
    assert weights.tolist() == pytest.approx([0.5, 0.0, 1.5])


def test_auto_of_equal_classes_is_no_weighting() -> None:
    weights = class_weights("auto", [7] * 4, classes=4, where="loss")
    assert weights is not None
    assert weights.tolist() == pytest.approx([1.0] * 4)


@pytest.mark.parametrize("counts", [None, [0, 0]])
def test_auto_needs_the_voxels(counts: list[int] | None) -> None:
    with pytest.raises(UsageError) as raised:
        class_weights("auto", counts, classes=2, where="loss 'focal'")
    what = "weights 'auto' need the voxels of each class, which are not known here. Give one number per class"
    assert str(raised.value) == f"loss 'focal': {what}"


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("balanced", "'balanced' is not a list"),
        (2.0, "2.0 is not a list"),
        ([1, "a"], "'a' is not a float"),
        ([1, -1], "-1 is below the minimum 0"),
        ([1, float("nan")], "nan is not a float"),
    ],
)
def test_what_is_no_list_of_numbers_is_refused(given: Any, rule: str) -> None:
    with pytest.raises(UsageError) as raised:
        class_weights(given, [1, 2], classes=2, where="loss 'focal'")
    assert str(raised.value) == f"loss 'focal': weights: {rule}. Give 'auto' or one number per class"


def test_one_number_per_class_is_needed() -> None:
    with pytest.raises(UsageError, match=r"weights \[1.0\] has 1 items. Give one per class: 2"):
        class_weights([1], None, classes=2, where="loss")


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(UsageError, match="leave nothing to learn"):
        class_weights([0, 0], None, classes=2, where="loss")


def test_a_number_is_the_weight_of_all_channels_and_a_list_that_of_each() -> None:
    one = positive_weights("3", None, channels=2, where="loss")
    assert one is not None
    assert one.tolist() == 3.0
    both = positive_weights([3, 0.5], None, channels=2, where="loss")
    assert both is not None
    assert both.tolist() == [3.0, 0.5]
    assert positive_weights(None, [9, 1], channels=1, where="loss") is None


@pytest.mark.parametrize(("given", "expected"), [("ratio", 9.0), ("auto", 3.0)])
def test_positive_weights_follow_from_the_voxels(given: str, expected: float) -> None:
    weight = positive_weights(given, [900, 100], channels=1, where="loss")
    assert weight is not None
    assert weight.item() == pytest.approx(expected)


def test_as_many_positive_weights_as_channels_are_needed() -> None:
    with pytest.raises(UsageError) as raised:
        positive_weights([1, 2], None, channels=3, where="loss 'bce'")
    assert str(raised.value) == "loss 'bce': pos_weight [1, 2] has 2 items. Give one per channel: 3"
