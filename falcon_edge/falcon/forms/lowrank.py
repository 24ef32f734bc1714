"""Low rank in the channels of one side: 1x1 to r channels and the kernel on these, or the kernel to r and 1x1 on."""

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from falcon_edge.falcon.forms.chain import Chain, along, behind, pair_of_sizes, pointwise, singular, ungrouped
from falcon_edge.falcon.forms.form import Fit, Form, FormConv2d, Part, Sizes, matrix, why_not
from falcon_edge.falcon.patches import Metric, PatchStatistics


class _LowRank(Form):
    """The best of its kind: a truncated SVD of the kernel, unfolded along one side (Eckart and Young, 1936)."""

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """Why a convolution has no such form, or None where it has one."""
        return why_not(conv) or ungrouped(conv)

    @abstractmethod
    def _unfolded(self, kernel: Tensor) -> Tensor:
        """(N, M, T) as (channels of the side, all else)."""

    def _directions(self, white: Tensor, rank: int) -> tuple[Tensor, Tensor]:
        """Of a white kernel: those of the side that hold most, (d, r), and roots of their singular values, (r,)."""
        vectors, energies = singular(self._unfolded(white))
        root = energies[:rank].sqrt().sqrt()
        return vectors[:, :rank], torch.where(root > 0, root, 1.0)

    def unfoldings(self, kernel: Tensor) -> tuple[Tensor, ...]:
        """Along its side."""
        return (self._unfolded(kernel.flatten(2)),)

    def errors(self, kernel: Tensor, statistics: PatchStatistics | None = None) -> Tensor:
        """What the singular values behind rank r hold."""
        given = matrix(kernel)
        return behind(singular(self._unfolded(Metric(given, statistics).white(given)))[1], *self.lossless(kernel))


class LowRankIn(_LowRank):
    """1x1 to r channels, then the kernel on these: M r + kh kw r N weights."""

    name = "lowrank_in"

    def lossless(self, kernel: Tensor) -> Sizes:
        """min(M, kh kw N)."""
        count, channels, height, width = kernel.shape
        return (min(channels, count * height * width),)

    def parts(self, kernel: Tensor, sizes: Sizes) -> tuple[Part, ...]:
        """H W M r + H' W' kh kw r N."""
        count, channels, height, width = kernel.shape
        (rank,) = sizes
        return Part(channels * rank, "inputs"), Part(count * rank * height * width, "outputs")

    def _unfolded(self, kernel: Tensor) -> Tensor:
        return kernel.transpose(0, 1).flatten(1)

    def fit(self, kernel: Tensor, sizes: Sizes, statistics: PatchStatistics | None = None) -> Fit:
        """Directions of the input channels that the kernel reads most from; energies split evenly between the two."""
        self.check(kernel, sizes)
        given = matrix(kernel)
        metric = Metric(given, statistics)
        vectors, root = self._directions(metric.white(given), sizes[0])
        read = metric.channels_back @ vectors * root  # (M, r)
        core = torch.einsum("nmt,mr->nrt", given, metric.channels @ vectors) / root[:, None]
        fitted = torch.einsum("mr,nrt->nmt", read, core)
        factors = {
            "reduce.weight": read.mT[:, :, None, None],
            "core.weight": core.unflatten(2, kernel.shape[2:]),
        }
        return Fit.of(kernel, factors, fitted, metric)

    def module(self, conv: nn.Conv2d, sizes: Sizes) -> FormConv2d:
        """reduce, core."""
        (rank,) = sizes
        core = along(conv, rank, conv.out_channels, bias=conv.bias is not None)
        return Chain(conv, {"reduce": pointwise(conv.in_channels, rank), "core": core})

    def sizes_of(self, weights: Mapping[str, Sizes]) -> Sizes | None:
        """The channels between."""
        found = pair_of_sizes(weights, "reduce", "core")
        return None if found is None else (found[0][0],)


class LowRankOut(_LowRank):
    """The kernel to r channels, then 1x1 on: kh kw M r + r N weights."""

    name = "lowrank_out"

    def lossless(self, kernel: Tensor) -> Sizes:
        """min(N, kh kw M)."""
        count, channels, height, width = kernel.shape
        return (min(count, channels * height * width),)

    def parts(self, kernel: Tensor, sizes: Sizes) -> tuple[Part, ...]:
        """H' W' (kh kw M r + r N)."""
        count, channels, height, width = kernel.shape
        (rank,) = sizes
        return Part(channels * rank * height * width, "outputs"), Part(rank * count, "outputs")

    def _unfolded(self, kernel: Tensor) -> Tensor:
        return kernel.flatten(1)

    def fit(self, kernel: Tensor, sizes: Sizes, statistics: PatchStatistics | None = None) -> Fit:
        """Directions of the output channels that hold most of the output; energies split evenly between the two."""
        self.check(kernel, sizes)
        given = matrix(kernel)
        metric = Metric(given, statistics)
        vectors, root = self._directions(metric.white(given), sizes[0])
        core = torch.einsum("nmt,nr->rmt", given, vectors) / root[:, None, None]
        written = vectors * root  # (N, r)
        fitted = torch.einsum("nr,rmt->nmt", written, core)
        factors = {
            "core.weight": core.unflatten(2, kernel.shape[2:]),
            "expand.weight": written[:, :, None, None],
        }
        return Fit.of(kernel, factors, fitted, metric)

    def module(self, conv: nn.Conv2d, sizes: Sizes) -> FormConv2d:
        """core, expand."""
        (rank,) = sizes
        expand = pointwise(rank, conv.out_channels, conv.bias is not None)
        return Chain(conv, {"core": along(conv, conv.in_channels, rank), "expand": expand})

    def sizes_of(self, weights: Mapping[str, Sizes]) -> Sizes | None:
        """The channels between."""
        found = pair_of_sizes(weights, "core", "expand")
        return None if found is None else (found[0][0],)
