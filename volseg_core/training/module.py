"""The Lightning module: one training step, one validation step, the optimiser and its schedule."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from volseg_core.errors import DivergedError
from volseg_core.training.average import Average
from volseg_core.training.losses import supervised
from volseg_core.training.optimise import freeze_encoder, make_optimizer, make_schedule
from volseg_core.training.targets import results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volseg_core.recipe import TrainBlock
    from volseg_core.training.losses import SumOfHeads
    from volseg_core.training.scores import Scorer

_CHECK_EVERY = 20

Batch = tuple[Tensor, list[Tensor]]
"""Images (N, C, *S), and for every head its target; in validation ids of objects too where a metric wants them."""
Batches = Batch | dict[str, Any]


class SegmentationModule(lightning.LightningModule):
    """A network with its losses and metrics, trained on batches of images and targets.

    With a teacher a batch is a dict of two such batches, ``labelled`` and ``unlabelled``. ``scorers`` judge the heads,
    in their order. ``monitor`` is the score that chooses the best epoch and whether more of it is better.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: SumOfHeads,
        scorers: Sequence[Scorer],
        rule: TrainBlock,
        steps: int,
        lr: float,
        monitor: tuple[str, bool] = ("", True),
    ) -> None:
        super().__init__()
        self.network, self.loss, self.scorers, self.rule = network, loss, list(scorers), rule
        self.average = Average(network, rule.ema) if rule.ema else None
        self.steps, self.lr, self.monitor = steps, lr, monitor
        self.scores: dict[str, float] = {}
        """What the last epoch measured, by name; callbacks write it down."""
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._started = 0.0

    @property
    def trained(self) -> nn.Module:
        """The network that is validated and kept: the running average where there is one."""
        return self.network if self.average is None else self.average.network

    def on_train_epoch_start(self) -> None:
        """Forget the sums of the epoch before; let losses and the encoder know the epoch."""
        self._sums, self._count, self._started = {}, 0, time.monotonic()
        self.loss.set_epoch(self.current_epoch)
        if self.rule.frozen_epochs:
            freeze_encoder(self.network, frozen=self.current_epoch < self.rule.frozen_epochs)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002  (Lightning's)
        """Key every draw of the epoch (dropout, ...) by seed and epoch, so that resuming repeats it.

        Not before its first batch is there: an iterator over a loader draws when it is made, in a resumed run at
        another moment than in one that was not stopped.
        """
        if batch_idx == 0:
            torch.manual_seed(self.rule.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: Batches, index: int) -> Tensor:
        """Return what a batch makes small: its loss, or its objective.

        The loss is that of the final output, as in validation; with several outputs or a teacher the objective holds
        more, and both are told.

        Raises:
            DivergedError: the loss is not finite.
        """
        images, targets = batch["labelled"] if isinstance(batch, dict) else batch
        outputs = supervised(self.network, images)
        value, loss, parts = self.loss(outputs, targets)
        if isinstance(batch, dict):
            parts["consistency"] = self._consistency(batch["unlabelled"][0])
            value = value + self._consistency_weight(index) * parts["consistency"]
        if (self.device.type == "cpu" or index % _CHECK_EVERY == 0) and not torch.isfinite(value):
            raise diverged(f"epoch {self.current_epoch}, step {index}", float(value.detach()), parts)
        told = {"loss": loss, **{f"loss/{name}": term for name, term in parts.items()}}
        if len(outputs) > 1 or isinstance(batch, dict):
            told["objective"] = value
        for name, term in told.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), device=self.device)) + term.detach()
        self._count += 1
        return value  # type: ignore[no-any-return]

    def _consistency(self, images: Tensor) -> Tensor:
        """Return the mean squared difference between the teacher's results and ours on noisier images.

        After Tarvainen and Valpola 2017, arXiv:1703.01780.
        """
        assert self.average is not None  # noqa: S101  (the recipe asks for ema with a teacher)
        assert self.rule.teacher is not None  # noqa: S101
        with torch.no_grad():
            taught = results(self.loss.spec, self.average(images))
        noisy = images + self.rule.teacher.noise * torch.randn_like(images)
        return (results(self.loss.spec, self.network(noisy)) - taught).square().mean()

    def _consistency_weight(self, index: int) -> float:
        """Return the weight of a step: it rises over the first ``rampup`` of the training as exp(-5 (1 - t)^2)."""
        rule = self.rule.teacher
        assert rule is not None  # noqa: S101
        passed = (self.current_epoch * self.steps + index) / max(1, self.steps * self.rule.epochs)
        rising = 1.0 if passed >= rule.rampup else passed / rule.rampup
        return rule.weight * math.exp(-5 * (1 - rising) ** 2)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002  (Lightning's)
        """Let the average follow a step; after the last batch, before validation, compute the training scores."""
        if self.average is not None and self.trainer.global_step > int(self.average.step):
            self.average.update(self.network)
        if batch_idx + 1 == self.trainer.num_training_batches:
            self._finish_training_epoch()

    def on_validation_epoch_start(self) -> None:
        """Forget the counts of the epoch before."""
        self._validation: dict[str, Tensor] = {}
        self._batches = 0
        for scorer in self.scorers:
            scorer.reset()

    def validation_step(self, batch: Batch, index: int) -> None:  # noqa: ARG002  (Lightning's signature)
        """Count loss and metrics of a batch of whole slices, or boxes."""
        images, taught = batch
        targets, objects = taught[: len(self.scorers)], taught[len(self.scorers) :]
        output = self.trained(images)
        _, value, _ = self.loss([output], targets)
        self._validation["val/loss"] = self._validation.get("val/loss", torch.zeros((), device=self.device)) + value
        self._batches += 1
        for scorer, part, target in zip(self.scorers, self.loss.spec.parts, targets, strict=True):
            scorer.update(output[:, part], target, objects[0] if objects else None)

    def on_validation_epoch_end(self) -> None:
        """Compute the scores of the epoch.

        Raises:
            DivergedError: the validation loss is not finite.
        """
        loss = float(self._validation["val/loss"]) / max(1, self._batches)
        if not math.isfinite(loss):
            raise diverged(f"validation after epoch {self.current_epoch}", loss, {})
        self.scores["val/loss"] = loss
        for scorer in self.scorers:
            self.scores |= {f"val/{key}": value for key, value in scorer.compute().items()}

    def on_train_epoch_end(self) -> None:
        """Log the epoch's scores."""
        self.log_dict({name: value for name, value in self.scores.items() if np.isfinite(value)})

    def _finish_training_epoch(self) -> None:
        self.scores = {f"train/{name}": float(total) / self._count for name, total in self._sums.items()}
        value = self.scores.get("train/objective", self.scores["train/loss"])
        if not math.isfinite(value):
            raise diverged(f"epoch {self.current_epoch}", value, {})
        self.scores["lr"] = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        self.scores["seconds"] = time.monotonic() - self._started

    def configure_optimizers(self) -> Any:
        """Return optimiser and schedule as the recipe says."""
        optimizer = make_optimizer(self.rule, self.network, self.lr)
        steps = -(-self.steps // self.rule.accumulate) * self.rule.epochs
        schedule = make_schedule(self.rule, optimizer, steps, self.monitor)
        return optimizer if schedule is None else {"optimizer": optimizer, "lr_scheduler": schedule}


def diverged(where: str, value: float, parts: dict[str, Tensor]) -> DivergedError:
    """Return the error of a loss that is not finite, with its terms."""
    terms = ", ".join(f"{name} {float(term.detach()):g}" for name, term in parts.items())
    return DivergedError(
        where,
        f"the loss is {value:g}" + (f" ({terms})" if terms else ""),
        "Lower train.lr, or set train.precision=32; the last good checkpoint is kept.",
    )
