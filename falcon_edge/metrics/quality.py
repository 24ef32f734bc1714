"""How good outputs are: one figure of one metric, with its interval over the images that it was measured on."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import binomtest, bootstrap

Unit = Literal["share", "dB", ""]
LEVEL = 0.95
RESAMPLES, OWN_RESAMPLES = 1000, 200
RESAMPLED_AT_ONCE = 20


@dataclass(frozen=True)
class Quality:
    """A metric's value on so many samples, with its 95% interval (None: it could not be found).

    unit: "share" (0..1, shown in percent), "dB", or none.
    """

    metric: str
    value: float
    interval: tuple[float, float] | None
    samples: int
    higher_is_better: bool = True
    unit: Unit = ""


def share(right: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The share of True among `right`, and its Wilson score interval (Wilson 1927)."""
    found = binomtest(int(right.sum()), len(right)).proportion_ci(LEVEL, "wilson")
    return float(right.mean()), (float(found.low), float(found.high))


def over_images(
    figure: Callable[[np.ndarray], float], samples: int, resamples: int = RESAMPLES
) -> tuple[float, float] | None:
    """The interval of `figure` (numbers of images -> its value on these) by bootstrap over images, percentiles.

    Images are drawn anew with replacement (Efron 1979): what one figure is on average over many images says nothing of
    the spread of another, such as a ratio of sums. None for fewer than two images, or where draws have no figure.
    """
    if samples < 2:
        return None

    def of_draws(draws: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.array([figure(draw) for draw in draws.reshape(-1, samples)]).reshape(draws.shape[:-1])

    found = bootstrap(
        (np.arange(samples),),
        of_draws,
        n_resamples=resamples,
        batch=RESAMPLED_AT_ONCE,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None
