from __future__ import annotations

import pytest

from volseg_core.exporting.loss import Loss


def test_what_is_lost_is_told_by_the_labels_where_there_are_any():
    assert Loss("scan.h5", 0.98).lost == pytest.approx(0.02)
    assert Loss("scan.h5", 0.98, 0.79, 0.80).lost == pytest.approx(0.01)
    assert Loss("scan.h5", 0.98, 0.81, 0.80).lost == pytest.approx(-0.01), "less precision may be luckier"


def test_it_says_where_it_was_measured_and_against_what():
    assert Loss("a.h5", 0.98).describe() == "0.0200 of Dice on a.h5 (0.9800 against float32; no labels)"
    with_labels = "0.0100 of Dice on a.h5 (0.9800 against float32; against the labels 0.7900, float32 0.8000)"
    assert Loss("a.h5", 0.98, 0.79, 0.8).describe() == with_labels


@pytest.mark.parametrize("loss", [Loss("a.h5", 0.5), Loss("a.h5", 0.5, 0.25, 0.75)])
def test_it_is_read_back_from_plain_data(loss):
    content = loss.to_dict()
    assert content["lost"] == 0.5
    assert Loss.from_dict(content) == loss
