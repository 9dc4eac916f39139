"""A right loss and, for each rule, a loss that breaks it."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from volseg_core.api import Loss


def described(target: str, summary: str, **fields: Any) -> Loss:
    values: dict[str, Any] = {"wants": ("task",), "tasks": ("multiclass", "binary"), "ignore": "mask", "licence": "MIT"}
    return Loss(name=target.replace("_", "-"), target=f"loss:{target}", summary=summary, **(values | fields))


def each_voxel(output: Any, target: Any, task: str) -> Any:
    """Cross-entropy of each voxel (N, *S), or that or the error of each entry (N, K, *S)."""
    output = output.float()
    if task == "multiclass":
        return functional.cross_entropy(output, target.clamp(min=0), reduction="none")
    if task == "regression":
        return functional.smooth_l1_loss(output, target, reduction="none")
    return functional.binary_cross_entropy_with_logits(output, target, reduction="none")


def mean(each: Any, valid: Any) -> Any:
    valid = valid.reshape(each.shape)
    return torch.where(valid, each, 0).sum() / valid.sum().clamp(min=1)


def labelled(output: Any, valid: Any) -> Any:
    """Output with zeros where there is no label, so that nothing flows back from there."""
    return torch.where(valid.reshape(len(output), -1, *output.shape[2:]), output, 0)


def right(*, task: str) -> Any:
    def loss(output: Any, target: Any, valid: Any = None) -> Any:
        valid = torch.ones_like(target, dtype=torch.bool) if valid is None else valid
        return mean(each_voxel(labelled(output, valid), target, task), valid)

    return loss


def three_dimensions_only(*, task: str) -> Any:
    def loss(output: Any, target: Any, valid: Any) -> Any:
        return right(task=task)(output, target, valid) if output.ndim == 5 else output.sum(4)

    return loss


def per_voxel(*, task: str) -> Any:
    return lambda output, target, valid: each_voxel(labelled(output, valid), target, task)


def number(*, task: str) -> Any:
    return lambda output, target, valid: right(task=task)(output, target, valid).item()


def infinite(*, task: str) -> Any:
    return lambda output, target, valid: right(task=task)(output, target, valid) / (len(output) - 1)


def rounded(*, task: str) -> Any:
    def loss(output: Any, target: Any, valid: Any) -> Any:
        classes = (output > 0).float() if task == "binary" else output.argmax(1)
        return mean((classes != target).float().reshape(len(output), *output.shape[2:]), valid)

    return loss


def negated(*, task: str) -> Any:
    return lambda output, target, valid: -right(task=task)(output, target, valid)


def undefined_dice(*, task: str) -> Any:
    """Soft Dice of the labelled voxels with nothing added to the denominator."""

    def loss(output: Any, target: Any, valid: Any) -> Any:
        if task == "binary":
            chances, truth = labelled(output, valid).float().sigmoid(), target
        else:
            chances = labelled(output, valid).float().softmax(1)
            truth = functional.one_hot(target, output.shape[1]).movedim(-1, 1).float()
        valid = valid.reshape(len(output), 1, *output.shape[2:])
        axes = (0, *range(2, output.ndim))
        both = (chances * truth * valid).sum(axes)
        empty = not bool(valid.any())
        scores = 2 * both / ((truth * valid).sum(axes) + empty)
        return 2 - scores.mean()

    return loss


def half_precision(*, task: str) -> Any:
    def loss(output: Any, target: Any, valid: Any) -> Any:
        value = right(task=task)(output, target, valid)
        return value if output.dtype == torch.float32 else value * (output * 0 + 1e5).half().sum()

    return loss


def counts_everything(*, task: str) -> Any:
    """The unlabelled voxels are in the mean, but send back no gradient."""

    def loss(output: Any, target: Any, valid: Any) -> Any:
        each = each_voxel(output, target, task)
        valid = valid.reshape(each.shape)
        return torch.where(valid, each, each.detach()).mean()

    return loss


def leaks_gradient(*, task: str) -> Any:
    """The value leaves unlabelled voxels out, the gradient does not."""

    def loss(output: Any, target: Any, valid: Any) -> Any:
        value = right(task=task)(output, target, valid)
        return value + (output - output.detach()).sum()

    return loss


def divides_by_labels(*, task: str) -> Any:
    def loss(output: Any, target: Any, valid: Any) -> Any:
        each = each_voxel(labelled(output, valid), target, task)
        valid = valid.reshape(each.shape)
        return torch.where(valid, each, 0).sum() / valid.sum()

    return loss


def masks_the_logits(*, task: str) -> Any:
    """Unlabelled logits and targets become 0, and stay in the mean."""

    def loss(output: Any, target: Any, valid: Any) -> Any:
        each = each_voxel(labelled(output, valid), target * valid, task)
        return mean(each, torch.ones_like(valid))

    return loss


def one_mask_for_all(*, task: str) -> Any:
    """The mask of the first channel is taken for that of all; only the gradient keeps to the others."""

    def loss(output: Any, target: Any, valid: Any) -> Any:
        each = each_voxel(output, target, task)
        return mean(torch.where(valid, each, each.detach()), valid[:, :1].expand(each.shape))

    return loss


def one_hot(*, task: str) -> Any:
    """Takes the target for class indices."""
    return lambda output, target, valid: right(task=task)(output, functional.one_hot(target), valid)


def relative(*, task: str) -> Any:
    """Divides the error by the variance of the target."""

    def loss(output: Any, target: Any, valid: Any) -> Any:
        value = right(task=task)(output, target, valid)
        return value / target[valid].var() if valid.any() else value

    return loss


def overwrites(*, task: str) -> Any:
    def loss(output: Any, target: Any, valid: Any) -> Any:
        value = right(task=task)(output, target.clone(), valid)
        target.fill_(0)
        return value

    return loss


RIGHT = [
    (described("right", "cross-entropy and errors", tasks=("multiclass", "binary", "multilabel", "regression")), {})
]
WRONG = {
    "works": (
        described("three_dimensions_only", "raises in 2D and declares it"),
        "for multiclass in 2D it raised IndexError: Dimension out of range",
    ),
    "scalar": (described("per_voxel", "returns a value per voxel"), "for multiclass in 2D it returned shape (2, 6, 5)"),
    "finite": (
        described("infinite", "divides by the batch less one"),
        "for multiclass in 2D and a batch of one it is inf",
    ),
    "gradient": (described("rounded", "counts wrong voxels by argmax"), "for multiclass in 2D it is zero everywhere"),
    "ordered": (described("negated", "has the wrong sign"), "for multiclass in 2D right costs -"),
    "one-class": (
        described("undefined_dice", "is a Dice without a small number in its denominator"),
        "for multiclass in 2D with class 0 alone and a network that is uncertain it is nan with such a gradient",
    ),
    "half": (
        described("half_precision", "sums large numbers in float16"),
        "for multiclass in 2D its gradient in bfloat16 is not finite",
    ),
    "ignored-value": (
        described("counts_everything", "takes the mean over unlabelled voxels too"),
        "for multiclass in 2D another output there changes it from",
    ),
    "ignored-gradient": (
        described("leaks_gradient", "sends a gradient to unlabelled voxels"),
        "for multiclass in 2D some do",
    ),
    "ignored-exact": (
        described("masks_the_logits", "sets unlabelled logits to 0 and leaves them in the mean"),
        "for multiclass in 2D it is 1.83133 and 2.19769 without it",
    ),
    "unlabelled": (
        described("divides_by_labels", "divides by the number of labelled voxels"),
        "for multiclass in 2D it is nan there",
    ),
    "untouched": (described("overwrites", "fills its target with 0"), "for multiclass in 2D it changed the target"),
}
ALSO_WRONG = [
    ("scalar", described("number", "returns a float"), "for multiclass in 2D it returned float"),
    (
        "works",
        described("one_hot", "takes class indices and declares channels", tasks=("multilabel",)),
        "for multilabel in 2D it raised RuntimeError: one_hot is only applicable to index tensor",
    ),
    (
        "scalar",
        described("per_voxel", "returns a value per entry", tasks=("regression",)),
        "for regression in 2D it returned shape (2, 3, 6, 5)",
    ),
    (
        "ordered",
        described("negated", "has the wrong sign", tasks=("regression",)),
        "for regression in 2D right costs -0 and wrong -2.5",
    ),
    (
        "one-class",
        described("relative", "divides by the variance of the target", tasks=("regression",)),
        "for regression in 2D with value 0 alone and a network that is uncertain it is inf with such a gradient",
    ),
    (
        "half",
        described("half_precision", "sums large numbers in float16", tasks=("multilabel",)),
        "for multilabel in 2D its gradient in bfloat16 is not finite",
    ),
    (
        "ignored-value",
        described("one_mask_for_all", "has one mask for all channels", tasks=("multilabel",)),
        "for multilabel in 2D another output there changes it from",
    ),
    (
        "ignored-exact",
        described("masks_the_logits", "sets unlabelled logits to 0", tasks=("multilabel",)),
        "for multilabel in 2D it is",
    ),
    (
        "ignored-exact",
        described("masks_the_logits", "counts unlabelled values as right", tasks=("regression",)),
        "for regression in 2D it is",
    ),
    (
        "ignored-gradient",
        described("leaks_gradient", "sends a gradient to unknown values", tasks=("regression",)),
        "for regression in 2D some do",
    ),
]
