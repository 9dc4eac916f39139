import numpy as np
import pytest
from scipy.interpolate import BSpline

from volseg_synthetic.fields import SmoothField, texture


def whole(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(0, length) for length in shape)


def test_a_box_of_a_field_is_cut_from_the_whole() -> None:
    shape = (23, 30, 17)
    field = SmoothField.draw(np.random.default_rng(0), shape, np.array([3.5, 7.0, 0.2]))
    box = (slice(4, 9), slice(11, 30), slice(0, 3))
    np.testing.assert_allclose(field.sample(box), field.sample(whole(shape))[box], atol=1e-5)


def test_a_field_is_the_cubic_spline_of_its_nodes() -> None:
    nodes = np.zeros((12, 1, 1), dtype=np.float32) + np.array([0, 0, 0, 1, 5, -2, 0, 3, 1, 0, 0, 0]).reshape(-1, 1, 1)
    flat = SmoothField(np.broadcast_to(nodes, (12, 6, 6)), (2.0, 1.0, 1.0))
    spline = BSpline(np.arange(-2.0, 14.0), nodes.ravel(), 3)
    expected = spline(2 + np.arange(12) / 2)
    np.testing.assert_allclose(flat.sample((slice(0, 12), slice(0, 1), slice(0, 1))).ravel(), expected, atol=1e-5)


def test_a_field_is_smooth_and_of_unit_spread() -> None:
    shape = (64, 64, 64)
    values = SmoothField.draw(np.random.default_rng(1), shape, np.full(3, 6.0)).sample(whole(shape))
    assert values.dtype == np.float32
    assert values.shape == shape
    assert values.std() == pytest.approx(1, abs=0.2)
    assert np.abs(np.diff(values, axis=1)).max() < 1.5


@pytest.mark.parametrize("sigmas", [(1.1, 1.1, 1.1), (0.2, 1.5, 3.0)])
def test_texture_has_unit_spread_and_the_asked_correlation(sigmas: tuple[float, ...]) -> None:
    values = texture(np.random.default_rng(2), (48, 48, 48), np.array(sigmas))
    assert values.dtype == np.float32
    assert values.std() == pytest.approx(1, abs=0.05)
    neighbours = [np.corrcoef(values[1:].ravel(), values[:-1].ravel())[0, 1] for values in (values, values.T)]
    # white noise after a Gaussian filter correlates by exp(-d^2 / 4 sigma^2)
    for found, sigma in zip(neighbours, (sigmas[0], sigmas[2]), strict=True):
        assert found == pytest.approx(np.exp(-1 / (4 * sigma**2)) if sigma > 1 else 0, abs=0.06)
