"""The weighted sum of losses: weights, targets of each task, and the three ways of ignoring."""

from __future__ import annotations

import types

import pytest
import torch

from volseg_core.api import Loss, hookimpl
from volseg_core.catalog import Catalog
from volseg_core.errors import UsageError
from volseg_core.recipe import ComponentUse
from volseg_core.training.losses import WeightedLoss
from volseg_core.training.targets import predicted_class, to_target


def catalog_of(*losses: Loss) -> Catalog:
    module = types.ModuleType("hooks")
    module.volseg_losses = hookimpl(specname="volseg_losses")(lambda: list(losses))
    return Catalog.from_modules([module])


def weighted(*losses, task="multiclass", weights=None, params=None):
    catalog = catalog_of(*losses)
    uses = [
        ComponentUse(catalog.find("loss", loss.name), params or {}, weight)
        for loss, weight in zip(losses, weights or [1.0] * len(losses), strict=True)
    ]
    return WeightedLoss(catalog, uses, task, 3)


def torch_loss(ignore="index", wants=("ignore_index",), name="torch-ce"):
    return Loss(name=name, target="torch.nn:CrossEntropyLoss", summary="", ignore=ignore, wants=wants)


LOGITS = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(1))


def test_a_sum_is_weighted():
    once, _ = weighted(torch_loss())(LOGITS, LABELS)
    both, parts = weighted(torch_loss(), torch_loss(name="second"), weights=[2.0, 0.5])(LOGITS, LABELS)
    torch.testing.assert_close(both, 2.5 * once)
    assert set(parts) == {"torch-ce", "second"}


def test_a_binary_target_has_the_index_where_there_is_no_label():
    seen = []
    descriptor = Loss(name="seeing", target="collections:OrderedDict", summary="", ignore="index")
    loss = weighted(descriptor, task="binary")
    loss.terms = [lambda output, target: seen.append(target) or output.sum()]
    loss(LOGITS[:, :1], torch.tensor([[[0, 1], [-1, 1]]]).repeat(2, 2, 2))
    assert seen[0].unique().tolist() == [-1, 0, 1]


def test_the_same_loss_twice_is_told_apart():
    catalog = catalog_of(torch_loss())
    use = ComponentUse(catalog.find("loss", "torch-ce"), {}, 1.0)
    _, parts = WeightedLoss(catalog, [use, use], "multiclass", 3)(LOGITS, LABELS)
    assert set(parts) == {"torch-ce-0", "torch-ce-1"}


def test_an_unwrapped_torch_loss_ignores_by_index():
    labels = LABELS.clone()
    labels[:, :2] = -1
    value, _ = weighted(torch_loss())(LOGITS, labels)
    expected = torch.nn.functional.cross_entropy(LOGITS[:, :, 2:], LABELS[:, 2:])
    torch.testing.assert_close(value, expected)


def test_a_loss_without_an_ignore_label_is_refused_only_where_labels_lack():
    loss = weighted(torch_loss(ignore="none", wants=()))
    loss(LOGITS, LABELS)
    labels = LABELS.clone()
    labels[0, 0, 0] = -1
    with pytest.raises(UsageError, match="knows no ignore label, and some voxels have no label"):
        loss(LOGITS, labels)


def test_targets_of_the_tasks():
    labels = torch.tensor([[0, 1, -1]])
    target, valid = to_target("multiclass", labels)
    assert target is labels
    assert valid.tolist() == [[True, True, False]]
    target, valid = to_target("binary", labels)
    assert target.tolist() == [[[0.0, 1.0, 0.0]]]
    assert valid.tolist() == [[[True, True, False]]]


def test_predicted_classes():
    assert predicted_class("binary", torch.tensor([[[-1.0, 2.0]]])).tolist() == [[0, 1]]
    assert predicted_class("multiclass", torch.tensor([[[0.0, 2.0], [1.0, 0.0]]])).tolist() == [[1, 0]]
