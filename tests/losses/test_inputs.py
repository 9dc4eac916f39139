import pytest
import torch

from volseg_core.api import PluginError
from volseg_losses.inputs import class_channels, prepare

TASKS = ("multiclass", "binary", "multilabel", "regression")


@pytest.mark.parametrize("task", TASKS)
def test_a_target_that_does_not_fit_the_output_is_refused(task: str) -> None:
    output = torch.zeros(2, 1 if task == "binary" else 3, 4, 4)
    shape = (2, 3, 4) if task == "multiclass" else (2, 4, 4)
    told = rf"target of shape \({', '.join(map(str, shape))}\) does not fit a {task} output of shape \(2, "
    with pytest.raises(PluginError, match=told) as raised:
        prepare(output, torch.zeros(shape, dtype=torch.int64), None, task=task)
    assert "size of the window" in str(raised.value)


def test_a_binary_output_has_one_channel() -> None:
    with pytest.raises(PluginError, match="does not fit a binary output"):
        prepare(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), None, task="binary")


@pytest.mark.parametrize("task", TASKS)
def test_a_mask_of_another_size_is_refused(task: str) -> None:
    output = torch.zeros(2, 1 if task == "binary" else 3, 4, 4)
    target = torch.zeros(2, 4, 4, dtype=torch.int64) if task == "multiclass" else torch.zeros_like(output)
    with pytest.raises(PluginError, match=r"valid of shape \(4, 4\)"):
        prepare(output, target, torch.ones(4, 4, dtype=torch.bool), task=task)


def test_a_mask_without_the_channel_axis_serves_a_binary_task() -> None:
    valid = torch.tensor([[[True, False]]])
    known = prepare(torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1, 2), valid, task="binary")
    assert known.valid.tolist() == [[[[True, False]]]]


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_ignored_entries_of_each_channel_become_zero(task: str) -> None:
    output, target = torch.tensor([[[[1.0, 2]], [[torch.inf, 4]]]]), torch.tensor([[[[0.5, torch.nan]], [[9, 1]]]])
    known = prepare(output, target, torch.tensor([[[[True, False]], [[False, True]]]]), task=task)
    assert known.logits.tolist() == [[[[1.0, 0.0]], [[0.0, 4.0]]]]
    assert known.target.tolist() == [[[[0.5, 0.0]], [[0.0, 1.0]]]]


def test_every_channel_of_a_multilabel_task_counts() -> None:
    output, target = torch.zeros(1, 3, 1, 2), torch.ones(1, 3, 1, 2)
    valid = torch.tensor([[True, True], [True, False], [False, False]]).reshape(1, 3, 1, 2)
    channels = class_channels(
        prepare(output, target, valid, task="multilabel"), task="multilabel", classes="foreground"
    )
    assert channels.probabilities.flatten(2).tolist() == [[[0.5, 0.5], [0.5, 0], [0, 0]]]
    assert channels.truth.flatten(2).tolist() == [[[1, 1], [1, 0], [0, 0]]]
    assert torch.equal(channels.valid, valid)
