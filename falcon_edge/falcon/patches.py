"""What a convolution's input patches are like, and the metric in which errors are those of its output."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PatchStatistics:
    """Mean and Kronecker-factored covariance of a convolution's input patches, both centred.

    One group of input channels after the other (G groups; G = 1 for an ordinary convolution), M channels a group,
    T = kh * kw taps. Cov(patch) ~ channels (x) taps; a common factor between the two does not matter.
    wanted: the mean patch of the original network, where the statistics are of one whose earlier layers are replaced.
    """

    mean: Tensor  # (G, M, T)
    channels: Tensor  # (G, M, M)
    taps: Tensor  # (G, T, T)
    wanted: Tensor | None = None  # (G, M, T)


def square_roots(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric square roots and their inverses of covariances (..., d, d), float64.

    Directions without variance get 1e-6 of the mean variance: they stay invertible and hardly count. Where nothing
    varies, as behind channels that are dead, all directions count alike.
    """
    values, vectors = torch.linalg.eigh(covariance.double())
    mean = values.mean(-1, keepdim=True)
    floor = torch.where(mean > 1e-200, 1e-6 * mean, 1.0)  # roots and their inverses stay far from the ends of float64
    root = torch.maximum(values, floor).sqrt()
    return (vectors * root[..., None, :]) @ vectors.mT, (vectors / root[..., None, :]) @ vectors.mT


def per_output(per_group: Tensor, outputs: int) -> Tensor:
    """(G, ...) to (N, ...): output channel n belongs to group n // (N / G)."""
    groups = per_group.shape[0]
    if groups == 1:
        return per_group.double().expand(outputs, *per_group.shape[1:])
    return per_group.double().repeat_interleave(outputs // groups, 0)


def mean_shift(kernel: Tensor, fitted: Tensor, statistics: PatchStatistics | None) -> Tensor:
    """(N,) float64: what a fit takes from the output's mean, to be added to the bias; zeros without statistics.

    kernel, fitted: (N, M, T), float64.
    """
    outputs = kernel.shape[0]
    if statistics is None:
        return kernel.new_zeros(outputs)
    if statistics.wanted is None:
        return ((kernel - fitted) * per_output(statistics.mean, outputs)).sum((1, 2))
    wanted, mean = (per_output(each, outputs) for each in (statistics.wanted, statistics.mean))
    return (kernel * wanted - fitted * mean).sum((1, 2))


class Metric:
    """The length of kernels (N, M, T) without groups: by their output under statistics, or their own without any."""

    def __init__(self, kernel: Tensor, statistics: PatchStatistics | None):
        self.statistics = statistics
        _, channels, taps = kernel.shape
        eye = [torch.eye(size, dtype=torch.float64, device=kernel.device) for size in (channels, taps)]
        covariances = None if statistics is None else (statistics.channels[0], statistics.taps[0])
        roots = [(one, one) for one in eye] if covariances is None else [square_roots(each) for each in covariances]
        (self.channels, self.channels_back), (self.taps, self.taps_back) = roots

    def white(self, kernel: Tensor) -> Tensor:
        """(N, M, T): A^(1/2) K_n B^(1/2), whose own length is the kernel's in this metric."""
        return self.channels @ kernel @ self.taps if self.statistics is not None else kernel

    def share(self, kernel: Tensor, fitted: Tensor) -> float:
        """Squared length of what a fit leaves of a kernel, over the kernel's own; 0 for a kernel of zeros."""
        total = float(self.white(kernel).square().sum())
        return float(self.white(kernel - fitted).square().sum()) / total if total > 0 else 0.0
