"""Windows, and parameters that leave out the steps that presets share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

Window = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def window() -> Callable[..., Window]:
    """A function that gives a window of noise and its random labels by a seed."""

    def window(seed: int, height: int = 64, width: int = 64, channels: int = 1) -> Window:
        rng = np.random.default_rng(seed)
        labels = rng.integers(-1, 3, (height, width), dtype=np.int32)
        return rng.random((height, width, channels), dtype=np.float32), labels

    return window


@pytest.fixture
def still() -> dict[str, Any]:
    """Parameters with which the steps that presets share do nothing."""
    tones = dict.fromkeys(("brightness", "contrast", "gamma", "noise", "shot", "blur"), 0.0)
    return {"flip": False, "rotate90": False, "scale": 0.0, "rotate": 0.0, "elastic": 0.0} | tones


@pytest.fixture
def coordinates() -> Callable[..., Window]:
    """A function that gives a window whose two channels hold the pixel's place, and whose labels are its number."""

    def coordinates(height: int, width: int) -> Window:
        y, x = np.mgrid[:height, :width]
        image = np.stack([y / height, x / width], -1).astype(np.float32)
        return image, (y * width + x).astype(np.int32)

    return coordinates
