import re
import subprocess
import sys
from pathlib import Path

import yaml

from volseg_losses.plugin import volseg_losses

LOSSES = {loss.name: loss for loss in volseg_losses()}


def test_the_plugin_offers_these_losses_under_these_short_forms() -> None:
    assert {name: loss.aliases for name, loss in LOSSES.items()} == {
        "cross-entropy": ("ce",),
        "weighted-cross-entropy": ("wce",),
        "border-weighted-cross-entropy": ("border-weighted-ce",),
        "binary-cross-entropy": ("bce",),
        "balanced-binary-cross-entropy": ("balanced-bce",),
        "focal": (),
        "dice": (),
        "boundary-weighted-dice": (),
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
        "mean-squared-error": ("mse", "l2"),
        "mean-absolute-error": ("mae", "l1"),
        "smooth-l1": (),
        "weighted-smooth-l1": (),
    }


def test_the_tasks_that_the_losses_serve() -> None:
    by_tasks: dict[tuple[str, ...], set[str]] = {}
    for loss in LOSSES.values():
        by_tasks.setdefault(loss.tasks, set()).add(loss.name)
    assert by_tasks.pop(("multiclass", "binary")) == {"cross-entropy", "weighted-cross-entropy", "matthews-correlation"}
    assert by_tasks.pop(("binary", "multilabel")) == {"binary-cross-entropy", "balanced-binary-cross-entropy"}
    values = {"mean-squared-error", "mean-absolute-error", "smooth-l1", "weighted-smooth-l1"}
    assert by_tasks.pop(("regression",)) == values
    assert set(by_tasks) == {("multiclass", "binary", "multilabel")}
    assert all(loss.dims == (2, 3) for loss in LOSSES.values())


def test_every_loss_but_the_plainest_cites_its_source() -> None:
    plain = {"binary-cross-entropy", "mean-squared-error", "mean-absolute-error"}
    assert {loss.name for loss in LOSSES.values() if "doi:10." not in loss.citation} == plain


def test_describing_losses_imports_nothing_heavy() -> None:
    code = "import sys, volseg_losses.plugin; print({'torch', 'numpy', 'scipy', 'skimage'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_every_loss_takes_logits_and_a_mask() -> None:
    assert {(loss.inputs, loss.ignore) for loss in LOSSES.values()} == {("logits", "mask")}


def reference() -> str:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
    return page.split("## Losses\n")[1].split("\n## ")[0]


def test_the_reference_lists_the_losses_of_each_task() -> None:
    rows = re.findall(r"^\| ((?:multiclass|binary|regression)[a-z, ]*) \| (.*) \|$", reference(), re.MULTILINE)
    listed = {name: tuple(tasks.split(", ")) for tasks, names in rows for name in re.findall(r"`([a-z0-9-]+)`", names)}
    assert listed == {name: loss.tasks for name, loss in LOSSES.items()}


def test_what_the_reference_translates_to_can_be_written_in_a_recipe() -> None:
    known = {name: loss for loss in LOSSES.values() for name in (loss.name, *loss.aliases)}
    uses = [yaml.safe_load(text) for text in re.findall(r"`(\{use: [^`]*\})`", reference())]
    assert len(uses) > 10
    for use in uses:
        params = known[use.pop("use")].params
        assert use == {name: params[name].coerce(value) for name, value in use.items()}
