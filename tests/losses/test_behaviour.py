"""What holds for every loss and every setting: true ignore, gradients, precision, edge cases."""

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from volseg_losses.plugin import volseg_losses

Build = Callable[[str, int], Any]

LOSSES = {loss.name: loss for loss in volseg_losses()}
SHAPE = {
    "cldice", "skeleton-recall", "boundary", "hausdorff-dt", "border-weighted-cross-entropy", "boundary-weighted-dice"
}  # fmt: skip
BY_ENTRY = {
    "binary-cross-entropy", "focal", "mean-squared-error", "mean-absolute-error", "smooth-l1", "weighted-smooth-l1"
}  # fmt: skip
"""Losses of multilabel and regression tasks that are a mean over the entries of all channels."""
ACROSS = {"generalised-dice", "gdl-gentle", "gdl-counting", "bce-by-channel", "dice-weighted"}
"""Settings in which the channels of a multilabel task are not alike, each a task of its own."""


def build_loss(name: str, task: str, num_classes: int, **params: Any) -> Any:
    module, _, attribute = LOSSES[name].target.partition(":")
    classes, channels = (2, 1) if task == "binary" else (num_classes, num_classes)
    counts = None if task in ("multilabel", "regression") else [50, 10, 200, 1][:classes]
    scaling = {"offset": (0.2,) * num_classes, "scale": (0.5,) * num_classes}
    known = {"task": task, "num_classes": num_classes, "class_counts": counts, **scaling}
    context = {key: known[key] for key in LOSSES[name].wants}
    if isinstance(params.get("weights"), list):
        number = channels if name == "dice" else 2 if name == "focal" and task != "multiclass" else classes
        params["weights"] = params["weights"][:number]
    if isinstance(params.get("pos_weight"), list):
        params["pos_weight"] = params["pos_weight"][:channels]
    return getattr(importlib.import_module(module), attribute)(**params, **context)


SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in LOSSES},
    "smoothed": ("cross-entropy", {"label_smoothing": 0.1}),
    "weighted": ("cross-entropy", {"weights": [1.0, 3.0, 0.0, 0.5]}),
    "balanced": ("cross-entropy", {"weights": "auto"}),
    "bce-weighted": ("binary-cross-entropy", {"pos_weight": 3.0}),
    "focal-weighted": ("focal", {"gamma": 0.5, "weights": [1.0, 3.0, 0.0, 0.5]}),
    "squared": ("dice", {"squared": True, "smooth": 1.0}),
    "foreground": ("dice", {"classes": "foreground"}),
    "dice-by-sample": ("dice", {"average": "sample"}),
    "gdl-gentle": ("generalised-dice", {"power": 1.0, "average": "sample"}),
    "jaccard-foreground": ("jaccard", {"classes": "foreground", "smooth": 0.0}),
    "tversky-precise": ("tversky", {"alpha": 1.0, "beta": 0.1, "smooth": 0.0}),
    "focal-tversky-by-sample": ("focal-tversky", {"gamma": 2.0, "average": "sample"}),
    "lovasz-foreground": ("lovasz", {"classes": "foreground", "average": "sample"}),
    "mcc-by-sample": ("matthews-correlation", {"average": "sample"}),
    "cldice-all": ("cldice", {"classes": "all", "iterations": 1, "smooth": 0.0}),
    "skeleton-thin": ("skeleton-recall", {"radius": 0, "classes": "all"}),
    "boundary-all": ("boundary", {"classes": "all"}),
    "hausdorff-linear": ("hausdorff-dt", {"alpha": 1.0, "classes": "all"}),
    "bce-by-channel": ("binary-cross-entropy", {"pos_weight": [3.0, 0.5, 1.0, 2.0]}),
    "balanced-by-batch": ("balanced-binary-cross-entropy", {"average": "batch"}),
    "border-weighted-classes": (
        "border-weighted-cross-entropy",
        {"border_weight": 3.0, "sigma": 1.0, "weights": [1.0, 3.0, 0.5, 2.0]},
    ),
    "boundary-dice-thick": ("boundary-weighted-dice", {"thickness": 2, "smooth": 1.0, "average": "sample"}),
    "dice-weighted": ("dice", {"weights": [1.0, 3.0, 0.5, 2.0]}),
    "dice-as-in-pytorch-3dunet": (
        "dice",
        {"smooth": 0.0, "squared": True, "absent": "count", "scale_weights": False},
    ),
    "gdl-counting": ("generalised-dice", {"absent": "count"}),
    "dice-counting": ("dice", {"absent": "count", "smooth": 1.0}),
    "huber-like": ("smooth-l1", {"beta": 0.3}),
    "weighted-above": ("weighted-smooth-l1", {"threshold": 0.5, "factor": 3.0, "side": "above"}),
}


TASKS = ("multiclass", "binary", "multilabel", "regression")


def variants(*, shapes: bool, without: tuple[str, ...] = (), tasks: tuple[str, ...] = TASKS) -> Any:
    """Run a test with every setting and those of the tasks that its loss serves."""
    cases = [
        pytest.param(partial(build_loss, name, **params), task, id=f"{setting}-{task}")
        for setting, (name, params) in SETTINGS.items()
        for task in LOSSES[name].tasks
        if task in tasks
        if (shapes or name not in SHAPE) and setting not in without
    ]
    return pytest.mark.parametrize(("build", "task"), cases)


each_loss = variants(shapes=True)
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
    shape = (batch, 1 if task == "binary" else classes, *size)
    logits = 3 * torch.randn(shape, generator=random, dtype=torch.float64)
    if task == "multiclass":
        target = torch.randint(0, classes, (batch, *size), generator=random)
    elif task == "regression":
        target = 3 * torch.randn(shape, generator=random, dtype=torch.float64)
    else:
        target = torch.randint(0, 2, shape, generator=random).double()
    return Problem(task, logits, target, torch.rand(target.shape, generator=random) < 0.6)


def truthful_logits(task: str, target: Tensor, classes: int, height: float = 10.0) -> Tensor:
    if task == "regression":
        return target
    if task != "multiclass":
        return (2 * target - 1) * height
    return height * (2 * torch.nn.functional.one_hot(target, classes).movedim(-1, 1).double() - 1)


def untruthful_logits(task: str, target: Tensor, classes: int, height: float = 10.0) -> Tensor:
    return target + 9 if task == "regression" else -truthful_logits(task, target, classes, height)


def other_target(task: str, target: Tensor) -> Tensor:
    return target + 9 if task == "regression" else (target + 1) % (3 if task == "multiclass" else 2)


@st.composite
def problems(draw: st.DrawFn, task: str) -> Problem:
    size = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=3)))
    problem = make_problem(
        task, size, seed=draw(st.integers(0, 2**32)), batch=draw(st.integers(1, 3)), classes=draw(st.integers(2, 4))
    )
    share = draw(st.sampled_from([0.0, 0.2, 0.6, 1.0]))
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    return problem._replace(valid=torch.rand(problem.valid.shape, generator=random) < share)


def channels_of(problem: Problem) -> Tensor:
    """Return the mask of labelled voxels in the shape of the logits."""
    valid = problem.valid.unsqueeze(1) if problem.task == "multiclass" else problem.valid
    return valid.expand_as(problem.logits)


def chosen(values: Tensor, valid: Tensor) -> Tensor:
    """Return (1, C, V) of (N, C, *S), or (1, V) of (N, *S), where a mask (N, *S) is true."""
    return (values.movedim(1, -1)[valid].T if values.ndim > valid.ndim else values[valid]).unsqueeze(0)


def without_ignored(problem: Problem, logits: Tensor, how: str) -> list[tuple[Tensor, Tensor]]:
    """Return what is labelled alone: all of it, or that of each channel, as logits (1, C, V) and target."""
    if how == "one-mask":
        valid = problem.valid if problem.task == "multiclass" else problem.valid[:, 0]
        return [(chosen(logits, valid), chosen(problem.target, valid))]
    if how == "by-entry":
        return [tuple(values[problem.valid].reshape(1, 1, -1) for values in (logits, problem.target))]
    masks = [(index, problem.valid[:, index]) for index in range(logits.shape[1]) if problem.valid[:, index].any()]
    return [
        tuple(values[:, index][valid].reshape(1, 1, -1) for values in (logits, problem.target))
        for index, valid in masks
    ]


def check_ignored(build: Build, problem: Problem, how: str) -> None:
    loss = build(problem.task, problem.logits.shape[1])
    if getattr(loss, "average", "") == "sample":
        problem = problem._replace(**{key: getattr(problem, key)[:1] for key in ("logits", "target", "valid")})
    logits, alone = (problem.logits.clone().requires_grad_() for _ in range(2))
    value = loss(logits, problem.target, problem.valid)
    value.backward()
    if not problem.valid.any():
        assert value == 0
        assert (logits.grad == 0).all()
        return
    parts = without_ignored(problem, alone, how)
    one = build(problem.task, parts[0][0].shape[1])
    expected = torch.stack([one(*part) for part in parts]).mean()
    expected.backward()
    torch.testing.assert_close(value, expected)
    assert (logits.grad[~channels_of(problem)] == 0).all()
    torch.testing.assert_close(logits.grad, alone.grad)


@variants(shapes=False)
@settings(max_examples=15)
@given(data=st.data())
def test_ignored_voxels_are_as_if_they_were_not_there(build: Build, task: str, data: st.DataObject) -> None:
    problem = data.draw(problems(task))
    if task != "multiclass":
        problem = problem._replace(valid=problem.valid[:, :1].expand_as(problem.logits))
    check_ignored(build, problem, "one-mask")


@variants(shapes=False, without=tuple(ACROSS), tasks=("multilabel", "regression"))
@settings(max_examples=15)
@given(data=st.data())
def test_each_channel_has_a_mask_of_its_own(build: Any, task: str, data: st.DataObject) -> None:
    check_ignored(build, data.draw(problems(task)), "by-entry" if build.args[0] in BY_ENTRY else "by-channel")


def test_every_loss_is_among_the_settings_and_every_setting_is_that_of_a_loss() -> None:
    assert {name for name, _ in SETTINGS.values()} == set(LOSSES)
    assert all(set(params) <= set(LOSSES[name].params) for name, params in SETTINGS.values())


@each_loss
@each_size
def test_a_negative_class_is_the_same_as_the_mask(build: Build, task: str, size: tuple[int, ...]) -> None:
    problem = make_problem(task, size)
    loss = build(task, 3)
    masked = loss(problem.logits, problem.target, problem.valid)
    assert masked.shape == ()
    assert loss(problem.logits, problem.target) != masked
    if task == "multiclass":
        marked = problem.target.masked_fill(~problem.valid, -1)
        assert loss(problem.logits, marked) == masked
        assert loss(problem.logits, marked, torch.ones_like(problem.valid)) == masked


@each_loss
@each_size
def test_no_mask_means_labelled_everywhere(build: Build, task: str, size: tuple[int, ...]) -> None:
    problem = make_problem(task, size)
    loss = build(task, 3)
    everywhere = loss(problem.logits, problem.target, torch.ones_like(problem.valid))
    assert loss(problem.logits, problem.target) == everywhere


@each_loss
@each_size
@pytest.mark.parametrize("held", [float("nan"), float("inf"), -1e30])
def test_ignored_voxels_may_hold_anything(build: Build, task: str, size: tuple[int, ...], held: float) -> None:
    problem = make_problem(task, size)
    channels = channels_of(problem)
    loss = build(task, 3)
    poisoned = problem.logits.masked_fill(~channels, held).requires_grad_()
    other = other_target(task, problem.target) if task in ("multiclass", "binary") else torch.nan
    value = loss(poisoned, torch.where(problem.valid, problem.target, other), problem.valid)
    value.backward()
    assert value == loss(problem.logits, problem.target, problem.valid)
    assert (poisoned.grad[~channels] == 0).all()
    assert poisoned.grad.isfinite().all()


@each_loss
@each_size
def test_a_batch_without_labels_costs_nothing(build: Build, task: str, size: tuple[int, ...]) -> None:
    problem = make_problem(task, size)
    logits = problem.logits.requires_grad_()
    value = build(task, 3)(logits, problem.target, torch.zeros_like(problem.valid))
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()


@variants(shapes=True, without=("weighted-cross-entropy",))  # which holds its weights fixed
@each_size
def test_the_gradient_is_that_of_the_value(build: Build, task: str, size: tuple[int, ...]) -> None:
    problem = make_problem(task, tuple(min(length, 3) for length in size))
    loss = build(task, 3)
    logits = problem.logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda output: loss(output, problem.target, problem.valid), (logits,), fast_mode=True
    )


@each_loss
@each_size
def test_descent_finds_a_cheaper_answer(build: Build, task: str, size: tuple[int, ...]) -> None:
    problem = make_problem(task, size)
    loss = build(task, 3)
    logits = (problem.logits / 30).requires_grad_()
    first = loss(logits, problem.target, problem.valid).item()
    optimiser = torch.optim.Adam([logits], lr=1.0)
    for _ in range(8):
        optimiser.zero_grad()
        loss(logits, problem.target, problem.valid).backward()
        optimiser.step()
    assert 0 < loss(logits, problem.target, problem.valid).item() < 0.6 * first


@variants(shapes=True, without=("smoothed",))
@each_size
def test_a_confident_right_answer_costs_nearly_nothing(build: Build, task: str, size: tuple[int, ...]) -> None:
    problem = make_problem(task, size)
    right, other = truthful_logits(task, problem.target, 3), other_target(task, problem.target)
    loss = build(task, 3)
    best, worst = loss(right, problem.target), loss(truthful_logits(task, other, 3), problem.target)
    assert 0 <= best < 0.01
    assert worst > 0.3
    assert loss(right / 10, problem.target) > best
    assert best < loss(problem.logits, problem.target) < worst


@variants(shapes=True, without=("smoothed",))
@pytest.mark.parametrize("label", [0, 1])
def test_a_volume_of_one_class_has_a_finite_loss(build: Build, task: str, label: int) -> None:
    target = torch.full_like(make_problem(task, (4, 4, 4), batch=1).target, label)
    loss = build(task, 3)
    wrong_logits = untruthful_logits(task, target, 3, height=2.0).requires_grad_()
    wrong = loss(wrong_logits, target)
    wrong.backward()
    assert wrong.isfinite()
    assert wrong_logits.grad.isfinite().all()
    assert 0 <= loss(truthful_logits(task, target, 3), target) <= max(wrong, 1e-3)


@variants(shapes=False, without=("dice-as-in-pytorch-3dunet", "gdl-counting"))
@pytest.mark.parametrize("label", [0, 1])
def test_a_volume_of_one_class_can_be_learnt(build: Build, task: str, label: int) -> None:
    target = torch.full_like(make_problem(task, (4, 4, 4), batch=1).target, label)
    loss = build(task, 3)
    wrong_logits = untruthful_logits(task, target, 3, height=2.0).requires_grad_()
    wrong = loss(wrong_logits, target)
    wrong.backward()
    assert loss(truthful_logits(task, target, 3), target) < wrong
    assert wrong_logits.grad.abs().max() > 0


@each_loss
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


@each_loss
@pytest.mark.parametrize("height", [1e4, 6e4])
def test_extreme_logits_of_half_precision_stay_finite(build: Build, task: str, height: float) -> None:
    problem = make_problem(task, (6, 5))
    for logits_of in (truthful_logits, untruthful_logits):
        target = problem.target.sign() * height if task == "regression" else problem.target
        logits = logits_of(task, target, 3, height).half().requires_grad_()
        value = build(task, 3)(logits, problem.target, problem.valid)
        value.backward()
        assert value.isfinite()
        assert logits.grad.isfinite().all()


@variants(shapes=False)
def test_half_precision_does_not_overflow_in_a_large_window(build: Build, task: str) -> None:
    size = (1, 48, 48, 48)
    logits = torch.zeros((1, 1 if task == "binary" else 2, *size[1:]), dtype=torch.float16)
    target = torch.zeros(size, dtype=torch.int64) if task == "multiclass" else torch.zeros(logits.shape)
    if task == "regression":
        target += 1
    assert 0 < build(task, 2)(logits, target) < 2


@each_loss
def test_a_batch_of_one_costs_what_the_same_sample_twice_does(build: Build, task: str) -> None:
    problem = make_problem(task, (5, 4, 3), batch=1)
    loss = build(task, 3)
    twice = [torch.cat([tensor, tensor]) for tensor in problem[1:]]
    # smooth counts in voxels, so that it weighs half as much in a batch of two
    tolerance = 0.05 if getattr(loss, "smooth", 0) >= 1 else 1e-5
    torch.testing.assert_close(loss(*problem[1:]), loss(*twice), rtol=tolerance, atol=0)


@each_loss
@each_size
def test_the_order_of_samples_does_not_matter(build: Build, task: str, size: tuple[int, ...]) -> None:
    problem = make_problem(task, size, batch=3)
    loss = build(task, 3)
    order = [2, 0, 1]
    torch.testing.assert_close(loss(*problem[1:]), loss(*(tensor[order] for tensor in problem[1:])))
