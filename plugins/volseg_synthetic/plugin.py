"""Hooks of this plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.api import Generator, Param, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

BLOBS = Generator(
    name="blobs",
    target="volseg_synthetic.blobs:Blobs",
    summary="Electron-microscopy-like volume of striped organelles, granules and membranes.",
    params={
        "shape": Param("list[int]", (96, 96, 96), "Voxels along z, y, x.", min=16, length=3),
        "classes": Param("int", 3, "Background and organelle (2), also granule (3), also membrane (4).", min=2, max=4),
        "density": Param("float", 0.2, "Share of the volume that organelles fill.", min=0.02, max=0.25),
        "noise": Param("float", 8.0, "Standard deviation of the detector noise, in grey levels.", min=0, max=64),
        "seed": Param("int", 0, "The same seed gives the same volume.", min=0),
        "spacing": Param(
            "list[float]",
            (1.0, 1.0, 1.0),
            "Voxel size z, y, x in nm; structures are as long in nm along each axis.",
            min=1e-6,
            length=3,
        ),
    },
    licence="Apache-2.0",
)


@hookimpl
def volseg_generators() -> Iterable[Generator]:
    """Return the generators of this plugin."""
    return [BLOBS]
