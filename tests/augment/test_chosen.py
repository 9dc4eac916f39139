"""Transforms of albumentations by name: what is made of them, and what is refused with which sentence."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from volseg_augment.chosen import Chosen
from volseg_augment.named import RESIZING, TURNS
from volseg_core.api import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = "data.augment.transforms.0"


def chosen(use: str, **arguments: Any) -> Chosen:
    return Chosen(transforms=[{"use": use, **arguments}])


def refusal(*transforms: Any) -> str:
    with pytest.raises(UsageError) as caught:
        Chosen(transforms=list(transforms))
    return str(caught.value)


MOVING = [
    ("Affine", {"rotate": [-30, 30], "scale": [0.8, 1.2], "shear": [-10, 10], "translate_percent": 0.2}),
    ("Affine", {"rotate": 40, "border_mode": 4}),
    ("CropAndPad", {"px": [-9, 9]}),
    ("D4", {}),
    ("ElasticTransform", {"alpha": 30, "sigma": 5}),
    ("GridDistortion", {}),
    ("HorizontalFlip", {}),
    ("OpticalDistortion", {}),
    ("Perspective", {}),
    ("PiecewiseAffine", {}),
    ("RandomCrop", {"height": 72, "width": 72, "pad_if_needed": True}),
    ("RandomGridShuffle", {}),
    ("RandomResizedCrop", {"size": [72, 72]}),
    ("RandomRotate90", {}),
    ("RandomSizedCrop", {"min_max_height": [36, 72], "size": [72, 72]}),
    ("Rotate", {}),
    ("SafeRotate", {}),
    ("ShiftScaleRotate", {}),
    ("ThinPlateSpline", {}),
    ("Transpose", {}),
]


@pytest.mark.parametrize(("use", "arguments"), MOVING, ids=[use for use, _ in MOVING])
def test_what_moves_the_image_moves_its_labels_to_the_nearest_pixel(
    use: str, arguments: dict[str, Any], coordinates: Callable[..., Any]
) -> None:
    image, labels = coordinates(72, 72)
    augment = chosen(use, p=1, **arguments)
    for seed in range(4):
        drawn, marks = augment(image, labels, seed)
        assert marks.dtype == np.int32
        y, x = np.divmod(marks, 72)
        kept = binary_erosion(marks >= 0, iterations=2)
        # linear interpolation is exact on coordinates, but for the pixels that the border takes part in
        kept &= (y > 0) & (y < 71) & (x > 0) & (x < 71)
        assert kept.mean() > 0.2
        assert np.abs(drawn[..., 0] * 72 - y)[kept].max() <= 0.51
        assert np.abs(drawn[..., 1] * 72 - x)[kept].max() <= 0.51


def test_what_comes_in_from_outside_has_no_label(window: Callable[..., Any]) -> None:
    image, _ = window(0)
    labels = np.full((64, 64), 7, np.int32)
    for use in ("Affine", "Rotate", "ElasticTransform", "Perspective"):
        arguments = {"translate_px": [9, 9]} if use == "Affine" else {}
        found = [np.unique(chosen(use, p=1, **arguments)(image, labels, seed)[1]) for seed in range(6)]
        assert set(np.concatenate(found)) <= {-1, 7}
    assert (chosen("Affine", p=1, translate_px=[9, 9])(image, labels, 0)[1] == -1).mean() == 1 - (55 / 64) ** 2


def test_a_hole_keeps_its_labels_or_loses_them_as_the_recipe_says(window: Callable[..., Any]) -> None:
    image, labels = window(1)
    labels += 2
    drawn, marks = chosen("CoarseDropout", p=1)(image, labels, 0)
    hole = (drawn == 0).all(-1)
    assert hole.any()
    assert np.array_equal(marks, labels)
    drawn, marks = chosen("CoarseDropout", p=1, fill_mask=-1)(image, labels, 0)
    assert np.array_equal(marks == -1, (drawn == 0).all(-1))


def test_the_image_alone_may_change(window: Callable[..., Any]) -> None:
    image, labels = window(2)
    for use in ("GaussianBlur", "RandomGamma", "ShotNoise", "CLAHE", "Downscale"):
        drawn, marks = chosen(use, p=1)(image, labels, 0)
        assert np.array_equal(marks, labels)
        assert np.abs(drawn - image).mean() > 1e-3


@pytest.mark.parametrize("use", ["Downscale", "GaussianBlur", "Defocus", "AdvancedBlur", "ZoomBlur", "MedianBlur"])
def test_what_coarsens_the_image_moves_it_by_half_a_pixel_at_most(use: str) -> None:
    y, x = np.mgrid[:65, :65]
    blob = np.exp(-((y - 32) ** 2 + (x - 32) ** 2) / 50).astype(np.float32)[..., None]
    for seed in range(20):
        drawn = chosen(use, p=1)(blob, np.zeros((65, 65), np.int32), seed)[0][..., 0]
        assert abs((y * drawn).sum() / drawn.sum() - 32) < 0.6
        assert abs((x * drawn).sum() / drawn.sum() - 32) < 0.6


def test_transforms_follow_one_another_with_their_probabilities(window: Callable[..., Any]) -> None:
    image, labels = window(3)
    augment = Chosen(transforms=[{"use": "HorizontalFlip", "p": 0.25}, {"use": "VerticalFlip", "p": 0.75}])
    drawn = [augment(image, labels, seed)[1].tobytes() for seed in range(400)]
    for (y, x), share in {(1, 1): 3 / 16, (1, -1): 1 / 16, (-1, 1): 9 / 16, (-1, -1): 3 / 16}.items():
        assert np.mean([each == labels[::y, ::x].tobytes() for each in drawn]) == pytest.approx(share, abs=0.08)


def test_compositions_hold_transforms_of_their_own(window: Callable[..., Any]) -> None:
    image, labels = window(3)
    flips = [{"use": "HorizontalFlip"}, {"use": "VerticalFlip"}]
    one = Chosen(transforms=[{"use": "OneOf", "p": 1, "transforms": flips}])
    assert {one(image, labels, seed)[1].tobytes() for seed in range(40)} == {
        labels[:, ::-1].tobytes(),
        labels[::-1].tobytes(),
    }


@pytest.mark.parametrize("turn", TURNS)
def test_oblong_windows_are_not_turned(turn: str, window: Callable[..., Any]) -> None:
    either = {"use": "OneOf", "p": 1, "transforms": [{"use": turn}, {"use": "VerticalFlip"}]}
    only = {"use": "OneOf", "p": 1, "transforms": [{"use": turn}]}
    augment = Chosen(transforms=[{"use": turn, "p": 1}, either, only])
    assert augment.turns is True
    image, labels = window(4, 32, 48)
    assert {augment(image, labels, seed)[1].tobytes() for seed in range(10)} == {labels[::-1].tobytes()}
    image, labels = window(4, 32, 32)
    assert len({augment(image, labels, seed)[1].tobytes() for seed in range(30)}) > 1


def test_nothing_turns_where_no_transform_does() -> None:
    assert chosen("Rotate").turns is False


def test_an_unknown_name_is_a_usage_error() -> None:
    assert refusal({"use": "horizontalFlip"}) == (
        f"{FIRST}: no transform named 'horizontalFlip'. Did you mean 'HorizontalFlip'? Names are those of "
        "albumentations 2.0.8, case included."
    )
    assert refusal({"p": 1}) == f"{FIRST}: names no transform. Give its name in albumentations as 'use'."
    for abstract in ("DualTransform", "CenterCrop3D", "Compose", "BasicTransform"):
        assert f"no transform named {abstract!r}" in refusal({"use": abstract})


def test_an_unknown_argument_is_a_usage_error() -> None:
    assert refusal({"use": "HorizontalFlip"}, {"use": "GaussianBlur", "sigma_limits": 2}) == (
        "data.augment.transforms.1: GaussianBlur has no argument 'sigma_limits'. Did you mean 'sigma_limit'? "
        "It has blur_limit, sigma_limit, p."
    )
    inner = {"use": "OneOf", "transforms": [{"use": "Blur"}, {"use": "Blur", "q": 1}]}
    assert refusal(inner).startswith(f"{FIRST}.transforms.1: Blur has no argument 'q'. ")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"use": "Affine", "p": 3}, "Affine cannot be made: p: Input should be less than or equal to 1."),
        ({"use": "GaussNoise", "std_range": [0, 7]}, "std_range: All values in (0.0, 7.0) must be >= 0 and <= 1."),
        ({"use": "ElasticTransform", "alpha": "much"}, "alpha: Input should be a valid number, unable to parse"),
        ({"use": "OneOf", "p": 2, "transforms": [{"use": "Blur"}]}, "p: 2 is not a probability between 0 and 1."),
        ({"use": "OneOf"}, "transforms: None is not a list of transforms. "),
        (
            {"use": "OneOf", "transforms": ["Blur"]},
            "transforms.0: 'Blur' is not a mapping with 'use'. Write {use: Blur}.",
        ),
        ({"use": "RandomCrop"}, "height: Field required; width: Field required."),
        ({"use": "FDA"}, "FDA cannot be used: FDA requires ['fda_metadata'] missing keys: {'fda_metadata'}."),
        ({"use": "Normalize"}, "Normalize cannot be used: windows are normalised after augmentation (data.normalise)."),
        ({"use": "Morphological"}, "Morphological cannot be used: it grows and shrinks labels by their numbers."),
        ({"use": "TimeMasking"}, "TimeMasking cannot be used: it invents labels."),
        ({"use": "RandomScale"}, "RandomScale cannot be used: it changes their shape to 67 x 67 x 1."),
        ({"use": "PadIfNeeded"}, "PadIfNeeded cannot be used: it changes their shape to 1024 x 1024 x 1."),
        (
            {"use": "Rotate", "mask_interpolation": 1},
            "mask_interpolation: 1 cannot be used with Rotate: labels are never interpolated. Leave it out, or give 0.",
        ),
        (
            {"use": "Rotate", "fill_mask": 0},
            "fill_mask: 0 cannot be used with Rotate: what has no label is -1. Leave it out, or give -1.",
        ),
        (
            {"use": "Downscale", "interpolation_pair": {"downscale": 0, "upscale": 0}},
            "{'downscale': 0, 'upscale': 0} cannot be used with Downscale: nearest neighbours would move the image but",
        ),
        (
            {"use": "MotionBlur"},
            "MotionBlur cannot be used: it moves the image, by more than a pixel, but not the labels.",
        ),
    ],
    ids=lambda value: value["use"] if isinstance(value, dict) else "",
)
def test_what_cannot_be_used_is_a_usage_error_at_once(spec: dict[str, Any], text: str) -> None:
    assert text in refusal(spec)
    assert refusal(spec).startswith(FIRST)


def test_no_transforms_at_all_are_a_usage_error() -> None:
    assert refusal() == (
        "data.augment.transforms: [] is not a list of transforms. For example [{use: HorizontalFlip, p: 0.5}]"
    )


@pytest.mark.parametrize(
    ("use", "channels", "works"),
    [
        ("ISONoise", 1, False),
        ("ISONoise", 3, True),
        ("RandomFog", 5, False),
        ("CLAHE", 1, True),
        ("CLAHE", 5, False),
        ("ChannelDropout", 1, False),
        ("ChannelDropout", 5, True),
        ("ChannelShuffle", 5, True),
    ],
)
def test_the_number_of_channels_is_tried_with_the_first_window(
    use: str,
    channels: int,
    works: bool,
    window: Callable[..., Any],
) -> None:
    # a probability that no draw of the test would reach
    augment = Chosen(transforms=[{"use": "HorizontalFlip"}, {"use": use, "p": 1e-9}])
    image, labels = window(0, 32, 40, channels)
    if works:
        augment(image, labels, 0)
        return
    with pytest.raises(UsageError) as caught:
        augment(image, labels, 0)
    plural = "s" if channels > 1 else ""
    expected = (
        f"data.augment.transforms.1: {use} cannot be used on windows of 32 x 40 with {channels} channel{plural}: "
    )
    assert str(caught.value).startswith(expected)


def test_a_crop_must_have_the_size_of_the_windows(window: Callable[..., Any]) -> None:
    augment = chosen("RandomResizedCrop", size=[64, 64])
    assert augment(*window(0, 64, 64), 0)[0].shape == (64, 64, 1)
    with pytest.raises(
        UsageError, match=r"windows of 96 x 96 with 1 channel: it changes their shape to 64 x 64 x 1\.$"
    ):
        augment(*window(0, 96, 96), 0)


def test_advice_of_albumentations_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "volseg"):
        chosen("ShiftScaleRotate")
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"{FIRST}: ShiftScaleRotate is a special case of Affine transform.")


def test_names_in_our_lists_exist() -> None:
    import albumentations

    from volseg_augment.named import COMPOSITIONS, REFUSED

    assert all(hasattr(albumentations, name) for name in (*COMPOSITIONS, *RESIZING, *TURNS))
    assert all(hasattr(albumentations, name) for name in REFUSED)
