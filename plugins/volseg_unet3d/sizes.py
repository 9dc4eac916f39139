"""Sizes as a recipe writes them: channels of levels, and kernels for all axes, for each axis or for each level."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from volseg_core.api import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

Size = tuple[int, ...]


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


def check_input(image: torch.Tensor, factors: Size, *, single: bool = True) -> None:
    """Refuse an image (N, C, *S) that is smaller than the factors by which a network makes it smaller.

    ``single``: one voxel may be left of it. Nothing is checked while a network is exported.

    Raises:
        UsageError: an axis is too short.
    """
    if torch.onnx.is_in_onnx_export() or torch.compiler.is_compiling():
        return
    size = tuple(image.shape[2:])
    if any(has < factor for has, factor in zip(size, factors, strict=True)) or (size == factors and not single):
        least = f"{factors}" if single else f"more than {factors}"
        what = f"a window of {size} is too small for the levels of this network, which need {least}"
        raise UsageError("data.window", what, "Use larger windows, fewer levels, or leave short axes as they are.")


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_positive(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(_is_positive(item) for item in value)
