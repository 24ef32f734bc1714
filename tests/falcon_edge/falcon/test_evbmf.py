"""The rank that stands out of noise."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from falcon_edge.falcon import evbmf


def low_rank(rows, columns, rank, noise, seed=0):
    """Singular values of its own of at least about 0.3, of which the noise has its share of sigma."""
    random = np.random.default_rng(seed)
    left, right = (np.linalg.qr(random.standard_normal((size, rank)))[0] for size in (rows, columns))
    signal = left * random.uniform(1, 3, rank) @ right.T
    return torch.from_numpy(signal + noise / math.sqrt(max(rows, columns)) * random.standard_normal((rows, columns)))


@given(
    st.integers(8, 48),
    st.integers(1, 8),
    st.integers(0, 1000),
    st.sampled_from([1e-9, 1e-4, 1e-2, 0.1]),
    st.data(),
)
def test_the_rank_of_a_low_rank_matrix_with_noise_is_found(rows, times, seed, noise, data):
    rank = data.draw(st.integers(1, max(1, rows // 4)))
    matrix = low_rank(rows, rows * times, rank, noise, seed)
    assert evbmf.rank(matrix) == evbmf.rank(matrix.T) == rank


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_scale_counts_for_nothing(scale):
    assert evbmf.rank(scale * low_rank(32, 64, 5, 0.2)) == 5


def test_without_any_noise_the_rank_is_that_of_the_matrix():
    assert evbmf.rank(low_rank(24, 48, 6, 0.0)) == 6


def test_noise_alone_has_none():
    random = np.random.default_rng(1)
    assert evbmf.rank(torch.from_numpy(random.standard_normal((64, 576)))) == 0
    assert evbmf.rank(torch.zeros(4, 9)) == 0
    assert evbmf.rank(torch.ones(1, 9)) == 0


def test_signals_below_the_noise_are_not_counted():
    """A component is kept where its singular value is above sigma sqrt(M (1 + tau) (1 + alpha / tau))."""
    assert evbmf.rank(low_rank(64, 64, 6, 0.2)) == 6
    assert evbmf.rank(low_rank(64, 64, 6, 3.0)) == 0


def test_the_threshold_is_that_of_the_paper():
    assert evbmf._least(1.0) == pytest.approx(2.5129, abs=5e-5)


def test_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        evbmf.rank(torch.tensor([[1.0, math.nan]]))
