"""Mutual information by hand, and its standard error against a sample of the same kind."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from volseg_core.advice.information import entropy, information, parts, standard_errors, votes

TABLES = arrays.arrays(np.int64, (1, 4, 3), elements=st.integers(0, 50))


def test_independent_codes_share_nothing_and_equal_ones_their_entropy():
    assert information(np.full((1, 2, 2), 5)) == pytest.approx(0)
    diagonal = np.array([[[4, 0], [0, 4]]])
    assert information(diagonal) == pytest.approx(1)
    assert entropy(diagonal) == pytest.approx(1)


def test_a_table_by_hand():
    # p = 1/2, 1/4, 1/4 on (0, 0), (0, 1), (1, 1): rows 3/4, 1/4; columns 1/2, 1/2
    expected = 0.5 * math.log2(0.5 / 0.375) + 0.25 * math.log2(0.25 / 0.375) + 0.25 * math.log2(0.25 / 0.125)
    assert information(np.array([[[2, 1], [0, 1]]])) == pytest.approx(expected)


def test_channels_add_up_and_nothing_is_zero():
    one = np.array([[[3, 1], [1, 2]]])
    assert information(np.concatenate([one, one])) == pytest.approx(2 * information(one))
    assert information(np.zeros((1, 2, 2), np.int64)) == entropy(np.zeros((1, 2, 2), np.int64)) == 0


@given(TABLES, st.integers(2, 9))
def test_information_lies_between_zero_and_the_entropy_and_needs_shares_only(table, factor):
    value = information(table)
    assert -1e-9 <= value <= entropy(table) + 1e-9
    assert information(table * factor) == pytest.approx(value, abs=1e-9)
    assert information(table[:, ::-1, ::-1]) == pytest.approx(value, abs=1e-9)


def test_standard_errors_have_the_sign_and_grow_with_the_number_of_blocks():
    rng = np.random.default_rng(0)

    def blocks(count, strength):
        tables = []
        for _ in range(count):
            x = rng.integers(0, 2, 4000)
            y = np.where(rng.random(4000) < strength, x, rng.integers(0, 2, 4000))
            tables.append(np.bincount(2 * x + y, minlength=4).reshape(1, 2, 2))
        return tables

    weak, strong = blocks(16, 0.3), blocks(16, 0.6)
    assert standard_errors(weak, strong) > 10
    assert standard_errors(strong, weak) == pytest.approx(-standard_errors(weak, strong))
    assert abs(standard_errors(blocks(16, 0.3), blocks(16, 0.3))) < 4
    assert standard_errors(weak, weak) == 0


def test_parts_add_up_and_are_by_hand():
    first, second = np.array([[[2, 0], [0, 0]]]), np.array([[[0, 0], [0, 2]]])
    # together p = 1/2 on (0, 0) and (1, 1), apart 1/4: each voxel adds one bit, each block half of them
    assert parts([first, second]).tolist() == [0.5, 0.5]
    assert parts([first]).tolist() == [0], "alone it holds a single code"


@given(arrays.arrays(np.int64, (5, 2, 4, 3), elements=st.integers(0, 50)))
def test_parts_add_up_to_the_information_of_the_sum(tables):
    assert parts(list(tables)).sum() == pytest.approx(information(tables.sum(axis=0)), abs=1e-9)


def test_votes_count_blocks_to_which_the_other_adds_more():
    one, other = np.array([[[4, 4], [4, 4]]]), np.array([[[8, 0], [0, 8]]])
    assert votes([one] * 4, [other, other, other, one]) == (3, 4), "the last adds less than nothing"
    assert votes([other] * 3, [one, other, other]) == (0, 3)
    assert votes([one] * 3, [one] * 3) == (0, 0)


def test_the_error_is_that_of_leaving_out_one_block_at_a_time():
    """The jackknife (Quenouille 1956, doi:10.1093/biomet/43.3-4.353) is another way to the same number."""
    rng = np.random.default_rng(3)
    shares = np.array([[0.4, 0.1], [0.1, 0.4]]), np.array([[0.35, 0.15], [0.15, 0.35]])
    one, other = ([rng.multinomial(int(n), p.ravel()).reshape(1, 2, 2) for n in rng.integers(3000, 9000, 40)]
                  for p in shares)  # fmt: skip
    sums = np.sum(one, axis=0), np.sum(other, axis=0)
    left_out = [information(sums[1] - b) - information(sums[0] - a) for a, b in zip(one, other, strict=True)]
    error = math.sqrt(39 * np.var(left_out))
    expected = (information(sums[1]) - information(sums[0])) / error
    assert standard_errors(one, other) == pytest.approx(expected, rel=0.05)


def test_the_error_is_that_of_repeated_samples():
    """Of 200 pairs of equal strength the difference in standard errors has about unit spread."""
    rng = np.random.default_rng(1)

    def table(count):
        x = rng.integers(0, 2, (count, 2000))
        y = np.where(rng.random(x.shape) < 0.5, x, rng.integers(0, 2, x.shape))
        return [np.bincount(2 * a + b, minlength=4).reshape(1, 2, 2) for a, b in zip(x, y, strict=True)]

    values = [standard_errors(table(8), table(8)) for _ in range(200)]
    assert 0.8 < np.std(values) < 1.4
