import math

from volseg_metrics.scores import by_class, mean


def test_what_is_not_known_is_left_out_of_the_mean() -> None:
    assert mean([1.0, math.nan, 2.0]) == 1.5
    assert math.isnan(mean([math.nan]))
    assert math.isnan(mean([]))
    assert mean([1.0, math.inf]) == math.inf


def test_the_mean_is_the_same_in_any_order() -> None:
    scores = [0.1, 1e9, 0.2, 3.0, 1e-9]
    assert mean(scores) == mean(reversed(scores))


def test_classes_are_named_below_the_metric() -> None:
    assert by_class("m", {"a": 1.0, "b": 0.0}) == {"m": 0.5, "m/a": 1.0, "m/b": 0.0}
