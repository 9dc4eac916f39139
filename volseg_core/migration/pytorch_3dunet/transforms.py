"""The transforms of a loader: what each list holds, and what those of labels make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from volseg_core.errors import did_you_mean
from volseg_core.migration.settings import Settings

if TYPE_CHECKING:
    from volseg_core.migration.settings import Transfer

GEOMETRY = ("RandomFlip", "RandomRotate90", "RandomRotate", "ElasticDeformation", "CropToFixed")
"""Transforms that stand in the lists of raw data and labels alike."""
INTENSITIES = (
    "RandomContrast",
    "RandomGammaCorrection",
    "AdditiveGaussianNoise",
    "AdditivePoissonNoise",
    "GaussianBlur3D",
)
NORMALISERS = ("Standardize", "PercentileNormalizer", "Normalize")
PLAIN = ("ToTensor", "LabelToTensor", "Identity", "Relabel", "RgbToLabel")
"""Transforms that have no effect of their own here."""
_BOUNDARY, _FOREGROUND = "boundary", "foreground"
_KNOWN_MODES = ("thick", "inner", "outer")
_WHERE_DIFFERENT = "there 1 where two voxels differ, here 1 where they are of one object"


@dataclass(frozen=True)
class Made:
    """What labels become: the target component, the names of its channels, and what is to be known about it."""

    target: Mapping[str, Any]
    channels: tuple[str, ...]
    why: str
    inverse: bool = False
    """Whether its values mean the contrary of theirs, so that trained weights do not fit."""


def transforms(settings: Settings, transfer: Transfer, key: str) -> dict[str, Settings]:
    """Return the transforms of the list ``key`` by name, each as settings of its own; of two the last counts."""
    content = settings.take(key)
    if content is None:
        return {}
    if not isinstance(content, list) or not all(isinstance(item, Mapping) for item in content):
        settings.leave(key, "is no list of transforms, each with its name")
        return {}
    found: dict[str, Settings] = {}
    for item in content:
        name = str(item.get("name", ""))
        prefix = f"{settings.prefix}{key}.{name}"
        if name in found:
            transfer.leave(prefix, "stands twice; the last one counts")
        rest = {str(inner): value for inner, value in item.items() if inner != "name"}
        found[name] = Settings(rest, transfer, f"{prefix}.")
    return found


def leave_unknown(found: Mapping[str, Settings], transfer: Transfer, known: tuple[str, ...]) -> None:
    """Name transforms that are none of ``known``."""
    for name, settings in found.items():
        if name not in known:
            hint = did_you_mean(name, known)
            transfer.leave(settings.prefix.rstrip("."), f"no such transform is known here. {hint}".rstrip(" ."))


def made_of(found: Mapping[str, Settings]) -> Made | None:
    """Return what the transforms of labels make, None where the labels stay as they are."""
    made = next((make(found[name]) for name, make in MAKERS.items() if name in found), None)
    return made if made is not None and made.channels else None


def ignored_ids(found: Mapping[str, Settings]) -> list[int]:
    """Return the ids that the transforms of labels ignore."""
    values = [found[name].whole("ignore_index", -1) for name in MAKERS if name in found]
    return [value for value in values if value is not None]


def _boundaries(settings: Settings) -> Made:
    mode = settings.word("mode") or "thick"
    if mode not in _KNOWN_MODES:
        settings.leave("mode", f"{mode!r} is none of {', '.join(_KNOWN_MODES)}")
        mode = "thick"
    foreground = settings.flag("foreground")
    return _rims(mode, foreground=foreground, why=f"StandardLabelToBoundary: boundaries, {mode}")


def _rims(mode: str, *, foreground: bool, why: str) -> Made:
    target = {"use": "boundaries", "mode": mode} | ({"foreground": True} if foreground else {})
    return Made(target, (_FOREGROUND, _BOUNDARY) if foreground else (_BOUNDARY,), why)


def _mask(settings: Settings) -> Made:
    if settings.flag("boundary"):
        settings.leave("cross_entropy", "foreground and boundary are channels of their own")
        return _rims("outer", foreground=True, why="BlobsToMask with the boundary: foreground and outer boundaries")
    settings.leave("cross_entropy", "without effect: there is no boundary")
    return Made({"use": "foreground"}, (_FOREGROUND,), "BlobsToMask: all objects are foreground")


def _random_boundaries(settings: Settings) -> Made:
    why = "RandomLabelToAffinities draws how thick boundaries are and along which axis; here they are the same always"
    settings.leave(("max_offset", "z_offset_scale"), why)
    return _rims("thick", foreground=False, why=why)


def _affinities(settings: Settings) -> Made:
    planes, depths = _offsets(settings, "offsets"), _offsets(settings, "z_offsets")
    if settings.flag("aggregate_affinities"):
        why = "the three axes together are a boundary, not affinities"
        settings.leave("aggregate_affinities", why)
        return _rims("thick", foreground=False, why=f"LabelToAffinities with aggregate_affinities: {why}")
    return _neighbours(planes, depths, "LabelToAffinities")


def _z_affinities(settings: Settings) -> Made:
    offsets = [[offset, 0, 0] for offset in _offsets(settings, "offsets")]
    return _made(offsets, "LabelToZAffinities")


def _boundaries_and_affinities(settings: Settings) -> Made:
    made = _neighbours(
        _offsets(settings, "xy_offsets"), _offsets(settings, "z_offsets"), "LabelToBoundaryAndAffinities"
    )
    settings.leave(
        ("mode", "foreground"), "the boundary is that of `boundaries`: a head of its own (heads) can have it"
    )
    return made


def _mask_and_affinities(settings: Settings) -> Made:
    made = _neighbours(_offsets(settings, "xy_offsets"), _offsets(settings, "z_offsets"), "LabelToMaskAndAffinities")
    settings.leave("background", "the mask is that of `foreground`: a head of its own (heads) can have it")
    return made


def _offsets(settings: Settings, key: str) -> list[int]:
    value = settings.take(key)
    if value is None:
        return []
    if isinstance(value, (list, tuple)) and all(isinstance(item, int) and item > 0 for item in value):
        return list(value)
    settings.leave(key, f"{value!r} is no list of positive numbers")
    return []


def _neighbours(planes: list[int], depths: list[int], name: str) -> Made:
    """Return affinities along x, y and z for each offset, in their order."""
    steps = zip(planes, depths or planes, strict=False)
    return _made([axis for plane, depth in steps for axis in ([0, 0, plane], [0, plane, 0], [depth, 0, 0])], name)


def _made(offsets: list[list[int]], name: str) -> Made:
    channels = tuple(f"affinity {' '.join(map(str, offset))}" for offset in offsets)
    why = f"{name}: {_WHERE_DIFFERENT}"
    return Made({"use": "affinities", "offsets": offsets}, channels, why, inverse=True)


MAKERS: dict[str, Callable[[Settings], Made]] = {
    "StandardLabelToBoundary": _boundaries,
    "BlobsToMask": _mask,
    "RandomLabelToAffinities": _random_boundaries,
    "LabelToAffinities": _affinities,
    "LabelToZAffinities": _z_affinities,
    "LabelToBoundaryAndAffinities": _boundaries_and_affinities,
    "LabelToMaskAndAffinities": _mask_and_affinities,
}
"""Transforms of labels that make a target, with how to read them."""
