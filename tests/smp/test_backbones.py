"""Backbones that were pretrained without labels, from recipe to prediction, here at random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import volseg_core

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ["model.decoder_fusion_channels=16", "model.decoder_intermediate_channels=[16, 16, 16, 16]"]
STEPS = ["data.window=[56, 56]", "data.axes=z", "train.epochs=1", "train.steps=2", "train.batch=2"]


@pytest.mark.parametrize(
    ("encoder", "model"),
    [
        ("tu-vit_small_patch14_dinov2", ["model=dpt", *SMALL]),
        ("tu-convnextv2_atto", ["model=unet", "data.window=[64, 64]"]),
    ],
)
def test_a_recipe_with_the_encoder_trains_and_predicts(tmp_path: Path, encoder: str, model: list[str]) -> None:
    arrays = volseg_core.generate("blobs", overrides=["shape=[16, 64, 72]", "seed=1"])
    settings = [*STEPS, *model, f"model.encoder={encoder}", "model.encoder.weights=none"]
    run = volseg_core.train(
        "slices", data=arrays["data"], labels=arrays["labels"], output=tmp_path / "run", overrides=settings
    )
    found = volseg_core.predict(run.folder, arrays["data"][:2], quality="low")
    assert found.labels.shape == (2, 64, 72)
    assert set(np.unique(found.labels)) <= set(np.unique(arrays["labels"]))
