"""A wish for less precision, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from volseg_core.errors import UsageError
from volseg_core.exporting.loss import MAX_LOSS
from volseg_core.exporting.vectors import FLOAT16, INT8

if TYPE_CHECKING:
    from volseg_core.data.files import VolumeLike

OPTIONS = {FLOAT16: "--fp16", INT8: "--int8"}


@dataclass(frozen=True)
class Reduction:
    """Less precision, ``float16`` or ``int8`` calibrated on a volume; and what it may lose, and where.

    What is lost is measured on the volume ``on``, or on that of the calibration if it has ``labels``; else on the
    part that the run held out, if its files are still there; else on the volume of the calibration.
    """

    precision: str
    calibration: VolumeLike | None = None
    on: VolumeLike | None = None
    labels: VolumeLike | None = None
    max_loss: float = MAX_LOSS
    force: bool = False


def reduction_of(
    *,
    fp16: bool,
    int8: VolumeLike | None,
    on: VolumeLike | None,
    labels: VolumeLike | None,
    max_loss: float,
    force: bool,
) -> Reduction | None:
    """Return the reduction that options ask for, or None.

    Raises:
        UsageError: they contradict one another.
    """
    if fp16 and int8 is not None:
        raise UsageError("--fp16", "a file has one precision, and --int8 asks for another", "Export twice.")
    if not fp16 and int8 is None:
        for option, value in (("--on", on), ("--labels", labels)):
            if value is not None:
                raise UsageError(option, "float32 loses nothing that could be measured", "Add --fp16 or --int8 VOLUME.")
        return None
    if labels is not None and on is None and int8 is None:
        raise UsageError("--labels", "belong to a volume, and none is given", "Add --on VOLUME.")
    if not 0 <= max_loss <= 1:
        raise UsageError("--max-loss", f"{max_loss:g} is not between 0 and 1")
    return Reduction(FLOAT16 if fp16 else INT8, int8, on, labels, max_loss, force)
