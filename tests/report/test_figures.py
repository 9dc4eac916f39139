"""Figures, by what they show."""

from __future__ import annotations

import matplotlib.image
import numpy as np

from volseg_core.report.figures import Example, draw_curves, draw_examples


def test_examples_paint_errors_red(tmp_path):
    truth = np.zeros((32, 48), int)
    truth[8:24, 8:24] = 1
    right = Example("slice", np.full((32, 48), 0.5), truth, truth)
    wrong = Example("slice", np.full((32, 48), 0.5), truth, np.zeros_like(truth))
    reds = []
    for example in (right, wrong):
        draw_examples([example], ["background", "cell"], tmp_path / "figure.png")
        picture = matplotlib.image.imread(tmp_path / "figure.png")[..., :3]
        reds.append(int((np.abs(picture - (0.95, 0.15, 0.15)).max(-1) < 0.05).sum()))
    assert reds[0] == 0
    assert reds[1] > 500


def test_curves_accept_missing_scores(tmp_path):
    rows = [
        {"epoch": "0", "train/loss": "1.0", "val/loss": "1.1", "val/dice": "0.2"},
        {"epoch": "1", "train/loss": "0.5", "val/loss": "0.8", "val/dice": ""},
    ]
    draw_curves(rows, tmp_path / "curves.png")
    assert matplotlib.image.imread(tmp_path / "curves.png").std() > 0.01
