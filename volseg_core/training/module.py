"""The Lightning module: one training step, one validation step, the optimiser and its schedule."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from volseg_core.errors import DivergedError, UsageError, did_you_mean
from volseg_core.training.targets import predicted_class

if TYPE_CHECKING:
    from volseg_core.recipe import TrainBlock
    from volseg_core.training.losses import WeightedLoss

_CHECK_EVERY = 20


class SegmentationModule(lightning.LightningModule):
    """A network with its loss and metrics. Batches are images (N, C, H, W) and class indices (N, H, W), -1 = none."""

    def __init__(
        self, network: nn.Module, loss: WeightedLoss, metrics: dict[str, Any], rule: TrainBlock, steps: int
    ) -> None:
        super().__init__()
        self.network, self.loss, self.metrics, self.rule = network, loss, metrics, rule
        self.total_steps = steps * rule.epochs
        self.scores: dict[str, float] = {}
        """What the last epoch measured, by name; callbacks write it down."""
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._started = 0.0

    def on_train_epoch_start(self) -> None:
        """Key every draw of the epoch (dropout, ...) by seed and epoch, so that resuming repeats it."""
        torch.manual_seed(self.rule.seed * 1_000_003 + self.current_epoch)
        self._sums, self._count, self._started = {}, 0, time.monotonic()

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the loss of a batch.

        Raises:
            DivergedError: the loss is not finite.
        """
        images, labels = batch
        value, parts = self.loss(self.network(images), labels)
        if (self.device.type == "cpu" or index % _CHECK_EVERY == 0) and not torch.isfinite(value):
            raise _diverged(f"epoch {self.current_epoch}, step {index}", float(value.detach()), parts)
        for name, term in {"loss": value, **{f"loss/{name}": term for name, term in parts.items()}}.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), device=self.device)) + term.detach()
        self._count += 1
        return value  # type: ignore[no-any-return]

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002  (Lightning's)
        """After the last batch, before validation: compute the training scores of the epoch."""
        if batch_idx + 1 == self.trainer.num_training_batches:
            self._finish_training_epoch()

    def on_validation_epoch_start(self) -> None:
        """Forget the counts of the epoch before."""
        self._validation: dict[str, Tensor] = {}
        self._batches = 0
        for metric in self.metrics.values():
            metric.reset()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:  # noqa: ARG002  (Lightning's signature)
        """Count loss and metrics of a batch of whole slices."""
        images, labels = batch
        logits = self.network(images)
        value, _ = self.loss(logits, labels)
        self._validation["val/loss"] = self._validation.get("val/loss", torch.zeros((), device=self.device)) + value
        self._batches += 1
        prediction = predicted_class(self.loss.task, logits).cpu().numpy()
        target = labels.cpu().numpy()
        for metric in self.metrics.values():
            metric.update(prediction, target, target >= 0)

    def on_validation_epoch_end(self) -> None:
        """Compute the scores of the epoch.

        Raises:
            DivergedError: the validation loss is not finite.
        """
        loss = float(self._validation["val/loss"]) / max(1, self._batches)
        if not math.isfinite(loss):
            raise _diverged(f"validation after epoch {self.current_epoch}", loss, {})
        self.scores["val/loss"] = loss
        for metric in self.metrics.values():
            self.scores |= {f"val/{key}": float(value) for key, value in metric.compute().items()}

    def on_train_epoch_end(self) -> None:
        """Log the epoch's scores."""
        self.log_dict({name: value for name, value in self.scores.items() if np.isfinite(value)})

    def _finish_training_epoch(self) -> None:
        self.scores = {f"train/{name}": float(total) / self._count for name, total in self._sums.items()}
        if not math.isfinite(self.scores["train/loss"]):
            raise _diverged(f"epoch {self.current_epoch}", self.scores["train/loss"], {})
        self.scores["lr"] = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        self.scores["seconds"] = time.monotonic() - self._started

    def configure_optimizers(self) -> Any:
        """Return optimiser and schedule as the recipe says; the schedule steps with every batch."""
        optimizer = make_optimizer(self.rule, self.network)
        if self.rule.schedule == "constant":
            return optimizer
        if self.rule.schedule == "one-cycle":
            schedule: Any = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, self.rule.lr, total_steps=self.total_steps, pct_start=self.rule.warmup
            )
        else:
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def make_optimizer(rule: TrainBlock, network: nn.Module) -> torch.optim.Optimizer:
    """Return any optimiser of torch by its name, upper or lower case.

    Raises:
        UsageError: torch has no such optimiser, or it takes no learning rate and weight decay.
    """
    known = {name.lower(): value for name, value in vars(torch.optim).items() if _is_optimizer(value)}
    chosen = known.get(rule.optimizer.lower())
    if chosen is None:
        names = sorted(value.__name__ for value in known.values())
        raise UsageError(
            "train.optimizer",
            f"torch has no optimiser {rule.optimizer!r}",
            did_you_mean(rule.optimizer, names),
            [f"known: {', '.join(names)}"],
        )
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        return chosen(parameters, lr=rule.lr, weight_decay=rule.weight_decay)  # type: ignore[no-any-return]
    except TypeError as error:
        raise UsageError("train.optimizer", f"{rule.optimizer!r} cannot be used here ({error})") from None


def _is_optimizer(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer


def _diverged(where: str, value: float, parts: dict[str, Tensor]) -> DivergedError:
    terms = ", ".join(f"{name} {float(term.detach()):g}" for name, term in parts.items())
    return DivergedError(
        where,
        f"the loss is {value:g}" + (f" ({terms})" if terms else ""),
        "Lower train.lr, or set train.precision=32; the last good checkpoint is kept.",
    )
