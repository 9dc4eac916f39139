"""The weighted sum of losses: weights, targets of each task, and the three ways of ignoring."""

from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest
import torch

from volseg_core.api import Loss, hookimpl
from volseg_core.catalog import Catalog
from volseg_core.data.truth import Values
from volseg_core.errors import UsageError
from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.recipe import ComponentUse
from volseg_core.recipe.assembled import Head
from volseg_core.recipe.blocks import NamedHeadBlock
from volseg_core.registry import load_registry
from volseg_core.training.losses import SumOfHeads, WeightedLoss, output_weights, supervised
from volseg_core.training.targets import in_unit, predicted_class, to_target
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule


def catalog_of(*losses: Loss) -> Catalog:
    module = types.ModuleType("hooks")
    module.volseg_losses = hookimpl(specname="volseg_losses")(lambda: list(losses))
    return Catalog.from_modules([module])


def head_of(task, count, name=""):
    return HeadSpec(task, ClassMap(tuple(ClassName(number, f"{number}") for number in range(count))), name)


def weighted(*losses, task="multiclass", weights=None, params=None):
    catalog = catalog_of(*losses)
    uses = [
        ComponentUse(catalog.find("loss", loss.name), params or {}, weight)
        for loss, weight in zip(losses, weights or [1.0] * len(losses), strict=True)
    ]
    return WeightedLoss(catalog, uses, head_of(task, 3))


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
    _, parts = WeightedLoss(catalog, [use, use], head_of("multiclass", 3))(LOGITS, LABELS)
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


def test_values_that_a_loss_names_are_in_units_of_the_labels():
    """Labels are learnt less their mean and divided by their deviation; the loss is divided by it too."""
    labels = np.random.default_rng(0).normal([[50.0], [-3.0]], [[20.0], [0.5]], (2, 64)).astype(np.float32)
    labels = labels.reshape(2, 4, 4, 4)
    labels[:, 0, 0, 0] = 40, -3
    head = dataclasses.replace(head_of("regression", 2), offset=(50.0, -3.0), scale=(20.0, 0.5))
    catalog = load_registry(builtin_only=True).catalog
    params = {"threshold": -3.0, "factor": 7.0, "beta": 2.0}
    use = ComponentUse(catalog.find("loss", "weighted-smooth-l1"), params, 1.0)
    output = torch.randn(1, 2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    value, _ = WeightedLoss(catalog, [use], head)(output, torch.from_numpy(Values(head)(labels))[None])

    truth, deviation = torch.from_numpy(labels), torch.tensor([20.0, 0.5]).view(2, 1, 1, 1)
    predicted = in_unit(head, output)[0]
    errors = torch.nn.functional.smooth_l1_loss(predicted, truth, beta=2.0, reduction="none")
    factors = torch.where(truth < -3, 7.0, 1.0)
    assert 0 < (truth < -3).sum() < 64
    torch.testing.assert_close(value, (errors * factors / deviation).mean())


# --- heads and supervised outputs ---------------------------------------------------------------------------------


def value_loss(name="squares"):
    """A masked loss that is the mean square of output less target on what is known."""
    return Loss(name=name, target="collections:OrderedDict", summary="", ignore="mask")


def masked(output, target, valid):
    return ((output - target) * valid).square().sum() / valid.sum().clamp(min=1)


def of_task(task, count, name):
    loss = weighted(value_loss(), task=task)
    loss.terms = [masked]
    return head_of(task, count, name), loss


def sum_of(*parts, weights):
    heads = [
        Head(spec.name, NamedHeadBlock(task=spec.task, weight=weight), (), ())
        for (spec, _), weight in zip(parts, weights, strict=True)
    ]
    spec = ModelSpec(tuple(head for head, _ in parts), 1, Normalisation(), "zyx", SizeRule.same(8, 8, 2))
    return SumOfHeads(spec, heads, [loss for _, loss in parts])


VALUES = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(2))
TRUTH = [torch.zeros(2, 1, 4, 4), torch.ones(2, 2, 4, 4)]


def test_each_head_is_judged_on_its_channels_and_weighs():
    total, told, parts = sum_of(of_task("regression", 1, "a"), of_task("regression", 2, "b"), weights=(2, 0.5))(
        [VALUES], TRUTH
    )
    first, second = VALUES[:, :1].square().mean(), (VALUES[:, 1:] - 1).square().mean()
    torch.testing.assert_close(total, 2 * first + 0.5 * second)
    assert told == total
    torch.testing.assert_close(parts, {"a/squares": first, "b/squares": second})
    *_, parts = sum_of(of_task("regression", 1, ""), weights=(1,))([VALUES[:, :1]], TRUTH[:1])
    assert list(parts) == ["squares"], "an only head has no name"


def test_every_head_wants_its_target_and_nothing_more_is_taken_for_one():
    made = sum_of(of_task("regression", 3, "a"), weights=(1,))
    target = torch.zeros(2, 3, 4, 4)
    for targets in ([], [target, torch.zeros(2, 4, 4, dtype=torch.int64)]):
        with pytest.raises(ValueError, match="zip"):
            made([VALUES], targets)


def test_all_supervised_outputs_count_by_their_resolution_and_the_final_one_is_told():
    made = sum_of(of_task("regression", 3, "a"), weights=(3,))
    target = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    coarse = VALUES[..., :2, :2] + 1
    total, told, parts = made([VALUES, 2 * VALUES, coarse], [target])
    final, second, last = (made([output], [truth])[0] for output, truth in (
        (VALUES, target), (2 * VALUES, target), (coarse, target[..., 1::2, 1::2]),
    ))  # fmt: skip
    torch.testing.assert_close(total, 2 / 3 * (final + second) + 1 / 3 * last)
    torch.testing.assert_close(told, final)
    torch.testing.assert_close(3 * parts["a/squares"], final)


@pytest.mark.parametrize(
    ("sizes", "weights"),
    [
        ([8], [1]),
        ([8, 8, 8], [1, 1, 1]),
        ([16, 8, 4], [4 / 7, 2 / 7, 1 / 7]),
        ([17, 9, 5, 3], [8 / 15, 4 / 15, 2 / 15, 1 / 15]),
        ([8, 8, 4], [2 / 3, 2 / 3, 1 / 3]),
    ],
)
def test_stacks_are_added_up_and_coarser_resolutions_count_half_of_the_one_before(sizes, weights):
    assert output_weights([torch.Size((4, size, size)) for size in sizes]) == pytest.approx(weights)


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_what_is_not_known_counts_for_nothing(task):
    made = sum_of(of_task(task, 3, "a"), weights=(1,))
    target = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    target[0, 1] = float("nan")
    output = VALUES.clone().requires_grad_()
    total, *_ = made([output], [target])
    total.backward()
    known = ~torch.isnan(target)
    torch.testing.assert_close(total.detach(), (VALUES - target)[known].square().mean())
    assert (output.grad[0, 1] == 0).all()


def test_losses_learn_the_epoch_and_start_when_it_is_theirs():
    made = sum_of(of_task("regression", 3, "a"), weights=(1,))
    made.losses[0].starts = [2]
    assert made([VALUES], [torch.zeros(2, 3, 4, 4)])[0] == 0
    made.set_epoch(2)
    assert made([VALUES], [torch.zeros(2, 3, 4, 4)])[0] > 0


def test_a_network_offers_its_outputs_or_has_one():
    class Deep(torch.nn.Identity):
        def supervised(self, image):
            return [image, 2 * image]

    assert len(supervised(torch.nn.Identity(), VALUES)) == 1
    assert torch.equal(supervised(Deep(), VALUES)[1], 2 * VALUES)
