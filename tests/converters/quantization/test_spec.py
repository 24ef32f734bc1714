"""Scales and zero points: what they represent, and the arithmetic of both runtimes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.quantization.spec import (
    TensorQuantization,
    from_range,
    quantize_bias,
    quantize_weight,
    weight_scales,
)

REAL = st.floats(-1e4, 1e4, width=32)


@given(REAL, REAL)
def test_a_range_is_covered_and_zero_is_exact(one, other):
    low, high = min(one, other), max(one, other)
    made = from_range(low, high)
    assert made.dequantize(made.quantize(np.zeros(1))) == 0
    assert made.low <= min(low, 0) + made.scale
    assert made.high >= max(high, 0) - made.scale


@given(st.lists(REAL, min_size=1, max_size=50))
def test_rounding_is_within_half_a_step(values):
    values = np.array(values, np.float32)
    made = from_range(float(values.min()), float(values.max()))
    error = np.abs(made.dequantize(made.quantize(values)).astype(np.float64) - values)
    # Half a step inside; the zero point's own rounding costs up to another half at the ends.
    assert error.max() <= 1.001 * made.scale
    inside = (values > made.low) & (values < made.high)
    assert not inside.any() or error[inside].max() <= 0.501 * made.scale


def test_what_is_not_negative_starts_at_the_lowest_step():
    assert from_range(0.0, 6.0) == TensorQuantization(float(np.float32(6 / 255)), -128)
    assert from_range(0.5, 6.0).zero_point == -128
    assert from_range(0.0, 0.0).scale == 1.0


@pytest.mark.parametrize(("scale", "zero_point"), [(0.0, 0), (-1.0, 0), (float("inf"), 0), (0.1, 0), (0.5, 128)])
def test_what_is_no_quantization(scale, zero_point):
    with pytest.raises(ValueError, match=r"scale|zero point"):
        TensorQuantization(scale, zero_point)


@pytest.mark.parametrize(("shape", "axis"), [((4, 3, 3, 3), 0), ((5, 7), 0), ((5, 7), 1)])
def test_weights_reach_the_limit_in_every_channel(shape, axis):
    weight = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    scales = weight_scales(weight, axis)
    stored = quantize_weight(weight, scales, axis)
    assert scales.shape == (shape[axis],)
    peaks = np.abs(stored).max(tuple(other for other in range(len(shape)) if other != axis))
    assert (peaks == 127).all()


def test_a_channel_of_zeros_has_a_scale():
    weight = np.zeros((2, 3), np.float32)
    assert (weight_scales(weight) > 0).all()
    weight[1] = 2.54
    assert weight_scales(weight) == pytest.approx([0.02, 0.02])
    assert (quantize_weight(weight, weight_scales(weight))[0] == 0).all()


def test_a_bias_has_the_scale_of_the_products():
    stored, scales = quantize_bias(np.array([1.0, -2.0, 1e9]), 0.5, np.array([0.25, 0.5, 1e-6], np.float32))
    assert scales == pytest.approx([0.125, 0.25, 5e-7])
    assert stored.dtype == np.int32
    assert stored.tolist() == [8, -8, 2**31 - 1]
