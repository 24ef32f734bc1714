"""How a range is chosen from what was observed: min-max, percentile, entropy, mean squared error."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import rel_entr

from converters.quantization.observe import BINS, Observation

LEVELS = 256
PERCENTILE = 99.99
CANDIDATES = np.geomspace(0.02, 1.0, 100)  # shares of the observed range that are tried

Range = tuple[float, float]


def min_max(seen: Observation) -> Range:
    """Everything that was observed."""
    return seen.low, seen.high


def percentile(seen: Observation) -> Range:
    """The middle 99.99% of the values; the tails saturate."""
    total = seen.histogram.sum()
    if total == 0:
        return min_max(seen)
    share = np.concatenate([[0.0], np.cumsum(seen.histogram) / total])
    tail = (1 - PERCENTILE / 100) / 2 if seen.low < 0 < seen.high else 1 - PERCENTILE / 100
    low = seen.low if seen.low >= 0 else float(np.interp(tail, share, seen.edges))
    high = seen.high if seen.high <= 0 else float(np.interp(1 - tail, share, seen.edges))
    return low, high


def entropy(seen: Observation) -> Range:
    """The clipping whose quantized histogram diverges least from the observed one (Migacz, TensorRT, GTC 2017)."""
    return _best(seen, _divergence)


def mse(seen: Observation) -> Range:
    """The clipping with the least mean squared error of rounding and saturation, by the histogram."""
    return _best(seen, _squared_error)


METHODS: Mapping[str, Callable[[Observation], Range]] = {
    "minmax": min_max,
    "percentile": percentile,
    "entropy": entropy,
    "mse": mse,
}


def _best(seen: Observation, cost: Callable[[Observation, float, float], float]) -> Range:
    if seen.histogram.sum() == 0:
        return min_max(seen)
    candidates = [(share * min(seen.low, 0.0), share * max(seen.high, 0.0)) for share in CANDIDATES]
    costs = [cost(seen, low, high) for low, high in candidates]
    return candidates[int(np.argmin(costs))]


def _squared_error(seen: Observation, low: float, high: float) -> float:
    centres = (seen.edges[:-1] + seen.edges[1:]) / 2
    step = (high - low) / (LEVELS - 1)
    rounded = np.clip(np.rint((centres - low) / step), 0, LEVELS - 1) * step + low
    # Within a level values spread evenly: step^2 / 12; beyond the range they are as far as the clipping.
    outside = (centres < low) | (centres > high)
    error = np.where(outside, np.square(centres - rounded), step**2 / 12)
    return float((error * seen.histogram).sum())


def _divergence(seen: Observation, low: float, high: float) -> float:
    """Divergence of the clipped histogram from its 256-level form, as in the GTC talk, for an asymmetric range."""
    width = (seen.high - seen.low) / BINS
    first = int(np.clip(round((low - seen.low) / width), 0, BINS - 1))
    last = int(np.clip(round((high - seen.low) / width), first + 1, BINS))
    if last - first < LEVELS:
        return float("inf")  # every bin has a level of its own: the histogram cannot tell what is lost
    counts = seen.histogram.astype(np.float64)
    if seen.low <= 0 <= seen.high:
        # Zero is exact whatever the range, and a ReLU makes so many that nothing else would count.
        zero = min(int(-seen.low / width), BINS - 1)
        counts[zero] = counts[zero + 1] if zero + 1 < BINS else counts[zero - 1]
    inside = counts[first:last]
    reference = inside.copy()
    reference[0] += counts[:first].sum()
    reference[-1] += counts[last:].sum()
    level = np.minimum(np.arange(len(inside)) * LEVELS // len(inside), LEVELS - 1)
    occupied = inside > 0
    means = np.bincount(level, inside, LEVELS) / np.maximum(np.bincount(level, occupied, LEVELS), 1)
    quantized = np.where(occupied, means[level], 0.0)
    if quantized.sum() == 0:
        return float("inf")
    observed, kept = (part / part.sum() + 1e-9 for part in (reference, quantized))  # nothing is quite impossible
    return float(rel_entr(observed / observed.sum(), kept / kept.sum()).sum())
