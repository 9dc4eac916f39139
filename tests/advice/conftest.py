"""Synthetic volumes with labels that fit them, and the real data sets beside the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import volseg_core

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """Return the folder of real data sets, which is not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip("the shared data sets are not here")
    return SHARED


@pytest.fixture(scope="session")
def blobs():
    """Return image and labels (48, 64, 64) that belong together."""
    arrays = volseg_core.generate("blobs", overrides=["shape=[48, 64, 64]", "seed=2"])
    return arrays["data"], arrays["labels"]


@pytest.fixture
def moved():
    """Return a function that crops a pair so that its labels lie ``shift`` voxels too far along ``axis``."""

    def move(image, labels, axis, shift):
        size = labels.shape[axis]
        low, high = slice(max(0, shift), size + min(0, shift)), slice(max(0, -shift), size - max(0, shift))
        front = (slice(None),) * axis
        return image[(..., low, *(slice(None),) * (2 - axis))], np.ascontiguousarray(labels[(*front, high)])

    return move
