"""The closed-form fit of a kernel by a sum of generalized elementwise products (GEP).

FALCON writes a kernel K (N, M, kh, kw) as K[n, m, i, j] ~ sum over r of P_r[n, m] Q_r[n, i, j] (rank k: r = 1..k).
The fit separates over output channels: for each n the M x (kh kw) matrix K_n is approximated by one of rank k, and
its truncated singular value decomposition is the best of all (Eckart and Young, 1936). Gradient descent on P and Q,
as published, can at most reach it. The decomposition is taken from the eigenvectors of the small Gram matrices
K_n^T K_n (T x T, T = kh kw) in float64: what that costs in accuracy is 1e-16 of the kernel's energy.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from falcon_edge.falcon.patches import PatchStatistics, mean_shift, per_output, square_roots


@dataclass(frozen=True)
class Fit:
    """Factors of a kernel at one rank, and what every rank would capture.

    pointwise: (k, N, M); depthwise: (k, N, kh, kw): in the kernel's dtype.
    bias_shift: (N,), to be added to the bias; corrects the output's mean (zero for the plain fit).
    error: (N,) float64, squared error of every output channel, in the metric that was fitted.
    captured: (R,) float64, share of the total energy that ranks 1..R capture, R the lossless rank.
    """

    pointwise: Tensor
    depthwise: Tensor
    bias_shift: Tensor
    error: Tensor
    captured: Tensor

    @property
    def relative_error(self) -> float:
        """Squared error of the whole kernel over its squared norm, in the metric that was fitted."""
        return float(1 - self.captured[self.pointwise.shape[0] - 1])


def lossless_rank(kernel: Tensor) -> int:
    """The rank at which the factors equal any kernel (N, M, kh, kw): min(M, kh * kw)."""
    _, channels, height, width = kernel.shape
    return min(channels, height * width)


def fit(kernel: Tensor, rank: int, statistics: PatchStatistics | None = None) -> Fit:
    """Best rank-`rank` factors of a kernel (N, M, kh, kw).

    Plain (no statistics): least squares on the kernel. Data-aware: least squares on the layer's output under
    Cov = A (x) B, by the SVD of A^(1/2) K_n B^(1/2), un-whitened afterwards; what remains of the output's mean is
    handed back as `bias_shift`. The singular values are split evenly between the two factors, and the largest tap
    of every depthwise filter is positive, which makes the factors unique.

    Raises ValueError for a rank outside 1..lossless_rank(kernel) or a kernel that is not finite.
    """
    outputs, channels, height, width = kernel.shape
    limit = lossless_rank(kernel)
    if not 1 <= rank <= limit:
        raise ValueError(f"rank {rank} is outside 1..{limit} of a kernel {tuple(kernel.shape)}")
    matrices = kernel.detach().reshape(outputs, channels, height * width).double()
    if not torch.isfinite(matrices).all():
        raise ValueError(f"a kernel {tuple(kernel.shape)} holds values that are not finite")

    fitted, colour_channels, colour_taps = matrices, None, None
    if statistics is not None:
        whiten_channels, colour_channels = (per_output(root, outputs) for root in square_roots(statistics.channels))
        whiten_taps, colour_taps = (per_output(root, outputs) for root in square_roots(statistics.taps))
        fitted = whiten_channels @ matrices @ whiten_taps

    gram_values, gram_vectors = torch.linalg.eigh(fitted.mT @ fitted)
    energy = gram_values.flip(1)[:, :limit].clamp(min=0)
    right = gram_vectors.flip(2)[:, :, :rank]  # (N, T, rank), best direction first
    left = fitted @ right  # (N, M, rank), of norm sigma
    root = left.norm(dim=1, keepdim=True).sqrt()
    root = torch.where(root > 0, root, 1.0)
    left, right = left / root, right * root
    if colour_channels is not None and colour_taps is not None:
        left, right = colour_channels @ left, colour_taps @ right

    total = energy.sum()
    captured = energy.sum(0).cumsum(0) / total if total > 0 else energy.new_ones(limit)
    error = energy[:, rank:].sum(1)
    largest = right.gather(1, right.abs().argmax(1, keepdim=True))
    sign = torch.where(largest < 0, -1.0, 1.0).double()
    pointwise, depthwise = (left * sign).permute(2, 0, 1), (right * sign).permute(2, 0, 1)

    bias_shift = mean_shift(matrices, torch.einsum("rnm,rnt->nmt", pointwise, depthwise), statistics)
    return Fit(
        pointwise=pointwise.to(kernel.dtype).contiguous(),
        depthwise=depthwise.reshape(rank, outputs, height, width).to(kernel.dtype).contiguous(),
        bias_shift=bias_shift.to(kernel.dtype),
        error=error,
        captured=captured.clamp(max=1.0),
    )
