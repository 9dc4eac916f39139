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

from volseg_core.api import PluginError
from volseg_losses.plugin import volseg_losses

Build = Callable[[str, int], Any]

LOSSES = {loss.name: loss for loss in volseg_losses()}
SHAPE = {"cldice", "skeleton-recall", "boundary", "hausdorff-dt"}


def build_loss(name: str, task: str, num_classes: int, **params: Any) -> Any:
    module, _, attribute = LOSSES[name].target.partition(":")
    known_classes = 2 if task == "binary" else num_classes
    known = {"task": task, "num_classes": num_classes, "class_counts": [50, 10, 200, 1][:known_classes]}
    context = {key: known[key] for key in LOSSES[name].wants}
    if isinstance(params.get("weights"), list):
        params["weights"] = params["weights"][:known_classes]
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
}


def variants(*, shapes: bool, without: tuple[str, ...] = ()) -> Any:
    """Run a test with every setting and the tasks that its loss serves."""
    cases = [
        pytest.param(partial(build_loss, name, **params), task, id=f"{setting}-{task}")
        for setting, (name, params) in SETTINGS.items()
        for task in LOSSES[name].tasks
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
    return (problem.valid if problem.task == "binary" else problem.valid.unsqueeze(1)).expand_as(problem.logits)


@variants(shapes=False)
@settings(max_examples=15)
@given(data=st.data())
def test_ignored_voxels_are_as_if_they_were_not_there(build: Build, task: str, data: st.DataObject) -> None:
    problem = data.draw(problems(task))
    loss = build(task, problem.logits.shape[1])
    if getattr(loss, "average", "") == "sample":
        problem = problem._replace(**{key: getattr(problem, key)[:1] for key in ("logits", "target", "valid")})
    logits = problem.logits.clone().requires_grad_()
    value = loss(logits, problem.target, problem.valid)
    value.backward()
    over_channels = channels_of(problem)
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
    other = (problem.target + 1) % (2 if task == "binary" else 3)
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


def test_a_mask_without_the_channel_axis_serves_a_binary_task() -> None:
    problem = make_problem("binary", (6, 5))
    loss = build_loss("dice", "binary", 2)
    with_axis = loss(problem.logits, problem.target, problem.valid)
    assert loss(problem.logits, problem.target, problem.valid.squeeze(1)) == with_axis


@each_loss
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
    right = truthful_logits(task, problem.target, 3)
    loss = build(task, 3)
    other = (problem.target + 1) % (2 if task == "binary" else 3)
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
    wrong_logits = (-truthful_logits(task, target, 3, height=2.0)).requires_grad_()
    wrong = loss(wrong_logits, target)
    wrong.backward()
    assert wrong.isfinite()
    assert wrong_logits.grad.isfinite().all()
    assert 0 <= loss(truthful_logits(task, target, 3), target) <= max(wrong, 1e-3)


@variants(shapes=False)
@pytest.mark.parametrize("label", [0, 1])
def test_a_volume_of_one_class_can_be_learnt(build: Build, task: str, label: int) -> None:
    target = torch.full_like(make_problem(task, (4, 4, 4), batch=1).target, label)
    loss = build(task, 3)
    wrong_logits = (-truthful_logits(task, target, 3, height=2.0)).requires_grad_()
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
    for sign in (1, -1):
        logits = (sign * truthful_logits(task, problem.target, 3, height)).half().requires_grad_()
        value = build(task, 3)(logits, problem.target, problem.valid)
        value.backward()
        assert value.isfinite()
        assert logits.grad.isfinite().all()


@variants(shapes=False)
def test_half_precision_does_not_overflow_in_a_large_window(build: Build, task: str) -> None:
    size = (1, 48, 48, 48)
    target = torch.zeros((1, *size)) if task == "binary" else torch.zeros(size, dtype=torch.int64)
    logits = torch.zeros((1, 1 if task == "binary" else 2, *size[1:]), dtype=torch.float16)
    assert 0 < build(task, 2)(logits, target) <= 1


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


@variants(shapes=True)
def test_shapes_that_do_not_belong_together_are_refused(build: Build, task: str) -> None:
    loss = build(task, 3)
    if task == "multiclass":
        with pytest.raises(PluginError, match=r"target of shape \(2, 4, 4\) does not fit a multiclass output"):
            loss(torch.zeros(2, 3, 8, 8), torch.zeros(2, 4, 4, dtype=torch.int64))
        return
    with pytest.raises(PluginError, match=r"target of shape \(2, 4, 4\) does not fit a binary output") as raised:
        loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4))
    assert "size of the window" in str(raised.value)
    with pytest.raises(PluginError, match="valid of shape"):
        loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4), torch.ones(4, 4, dtype=torch.bool))
