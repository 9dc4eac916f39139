"""What is compared, and which metrics can."""

import pytest

from volseg_core.api import Metric
from volseg_core.errors import UsageError
from volseg_core.evaluation.comparison import Comparison, asked, check_serves, comparison_of


def metric(**fields: object) -> Metric:
    return Metric(name="m", target="m:M", summary="A metric.", **fields)


def test_flags_decide_first_then_the_metrics_then_the_prediction():
    assert asked(instances=True, values=False) is Comparison.INSTANCES
    assert asked(instances=False, values=True) is Comparison.VALUES
    assert asked(instances=False, values=False) is None
    values, maps = metric(inputs="values", tasks=("regression",)), metric(inputs="probabilities", truth="instances")
    assert comparison_of([metric(), values], floats=False) is Comparison.VALUES
    assert comparison_of([metric(), maps], floats=True) is Comparison.MAPS
    assert comparison_of([metric()], floats=True) is Comparison.CHANNELS
    assert comparison_of([metric()], floats=False) is Comparison.CLASSES


@pytest.mark.parametrize(
    ("fields", "served"),
    [
        ({}, {Comparison.CLASSES, Comparison.CHANNELS, Comparison.INSTANCES}),
        ({"tasks": ("binary",)}, {Comparison.CLASSES}),
        ({"tasks": ("instance",)}, {Comparison.INSTANCES}),
        ({"inputs": "probabilities"}, {Comparison.CLASSES, Comparison.CHANNELS}),
        ({"tasks": ("multilabel",)}, {Comparison.CHANNELS}),
        ({"tasks": ("multilabel",), "truth": "instances", "inputs": "probabilities"}, {Comparison.MAPS}),
        ({"tasks": ("regression",), "inputs": "values"}, {Comparison.VALUES}),
        ({"tasks": ("regression",)}, set()),
    ],
)
def test_a_metric_compares_what_its_fields_say(fields, served):
    for comparison in Comparison:
        if comparison in served:
            check_serves(metric(**fields), comparison)
        else:
            with pytest.raises(UsageError, match="metric 'm': scores .*, not "):
                check_serves(metric(**fields), comparison)


def test_the_error_says_what_it_scores_and_what_to_do():
    with pytest.raises(UsageError) as raised:
        check_serves(metric(tasks=("instance",)), Comparison.CLASSES)
    assert str(raised.value) == "metric 'm': scores instances, not classes. Use --instances."
