import numpy as np

from volseg_metrics.channels import ChannelCounts


def test_outcomes_by_hand() -> None:
    counts = ChannelCounts(2, threshold=0.5)
    chances = np.array([[0.9, 0.9, 0.1, 0.5], [0.6, 0.4, 0.6, 0.4]])
    target = np.array([[1.0, 0.0, 1.0, 1.0], [1.0, 0.5, 0.4, np.nan]])
    valid = np.array([[True, True, True, True], [True, True, False, True]])
    counts.update(chances, target, valid)
    assert counts.outcomes().tolist() == [[1, 1], [1, 0], [2, 1]]
    counts.update(chances[:, :1], target[:, :1])
    assert counts.outcomes().tolist() == [[2, 2], [1, 0], [2, 1]]
    counts.reset()
    assert not counts.outcomes().any()
