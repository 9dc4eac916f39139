"""Distances from the boundary of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

if TYPE_CHECKING:
    from torch import Tensor


def signed_distances(masks: Tensor, valid: Tensor) -> Tensor:
    """Return how far each voxel lies from the boundary of each class in its sample: (N, K, *S) float32, in voxels.

    Negative inside the class. The boundary runs half way between neighbouring voxels, so that its nearest voxels
    have -1/2 and 1/2. Distance is Euclidean, to the nearest *labelled* voxel of the other side; ignored voxels belong
    to no side, exactly as if the image ended there, and get 0. A class that is absent from a sample or fills
    it has no boundary there: 0 throughout.

    Args:
        masks: bool (N, K, *S), the classes.
        valid: bool (N, K or 1, *S), True where labelled.
    """
    labelled, found = valid.expand_as(masks).cpu().numpy(), masks.cpu().numpy()
    distances = [[_signed(*each) for each in zip(*sample, strict=True)] for sample in zip(found, labelled, strict=True)]
    return torch.from_numpy(np.array(distances, dtype=np.float32)).to(masks.device)


def _signed(mask: np.ndarray[Any, Any], valid: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    inside, outside = mask & valid, ~mask & valid
    if not (inside.any() and outside.any()):
        return np.zeros(mask.shape, dtype=np.float32)
    signed = np.where(inside, 0.5 - distance_transform_edt(~outside), distance_transform_edt(~inside) - 0.5)
    return np.where(valid, signed, 0)
