import importlib
import inspect

import pytest

from volseg_core.api import REQUIRED
from volseg_losses.plugin import volseg_losses

LOSSES = {loss.name: loss for loss in volseg_losses()}


def test_the_plugin_offers_cross_entropy_and_dice() -> None:
    assert set(LOSSES) == {"cross-entropy", "dice"}
    assert LOSSES["cross-entropy"].aliases == ("ce",)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_descriptor_says_what_the_code_takes(name: str) -> None:
    loss = LOSSES[name]
    module, _, attribute = loss.target.partition(":")
    signature = inspect.signature(getattr(importlib.import_module(module), attribute))
    declared = {key: param.default for key, param in loss.params.items()} | dict.fromkeys(loss.wants, REQUIRED)
    code = {key: REQUIRED if p.default is p.empty else p.default for key, p in signature.parameters.items()}
    assert declared == code
    assert all(p.kind is p.KEYWORD_ONLY for p in signature.parameters.values())
    assert all(param.help for param in loss.params.values())
    assert loss.ignore == "mask"
    assert loss.inputs == "logits"


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_defaults_are_values_of_their_types(name: str) -> None:
    for param in LOSSES[name].params.values():
        assert param.coerce(param.default) == param.default
