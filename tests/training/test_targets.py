"""What losses receive, and what an output says in the unit of the labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from volseg_core.model import HeadSpec, ModelSpec
from volseg_core.prediction import segment
from volseg_core.training.targets import in_unit, nearest, probabilities, results, to_target
from volseg_core.volume import ClassMap, ClassName, Normalisation, SizeRule


def head(task: str, count: int, name: str = "", scaled: bool = False) -> HeadSpec:
    classes = ClassMap(tuple(ClassName(number, f"{number}") for number in range(count)))
    rows = (tuple(range(10, 10 + count)), tuple(range(2, 2 + count))) if scaled else ((), ())
    return HeadSpec(task, classes, name, *rows)


def spec(*heads: HeadSpec) -> ModelSpec:
    return ModelSpec(heads, 1, Normalisation(), "zyx", SizeRule.same(8, 8, 2))


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_values_without_truth_are_0_and_masked(task):
    values = torch.tensor([[[0.5, float("nan")], [-3.0, 0.0]]])
    target, valid = to_target(task, values)
    assert target.tolist() == [[[0.5, 0.0], [-3.0, 0.0]]]
    assert valid.tolist() == [[[True, False], [True, True]]]
    assert torch.isnan(values).any(), "the caller's is left alone"


def test_every_task_gives_its_probabilities():
    output = torch.tensor([0.0, 2.0]).reshape(1, 2, 1)
    assert probabilities("regression", output) is output
    torch.testing.assert_close(probabilities("multilabel", output), output.sigmoid())
    torch.testing.assert_close(probabilities("multiclass", output).sum(1), torch.ones(1, 1))
    both = probabilities("binary", output[:, 1:])
    torch.testing.assert_close(both[:, 1], output[:, 1].sigmoid())
    torch.testing.assert_close(both.sum(1), torch.ones(1, 1))


@given(
    st.lists(
        st.tuples(st.sampled_from(["multiclass", "multilabel", "regression", "binary"]), st.integers(1, 4)),
        min_size=1,
        max_size=5,
    )
)
def test_heads_are_split_and_joined(chosen):
    heads = [head(task, 2 if task == "binary" else count, f"h{at}") for at, (task, count) in enumerate(chosen)]
    made = spec(*heads)
    covered = [number for part in made.parts for number in range(made.out_channels)[part]]
    assert covered == list(range(made.out_channels))
    assert [part.stop - part.start for part in made.parts] == [item.channels for item in heads]
    output = torch.randn(2, made.out_channels, 3, 4, generator=torch.Generator().manual_seed(0))
    joined = results(made, output)
    assert joined.shape[1] == sum(len(item.classes) for item in heads)
    parts = joined.split([len(item.classes) for item in heads], dim=1)
    for item, part, found in zip(heads, made.parts, parts, strict=True):
        torch.testing.assert_close(found, probabilities(item.task, output[:, part]))
    # what predicts, in any array library, agrees with what trains
    np.testing.assert_allclose(segment.results(made, output.numpy()), joined.numpy(), atol=1e-6)
    torch.testing.assert_close(segment.results(made, output), joined, atol=1e-6, rtol=0)


def test_values_of_a_prediction_are_in_the_unit_of_the_labels():
    made = spec(head("multilabel", 1, "a"), head("regression", 2, "b", scaled=True))
    output = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    wanted = output[:, 1:] * torch.tensor([2.0, 3.0]).view(2, 1, 1, 1) + torch.tensor([10.0, 11.0]).view(2, 1, 1, 1)
    torch.testing.assert_close(in_unit(made.heads[1], output[:, 1:]), wanted)
    torch.testing.assert_close(segment.results(made, output)[:, 1:], wanted)
    np.testing.assert_allclose(segment.results(made, output.numpy())[:, 1:], wanted.numpy(), rtol=1e-6)
    half = segment.results(made, output.half())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half[:, 1:], wanted, atol=0.02, rtol=0.01)


@pytest.mark.parametrize("shape", [(8, 8), (4, 6, 8)])
def test_a_coarser_output_is_judged_at_the_voxels_under_its_middle(shape):
    target = torch.arange(int(np.prod(shape))).reshape(1, *shape)
    coarse = nearest(target, torch.Size(size // 2 for size in shape))
    wanted = target[(0, *(slice(1, None, 2) for _ in shape))]
    assert torch.equal(coarse[0], wanted)
    values = torch.stack([target, -target], dim=1).float()
    assert torch.equal(nearest(values, coarse.shape[1:])[0, 1], -wanted.float())
    assert nearest(target, target.shape[1:]) is target


def test_a_coarser_target_keeps_what_is_not_known():
    target = torch.full((1, 1, 4, 4), float("nan"))
    target[..., 1::2, 1::2] = 7
    assert (nearest(target, torch.Size((2, 2))) == 7).all()
    assert torch.isnan(nearest(target.roll(1, -1), torch.Size((2, 2)))).all()
