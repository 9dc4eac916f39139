"""No augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Identity:
    """Return windows and boxes as they are."""

    def __call__(
        self,
        image: NDArray[np.float32],
        labels: NDArray[np.int32],
        seed: int,  # noqa: ARG002 - part of the contract
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return ``image`` (H, W, C) and ``labels`` (H, W) themselves, not copies."""
        return image, labels

    def box(
        self,
        image: NDArray[np.float32],
        truth: NDArray[Any],
        seed: int,  # noqa: ARG002 - part of the contract
        *,
        spacing: tuple[float, float, float] | None = None,  # noqa: ARG002 - part of the contract
        thick: int | None = None,  # noqa: ARG002 - part of the contract
    ) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Return ``image`` (C, D, H, W) and ``truth`` (K, D, H, W) themselves, not copies."""
        return image, truth
