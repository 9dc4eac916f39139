import importlib
import inspect
import subprocess
import sys

import pytest

from volseg_core.api import REQUIRED
from volseg_metrics.plugin import volseg_metrics

METRICS = {metric.name: metric for metric in volseg_metrics()}


def test_the_plugin_offers_dice_and_iou() -> None:
    assert {name: metric.outputs for name, metric in METRICS.items()} == {"dice": ("dice",), "iou": ("iou",)}
    assert all(metric.better == "higher" for metric in METRICS.values())


@pytest.mark.parametrize("name", sorted(METRICS))
def test_the_descriptor_says_what_the_code_takes(name: str) -> None:
    metric = METRICS[name]
    module, _, attribute = metric.target.partition(":")
    signature = inspect.signature(getattr(importlib.import_module(module), attribute))
    declared = {key: param.default for key, param in metric.params.items()} | dict.fromkeys(metric.wants, REQUIRED)
    code = {key: REQUIRED if p.default is p.empty else p.default for key, p in signature.parameters.items()}
    assert declared == code
    assert all(p.kind is p.KEYWORD_ONLY for p in signature.parameters.values())


def test_metrics_work_where_there_is_no_torch() -> None:
    program = (
        "import sys, volseg_metrics.plugin; assert 'numpy' not in sys.modules;"
        "import volseg_metrics.overlap; print({'torch', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")
