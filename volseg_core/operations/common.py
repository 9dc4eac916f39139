"""What operations share: kinds of arguments, and what is refused before anything is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from volseg_core.data.files import VolumeLike
from volseg_core.errors import DataError, PluginError
from volseg_core.machine import importable

if TYPE_CHECKING:
    from pathlib import Path

PathLike = str | os.PathLike[str]
Volumes = VolumeLike | Sequence[VolumeLike]


def refuse_existing(path: Path, option: str = "-o", *, overwrite: bool) -> None:
    """Raise a DataError when an output exists that may not be replaced; ``option`` is what names it."""
    if path.exists() and not overwrite:
        raise DataError(str(path), "exists", f"Use --overwrite to replace it, or another {option}.")


def require(where: str, packages: Sequence[str], *extras: str) -> None:
    """Raise a PluginError when packages that an operation needs are not installed; ``extras`` would bring them."""
    missing = [name for name in packages if not importable(name)]
    if missing:
        ways = ", or with a GPU ".join(f'"volseg[{extra}]"' for extra in extras)
        raise PluginError(where, f"needs {', '.join(missing)}, which is not installed", notes=[f"pip install {ways}"])


def several(items: Volumes) -> list[VolumeLike]:
    """Return volumes as a list; a tuple or list holds several, anything else is one."""
    return list(items) if isinstance(items, (list, tuple)) else [items]  # type: ignore[list-item]
