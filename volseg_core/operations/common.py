"""What operations share: kinds of arguments, and the packages that must be there."""

from __future__ import annotations

import os
from collections.abc import Sequence

from volseg_core.data.files import VolumeLike
from volseg_core.errors import PluginError
from volseg_core.machine import importable

PathLike = str | os.PathLike[str]
Volumes = VolumeLike | Sequence[VolumeLike]


def require(where: str, packages: Sequence[str], *extras: str) -> None:
    """Raise a PluginError when packages that an operation needs are not installed; ``extras`` would bring them."""
    missing = [name for name in packages if not importable(name)]
    if missing:
        ways = ", or with a GPU ".join(f'"volseg[{extra}]"' for extra in extras)
        raise PluginError(where, f"needs {', '.join(missing)}, which is not installed", notes=[f"pip install {ways}"])


def several(items: Volumes) -> list[VolumeLike]:
    """Return volumes as a list; a tuple or list holds several, anything else is one."""
    return list(items) if isinstance(items, (list, tuple)) else [items]  # type: ignore[list-item]
