"""Checkpoints and the metrics table, on a real Lightning trainer with scripted scores."""

from __future__ import annotations

import math

import lightning
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from volseg_core.errors import DataError
from volseg_core.recipe import TrainBlock
from volseg_core.training.callbacks import Checkpoints, MetricsTable, read_checkpoint, read_metrics
from volseg_core.training.module import SegmentationModule


class Loss(nn.Module):
    def set_epoch(self, epoch):
        """Nothing starts later."""

    def forward(self, outputs, targets):
        value = nn.functional.cross_entropy(outputs[0], targets[0])
        return value, value, {"cross-entropy": value}


class Scripted(SegmentationModule):
    """Trains for real; the score of each epoch is given."""

    def __init__(self, scores):
        super().__init__(nn.Conv2d(1, 2, 1), Loss(), [], TrainBlock(epochs=len(scores), schedule="constant"), 1, 2e-3)
        self.script = scores

    def on_train_epoch_end(self):
        super().on_train_epoch_end()
        self.scores["val/dice"] = self.script[self.current_epoch]


def run(tmp_path, scores, *, higher=True, patience=0):
    """Train as many epochs as there are scores; return the weights at each best, and the callback."""
    module = Scripted(scores)
    kept = []
    callback = Checkpoints(
        tmp_path, "val/dice", higher=higher, spec="{}", recipe="{}",
        save_weights=lambda: kept.append((module.current_epoch, module.network.weight.detach().clone())),
        patience=patience,
    )  # fmt: skip
    trainer = lightning.Trainer(
        max_epochs=len(scores), accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[MetricsTable(tmp_path / "metrics.csv"), callback],
    )  # fmt: skip
    batch = [(torch.randn(1, 8, 8), (torch.randint(0, 2, (8, 8)),))] * 2
    trainer.fit(module, DataLoader(batch, batch_size=2))
    return module, kept, callback


def test_best_is_never_overwritten_by_last(tmp_path):
    """Fault 24."""
    module, kept, callback = run(tmp_path, [0.3, 0.9, 0.5])
    assert callback.best_epoch == 1
    best, last = read_checkpoint(tmp_path / "best.ckpt"), read_checkpoint(tmp_path / "last.ckpt")
    assert (best["epoch"], last["epoch"]) == (1, 2)
    torch.testing.assert_close(best["state_dict"]["network.weight"], kept[-1][1])
    torch.testing.assert_close(last["state_dict"]["network.weight"], module.network.weight.detach())
    assert not torch.equal(best["state_dict"]["network.weight"], last["state_dict"]["network.weight"])


def test_a_score_of_nan_is_no_improvement(tmp_path):
    """Fault 14."""
    _, kept, callback = run(tmp_path, [math.nan, 0.2, math.nan])
    assert callback.best_epoch == 1
    assert [epoch for epoch, _ in kept] == [0, 1]


def test_the_later_of_two_epochs_wins_within_the_noise_of_the_score(tmp_path):
    assert run(tmp_path, [0.900, 0.897])[2].best_epoch == 1
    assert run(tmp_path, [0.900, 0.890])[2].best_epoch == 0
    assert run(tmp_path, [0.900, 0.897, 0.894])[2].best_epoch == 1, "compared with the best, not with the last kept"


def test_lower_is_better_when_the_loss_decides(tmp_path):
    assert run(tmp_path, [0.5, 0.2, 0.4], higher=False)[2].best_epoch == 1


def test_training_stops_when_the_score_has_not_risen_for_a_while(tmp_path):
    module, _, callback = run(tmp_path, [0.5, 0.6, 0.6, 0.59, 0.9], patience=2)
    assert module.trainer.current_epoch == 4, "four epochs were trained; the fifth, which would be better, was not"
    assert callback.best_epoch == 2
    assert run(tmp_path, [0.5, 0.6, 0.6, 0.7], patience=2)[0].trainer.current_epoch == 4


def test_metrics_table_has_a_row_per_epoch(tmp_path):
    run(tmp_path, [0.3, 0.9])
    rows = read_metrics(tmp_path / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert float(rows[0]["train/loss"]) > 0


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    path = tmp_path / "last.ckpt"
    torch.save({"volseg.recipe": "{}", "payload": Evil()}, path)
    with pytest.raises(DataError, match="is not a usable checkpoint"):
        read_checkpoint(path)
    assert not (tmp_path / "executed").exists()


def test_a_truncated_checkpoint_is_refused(tmp_path):
    run(tmp_path, [0.3])
    whole = (tmp_path / "last.ckpt").read_bytes()
    (tmp_path / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is not a usable checkpoint"):
        read_checkpoint(tmp_path / "last.ckpt")
