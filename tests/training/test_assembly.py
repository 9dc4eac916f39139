"""The layout in which a network is trained."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from volseg_core.recipe import resolve_recipe
from volseg_core.registry import load_registry
from volseg_core.training.assembly import layout_of

REGISTRY = load_registry(builtin_only=True)
BATCH, GROUP = nn.BatchNorm3d(4), nn.GroupNorm(2, 4)


def rule(*overrides):
    return resolve_recipe(REGISTRY, "patches", ["train.device=cpu", *overrides]).train


@pytest.mark.parametrize(
    ("network", "dims", "layout"),
    [
        (nn.Sequential(nn.Conv3d(1, 4, 3), BATCH), 3, torch.channels_last_3d),
        (nn.Sequential(nn.Conv3d(1, 4, 3), GROUP), 3, None),
        (nn.Sequential(BATCH, GROUP), 3, None),
        (nn.Sequential(BATCH, nn.InstanceNorm3d(4)), 3, None),
        (nn.Conv3d(1, 4, 3), 3, None),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)), 2, None),
    ],
)
def test_on_a_cpu_boxes_get_channels_last_where_norms_are_of_the_batch_alone(network, dims, layout):
    assert layout_of(rule(), network, dims) is layout
    assert layout_of(rule("train.channels_last=false"), network, dims) is None
    wanted = layout_of(rule("train.channels_last=true"), network, dims)
    assert wanted is (torch.channels_last if dims == 2 else torch.channels_last_3d)
