"""Metrics of objects in maps: which of the network's channels make objects, and where these are high."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.migration.pytorch_3dunet.task import Task
    from volseg_core.migration.settings import Settings

MAPS = ("boundary-adapted-rand", "boundary-average-precision")
"""What stands for them."""
PAIR = "BlobsBoundaryAveragePrecision"
"""The metric of a foreground and its boundary, the first two channels."""
_FIRST = ("BlobsAveragePrecision", "BoundaryAveragePrecision")
"""Metrics of one channel, the first unless they name another; what is none of these is of all channels."""


def lacks(name: str, task: Task) -> str:
    """Return what a task lacks for a metric of maps, nothing where it has all."""
    if task.made is None:
        return ", for labels hold no ids of objects"
    return ", for there is one channel" if name == PAIR and len(task.names) == 1 else ""


def maps(name: str, settings: Settings, names: Sequence[str]) -> dict[str, Any]:
    """Return the parameters that say which channels make objects, by the ``names`` of the network's channels."""
    if name == PAIR:
        return {"channels": [names[1]], "foreground": names[0]}
    if name == "GenericAdaptedRandError":
        chosen = _named(settings, "input_channels", names) or list(names)
        inverted = _named(settings, "invert_channels", names)
        inside = [each for each in chosen if each not in inverted]
    else:
        one = settings.whole("input_channel", -len(names))
        if one is not None and one >= len(names):
            settings.leave("input_channel", f"{one}: there are {len(names)} channels")
            one = None
        chosen = [names[one or 0]] if one is not None or name in _FIRST else list(names)
        upright = name == "BoundaryAdaptedRandError" and settings.take("invert_pmaps", default=True) is False
        inside = chosen if upright or name == "BlobsAveragePrecision" else []
    params = {"channels": chosen if set(chosen) != set(names) else [], "inside": inside}
    return {key: value for key, value in params.items() if value}


def _named(settings: Settings, key: str, names: Sequence[str]) -> list[str]:
    """Return the names of the channels in a list of their numbers; nothing where there is no such list."""
    value = settings.take(key)
    numbers = value if isinstance(value, (list, tuple)) else []
    known = range(-len(names), len(names))
    if value is not None and not all(isinstance(number, int) and number in known for number in numbers or [None]):
        settings.leave(key, f"{value!r} is no list of the {len(names)} channels")
        return []
    return [names[number] for number in numbers]
