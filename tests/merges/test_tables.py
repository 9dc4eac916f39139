from __future__ import annotations

import math

import array_api_compat.numpy as xp
import numpy as np

from volseg_merges.tables import ENTROPY_UNIT, STEPS, UNIT, entropy_terms, look_up, surprise


def test_logarithms_by_hand() -> None:
    table = surprise()
    assert table[STEPS] == 0
    assert table[0] == table[1] == round(math.log(STEPS) * UNIT)
    assert abs(table[STEPS // 3] / UNIT - math.log(3)) < 1e-4


def test_terms_of_a_uniform_distribution_add_up_to_the_largest_entropy() -> None:
    for classes in (2, 3, 5, 15):
        terms = entropy_terms(classes)
        assert terms[0] == terms[STEPS] == 0
        found = classes * look_up(xp, terms, np.array([1 / classes], np.float32))[0]
        assert abs(found / ENTROPY_UNIT - 1) < 1e-5


def test_probabilities_take_the_nearest_entry_and_others_an_end() -> None:
    table = np.arange(STEPS + 1, dtype=np.int32)
    values = np.array([0, 0.4 / STEPS, 0.6 / STEPS, 0.5, 1, 1.5, -1, np.nan], np.float32)
    found = look_up(xp, table, values)
    assert found[:-1].tolist() == [0, 0, 1, 32768, STEPS, STEPS, 0]
    assert found[-1] in (0, STEPS)
