"""A volume that looks like electron microscopy of cells, with its labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from volseg_core.api import Sample, UsageError
from volseg_synthetic.fields import SmoothField, texture
from volseg_synthetic.scene import BACKGROUND, GRANULE, MEMBRANE, ORGANELLE, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array = np.ndarray[Any, Any]

_NAMES = ("background", "organelle", "granule", "membrane")
_LEAST = 16
_SLAB = 16
_WHERE = "generator 'blobs'"

# label of each painted structure by number of classes: one without a class of its own counts as what holds it
_LABELS = {
    2: {GRANULE: BACKGROUND, MEMBRANE: ORGANELLE},
    3: {MEMBRANE: ORGANELLE},
    4: {},
}


class Blobs:
    """Generate organelles, granules and membranes in a shaded, textured background.

    Organelles are deformed ellipsoids with wavy stripes, of nearly the background's mean grey, so that they are known
    by texture and not by brightness; a thin dark membrane encloses each. Granules are small spheres, dark or bright.
    The grey values do not depend on ``classes``: a structure without a class of its own counts as what holds it
    (granule as background, membrane as organelle). Structures have the same size in nm along each axis; an organelle
    is about 14-22 times as thick as the smallest voxel edge.

    Args:
        shape: voxels along z, y, x, at least 16 each.
        classes: 2 (background, organelle), 3 (and granule) or 4 (and membrane).
        density: share of the volume that organelles fill with their membranes; granules fill a sixth of it.
        noise: standard deviation of the detector noise, in grey levels of 256.
        seed: the same seed and parameters give the same volume.
        spacing: voxel size along z, y, x in nm.

    Raises:
        UsageError: a parameter is out of its range.
    """

    def __init__(
        self,
        *,
        shape: Sequence[int] = (96, 96, 96),
        classes: int = 3,
        density: float = 0.2,
        noise: float = 8.0,
        seed: int = 0,
        spacing: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        _check_axes("shape", shape, f"It must be three whole numbers of at least {_LEAST}", _is_length)
        _check_axes("spacing", spacing, "It must be three numbers above 0", _is_edge)
        _check_range("classes", classes, 2, 4)
        _check_range("density", density, 0.02, 0.25)
        _check_range("noise", noise, 0, 64)
        _check_range("seed", seed, 0, math.inf)
        self.shape = (shape[0], shape[1], shape[2])
        self.classes = classes
        self.density = density
        self.noise = noise
        self.seed = seed
        self.spacing = (float(spacing[0]), float(spacing[1]), float(spacing[2]))

    def generate(self) -> Sample:
        """Return data uint8 and labels uint8, both (Z, Y, X).

        One float32 array of the volume's size is held beside the two that are returned.
        """
        place, fill, detect = (np.random.default_rng(each) for each in np.random.SeedSequence(self.seed).spawn(3))
        scale = np.array(self.spacing) / min(self.spacing)
        grey = texture(fill, self.shape, 1.1 / scale)
        grey *= 13
        scene = Scene(
            grey,
            np.zeros(self.shape, dtype=np.uint8),
            scale,
            bend=SmoothField.draw(place, self.shape, 7 / scale),
            weave=SmoothField.draw(place, self.shape, 8 / scale),
        )
        shade = SmoothField.draw(fill, self.shape, 40 / scale)
        scene.add_organelles(place, self.density)
        scene.add_granules(place, self.density / 6)
        data = self._expose(grey, shade, detect)
        for painted, label in _LABELS[self.classes].items():
            scene.labels[scene.labels == painted] = label
        return Sample(data, scene.labels, _NAMES[: self.classes], self.spacing, "nm")

    def _expose(self, grey: Array, shade: SmoothField, rng: np.random.Generator) -> Array:
        """Return grey values with shading and detector noise as uint8, slab by slab."""
        data = np.empty(self.shape, dtype=np.uint8)
        for start in range(0, self.shape[0], _SLAB):
            stop = min(start + _SLAB, self.shape[0])
            box = (slice(start, stop), *(slice(0, length) for length in self.shape[1:]))
            values = grey[box] + 128 + 12 * shade.sample(box)
            values += np.float32(self.noise) * rng.standard_normal(values.shape, dtype=np.float32)
            data[box] = values.round().clip(0, 255).astype(np.uint8)
        return data


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= _LEAST


def _is_edge(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def _check_axes(name: str, values: Any, rule: str, accepts: Callable[[Any], bool]) -> None:
    if not isinstance(values, (list, tuple)) or [accepts(value) for value in values] != [True] * 3:
        raise UsageError(_WHERE, f"{name} is {values!r}", rule)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        rule = f"at least {low:g}" if high == math.inf else f"{low:g} to {high:g}"
        raise UsageError(_WHERE, f"{name} is {value!r}", f"It must be {rule}")
