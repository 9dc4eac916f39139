import subprocess
import sys

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


def test_every_loss_takes_logits_and_a_mask() -> None:
    assert {(loss.inputs, loss.ignore) for loss in LOSSES.values()} == {("logits", "mask")}
