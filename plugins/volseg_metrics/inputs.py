"""What metrics ask of their arrays, and which voxels count."""

from __future__ import annotations

from typing import Any

import numpy as np

from volseg_core.api import DataError

Array = np.ndarray[Any, Any]

IGNORED = -1
"""Target of a voxel that has no label."""

WHERE = "metric"
_IMAGE = (2, 3)
_SLACK = 1e-3
"""How far beyond [0, 1] rounding may carry a probability."""


def check_classes(prediction: Array, target: Array, valid: Array | None) -> None:
    """Check two arrays of class indices (*S) and their mask.

    Raises:
        DataError: shapes differ, an array is not of integers, or the mask is not bool.
    """
    _check_integer("prediction", prediction)
    check_target(target, valid, prediction.shape)


def check_target(target: Array, valid: Array | None, shape: tuple[int, ...]) -> None:
    """Check the target and its mask against the ``shape`` (*S) of the prediction; errors as `check_classes`."""
    _check_integer("target", target)
    _check_alike(target, valid, shape)


def check_channels(prediction: Array, size: int) -> None:
    """Raise a DataError unless ``prediction`` is of floats (K, *S) with ``size`` channels."""
    if prediction.dtype.kind != "f" or prediction.ndim < 1 or len(prediction) != size:
        raise DataError(
            WHERE,
            f"the prediction is {prediction.dtype} of shape {prediction.shape}",
            f"It must hold floats for each of {size} channels, (K, *S)",
        )


def check_probabilities(values: Array) -> None:
    """Raise a DataError when a value lies outside [0, 1]."""
    if values.size and not (values.min() >= -_SLACK and values.max() <= 1 + _SLACK):
        raise DataError(WHERE, "the prediction holds values that are no probabilities", "They must lie in [0, 1]")


def known_entries(prediction: Array, target: Array, valid: Array | None, size: int) -> Array:
    """Return the bool mask (K, *S) of entries that count: ``target`` is not NaN and ``valid`` is not False.

    Raises:
        DataError: the prediction is not of floats with ``size`` channels, the target is not of floats, shapes differ
            or the mask is not bool.
    """
    check_channels(prediction, size)
    if target.dtype.kind != "f":
        raise DataError(WHERE, f"the target is of type {target.dtype}", "It must hold floats")
    _check_alike(target, valid, prediction.shape)
    known: Array = ~np.isnan(target)
    return known if valid is None else known & valid


def known_values(prediction: Array, target: Array, valid: Array | None, size: int) -> Array:
    """Return the mask of `known_entries` of values that are finite there.

    Raises:
        DataError: as `known_entries`, or a value is not finite.
    """
    known = known_entries(prediction, target, valid, size)
    for name, array in {"prediction": prediction, "target": target}.items():
        if not np.isfinite(array[known]).all():
            raise DataError(WHERE, f"the {name} holds values that are not finite")
    return known


def _check_alike(target: Array, valid: Array | None, shape: tuple[int, ...]) -> None:
    for name, array in {"target": target, "valid": valid}.items():
        if array is not None and array.shape != shape:
            raise DataError(
                WHERE,
                f"prediction {shape} and {name} {array.shape} differ in shape",
                "They must lie on the same voxel grid",
            )
    if valid is not None and valid.dtype != bool:
        raise DataError(WHERE, f"valid is of type {valid.dtype}", "It must be a bool mask")


def check_range(name: str, values: Array, size: int) -> None:
    """Raise a DataError when a value is none of the class indices 0 to ``size - 1``."""
    if not values.size:
        return
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= size:
        wrong = low if low < 0 else high
        raise DataError(
            WHERE, f"the {name} holds class index {wrong}", f"With {size} classes it must be 0 to {size - 1}"
        )


def check_image(shape: tuple[int, ...]) -> None:
    """Raise a DataError unless ``shape`` is that of a slice or a volume."""
    if len(shape) not in _IMAGE:
        raise DataError(
            WHERE, f"an array of shape {shape} is no image", "Give a whole slice (H, W) or volume (Z, Y, X)"
        )


def labelled(target: Array, valid: Array | None) -> Array:
    """Return the bool mask (*S) of voxels that count: ``target`` is not -1 and ``valid`` is not False."""
    known: Array = target != IGNORED
    return known if valid is None else known & valid


def labelled_image(prediction: Array, target: Array, valid: Array | None, size: int) -> tuple[Array, Array]:
    """Return prediction and target of a whole slice or volume as int16, both -1 where a voxel does not count.

    Raises:
        DataError: as `check_classes`; neither slice nor volume, or an index that is none of ``size`` classes.
    """
    check_classes(prediction, target, valid)
    check_image(target.shape)
    counted = labelled(target, valid)
    check_range("prediction", prediction[counted], size)
    check_range("target", target[counted], size)
    images = tuple(np.full(target.shape, IGNORED, np.int16) for _ in range(2))
    for image, values in zip(images, (prediction, target), strict=True):
        np.copyto(image, values, where=counted, casting="unsafe")
    return images[0], images[1]


def _check_integer(name: str, array: Array) -> None:
    if array.dtype.kind not in "iub":
        raise DataError(WHERE, f"the {name} is of type {array.dtype}", "It must hold integer class indices")
