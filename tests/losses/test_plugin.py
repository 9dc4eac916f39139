import importlib
import inspect
import subprocess
import sys

import pytest

from volseg_core.api import REQUIRED
from volseg_losses.plugin import volseg_losses

LOSSES = {loss.name: loss for loss in volseg_losses()}


def test_the_plugin_offers_these_losses_under_these_short_forms() -> None:
    assert {name: loss.aliases for name, loss in LOSSES.items()} == {
        "cross-entropy": ("ce",),
        "binary-cross-entropy": ("bce",),
        "focal": (),
        "dice": (),
        "generalised-dice": ("generalized-dice", "gdl"),
        "jaccard": ("iou",),
        "tversky": (),
        "focal-tversky": (),
        "lovasz": ("lovasz-softmax",),
        "matthews-correlation": ("mcc",),
        "cldice": ("centreline-dice",),
        "skeleton-recall": (),
        "boundary": (),
        "hausdorff-dt": (),
    }


def test_every_loss_serves_both_tasks_but_the_binary_one() -> None:
    assert {loss.name for loss in LOSSES.values() if "multiclass" not in loss.tasks} == {"binary-cross-entropy"}
    assert all("binary" in loss.tasks and loss.dims == (2, 3) for loss in LOSSES.values())


def test_every_loss_but_plain_cross_entropy_cites_its_source() -> None:
    for loss in LOSSES.values():
        assert "doi:10." in loss.citation or loss.name == "binary-cross-entropy"


def test_describing_losses_imports_nothing_heavy() -> None:
    code = "import sys, volseg_losses.plugin; print({'torch', 'numpy', 'scipy', 'skimage'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


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
