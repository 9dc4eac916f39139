"""What a suggestion starts from: facts of the data, and of the machine that trains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from volseg_core.machine import cpu_count, memory_available

if TYPE_CHECKING:
    from volseg_core.advice.survey import ImageSurvey, LabelSurvey
    from volseg_core.catalog import Catalog

GIB = 2**30
IGNORE = (-1,)
"""Ids that a recipe ignores by default."""


@dataclass(frozen=True)
class Machine:
    """What trains: CPUs, free bytes of main memory (None: unknown), and bytes of the GPU (0: there is none)."""

    cpus: int
    memory: int | None
    gpu: int = 0

    @classmethod
    def here(cls) -> Machine:
        """Return this machine."""
        try:
            import torch
        except ImportError:
            return cls(cpu_count(), memory_available())
        gpu = torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0
        return cls(cpu_count(), memory_available(), gpu)

    def __str__(self) -> str:
        return f"a GPU with {self.gpu / GIB:.0f} GiB" if self.gpu else f"{self.cpus} CPUs and no GPU"


@dataclass(frozen=True)
class Case:
    """A labelled volume, the machine, and the components that a recipe can name."""

    image: ImageSurvey
    labels: LabelSurvey
    machine: Machine
    catalog: Catalog
    objects: bool = False
    """Whether the labels number objects instead of classes."""

    @property
    def voxels(self) -> int:
        """Voxels of the volume."""
        return math.prod(self.image.shape)

    @property
    def labelled(self) -> float:
        """Voxels with a label, from the planes that were looked at."""
        return self.voxels * sum(self.labels.classes(IGNORE).values()) / max(1, sum(self.labels.ids.values()))

    @property
    def finest(self) -> float:
        """Smallest spacing in metres, NaN where it is not known."""
        spacing = self.image.grid.metres
        return min(spacing) if spacing else math.nan

    @property
    def likeness(self) -> float:
        """Median correlation of neighbouring planes, NaN where there are none."""
        values = sorted(value for value in self.image.likeness if math.isfinite(value))
        return values[len(values) // 2] if values else math.nan

    @property
    def rarest(self) -> tuple[str, float]:
        """Name and share of the smallest class."""
        classes = self.labels.classes(IGNORE)
        item = min(classes, key=lambda one: classes[one])
        return str(self.labels.names.get(item, item)), classes[item] / sum(classes.values())
