import subprocess
import sys

from volseg_metrics.plugin import volseg_metrics

METRICS = {metric.name: metric for metric in volseg_metrics()}


BETTER = {
    "accuracy": "higher",
    "adapted-rand": "lower",
    "average-precision": "higher",
    "boundary-adapted-rand": "lower",
    "boundary-average-precision": "higher",
    "cldice": "higher",
    "dice": "higher",
    "expected-calibration-error": "lower",
    "hausdorff95": "lower",
    "iou": "higher",
    "mae": "lower",
    "mse": "lower",
    "panoptic-quality": "higher",
    "precision": "higher",
    "psnr": "higher",
    "recall": "higher",
    "soft-dice": "higher",
    "ssim": "higher",
    "surface-dice": "higher",
    "variation-of-information": "lower",
    "volume-difference": "lower",
}


def test_the_metrics_and_which_way_is_better() -> None:
    assert {name: metric.better for name, metric in METRICS.items()} == BETTER


def test_shapes_objects_and_windows_need_a_whole_image() -> None:
    whole = {"adapted-rand", "average-precision", "boundary-adapted-rand", "boundary-average-precision", "cldice"}
    whole |= {"hausdorff95", "panoptic-quality", "ssim", "surface-dice", "variation-of-information"}
    assert {name for name, metric in METRICS.items() if not metric.streaming} == whole


def test_what_metrics_take() -> None:
    maps = {"boundary-adapted-rand", "boundary-average-precision"}
    probable = {"expected-calibration-error", "soft-dice"}
    assert {name for name, metric in METRICS.items() if metric.inputs == "probabilities"} == maps | probable
    assert {name for name, metric in METRICS.items() if metric.inputs == "values"} == {"mae", "mse", "psnr", "ssim"}
    assert {name for name, metric in METRICS.items() if metric.truth == "instances"} == maps


def test_the_overlaps_that_are_described_are_those_of_the_code() -> None:
    from volseg_metrics.detection import OVERLAPS

    for name in ("average-precision", "boundary-average-precision"):
        assert METRICS[name].params["overlaps"].default == OVERLAPS


def test_each_metric_imports_no_more_than_it_needs() -> None:
    program = (
        "import sys, volseg_metrics.plugin; assert 'numpy' not in sys.modules;"
        "import volseg_metrics.overlap, volseg_metrics.voxels; assert 'scipy' not in sys.modules;"
        "import volseg_metrics.surface, volseg_metrics.maps, volseg_metrics.differences;"
        "print({'torch', 'skimage'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")
