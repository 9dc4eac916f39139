"""Transforms of albumentations by their names, as a recipe writes them."""

from __future__ import annotations

import difflib
import inspect
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from volseg_augment.library import albumentations, cv2
from volseg_augment.transforms import OUTSIDE
from volseg_core.api import UsageError

COMPOSITIONS = ("OneOf", "RandomOrder", "Sequential", "SomeOf")
"""Names that take ``transforms`` of their own."""
RESIZING = ("CropAndPad", "RandomResizedCrop", "RandomSizedCrop", "Resize")
"""Names that resize: OpenCV's usual nearest neighbour is half a pixel off there."""
TURNS = ("D4", "RandomRotate90", "SquareSymmetry", "Transpose")
"""Names that change the shape of oblong windows."""
REFUSED = {
    "FromFloat": "windows stay float32 in [0, 1]",
    "Lambda": "it takes functions, which a recipe cannot hold",
    "MotionBlur": "it moves the image, by more than a pixel, but not the labels",
    "Morphological": "it grows and shrinks labels by their numbers",
    "Normalize": "windows are normalised after augmentation (data.normalise)",
    "ToFloat": "windows are float32 in [0, 1] already",
    "ToTensorV2": "tensors are made after augmentation",
}
FORCED = {
    "mask_interpolation": (cv2.INTER_NEAREST, "labels are never interpolated"),
    "fill_mask": (OUTSIDE, "what has no label is -1"),
    "interpolation_pair": (
        {"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR},
        "nearest neighbours would move the image but not the labels",
    ),
}
"""Arguments on which the labels depend: the value, and why it is not for a recipe to choose."""

_log = logging.getLogger("volseg")


def make(spec: Mapping[str, Any], where: str) -> Any:
    """Return the transform of ``{use: NAME, argument: value, ...}``; compositions have ``transforms`` in turn.

    Labels are moved by the nearest neighbour, and what comes in from outside gets -1.

    Raises:
        UsageError: for an unknown name or argument, or a value that albumentations does not take.
    """
    given = dict(spec)
    name = given.pop("use", None)
    kind = _find(name, where)
    known = [each for each in inspect.signature(kind.__init__).parameters if each != "self"]
    for argument in given:
        if argument not in known:
            what = f"{name} has no argument {argument!r}"
            raise UsageError(where, what, f"{_near(argument, known)}It has {', '.join(known)}.")
    if name in COMPOSITIONS:
        given["transforms"] = make_all(given.get("transforms"), where)
    return _construct(kind, _with_forced(kind, given, where), where)


def make_all(specs: Any, where: str) -> list[Any]:
    """Return the transforms of a list.

    Raises:
        UsageError: when it is no list or empty, or one of them is wrong (see `make`).
    """
    place = f"{where}.transforms"
    if not isinstance(specs, Sequence) or isinstance(specs, str) or not specs:
        raise UsageError(place, f"{specs!r} is not a list of transforms", "For example [{use: HorizontalFlip, p: 0.5}]")
    for number, spec in enumerate(specs):
        if not isinstance(spec, Mapping):
            hint = f"Write {{use: {spec}}}."
            raise UsageError(f"{place}.{number}", f"{spec!r} is not a mapping with 'use'", hint)
    return [make(spec, f"{place}.{number}") for number, spec in enumerate(specs)]


def _find(name: Any, where: str) -> Any:
    known = _known()
    if name in known:
        return known[name]
    if name in REFUSED:
        raise UsageError(where, f"{name} cannot be used: {REFUSED[name]}")
    if not isinstance(name, str):
        raise UsageError(where, "names no transform", "Give its name in albumentations as 'use'.")
    hint = f"{_near(name, list(known))}Names are those of albumentations {albumentations.__version__}, case included."
    raise UsageError(where, f"no transform named {name!r}", hint)


def _known() -> dict[str, Any]:
    """Return the transforms of slices by name."""
    from albumentations.core import transforms_interface as kinds

    abstract = (kinds.BasicTransform, kinds.DualTransform, kinds.ImageOnlyTransform)
    found = {name: getattr(albumentations, name) for name in COMPOSITIONS}
    for name in dir(albumentations):
        each = getattr(albumentations, name)
        if inspect.isclass(each) and issubclass(each, abstract[1:]) and not issubclass(each, kinds.Transform3D):
            found[name] = each
    return {name: each for name, each in found.items() if each not in abstract and name not in REFUSED}


def _with_forced(kind: Any, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the arguments with those on which labels depend; a ``fill_mask`` that is None by default is a choice."""
    complete = dict(given)
    parameters = inspect.signature(kind.__init__).parameters
    for argument, (forced, reason) in FORCED.items():
        if argument not in parameters:
            continue
        exact = argument == "mask_interpolation" and kind.__name__ in RESIZING
        value = cv2.INTER_NEAREST_EXACT if exact else forced
        default = parameters[argument].default
        allowed = (value, None) if default is None else (value,)
        complete.setdefault(argument, None if default is None else value)
        if complete[argument] not in allowed:
            what = f"{argument}: {given[argument]!r} cannot be used with {kind.__name__}: {reason}"
            raise UsageError(where, what, f"Leave it out, or give {value!r}.")
    return complete


def _construct(kind: Any, arguments: Mapping[str, Any], where: str) -> Any:
    """Build a transform; unless it is strict, albumentations takes its own defaults after some errors."""
    strict = {"strict": True} if "InitSchema" in vars(kind) else {}
    try:
        with warnings.catch_warnings(record=True) as advice:
            warnings.simplefilter("always")
            made = kind(**arguments, **strict)
            _check_chance(made.p)
    except Exception as error:
        raise UsageError(where, f"{kind.__name__} cannot be made: {_reason(error)}") from error
    for each in advice:
        _log.warning("%s: %s", where, each.message)
    return made


def _check_chance(p: Any) -> None:
    """Refuse what compositions, which check nothing, take for a probability."""
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p <= 1:
        message = f"p: {p!r} is not a probability between 0 and 1"
        raise ValueError(message)


def _reason(error: Exception) -> str:
    details = getattr(error.__cause__, "errors", None)  # pydantic's
    if details is None:
        return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    faults = [(".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")) for fault in details()]
    return "; ".join(f"{place}: {text}" if place else text for place, text in faults)


def _near(name: str, known: Sequence[str]) -> str:
    folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), list(folded), n=1)
    return f"Did you mean {folded[near[0]]!r}? " if near else ""
