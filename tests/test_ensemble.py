from __future__ import annotations

import pytest
import torch
from torch import nn

from volseg_core.ensemble import Ensemble, member_tensors


@pytest.mark.parametrize("channels", [2, 5])
def test_softmax_of_the_logits_is_the_mean_softmax_of_the_members(channels):
    torch.manual_seed(0)
    members = [nn.Conv2d(1, channels, 3, padding=1) for _ in range(3)]
    image = 30 * torch.randn(2, 1, 6, 7)
    found = Ensemble(members, [("multiclass", channels)])(image).softmax(1)
    torch.testing.assert_close(found, torch.stack([member(image).softmax(1) for member in members]).mean(0))


def test_sigmoid_of_the_logits_is_the_mean_sigmoid_of_the_members():
    torch.manual_seed(0)
    members = [nn.Conv2d(1, 1, 3, padding=1) for _ in range(4)]
    image = 3 * torch.randn(2, 1, 6, 7)
    found = Ensemble(members, [("binary", 1)])(image).sigmoid()
    torch.testing.assert_close(found, torch.stack([member(image).sigmoid() for member in members]).mean(0))


@pytest.mark.parametrize("binary", [True, False])
def test_certain_members_that_disagree_give_finite_logits(binary):
    class Certain(nn.Module):
        def __init__(self, value):
            super().__init__()
            self.value = value

        def forward(self, image):
            return torch.cat([image, -image][: 1 if binary else 2], 1) * 0 + torch.tensor(
                [[self.value], [-self.value]][: 1 if binary else 2]
            ).reshape(1, -1, 1, 1)

    found = Ensemble([Certain(1e4), Certain(-1e4)], [("binary", 1) if binary else ("multiclass", 2)])(
        torch.zeros(1, 1, 2, 2)
    )
    assert torch.isfinite(found).all()
    chance = found.sigmoid() if binary else found.softmax(1)
    torch.testing.assert_close(chance, torch.full_like(chance, 0.5))


def test_tensors_of_members_fill_the_ensemble():
    members = [nn.Conv2d(1, 2, 1) for _ in range(2)]
    ensemble = Ensemble([nn.Conv2d(1, 2, 1) for _ in range(2)], [("multiclass", 2)])
    ensemble.load_state_dict(member_tensors([member.state_dict() for member in members]))
    torch.testing.assert_close(ensemble.members[1].weight, members[1].weight)


def test_each_head_is_averaged_as_its_task_asks():
    torch.manual_seed(0)
    members = [nn.Conv2d(1, 7, 3, padding=1) for _ in range(3)]
    image = torch.randn(2, 1, 6, 7)
    heads = [("multiclass", 3), ("multilabel", 2), ("regression", 2)]
    classes, chances, values = Ensemble(members, heads)(image).split([3, 2, 2], dim=1)
    outputs = torch.stack([member(image) for member in members])
    torch.testing.assert_close(classes.softmax(1), outputs[:, :, :3].softmax(2).mean(0))
    torch.testing.assert_close(chances.sigmoid(), outputs[:, :, 3:5].sigmoid().mean(0))
    torch.testing.assert_close(values, outputs[:, :, 5:].mean(0))
