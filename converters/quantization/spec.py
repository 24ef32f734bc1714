"""The quantization of a graph: one scale and zero point for every value, one scale per channel for every weight."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

LOWEST, HIGHEST = -128, 127
WEIGHT_LIMIT = 127  # weights are symmetric: -128 would have no counterpart
INT32_LIMIT = 2**31 - 1
LARGEST_BIAS = INT32_LIMIT // 2  # in steps: the rest is for the products
PART, ROUND = 2**20, 64  # weights that are computed with at a time, and of what number of channels a multiple
FINEST_SUM = 2.0**-28  # kernels multiply sums by what makes them steps of the output, and know no factor below 2^-32


@dataclass(frozen=True)
class TensorQuantization:
    """real = scale (q - zero_point), q in -128..127. `scale` is a float32 in value."""

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0 and float(np.float32(self.scale)) == self.scale):
            raise ValueError(f"a scale is a positive float32, not {self.scale}")
        if not LOWEST <= self.zero_point <= HIGHEST:
            raise ValueError(f"a zero point lies in {LOWEST}..{HIGHEST}, not at {self.zero_point}")

    @property
    def low(self) -> float:
        """The smallest real number that it represents."""
        return self.scale * (LOWEST - self.zero_point)

    @property
    def high(self) -> float:
        """The largest real number that it represents."""
        return self.scale * (HIGHEST - self.zero_point)

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """int8 of real values: the quotient in float32, a half to the even neighbour, clipped."""
        with np.errstate(over="ignore"):  # the lowest float, with which maxima are padded
            steps = np.rint(values.astype(np.float32) / np.float32(self.scale)) + self.zero_point
        return np.clip(steps, LOWEST, HIGHEST).astype(np.int8)

    def dequantize(self, values: np.ndarray) -> np.ndarray:
        """float32 of int8 values."""
        return (values.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


@dataclass(frozen=True)
class QuantizationSpec:
    """What both writers write.

    activations: by value name (the names of the float graph), float32 values only.
    weights: scales per output channel of a Conv's or Gemm's weight, by initializer name.
    kept: nodes (by the name of their first output) that stay in float, and why.
    calibration, samples: how the ranges were found, over how many inputs.
    """

    activations: Mapping[str, TensorQuantization]
    weights: Mapping[str, np.ndarray]
    calibration: str
    samples: int
    kept: Mapping[str, str] = field(default_factory=dict)


def from_range(low: float, high: float) -> TensorQuantization:
    """The quantization that covers low..high and represents zero exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    span = high - low
    scale = float(np.float32(span / (HIGHEST - LOWEST))) if span > 0 else 1.0
    scale = max(scale, float(np.finfo(np.float32).tiny))
    zero_point = int(np.clip(round(LOWEST - low / scale), LOWEST, HIGHEST))
    return TensorQuantization(scale, zero_point)


def of_constant(value: np.ndarray) -> TensorQuantization:
    """The quantization of a constant operand of an addition or multiplication: its own range."""
    return from_range(float(value.min()), float(value.max()))


def weight_scales(weight: np.ndarray, axis: int = 0) -> np.ndarray:
    """float32 scales per channel of `axis`; a channel of zeros gets that of the largest one."""
    moved = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    peaks = np.maximum(moved.max(1), -moved.min(1))
    peaks = np.where(peaks > 0, peaks, peaks.max() if peaks.max() > 0 else 1.0)
    return (peaks / WEIGHT_LIMIT).astype(np.float32)


def quantize_weight(weight: np.ndarray, scales: np.ndarray, axis: int = 0) -> np.ndarray:
    """int8 weights in -127..127, by the scales of `axis`."""
    made = np.empty(weight.shape, np.int8)
    for part, factor in parts(weight, scales, axis):
        steps = np.rint(weight[part].astype(np.float32) / factor)
        made[part] = np.clip(steps, -WEIGHT_LIMIT, WEIGHT_LIMIT)
    return made


def parts(weight: np.ndarray, scales: np.ndarray, axis: int) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """A weight by some of its output channels at a time, as what is computed of all may be many times as large: where
    they lie in it, and their scales in a shape that fits."""
    channels, shape = weight.shape[axis], [1] * weight.ndim
    shape[axis] = -1
    count = max(1, PART * channels // max(1, weight.size * ROUND)) * ROUND
    for start in range(0, channels, count):
        chosen = slice(start, start + count)
        yield (*(slice(None),) * axis, chosen), scales[chosen].reshape(shape)


def least_scales(bias: np.ndarray | float, input_scale: float, output_scale: float) -> np.ndarray:
    """The lowest scale of the weights of every channel at which its int32 sums hold.

    A bias takes no more than half of int32, and a step of the sums is no less than FINEST_SUM of a step of the output:
    what is finer than that, no output shows.
    """
    steps = np.maximum(np.abs(np.asarray(bias, np.float64)) / LARGEST_BIAS, FINEST_SUM * output_scale)
    return (steps / input_scale).astype(np.float32)


def quantize_bias(bias: np.ndarray, input_scale: float, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int32 bias and its float32 scales: those of the products that it is added to."""
    products = (np.float32(input_scale) * scales).astype(np.float32)
    steps = np.rint(bias.astype(np.float64) / products.astype(np.float64))
    limits = np.iinfo(np.int32)
    return np.clip(steps, limits.min, limits.max).astype(np.int32), products
