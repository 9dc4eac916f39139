"""The weighted sum of a recipe's losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from volseg_core.api import Loss
from volseg_core.errors import UsageError
from volseg_core.training.targets import to_target
from volseg_core.volume.labels import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.catalog import Catalog
    from volseg_core.recipe import ComponentUse


class WeightedLoss(nn.Module):
    """``sum_i weight_i * loss_i(output, target)``, where unlabelled voxels count for nothing.

    A loss joins at its ``start_epoch``; ``epoch`` is the current one. ``class_counts`` are the labelled voxels of each
    class in the training part.
    """

    def __init__(
        self,
        catalog: Catalog,
        uses: Sequence[ComponentUse],
        task: str,
        num_classes: int,
        class_counts: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        context = {
            "task": task, "num_classes": num_classes, "ignore_index": IGNORED, "class_counts": class_counts,
        }  # fmt: skip
        self.task = task
        self.epoch = 0
        self.starts = [use.start_epoch for use in uses]
        self.names = [_unique_name(uses, index) for index in range(len(uses))]
        self.weights = [use.weight for use in uses]
        self.terms = [catalog.build(use.provided, use.params, context) for use in uses]
        self.modules_ = nn.ModuleList([term for term in self.terms if isinstance(term, nn.Module)])
        self.descriptors = [use.provided.component for use in uses]

    def forward(self, output: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum and its terms for logits (N, C, *S) and class indices (N, *S), -1 = no label.

        Raises:
            UsageError: a loss that knows no ignore label meets voxels without one.
        """
        target, valid = to_target(self.task, labels)
        total = output.new_zeros(())
        parts: dict[str, Tensor] = {}
        scheduled = zip(self.names, self.weights, self.terms, self.descriptors, self.starts, strict=True)
        for name, weight, term, descriptor, start in scheduled:
            if self.epoch < start:
                continue
            assert isinstance(descriptor, Loss)  # noqa: S101  (the catalog keeps kinds apart)
            given = output if descriptor.inputs == "logits" else _probabilities(self.task, output)
            if descriptor.ignore == "mask":
                value = term(given, target, valid=valid)
            elif descriptor.ignore == "index":
                value = term(given, target.masked_fill(~valid, IGNORED))
            elif bool(valid.all()):
                value = term(given, target)
            else:
                raise UsageError(
                    f"loss {name!r}",
                    "knows no ignore label, and some voxels have no label",
                    "Use a loss that does (volseg components loss), or label every voxel and set data.augment=none.",
                )
            parts[name] = value
            total = total + weight * value
        return total, parts


def _probabilities(task: str, output: Tensor) -> Tensor:
    return torch.sigmoid(output) if task == "binary" else torch.softmax(output, dim=1)


def _unique_name(uses: Sequence[ComponentUse], index: int) -> str:
    name = uses[index].provided.component.name
    return name if sum(use.provided.component.name == name for use in uses) == 1 else f"{name}-{index}"
