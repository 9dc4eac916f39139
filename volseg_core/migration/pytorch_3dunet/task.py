"""What the network's outputs mean: the task, its classes or channels, and the target that labels become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from volseg_core.migration.pytorch_3dunet.vocabulary import CROSS_ENTROPIES, REGRESSIONS, SIGMOIDS

if TYPE_CHECKING:
    from volseg_core.migration.pytorch_3dunet.network import Outputs
    from volseg_core.migration.pytorch_3dunet.transforms import Made
    from volseg_core.migration.settings import Transfer

_BINARY = ("background", "foreground")


@dataclass(frozen=True)
class Task:
    """A task: its name here, why it is that, and the names of its classes, or of channels that no target names."""

    name: str
    why: str
    names: tuple[str, ...]
    made: Made | None = None


def decide(outputs: Outputs, loss: str, made: Made | None, *, trained: bool) -> Task:
    """Return the task of outputs that were trained with ``loss`` on labels, or on what was ``made`` of them.

    Where weights are ``trained``, a target of another number of channels is not theirs.
    """
    channels = outputs.channels
    numbers = tuple(map(str, range(channels)))
    if loss in REGRESSIONS or not outputs.segments:
        sigmoid = "; predictions there pass a sigmoid, here they do not" if outputs.segments else ""
        return Task("regression", f"{loss or 'is_segmentation false'}: raw values{sigmoid}", numbers)
    if channels > 1 and (loss in CROSS_ENTROPIES or (not outputs.sigmoid and loss not in SIGMOIDS)):
        said = loss if loss in CROSS_ENTROPIES else "final_sigmoid false"
        return Task("multiclass", f"{channels} classes, of which each voxel has one ({said})", numbers)
    if made is not None and not (trained and made.channels != channels):
        return Task("multilabel", f"channels that are made of the labels, each with a sigmoid ({loss})", numbers, made)
    if channels > 1 or made is not None:
        return Task("multilabel", f"{channels} channels, each with a sigmoid", numbers)
    return Task("binary", "one channel with a sigmoid: foreground or not", _BINARY)


def carry_task(task: Task, made: Made | None, transfer: Transfer) -> None:
    """Carry the task with its classes, or with the target."""
    transfer.carry("task", task.name, task.why)
    if task.made is not None:
        transfer.carry("target", dict(task.made.target), task.made.why)
    elif made is not None:
        why = (
            f"{made.why}; the labels must hold that themselves, for the outputs of this network are not those of target"
        )
        transfer.leave(f"target {made.target['use']}", why)
    if task.name in ("multiclass", "binary"):
        transfer.carry("classes", list(task.names), "ids 0, 1, ... of the labels; give them names that mean something")
