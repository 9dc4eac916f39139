import numpy as np
import pytest

from volseg_core.api import PluginError, UsageError
from volseg_example.median import Median

ALL = (slice(None),) * 3


def merged(views, weights=None, wanted=("labels", "confidence", "probabilities")):
    """Merge probabilities (V, C) of one voxel."""
    weights = weights or [1] * len(views)
    merge = Median(views=[str(number) for number in range(len(views))])
    merge.start((1, 1, 1), len(views[0]), sum(weights))
    for number, (values, weight) in enumerate(zip(views, weights, strict=True)):
        merge.add(np.float32(values).reshape(-1, 1, 1, 1), ALL, number, weight)
    return merge.result(ALL, wanted)


def test_a_view_that_is_wrong_altogether_has_no_influence():
    result = merged([[0.6, 0.4], [0.7, 0.3], [0.0, 1.0]])
    assert result.labels.item() == 0
    np.testing.assert_allclose(result.probabilities.ravel(), [0.6, 0.4], atol=1e-4)
    assert np.mean([0.4, 0.3, 1.0]) > 0.5, "the mean would have followed it"


def test_of_an_even_number_it_is_the_mean_of_the_two_in_the_middle():
    result = merged([[0.1, 0.9], [0.6, 0.4], [0.8, 0.2], [1.0, 0.0]])
    np.testing.assert_allclose(result.probabilities.ravel(), [0.7, 0.3], atol=1e-4)
    assert result.confidence.item() == pytest.approx(0.7, abs=1e-4)


def test_a_view_of_weight_two_counts_twice():
    views = [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]
    once = merged(views).probabilities.ravel()[0]
    twice = merged(views, weights=[2, 1, 1]).probabilities.ravel()[0]
    assert (once, twice) == (pytest.approx(0.3, abs=1e-4), pytest.approx(0.6, abs=1e-4))


def test_where_every_class_is_excluded_by_most_views_none_is_more_probable():
    result = merged([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(result.probabilities.ravel(), 1 / 3)


def test_what_was_not_covered_or_is_not_kept_is_an_error():
    merge = Median(views=["a", "b"])
    merge.start((1, 1, 2), 2, 2)
    with pytest.raises(PluginError, match="no view was added"):
        merge.result(ALL)
    merge.add(np.full((2, 1, 1, 1), 0.5, np.float32), (slice(None), slice(None), slice(0, 1)), 0)
    with pytest.raises(PluginError, match="was not covered by every view"):
        merge.result(ALL)
    with pytest.raises(UsageError, match="cannot give 'variance'; it gives labels, confidence, probabilities"):
        merge.result(ALL, ("variance",))
