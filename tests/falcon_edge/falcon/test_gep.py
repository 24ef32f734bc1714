"""The closed-form fit: exact, optimal, deterministic."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from falcon_edge.falcon.gep import fit, lossless_rank
from falcon_edge.falcon.patches import PatchStatistics


def rebuilt(fitted):
    return torch.einsum("rnm,rnij->nmij", fitted.pointwise, fitted.depthwise)


@st.composite
def kernels(draw):
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 12)), draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@given(kernels(), st.data())
def test_error_is_the_tail_of_the_singular_values(kernel, data):
    rank = data.draw(st.integers(1, lossless_rank(kernel)))
    fitted = fit(kernel, rank)
    values = torch.linalg.svdvals(kernel.flatten(2)).square()
    tail, total = values[:, rank:].sum(1), values.sum()
    assert (fitted.error - tail).abs().max() <= 1e-10 * total
    assert ((kernel - rebuilt(fitted)).square().sum((1, 2, 3)) - tail).abs().max() <= 1e-10 * total
    assert fitted.relative_error == pytest.approx(float(tail.sum() / total), abs=1e-10)
    expected = values.sum(0).cumsum(0) / total
    assert torch.allclose(fitted.captured, expected.clamp(max=1), atol=1e-10)


@pytest.mark.parametrize("rank", [1, 2])
def test_gradient_descent_does_not_beat_it(rank):
    kernel = torch.randn(6, 8, 3, 3, dtype=torch.float64)
    fitted = fit(kernel, rank)
    best = float(fitted.error.sum())
    starts = [
        (fitted.pointwise, fitted.depthwise),
        (torch.randn(rank, 6, 8).double(), torch.randn(rank, 6, 3, 3).double()),
        (0.1 * torch.randn(rank, 6, 8).double(), 0.1 * torch.randn(rank, 6, 3, 3).double()),
    ]
    for start in starts:
        pointwise, depthwise = (factor.clone().requires_grad_() for factor in start)
        optimiser = torch.optim.Adam([pointwise, depthwise], lr=0.02)
        for _ in range(1000):
            optimiser.zero_grad()
            error = (kernel - torch.einsum("rnm,rnij->nmij", pointwise, depthwise)).square().sum()
            error.backward()
            optimiser.step()
        with torch.no_grad():
            reached = (kernel - torch.einsum("rnm,rnij->nmij", pointwise, depthwise)).square().sum()
        assert float(reached) >= best * (1 - 1e-9)


def test_same_kernel_same_bytes_and_the_largest_tap_is_positive():
    kernel = torch.randn(16, 8, 3, 3)
    one, other = fit(kernel, 2), fit(kernel.clone(), 2)
    assert one.pointwise.numpy().tobytes() == other.pointwise.numpy().tobytes()
    assert one.depthwise.numpy().tobytes() == other.depthwise.numpy().tobytes()
    taps = one.depthwise.flatten(2)
    assert (taps.gather(2, taps.abs().argmax(2, keepdim=True)) > 0).all()


def test_factors_have_the_same_size():
    fitted = fit(torch.randn(16, 8, 3, 3), 3)
    assert torch.allclose(fitted.pointwise.norm(dim=2), fitted.depthwise.flatten(2).norm(dim=2), rtol=1e-4)


def test_a_kernel_of_zeros_has_no_error():
    fitted = fit(torch.zeros(4, 3, 3, 3), 2)
    assert rebuilt(fitted).abs().max() == 0
    assert fitted.relative_error == 0


@pytest.mark.parametrize("rank", [0, 10, -1])
def test_rank_out_of_range(rank):
    with pytest.raises(ValueError, match=r"outside 1\.\.9"):
        fit(torch.randn(4, 16, 3, 3), rank)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_kernel_that_is_not_finite(value):
    kernel = torch.randn(4, 16, 3, 3)
    kernel[1, 2, 0, 0] = value
    with pytest.raises(ValueError, match="not finite"):
        fit(kernel, 1)


def correlated(size, generator):
    factor = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return factor @ factor.mT / size + 0.05 * torch.eye(size, dtype=torch.float64)


@given(st.integers(1, 8), st.integers(0, 10**6))
def test_data_aware_error_is_the_output_error_and_no_plain_fit_is_lower(rank, seed):
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(5, 10, 3, 3, generator=generator, dtype=torch.float64)
    channels, taps = correlated(10, generator), correlated(9, generator)
    aware = fit(kernel, rank, PatchStatistics(torch.zeros(1, 10, 9).double(), channels[None], taps[None]))

    def output_error(fitted):
        rest = (kernel - rebuilt(fitted)).flatten(2)
        return torch.einsum("nmt,mp,npu,ut->n", rest, channels, rest, taps)

    assert torch.allclose(output_error(aware), aware.error, rtol=1e-4, atol=1e-5 * float(aware.error.sum() + 1))
    assert output_error(aware).sum() <= output_error(fit(kernel, rank)).sum() * (1 + 1e-6)
