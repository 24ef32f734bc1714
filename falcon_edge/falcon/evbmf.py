"""The rank of a matrix of noise, by empirical variational Bayesian matrix factorisation (EVBMF).

S. Nakajima, M. Sugiyama, S. D. Babacan and R. Tomioka, "Global analytic solution of fully-observed variational Bayesian
matrix factorization", Journal of Machine Learning Research 14, 2013: the analytic empirical solution (section 4), which
is global, with the noise's variance found by a search in one dimension.
"""

import math

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from torch import Tensor

STEPS = 100  # of the first look at the variance, whose free energy has several minima
LEAST = np.finfo(np.float64).eps  # of a singular value, as a share of the largest: what is below is rounding


def rank(matrix: Tensor) -> int:
    """How many components of a matrix (L, M) stand out of noise: from 0, of a matrix of noise, to min(L, M).

    Raises ValueError for a matrix that is not finite.
    """
    given = matrix.detach().double().numpy()
    if not np.isfinite(given).all():
        raise ValueError(f"a matrix {given.shape} holds values that are not finite")
    rows, columns = sorted(given.shape)
    values = np.linalg.svd(given, compute_uv=False)
    if values[0] == 0:
        return 0
    energies = np.maximum(values / values[0], LEAST) ** 2 / columns
    ratio = rows / columns
    least = _least(ratio)
    threshold = (1 + least) * (1 + ratio / least)
    variance = _variance(energies, rows, columns, ratio, threshold)
    return int((energies > threshold * variance).sum())


def _least(ratio: float) -> float:
    """The smallest signal (over the noise) of a component that is kept, about 2.5129 of the ratio's root.

    The zero of f(t) + f(t / ratio), f(z) = log(z + 1) / z - 1 / 2, which falls.
    """

    def excess(signal: float) -> float:
        return sum(math.log1p(each) / each - 0.5 for each in (signal, signal / ratio))

    root = math.sqrt(ratio)
    return float(brentq(excess, root, 100 * root))


def _variance(energies: np.ndarray, rows: int, columns: int, ratio: float, threshold: float) -> float:
    """Of the noise: the least free energy, between what would keep as many components as can be and none.

    energies: squared singular values over the columns, (rows,), the largest first.
    """
    most = min(math.ceil(rows / (1 + ratio)) - 1, rows - 1)  # components that can be kept
    lower = max(energies[most] / threshold, energies[most:].mean())
    upper = energies.mean()

    def free_energy(logarithm: float) -> float:
        noise = energies / math.exp(logarithm)
        kept, left = noise[noise > threshold], noise[noise <= threshold]
        signal = (kept - (1 + ratio) + np.sqrt((kept - (1 + ratio)) ** 2 - 4 * ratio)) / 2
        of_kept = kept - signal + np.log((signal + 1) / kept) + ratio * np.log(signal / ratio + 1)
        return float((left - np.log(left)).sum() + of_kept.sum())

    if lower >= upper:
        return float(upper)
    places = np.linspace(math.log(lower), math.log(upper), STEPS)
    best = int(np.argmin([free_energy(place) for place in places]))
    bounds = places[max(0, best - 1)], places[min(STEPS - 1, best + 1)]
    return math.exp(minimize_scalar(free_energy, bounds=bounds, method="bounded").x)
