"""The weighted sums of a recipe's losses: of a head, and of all heads and outputs that are supervised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from volseg_core.api import Loss
from volseg_core.errors import UsageError
from volseg_core.training.targets import nearest, probabilities, to_target
from volseg_core.volume.labels import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from volseg_core.catalog import Catalog
    from volseg_core.model import HeadSpec, ModelSpec
    from volseg_core.recipe import ComponentUse
    from volseg_core.recipe.assembled import Head


class WeightedLoss(nn.Module):
    """``sum_i weight_i * loss_i(output, target)`` of a head, where unlabelled voxels count for nothing.

    A loss joins at its ``start_epoch``; ``epoch`` is the current one. ``class_counts`` are the labelled voxels of each
    class in the training part.
    """

    def __init__(
        self,
        catalog: Catalog,
        uses: Sequence[ComponentUse],
        head: HeadSpec,
        class_counts: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        context = {
            "task": head.task, "num_classes": len(head.classes), "ignore_index": IGNORED, "class_counts": class_counts,
            "offset": head.offset, "scale": head.scale,
        }  # fmt: skip
        self.task = head.task
        self.epoch = 0
        self.starts = [use.start_epoch for use in uses]
        self.names = [_unique_name(uses, index) for index in range(len(uses))]
        self.weights = [use.weight for use in uses]
        self.terms = [catalog.build(use.provided, use.params, context) for use in uses]
        self.modules_ = nn.ModuleList([term for term in self.terms if isinstance(term, nn.Module)])
        self.descriptors = [use.provided.component for use in uses]

    def _probabilities(self, output: Tensor) -> Tensor:
        return output.sigmoid() if self.task == "binary" else probabilities(self.task, output)

    def forward(self, output: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum and its terms for an output (N, C, *S) and a target as `to_target` takes it.

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
            given = output if descriptor.inputs == "logits" else self._probabilities(output)
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


class SumOfHeads(nn.Module):
    """``sum_h weight_h * loss_h``, over the heads of a network and over all its outputs that are supervised."""

    def __init__(self, spec: ModelSpec, heads: Sequence[Head], losses: Sequence[WeightedLoss]) -> None:
        super().__init__()
        self.spec = spec
        self.weights = [head.weight for head in heads]
        self.losses = list(losses)
        self.modules_ = nn.ModuleList(losses)

    def set_epoch(self, epoch: int) -> None:
        """Let losses that start later know the epoch."""
        for loss in self.losses:
            loss.epoch = epoch

    def forward(self, outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return what training makes small, the loss of the final output, and that loss's terms.

        Outputs are (N, channels, *S), the final one first; there is a target per head. Coarser outputs are judged at
        their voxels, and all weigh as `output_weights` says.
        """
        each = [self._of_output(output, targets) for output in outputs]
        weights = output_weights([output.shape[2:] for output in outputs])
        total = sum((weight * loss for weight, (loss, _) in zip(weights, each, strict=True)), each[0][0].new_zeros(()))
        return total, *each[0]

    def _of_output(self, output: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        total = output.new_zeros(())
        parts: dict[str, Tensor] = {}
        of_heads = zip(self.spec.heads, self.spec.parts, self.weights, self.losses, targets, strict=True)
        for head, part, weight, loss, target in of_heads:
            value, terms = loss(output[:, part], nearest(target, output.shape[2:]))
            total = total + weight * value
            parts |= {f"{head.name}/{name}" if head.name else name: term for name, term in terms.items()}
        return total, parts


def output_weights(shapes: Sequence[torch.Size]) -> list[float]:
    """Return the weight of each supervised output by its shape (*S), the finest first.

    Resolutions weigh 1, 1/2, 1/4, ... divided by their sum, as in nnU-Net (Isensee et al. 2021,
    doi:10.1038/s41592-020-01008-z), and each output as its resolution: outputs of one size are added up.
    """
    resolutions = list(dict.fromkeys(shapes))
    whole = sum(0.5**rank for rank in range(len(resolutions)))
    return [0.5 ** resolutions.index(shape) / whole for shape in shapes]


def supervised(network: nn.Module, images: Tensor) -> Sequence[Tensor]:
    """Return the outputs that a loss looks at: those that the network offers, else its only one."""
    offered = getattr(network, "supervised", None)
    return [network(images)] if offered is None else offered(images)


def _unique_name(uses: Sequence[ComponentUse], index: int) -> str:
    name = uses[index].provided.component.name
    return name if sum(use.provided.component.name == name for use in uses) == 1 else f"{name}-{index}"
