"""Connected components."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from volseg_instances.inputs import Array


class ConnectedComponents:
    """Number the sets of voxels of one class that are connected.

    Args:
        label: class index whose components are numbered; None is every class but the background.
        connectivity: 1 for neighbours that share a face, 2 also an edge, 3 also a corner.
    """

    halo = 1
    overlap = 0.0

    def __init__(self, *, label: int | None = None, connectivity: int = 1) -> None:
        self.label, self.connectivity = label, connectivity

    def __call__(self, labels: Array) -> Array:
        """Return instances (*S) of labels (*S)."""
        classes = [self.label] if self.label is not None else np.unique(labels[labels > 0]).tolist()
        return number_components([labels == index for index in classes], labels.shape, self.connectivity)


def number_components(masks: list[Array], shape: tuple[int, ...], connectivity: int = 1) -> Array:
    """Return instances (*S) int32 of the components of masks (*S) that do not meet."""
    structure = ndimage.generate_binary_structure(len(shape), connectivity)
    if len(masks) == 1:
        return np.asarray(ndimage.label(masks[0], structure)[0])
    numbers = np.zeros(shape, np.int32)
    before = 0
    for mask in masks:
        found, count = ndimage.label(mask, structure)
        numbers[mask] = found[mask] + before
        before += count
    return numbers
