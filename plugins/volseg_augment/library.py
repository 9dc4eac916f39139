"""albumentations: the permissive release, without threads of its own."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from volseg_core.api import PluginError

WHERE = "data.augment"


def refuse_successor() -> None:
    """Raise PluginError when AlbumentationsX is installed, which takes the same import name under the AGPL."""
    try:
        found = version("albumentationsx")
    except PackageNotFoundError:
        return
    what = f"albumentationsx {found} (AGPL-3.0) is installed in place of albumentations, under the same import name"
    # the successor's files have overwritten those of albumentations, hence a forced install
    cure = 'pip uninstall albumentationsx && pip install --force-reinstall --no-deps "albumentations==2.0.8"'
    raise PluginError(WHERE, what, cure)


refuse_successor()

import albumentations  # noqa: E402 - only after the check
import cv2  # noqa: E402 - beside albumentations

# Data workers are processes: threads of OpenCV would only compete with each other.
cv2.setNumThreads(0)

__all__ = ["albumentations", "cv2", "refuse_successor"]
