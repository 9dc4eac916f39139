"""Sizes as a recipe writes them: channels of levels, and kernels for all axes, for each axis or for each level."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from volseg_core.api import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Size = tuple[int, ...]

_STAGES = 5


def widths(f_maps: Any, num_levels: int | None, default_levels: int) -> list[int]:
    """Return the channels of each level: a number doubles from level to level, a list is taken as it is.

    Raises:
        UsageError: it is neither, has fewer than two levels, or contradicts ``num_levels``.
    """
    if _is_positive(f_maps):
        levels = default_levels if num_levels is None else num_levels
        return [f_maps * 2**level for level in range(levels)]
    if not _are_positive(f_maps) or len(f_maps) < 2:  # noqa: PLR2004  (one level has nothing to skip)
        what = f"{f_maps!r} is neither a positive number nor a list of two or more"
        raise UsageError("model.f_maps", what, "Write 32, or [32, 64, 128].")
    if num_levels not in (None, len(f_maps)):
        what = f"{num_levels} contradicts the {len(f_maps)} levels of f_maps {list(f_maps)!r}"
        raise UsageError("model.num_levels", what, "Leave one of them out.")
    return list(f_maps)


def per_level(name: str, value: Any, dims: int, count: int) -> list[Size]:
    """Return ``count`` sizes ``(z, y, x)`` or ``(y, x)`` of a number, a list per axis, or a list of lists per level.

    Raises:
        UsageError: it is none of these, or holds another number of axes or levels.
    """
    if _is_positive(value):
        return [(value,) * dims] * count
    if _are_positive(value) and len(value) == dims:
        return [tuple(value)] * count
    if isinstance(value, (list, tuple)) and len(value) == count:
        sizes = [tuple(item) for item in value if _are_positive(item) and len(item) == dims]
        if len(sizes) == count:
            return sizes
    axes = "[1, 2, 2]" if dims == 3 else "[1, 2]"  # noqa: PLR2004  (volumes)
    what = f"{value!r} is no positive number, list of {dims} (one for each axis) or list of {count} such lists"
    raise UsageError(f"model.{name}", what, f"Write 2, or {axes}.")


def odd(name: str, kernels: list[Size]) -> list[Size]:
    """Return kernels whose convolution keeps the size of an image.

    Raises:
        UsageError: one is even.
    """
    even = [size for kernel in kernels for size in kernel if size % 2 == 0]
    if even:
        raise UsageError(f"model.{name}", f"{even[0]} is even", "Only odd kernels keep the size of an image.")
    return kernels


def padding(kernel: Size) -> Size:
    """Return the padding with which a convolution of an odd kernel keeps the size."""
    return tuple(size // 2 for size in kernel)


def product(factors: Sequence[Size]) -> Size:
    """Return by how much all levels together make an image smaller, along each axis."""
    return tuple(math.prod(along) for along in zip(*factors, strict=True))


def unet_sizes(params: Mapping[str, Any], dims: int, levels: int = 4) -> list[tuple[int, int]]:
    """Return divisor and least size along each axis: pooling must leave a voxel."""
    count = len(widths(params["f_maps"], params["num_levels"], levels))
    name = "pool_kernel_size"
    return [(1, factor) for factor in product(per_level(name, params[name], dims, count - 1))]


residual_sizes = functools.partial(unet_sizes, levels=5)
"""The same of the residual networks, which have a level more by default."""


def nnunet_sizes(params: Mapping[str, Any], dims: int) -> list[tuple[int, int]]:
    """Return the same of nnU-Net's network, whose instance norm needs more than one voxel."""
    strides = per_level("strides", params["strides"], dims, params["stages"] - 1)
    factors = product([*per_level("stem", params["stem"], dims, 1), *strides])
    more = [params["norm"] == "instance" and (dims < len("zyx") or axis == dims - 1) for axis in range(dims)]
    return [(1, factor + extra) for factor, extra in zip(factors, more, strict=True)]


def dynunet_sizes(params: Mapping[str, Any], dims: int) -> list[tuple[int, int]]:
    """Return the same of DynUNet: multiples of its strides, and two voxels of the coarsest stage for instance norm."""
    factors = product(per_level("strides", params["strides"], dims, len(params["filters"]) - 1))
    least = [2 if params["norm"] == "instance" and axis == dims - 1 else 1 for axis in range(dims)]
    return [(factor, factor * voxels) for factor, voxels in zip(factors, least, strict=True)]


def encoder_sizes(params: Mapping[str, Any], dims: int) -> list[tuple[int, int]]:
    """Return the same of an encoder of volumes: multiples of its stride, of which planar halvings spare z."""
    depth = params["depth"] or _STAGES
    return [(2 ** max(depth - params["planar"], 0), 1), *[(2**depth, 1)] * (dims - 1)]


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_positive(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(_is_positive(item) for item in value)
