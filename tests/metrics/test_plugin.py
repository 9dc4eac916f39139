import subprocess
import sys

from volseg_metrics.plugin import volseg_metrics

METRICS = {metric.name: metric for metric in volseg_metrics()}


BETTER = {
    "accuracy": "higher",
    "adapted-rand": "lower",
    "cldice": "higher",
    "dice": "higher",
    "expected-calibration-error": "lower",
    "hausdorff95": "lower",
    "iou": "higher",
    "precision": "higher",
    "recall": "higher",
    "surface-dice": "higher",
    "variation-of-information": "lower",
    "volume-difference": "lower",
}


def test_the_metrics_and_which_way_is_better() -> None:
    assert {name: metric.better for name, metric in METRICS.items()} == BETTER


def test_shapes_objects_and_centrelines_need_a_whole_image_and_calibration_probabilities() -> None:
    whole = {"adapted-rand", "cldice", "hausdorff95", "surface-dice", "variation-of-information"}
    assert {name for name, metric in METRICS.items() if not metric.streaming} == whole
    assert [name for name, metric in METRICS.items() if metric.inputs == "probabilities"] == [
        "expected-calibration-error"
    ]


def test_each_metric_imports_no_more_than_it_needs() -> None:
    program = (
        "import sys, volseg_metrics.plugin; assert 'numpy' not in sys.modules;"
        "import volseg_metrics.overlap, volseg_metrics.voxels; assert 'scipy' not in sys.modules;"
        "import volseg_metrics.surface, volseg_metrics.partition; print({'torch', 'skimage'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")
