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
PLAIN = ("ToTensor", "LabelToTensor", "Identity")
"""Transforms that change nothing but shapes and types."""
_OF_IDS = {
    "Relabel": "ids of objects are taken as they stand: objects apart that share an id stay one object",
    "RgbToLabel": "labels are ids; convert files whose colours are ids",
}
_CONNECTIVITY = {"connectivity": 2}
_KNOWN_MODES = ("thick", "inner", "outer")


@dataclass(frozen=True)
class Made:
    """What labels become: the target component, the names of its channels, and what is to be known about it."""

    target: Mapping[str, Any]
    names: tuple[str, ...]
    why: str


def transforms(settings: Settings, transfer: Transfer, key: str) -> dict[str, Settings]:
    """Return the transforms of the list ``key`` in its order, each as settings of its own; of two the last counts."""
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
            del found[name]
        rest = {str(inner): value for inner, value in item.items() if inner != "name"}
        found[name] = Settings(rest, transfer, f"{prefix}.")
    return found


def leave_whole(settings: Settings, transfer: Transfer, why: str) -> None:
    """Name a transform that is not carried, once for all of its parameters."""
    transfer.leave(settings.prefix.rstrip("."), why)
    for key in settings.remaining():
        settings.take(key)


def leave_unknown(found: Mapping[str, Settings], transfer: Transfer, known: tuple[str, ...]) -> None:
    """Name transforms that are none of ``known``."""
    for name, settings in found.items():
        if name in _OF_IDS:
            leave_whole(settings, transfer, _OF_IDS[name])
        elif name not in known:
            hint = did_you_mean(name, known)
            leave_whole(settings, transfer, f"no such transform is known here. {hint}".rstrip(" ."))


def made_of(found: Mapping[str, Settings], transfer: Transfer, dims: int) -> Made | None:
    """Return what the first transform of labels that makes a target makes, None where labels stay as they are."""
    makers = [name for name in found if name in MAKERS]
    for name in makers[1:]:
        leave_whole(found[name], transfer, f"one target is made of labels: that of {makers[0]}")
    made = MAKERS[makers[0]](found[makers[0]], dims) if makers else None
    return made if made is not None and made.names else None


def ignored_ids(found: Mapping[str, Settings]) -> dict[str, int]:
    """Return the id that the transform of labels which makes a target ignores, by the key that says so."""
    maker = next((settings for name, settings in found.items() if name in MAKERS), None)
    value = None if maker is None else maker.whole("ignore_index", -1)
    return {} if maker is None or value is None else {f"{maker.prefix}ignore_index": value}


def _boundaries(settings: Settings, _: int) -> Made:
    mode = settings.word("mode") or "thick"
    if mode not in _KNOWN_MODES:
        settings.leave("mode", f"{mode!r} is none of {', '.join(_KNOWN_MODES)}")
        mode = "thick"
    return _rims(mode, foreground=settings.flag("foreground"), why=f"StandardLabelToBoundary: boundaries, {mode}")


def _rims(mode: str, *, foreground: bool, why: str) -> Made:
    target = {"use": "boundaries", "mode": mode, **_CONNECTIVITY} | ({"foreground": True} if foreground else {})
    return Made(target, ("foreground", "boundary") if foreground else ("boundary",), why)


def _mask(settings: Settings, _: int) -> Made:
    if settings.flag("boundary"):
        settings.leave("cross_entropy", "foreground and boundary are channels of their own")
        return _rims("outer", foreground=True, why="BlobsToMask with the boundary: foreground and outer boundaries")
    settings.leave("cross_entropy", "without effect: there is no boundary")
    return Made({"use": "foreground"}, ("foreground",), "BlobsToMask: all objects are foreground")


def _random_boundaries(settings: Settings, _: int) -> Made:
    why = "RandomLabelToAffinities draws how thick boundaries are and along which axis; here they are the same always"
    settings.leave(("max_offset", "z_offset_scale"), why)
    return _rims("thick", foreground=False, why=why)


def _affinities(settings: Settings, dims: int) -> Made:
    lengths, depths = _offsets(settings, "offsets"), _offsets(settings, "z_offsets")
    grouped = settings.flag("aggregate_affinities")
    return _differences(_steps(lengths, depths, dims), "LabelToAffinities", grouped=dims if grouped else 1)


def _z_affinities(settings: Settings, _: int) -> Made:
    return _differences([[offset, 0, 0] for offset in _offsets(settings, "offsets")], "LabelToZAffinities")


def _boundaries_and_affinities(settings: Settings, dims: int) -> Made:
    steps = _steps(_offsets(settings, "xy_offsets"), _offsets(settings, "z_offsets"), dims)
    settings.leave(("mode", "foreground"), "the boundary before affinities is thick, without the foreground")
    return _differences(steps, "LabelToBoundaryAndAffinities", before="boundary", **_CONNECTIVITY)


def _mask_and_affinities(settings: Settings, dims: int) -> Made:
    steps = _steps(_offsets(settings, "xy_offsets"), _offsets(settings, "z_offsets"), dims)
    settings.leave("background", "the background is id 0")
    return _differences(steps, "LabelToMaskAndAffinities", before="foreground")


def _offsets(settings: Settings, key: str) -> list[int]:
    value = settings.take(key)
    if value is None:
        return []
    if isinstance(value, (list, tuple)) and all(isinstance(item, int) and item > 0 for item in value):
        return list(value)
    settings.leave(key, f"{value!r} is no list of positive numbers")
    return []


def _steps(lengths: list[int], depths: list[int], dims: int) -> list[list[int]]:
    """Return steps along x, y and z for each length, of slices along x and y."""
    pairs = zip(lengths, depths or lengths, strict=False)
    steps = [axis for long, deep in pairs for axis in ([0, 0, long], [0, long, 0], [deep, 0, 0])]
    return [step[-dims:] for step in steps if any(step[-dims:])]


def _differences(steps: list[list[int]], name: str, *, grouped: int = 1, before: str = "", **more: Any) -> Made:
    """Return a channel for each step or group of steps, in which 1 means different ids, the background being one.

    ``before`` names a channel before them.
    """
    if grouped == 1:
        steps = [step for number, step in enumerate(steps) if step not in steps[:number]]
    options = {"values": "different", "placed": "middle", "background": True, **more}
    options |= ({"channel": before} if before else {}) | ({"grouped": grouped} if grouped > 1 else {})
    groups = [steps[start : start + grouped] for start in range(0, len(steps), grouped)]
    each = [f"difference {', '.join(' '.join(map(str, step)) for step in group)}" for group in groups]
    names = ((before, *each) if before else tuple(each)) if steps else ()
    return Made({"use": "affinities", "offsets": steps, **options}, names, f"{name}: 1 where ids differ")


MAKERS: dict[str, Callable[[Settings, int], Made]] = {
    "StandardLabelToBoundary": _boundaries,
    "BlobsToMask": _mask,
    "RandomLabelToAffinities": _random_boundaries,
    "LabelToAffinities": _affinities,
    "LabelToZAffinities": _z_affinities,
    "LabelToBoundaryAndAffinities": _boundaries_and_affinities,
    "LabelToMaskAndAffinities": _mask_and_affinities,
}
"""Transforms of labels that make a target, with how to read them in so many dimensions."""
