"""The units of distances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from volseg_core.api import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def voxel_size(units: str, spacing: Sequence[float] | None) -> tuple[float, ...] | None:
    """Return the size of a voxel along each axis in ``units``, ``voxels`` or ``physical``; None where it is 1.

    Raises:
        UsageError: physical units without a spacing.
    """
    if units == "voxels":
        return None
    if spacing is None:
        message = "physical units need a spacing, and the volume has none"
        raise UsageError("target.units", message, "Give data.spacing, or use voxels.")
    return tuple(spacing)
