"""Fitting weights: names, shapes and input channels."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from volseg_core.api import DataError
from volseg_smp.stem import adapt_channels, fit


@settings(max_examples=25)
@given(channels=st.integers(1, 9), seed=st.integers(0, 99))
def test_equal_channels_give_the_response_of_a_grey_image(channels: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(4, 3, 3, 3, generator=generator)
    grey = torch.randn(1, 1, 8, 8, generator=generator)
    expected = torch.nn.functional.conv2d(grey.repeat(1, 3, 1, 1), weight)
    adapted = adapt_channels(weight, channels)
    assert adapted.shape == (4, channels, 3, 3)
    if channels % 3 == 0 or channels == 1:
        found = torch.nn.functional.conv2d(grey.repeat(1, channels, 1, 1), adapted)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_channels_are_repeated_in_turn() -> None:
    weight = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
    assert adapt_channels(weight, 1).flatten().tolist() == [7.0]
    assert adapt_channels(weight, 2).flatten().tolist() == [1.5, 3.0]
    assert adapt_channels(weight, 5).flatten() * 5 / 3 == pytest.approx([1.0, 2.0, 4.0, 1.0, 2.0])


class TwoStems(torch.nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fine = torch.nn.Conv2d(channels, 2, 3)
        self.coarse = torch.nn.Conv2d(channels, 2, 7)
        self.inner = torch.nn.Conv2d(2, 3, 1)


def test_every_stem_of_a_network_is_adapted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    source, target = TwoStems(3).state_dict(), TwoStems(1).state_dict()
    with caplog.at_level(logging.INFO, "volseg"):
        fitted = fit(source, target, 1, "the file")
    torch.testing.assert_close(fitted["fine.weight"], source["fine.weight"].sum(1, keepdim=True))
    torch.testing.assert_close(fitted["coarse.weight"], source["coarse.weight"].sum(1, keepdim=True))
    assert torch.equal(fitted["inner.weight"], source["inner.weight"])
    assert caplog.messages == ["the file: the stem's weights were summed over RGB for 1 channel"]


def test_repeated_channels_are_logged_and_three_are_not_touched(caplog: pytest.LogCaptureFixture) -> None:
    source = TwoStems(3).state_dict()
    with caplog.at_level(logging.INFO, "volseg"):
        fitted = fit(source, TwoStems(5).state_dict(), 5, "the file")
        assert all(torch.equal(tensor, source[name]) for name, tensor in fit(source, source, 3, "the file").items())
    assert caplog.messages == ["the file: the stem's weights were repeated for 5 channels, times 3/5"]
    torch.testing.assert_close(fitted["fine.weight"][:, 3], source["fine.weight"][:, 0] * 3 / 5)


def test_wrappers_in_front_and_flattened_stages_do_not_matter() -> None:
    target = {"model.stages_0.conv.weight": torch.zeros(2)}
    for name in ("stages.0.conv.weight", "encoder.stages_0.conv.weight", "module.model.stages.0.conv.weight"):
        assert fit({name: torch.ones(2)}, target, 3, "x")["model.stages_0.conv.weight"].tolist() == [1.0, 1.0]


def test_a_missing_counter_is_no_fault_and_leftovers_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    target = {"bn.weight": torch.zeros(2), "bn.num_batches_tracked": torch.tensor(7)}
    with caplog.at_level(logging.INFO, "volseg"):
        fitted = fit({"bn.weight": torch.ones(2), "fc.bias": torch.ones(9)}, target, 3, "'a.safetensors'")
    assert fitted["bn.num_batches_tracked"].item() == 7
    assert "'a.safetensors': 1 tensors are not part of the encoder (fc.bias ...)" in caplog.messages


def test_what_is_missing_or_misshapen_is_named() -> None:
    target = {"a.weight": torch.zeros(2, 3), "b.weight": torch.zeros(2), "c.weight": torch.zeros(1)}
    with pytest.raises(DataError) as caught:
        fit({"a.weight": torch.zeros(3, 2), "c.weight": torch.zeros(1)}, target, 3, "'a.safetensors'")
    assert str(caught.value) == (
        "model.encoder.weights: 'a.safetensors' does not fit the encoder: a.weight is 3x2 instead of 2x3; "
        "b.weight is missing (of 3 tensors). The file must come from the same encoder, with every tensor of it."
    )


def test_only_the_first_few_faults_are_listed() -> None:
    target = {f"layer{i}.weight": torch.zeros(1) for i in range(9)}
    with pytest.raises(DataError, match=r"layer3.weight is missing and 5 more \(of 9 tensors\)"):
        fit({}, target, 3, "x")
