"""volseg: segmentation of volumetric images, assembled from plugins by a registry file."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from volseg_core.operations import (
        check,
        evaluate,
        export,
        fit_merge,
        generate,
        postprocess,
        predict,
        suggest,
        suggest_labels,
        train,
        tune,
        verify,
    )

# Nothing phones home: ONNX Runtime would report sessions, albumentations would ask for updates.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__all__ = [
    "check",
    "evaluate",
    "export",
    "fit_merge",
    "generate",
    "postprocess",
    "predict",
    "suggest",
    "suggest_labels",
    "train",
    "tune",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import the operations only when they are used: ``volseg --help`` must stay light."""
    if name in __all__:
        return getattr(import_module("volseg_core.operations"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
