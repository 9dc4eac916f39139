"""What holds for every loss and every setting: true ignore, gradients, precision, edge cases."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from volseg_core.api import PluginError
from volseg_losses.cross_entropy import CrossEntropyLoss
from volseg_losses.dice import DiceLoss

Build = Callable[[str, int], Any]

WEIGHTS = [1.0, 3.0, 0.0, 0.5]
VARIANTS: dict[str, Build] = {
    "cross-entropy": lambda task, classes: CrossEntropyLoss(task=task, num_classes=classes),
    "smoothed": lambda task, classes: CrossEntropyLoss(task=task, num_classes=classes, label_smoothing=0.1),
    "weighted": lambda task, classes: CrossEntropyLoss(
        task=task, num_classes=classes, class_weights=WEIGHTS[: 2 if task == "binary" else classes]
    ),
    "dice": lambda task, _: DiceLoss(task=task),
    "squared": lambda task, _: DiceLoss(task=task, squared=True, smooth=1.0),
    "foreground": lambda task, _: DiceLoss(task=task, classes="foreground"),
    "by-sample": lambda task, _: DiceLoss(task=task, average="sample"),
}
each_loss = pytest.mark.parametrize("build", VARIANTS.values(), ids=VARIANTS)
each_task = pytest.mark.parametrize("task", ["multiclass", "binary"])
each_size = pytest.mark.parametrize("size", [(6, 5), (4, 3, 5)], ids=["2d", "3d"])


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Problem(NamedTuple):
    task: str
    logits: Tensor
    target: Tensor
    valid: Tensor


def make_problem(task: str, size: tuple[int, ...], *, seed: int = 0, batch: int = 2, classes: int = 3) -> Problem:
    random = torch.Generator().manual_seed(seed)
    channels = 1 if task == "binary" else classes
    logits = 3 * torch.randn(batch, channels, *size, generator=random, dtype=torch.float64)
    if task == "binary":
        target = torch.randint(0, 2, (batch, 1, *size), generator=random).double()
    else:
        target = torch.randint(0, classes, (batch, *size), generator=random)
    return Problem(task, logits, target, torch.rand(target.shape, generator=random) < 0.6)


def truthful_logits(task: str, target: Tensor, classes: int, height: float = 10.0) -> Tensor:
    if task == "binary":
        return (2 * target - 1) * height
    return height * (2 * torch.nn.functional.one_hot(target, classes).movedim(-1, 1).double() - 1)


def valid_voxels(problem: Problem) -> tuple[Tensor, Tensor]:
    """Return logits (1, C, V) and target of the labelled voxels of a batch alone."""
    if problem.task == "binary":
        return problem.logits[problem.valid].reshape(1, 1, -1), problem.target[problem.valid].reshape(1, 1, -1)
    chosen = problem.logits.movedim(1, -1)[problem.valid]
    return chosen.T.unsqueeze(0), problem.target[problem.valid].unsqueeze(0)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    task = draw(st.sampled_from(["multiclass", "binary"]))
    size = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=3)))
    problem = make_problem(
        task, size, seed=draw(st.integers(0, 2**32)), batch=draw(st.integers(1, 3)), classes=draw(st.integers(2, 4))
    )
    share = draw(st.sampled_from([0.0, 0.2, 0.6, 1.0]))
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    return problem._replace(valid=torch.rand(problem.valid.shape, generator=random) < share)


@each_loss
@settings(max_examples=40, deadline=None)
@given(problem=problems())
def test_ignored_voxels_are_as_if_they_were_not_there(build: Build, problem: Problem) -> None:
    loss = build(problem.task, problem.logits.shape[1])
    if getattr(loss, "average", "") == "sample":
        problem = problem._replace(**{key: getattr(problem, key)[:1] for key in ("logits", "target", "valid")})
    logits = problem.logits.clone().requires_grad_()
    value = loss(logits, problem.target, problem.valid)
    value.backward()
    over_channels = problem.valid if problem.task == "binary" else problem.valid.unsqueeze(1)
    over_channels = over_channels.expand_as(logits)
    assert (logits.grad[~over_channels] == 0).all()
    if not problem.valid.any():
        assert value == 0
        return
    alone, target = valid_voxels(problem)
    alone.requires_grad_()
    expected = loss(alone, target)
    expected.backward()
    torch.testing.assert_close(value, expected)
    gradient = logits.grad.movedim(1, -1)[over_channels.movedim(1, -1)]
    torch.testing.assert_close(gradient, alone.grad.movedim(1, -1).flatten())


@each_loss
@each_size
def test_minus_one_in_a_multiclass_target_is_ignored_like_the_mask(build: Build, size: tuple[int, ...]) -> None:
    problem = make_problem("multiclass", size)
    loss = build("multiclass", 3)
    marked = problem.target.masked_fill(~problem.valid, -1)
    masked = loss(problem.logits, problem.target, problem.valid)
    assert loss(problem.logits, marked) == masked
    assert loss(problem.logits, marked, torch.ones_like(problem.valid)) == masked
    assert loss(problem.logits, problem.target) != masked


@each_loss
@each_task
def test_logits_of_ignored_voxels_may_be_anything(build: Build, task: str) -> None:
    problem = make_problem(task, (6, 5))
    channels = (problem.valid if task == "binary" else problem.valid.unsqueeze(1)).expand_as(problem.logits)
    loss = build(task, 3)
    poisoned = problem.logits.masked_fill(~channels, float("nan")).requires_grad_()
    value = loss(poisoned, problem.target, problem.valid)
    value.backward()
    assert value == loss(problem.logits, problem.target, problem.valid)
    assert (poisoned.grad[~channels] == 0).all()
    assert poisoned.grad.isfinite().all()


@each_loss
@each_task
@each_size
def test_a_batch_without_labels_costs_nothing(build: Build, task: str, size: tuple[int, ...]) -> None:
    problem = make_problem(task, size)
    logits = problem.logits.requires_grad_()
    value = build(task, 3)(logits, problem.target, torch.zeros_like(problem.valid))
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()


def test_a_mask_without_the_channel_axis_serves_a_binary_task() -> None:
    problem = make_problem("binary", (6, 5))
    loss = DiceLoss(task="binary")
    with_axis = loss(problem.logits, problem.target, problem.valid)
    assert loss(problem.logits, problem.target, problem.valid.squeeze(1)) == with_axis


@each_loss
@each_task
@each_size
def test_the_gradient_is_that_of_the_value(build: Build, task: str, size: tuple[int, ...]) -> None:
    problem = make_problem(task, tuple(min(length, 3) for length in size))
    loss = build(task, 3)
    logits = problem.logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda output: loss(output, problem.target, problem.valid), (logits,))


@pytest.mark.parametrize("name", ["cross-entropy", "dice", "squared", "foreground", "by-sample"])
@each_task
@each_size
def test_a_confident_right_answer_costs_nearly_nothing(name: str, task: str, size: tuple[int, ...]) -> None:
    target = make_problem(task, size).target
    right = truthful_logits(task, target, 3)
    loss = VARIANTS[name](task, 3)
    assert 0 <= loss(right, target) < 0.01
    assert loss(-right, target) > 0.9
    assert loss(right / 10, target) > loss(right, target)


@each_loss
@each_task
@pytest.mark.parametrize("label", [0, 1])
def test_a_volume_of_one_class_has_a_finite_loss_that_learns(build: Build, task: str, label: int) -> None:
    target = torch.full_like(make_problem(task, (4, 4, 4), batch=1).target, label)
    loss = build(task, 3)
    right = loss(truthful_logits(task, target, 3), target)
    wrong_logits = (-truthful_logits(task, target, 3, height=2.0)).requires_grad_()
    wrong = loss(wrong_logits, target)
    wrong.backward()
    assert right < wrong
    assert wrong.isfinite()
    assert wrong_logits.grad.isfinite().all()
    assert wrong_logits.grad.abs().max() > 0


@each_loss
@each_task
@each_size
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_is_computed_in_float32(
    build: Build, task: str, size: tuple[int, ...], dtype: torch.dtype
) -> None:
    problem = make_problem(task, size)
    loss = build(task, 3)
    logits = problem.logits.to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        value = loss(logits, problem.target, problem.valid)
    value.backward()
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.float(), problem.target, problem.valid))
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", ["cross-entropy", "dice"])
def test_half_precision_does_not_overflow_in_a_large_window(name: str) -> None:
    target = torch.zeros((1, 64, 64, 64), dtype=torch.int64)
    logits = torch.zeros((1, 2, 64, 64, 64), dtype=torch.float16)
    assert VARIANTS[name]("multiclass", 2)(logits, target).isfinite()


@each_loss
@each_task
def test_a_batch_of_one_costs_what_the_same_sample_twice_does(build: Build, task: str) -> None:
    problem = make_problem(task, (5, 4, 3), batch=1)
    loss = build(task, 3)
    twice = [torch.cat([tensor, tensor]) for tensor in problem[1:]]
    # smooth counts in voxels, so that it weighs half as much in a batch of two
    tolerance = 0.05 if getattr(loss, "squared", False) else 1e-5
    torch.testing.assert_close(loss(*problem[1:]), loss(*twice), rtol=tolerance, atol=0)


@pytest.mark.parametrize("name", ["cross-entropy", "dice"])
def test_shapes_that_do_not_belong_together_are_refused(name: str) -> None:
    loss = VARIANTS[name]("binary", 1)
    with pytest.raises(PluginError, match=r"target of shape \(2, 4, 4\) does not fit a binary output") as raised:
        loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4))
    assert "size of the window" in str(raised.value)
    with pytest.raises(PluginError, match=r"target of shape \(2, 4, 4\)"):
        VARIANTS[name]("multiclass", 3)(torch.zeros(2, 3, 8, 8), torch.zeros(2, 4, 4, dtype=torch.int64))
    with pytest.raises(PluginError, match="valid of shape"):
        loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4), torch.ones(4, 4, dtype=torch.bool))
