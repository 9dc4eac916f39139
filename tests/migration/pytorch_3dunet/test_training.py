"""Optimiser, schedule and length of a training."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from volseg_core.migration.pytorch_3dunet.training import (
    carry_general,
    carry_optimizer,
    carry_schedule,
    carry_trainer,
)


def test_the_optimiser_is_adam_unless_it_is_named(carried: Any) -> None:
    recipe, left, _ = carried(carry_optimizer, {"learning_rate": "2e-4", "weight_decay": 1e-5})
    assert recipe == {"train.lr": 2e-4, "train.optimizer": "Adam", "train.weight_decay": 1e-5}
    assert left == {}
    assert carried(carry_optimizer, {})[0] == {"train.lr": 1e-3, "train.optimizer": "Adam", "train.weight_decay": 0.0}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("AdamW", {"betas": [0.8, 0.99]}),
        ("RMSprop", {"alpha": 0.9}),
        ("NAdam", {"momentum_decay": 1e-3}),
        ("Adadelta", {"rho": 0.8}),
        ("Adagrad", {"lr_decay": 0.1}),
        ("Rprop", {"etas": [0.4, 1.1]}),
    ],
)
def test_options_of_an_optimiser_are_those_of_torch(carried: Any, name: str, options: dict[str, Any]) -> None:
    recipe, left, _ = carried(carry_optimizer, {"name": name, "learning_rate": 0.1, **options})
    assert (recipe["train.optimizer_options"], left) == (options, {})
    kind = getattr(torch.optim, recipe["train.optimizer"])
    kind([torch.nn.Parameter(torch.zeros(1))], lr=0.1, **options)


def test_options_of_other_optimisers_are_named(carried: Any) -> None:
    recipe, left, _ = carried(carry_optimizer, {"name": "Adam", "momentum": 0.9, "amsgrad": True})
    assert "train.optimizer_options" not in recipe
    assert left == {
        "momentum": "without effect on Adam",
        "amsgrad": "no option that pytorch-3dunet gives to Adam",
    }


@pytest.mark.parametrize(("name", "says"), [("LBFGS", "several times a step"), ("SparseAdam", "sparse gradients")])
def test_optimisers_that_do_not_work_here_are_named(carried: Any, name: str, says: str) -> None:
    recipe, left, _ = carried(carry_optimizer, {"name": name, "learning_rate": 0.5, "max_iter": 3})
    assert recipe == {"train.lr": 0.5}
    assert says in left["name"]
    assert left["max_iter"] == f"it belongs to {name}"


def test_an_unknown_optimiser_is_adam_as_there(carried: Any) -> None:
    recipe, left, _ = carried(carry_optimizer, {"name": "Lion"})
    assert recipe["train.optimizer"] == "Adam"
    assert left["name"] == "Lion: pytorch-3dunet takes Adam where it does not know a name"


@pytest.mark.parametrize(
    ("content", "recipe", "left"),
    [
        (
            {"name": "ReduceLROnPlateau", "mode": "min", "factor": 0.5, "patience": 30},
            {"train.schedule": "plateau"},
            {"mode", "factor", "patience"},
        ),
        ({"name": "CosineAnnealingLR", "T_max": 10}, {"train.schedule": "cosine"}, {"T_max"}),
        (
            {"name": "OneCycleLR", "max_lr": 0.1, "pct_start": 0.2},
            {"train.schedule": "one-cycle", "train.warmup": 0.2},
            {"max_lr"},
        ),
        ({"name": "MultiStepLR", "milestones": [2]}, {"train.schedule": "constant"}, {"name", "milestones"}),
        ({}, {"train.schedule": "constant"}, set()),
    ],
)
def test_schedules(carried: Any, content: dict[str, Any], recipe: dict[str, Any], left: set[str]) -> None:
    found, named, _ = carried(carry_schedule, content)
    assert (found, set(named)) == (recipe, left)


@pytest.mark.parametrize(
    ("content", "recipe"),
    [
        (
            {"max_num_iterations": 150000, "validate_after_iters": 1000, "max_num_epochs": 1000},
            {"train.steps": 1000, "train.epochs": 150},
        ),
        ({"iters": 1001, "validate_after_iters": 500, "epochs": 9}, {"train.steps": 500, "train.epochs": 3}),
        ({"max_num_iterations": 100}, {"train.steps": 100, "train.epochs": 1}),
        ({"max_num_epochs": 7, "validate_after_iters": 10}, {"train.epochs": 7}),
        ({"epochs": 7}, {"train.epochs": 7}),
    ],
)
def test_an_epoch_ends_with_a_validation(carried: Any, content: dict[str, Any], recipe: dict[str, Any]) -> None:
    found, left, _ = carried(carry_trainer, content)
    assert found == recipe
    assert set(left) == set(content) & {"max_num_epochs", "epochs", "validate_after_iters"} - (
        {"max_num_epochs", "epochs"} if "train.steps" not in recipe else {"validate_after_iters"}
    )


@pytest.mark.parametrize("key", ["max_num_epochs", "epochs"])
def test_the_limit_that_comes_first_there_is_named(carried: Any, key: str) -> None:
    recipe, left, _ = carried(carry_trainer, {"iters": 1000, "validate_after_iters": 100, key: 2})
    assert recipe == {"train.steps": 100, "train.epochs": 10}
    assert "there the training ends too once all patches were seen that often, whichever comes first" in left[key]


def test_the_rest_of_the_trainer_is_named(carried: Any) -> None:
    content = {"checkpoint_dir": "here", "resume": None, "skip_train_validation": True, "max_val_image": 3}
    _, left, _ = carried(carry_trainer, content)
    assert left["checkpoint_dir"] == "volseg train -o names the folder of a run"
    assert left["max_val_image"] == "no key of pytorch-3dunet's trainer. Did you mean 'max_val_images'?"
    assert set(left) == set(content)


@pytest.mark.parametrize(("device", "ours"), [("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda")])
def test_seed_and_device(carried: Any, device: str, ours: str) -> None:
    recipe, _, _ = carried(carry_general, {"manual_seed": 7, "device": device})
    assert recipe == {"train.seed": 7, "train.device": ours}


def test_a_device_that_is_not_here_is_named(carried: Any) -> None:
    recipe, left, _ = carried(carry_general, {"device": "mps", "model_path": "a.pytorch"})
    assert (recipe, set(left)) == ({}, {"device", "model_path"})
