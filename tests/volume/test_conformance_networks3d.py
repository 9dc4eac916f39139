"""Transforms of values and sizes of pytorch-3dunet 1.9.6: what gives its arrays here, and what differs on purpose."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volseg_core.volume import Normalisation
from volseg_core.volume.windows import reflected

Array = np.ndarray[Any, Any]
Case = dict[str, Any]

SHARED = Path(os.environ.get("VOLSEG_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
FOLDER = SHARED / "conformance" / "networks3d"
PERCENTILES = 1, 99.6
"""Those of the reference where a case names none."""


def cases(name: str, *keys: str) -> list[Any]:
    """Return the cases of a transform, those with other parameters than ``keys`` left out."""
    if not FOLDER.is_dir():
        return [pytest.param({}, marks=pytest.mark.skip(reason="the shared cases are not here"))]
    found = json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))["cases"]
    chosen = [case for case in found if case.get("name") == name and set(case["params"]) == set(keys)]
    assert chosen
    return [pytest.param(case, id=case["id"]) for case in chosen]


@pytest.fixture
def arrays() -> Any:
    def arrays(case: Case) -> tuple[Array, Array]:
        with np.load(FOLDER / "arrays.npz") as stored:
            given, expected = stored[case["input"]], stored[case["expected"]]
        lead = given.reshape(-1, *given.shape[-3:])
        return lead, expected.reshape(-1, *expected.shape[-3:])

    return arrays


def normalised(data: Array, kind: str, clip: tuple[float, float]) -> Array:
    return Normalisation(kind, clip).fit(data)(data)


@pytest.mark.parametrize("case", [*cases("Standardize"), *cases("Standardize", "channelwise")])
def test_zscore_without_clipping_is_standardize(case: Case, arrays: Any) -> None:
    """A volume of several channels has statistics of each, which the reference has where it is asked for."""
    data, expected = arrays(case)
    np.testing.assert_allclose(normalised(data, "zscore", (0, 100)), expected, rtol=1e-5, atol=1e-6)
    assert abs(normalised(data, "zscore", (5, 95)) - expected).max() > 0.1


@pytest.mark.parametrize("case", cases("Standardize", "mean", "std"))
def test_a_given_mean_and_deviation_are_a_range_but_for_its_width(case: Case, arrays: Any) -> None:
    data, expected = arrays(case)
    mean, std = case["params"]["mean"], case["params"]["std"]
    width = 100 * std
    ours = normalised(data, "range", (mean - width, mean + width))
    np.testing.assert_allclose(100 * ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "case", [*cases("PercentileNormalizer"), *cases("PercentileNormalizer", "pmin", "pmax", "channelwise")]
)
def test_percentiles_become_0_and_1_and_what_is_beyond_is_clipped_here(case: Case, arrays: Any) -> None:
    data, expected = arrays(case)
    low, high = (case["params"].get(key, value) for key, value in zip(("pmin", "pmax"), PERCENTILES, strict=True))
    assert expected.min() < 0
    assert expected.max() > 1
    np.testing.assert_allclose(normalised(data, "percentile", (low, high)), expected.clip(0, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", cases("Normalize"))
def test_the_least_and_the_largest_value_are_the_percentiles_0_and_100(case: Case, arrays: Any) -> None:
    data, expected = arrays(case)
    np.testing.assert_allclose(2 * normalised(data, "percentile", (0, 100)) - 1, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", cases("Normalize", "min_value", "max_value", "norm01"))
def test_a_range_is_mapped_to_minus_1_to_1_here_and_to_0_to_1_there(case: Case, arrays: Any) -> None:
    data, expected = arrays(case)
    ours = normalised(data, "range", (case["params"]["min_value"], case["params"]["max_value"]))
    np.testing.assert_allclose((ours + 1) / 2, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", cases("CropToFixed", "random_state", "size", "centered"))
def test_a_crop_beyond_the_ends_is_reflected(case: Case, arrays: Any) -> None:
    data, expected = arrays(case)
    pairs = list(zip(data.shape[-2:], case["params"]["size"], strict=True))
    firsts = [(have - wanted) // 2 for have, wanted in pairs]
    box = [slice(first, first + wanted) for first, (_, wanted) in zip(firsts, pairs, strict=True)]
    assert min(firsts) < 0 < max(firsts)
    np.testing.assert_array_equal(reflected(data, box), expected)
