"""Geometry of volumes: the array with its grid, views, windows and normalisation. Pure functions of arrays."""

from volseg_core.volume.grid import Grid, Volume, to_czyx
from volseg_core.volume.labels import ClassMap, ClassName
from volseg_core.volume.normalise import Normalisation
from volseg_core.volume.views import PRESETS, View, preset
from volseg_core.volume.windows import Tiling, mirrored_planes, pad_to, padded_size

__all__ = [
    "PRESETS",
    "ClassMap",
    "ClassName",
    "Grid",
    "Normalisation",
    "Tiling",
    "View",
    "Volume",
    "mirrored_planes",
    "pad_to",
    "padded_size",
    "preset",
    "to_czyx",
]
