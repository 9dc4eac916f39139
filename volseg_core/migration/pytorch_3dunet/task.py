"""What the network's outputs mean: the task, its classes or channels, and the target that labels become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from volseg_core.migration.pytorch_3dunet.vocabulary import CROSS_ENTROPIES, REGRESSIONS, SIGMOIDS
from volseg_core.tasks import CLASS_TASKS

if TYPE_CHECKING:
    from volseg_core.migration.pytorch_3dunet.network import Outputs
    from volseg_core.migration.pytorch_3dunet.transforms import Made
    from volseg_core.migration.settings import Transfer

_BINARY = ("background", "foreground")


@dataclass(frozen=True)
class Task:
    """A task: its name here, why it is that, and the names of its classes or channels."""

    name: str
    why: str
    names: tuple[str, ...]
    made: Made | None = None

    @property
    def of_ids(self) -> bool:
        """Whether labels are ids, of classes or of objects that a target is made of."""
        return self.made is not None or self.name in CLASS_TASKS


def decide(outputs: Outputs, loss: str, made: Made | None, *, trained: bool, softmax: bool = False) -> Task:
    """Return the task of outputs that were trained with ``loss`` on labels, or on what was ``made`` of them.

    ``softmax``: the loss takes its probabilities that way. Where weights are ``trained``, a target of another number of
    channels is not theirs.
    """
    channels = outputs.channels
    numbers, unnamed = tuple(map(str, range(channels))), tuple(f"channel {number}" for number in range(channels))
    if loss in REGRESSIONS or not outputs.segments:
        sigmoid = "; predictions there pass a sigmoid, here they do not" if outputs.segments else ""
        return Task("regression", f"{loss or 'is_segmentation false'}: raw values{sigmoid}", unnamed)
    if channels > 1 and (loss in CROSS_ENTROPIES or softmax):
        said = loss if loss in CROSS_ENTROPIES else f"{loss} with softmax; labels hold its id, not a channel for each"
        return Task("multiclass", f"{channels} classes, of which each voxel has one ({said})", numbers)
    fits = made is not None and not (trained and len(made.names) != channels)
    if channels > 1 and not outputs.sigmoid and not fits and loss not in SIGMOIDS:
        return Task("multiclass", f"{channels} classes, of which each voxel has one (final_sigmoid false)", numbers)
    apart = "" if outputs.sigmoid else "; predictions there pass a softmax (final_sigmoid false)"
    if made is not None and fits:
        why = f"channels that are made of the labels, each with a sigmoid ({loss}){apart}"
        return Task("multilabel", why, made.names, made)
    if channels > 1 or made is not None:
        return Task("multilabel", f"{channels} channels, each with a sigmoid{apart}", unnamed)
    return Task("binary", f"one channel with a sigmoid: foreground or not{apart}", _BINARY)


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
    if task.name in CLASS_TASKS:
        transfer.carry("classes", list(task.names), "ids 0, 1, ... of the labels; give them names that mean something")
