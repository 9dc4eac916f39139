"""Geometry of volumes: the array with its grid, views, windows and normalisation. Pure functions of arrays."""

from volseg_core.volume.grid import CHUNK, Grid, Volume, to_czyx
from volseg_core.volume.labels import ClassMap, ClassName
from volseg_core.volume.normalise import Normalisation
from volseg_core.volume.views import PRESETS, View, box_preset, preset, symmetries
from volseg_core.volume.windows import BOXES, SLICES, SizeRule, Tiling, mirrored_planes, pad_to, padded_size, reflected

__all__ = [
    "BOXES",
    "CHUNK",
    "PRESETS",
    "SLICES",
    "ClassMap",
    "ClassName",
    "Grid",
    "Normalisation",
    "SizeRule",
    "Tiling",
    "View",
    "Volume",
    "box_preset",
    "mirrored_planes",
    "pad_to",
    "padded_size",
    "preset",
    "reflected",
    "symmetries",
    "to_czyx",
]
