"""Depthwise separable: k depthwise convolutions of the inputs, side by side, and one pointwise on all of them."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from falcon_edge.falcon.forms.chain import along, pointwise, ungrouped
from falcon_edge.falcon.forms.form import Fit, Form, FormConv2d, Part, Sizes, already_pointwise, matrix, why_not
from falcon_edge.falcon.patches import Metric, PatchStatistics

DEPTHWISE = re.compile(r"depthwise\.\d+\.weight")


class DSConv2d(FormConv2d):
    """`rank` depthwise convolutions, concatenated, and one pointwise (MobileNet's unit, arXiv 1704.04861, at rank 1).

    The branches meet in one matrix product, which is faster than a sum of branches (docs/forms.md).
    """

    def __init__(self, conv: nn.Conv2d, rank: int):
        super().__init__()
        self.stand_for(conv)
        count = conv.in_channels
        self.depthwise = nn.ModuleList(along(conv, count, count, groups=count) for _ in range(rank))
        self.pointwise = pointwise(rank * count, conv.out_channels, conv.bias is not None)

    def forward(self, input: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H', W')."""
        found = [depthwise(input) for depthwise in self.depthwise]
        joined = found[0] if len(found) == 1 else torch.cat(found, -3)
        answer: Tensor = self.pointwise(joined)
        return answer

    def last(self) -> dict[str, nn.Conv2d]:
        """The pointwise convolution."""
        return {"pointwise": self.pointwise}


class DSConv(Form):
    """k (kh kw M + M N) weights, all at the output's resolution; a truncated SVD for every input channel."""

    name = "dsconv"
    counts_channels = False

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """Why a convolution has no such form, or None where it has one."""
        return why_not(conv) or ungrouped(conv) or already_pointwise(conv)

    def unwise(self, conv: nn.Conv2d) -> str | None:
        """Of a stem with three channels all outputs would be mixed from three filters."""
        few = conv.in_channels < conv.weight[0, 0].numel()
        return "its few input channels would be filtered alike for all outputs" if few else None

    def lossless(self, kernel: Tensor) -> Sizes:
        """min(N, kh kw)."""
        count, _, height, width = kernel.shape
        return (min(count, height * width),)

    def parts(self, kernel: Tensor, sizes: Sizes) -> tuple[Part, ...]:
        """k H' W' (kh kw M + M N)."""
        count, channels, height, width = kernel.shape
        (rank,) = sizes
        return Part(rank * channels * height * width, "outputs"), Part(rank * channels * count, "outputs")

    def errors(self, kernel: Tensor, statistics: PatchStatistics | None = None) -> Tensor:
        """What the singular values behind rank k hold; under statistics, of the fit at every rank."""
        given = matrix(kernel)
        (limit,) = self.lossless(kernel)
        if statistics is None:
            energies = torch.linalg.svdvals(given.transpose(0, 1)).square().sum(0)
            total = energies.sum()
            return (1 - energies.cumsum(0) / total).clamp(min=0) if total > 0 else given.new_zeros(limit)
        return given.new_tensor([self.fit(kernel, (rank,), statistics).error for rank in range(1, limit + 1)])

    def fit(self, kernel: Tensor, sizes: Sizes, statistics: PatchStatistics | None = None) -> Fit:
        """Filters by the SVD of each input channel (N, T); under statistics, the pointwise part by least squares.

        Norms are split evenly between the two, and the largest tap of every filter is positive.
        """
        self.check(kernel, sizes)
        (rank,) = sizes
        given = matrix(kernel)
        count, channels, _ = given.shape
        metric = Metric(given, statistics)
        white = (given @ metric.taps).transpose(0, 1)  # (M, N, T)
        _, vectors = torch.linalg.eigh(white.mT @ white)
        vectors = vectors.flip(2)[:, :, :rank].mT  # (M, k, T)
        filters = vectors @ metric.taps_back
        if statistics is None:
            mixed = torch.einsum("nmt,mkt->nmk", given, vectors)
        else:
            mixed = _least_squares(given, filters, metric)
        norms = mixed.square().sum(0).sqrt()
        root = torch.where(norms > 0, norms, 1.0).sqrt()  # (M, k)
        sign = torch.where(filters.gather(2, filters.abs().argmax(2, keepdim=True)) < 0, -1.0, 1.0).double()
        filters = filters * sign * root[..., None]
        mixed = mixed * sign[..., 0] / root
        fitted = torch.einsum("nmk,mkt->nmt", mixed, filters)
        shaped = filters.unflatten(2, kernel.shape[2:])
        factors = {
            **{f"depthwise.{k}.weight": shaped[:, k, None] for k in range(rank)},
            "pointwise.weight": mixed.transpose(1, 2).reshape(count, rank * channels, 1, 1),
        }
        return Fit.of(kernel, factors, fitted, metric)

    def module(self, conv: nn.Conv2d, sizes: Sizes) -> FormConv2d:
        """DSConv2d."""
        return DSConv2d(conv, *sizes)

    def sizes_of(self, weights: Mapping[str, Sizes]) -> Sizes | None:
        """As many as it has depthwise parts."""
        rank = sum(DEPTHWISE.fullmatch(name) is not None for name in weights)
        return (rank,) if rank and "pointwise.weight" in weights else None


def _least_squares(kernel: Tensor, filters: Tensor, metric: Metric) -> Tensor:
    """(N, M, k): what of filtered channels (M, k, T) gives the outputs of a kernel (N, M, T) best."""
    channels, taps = metric.channels @ metric.channels, metric.taps @ metric.taps
    count, size = kernel.shape[0], filters.shape[0] * filters.shape[1]
    cross = torch.einsum("npt,ts,pm,mks->nmk", kernel, taps, channels, filters).reshape(count, size)
    gram = torch.einsum("mkt,ts,pls,mp->mkpl", filters, taps, filters, channels).reshape(size, size)
    return torch.linalg.solve(gram, cross.mT).mT.reshape(count, *filters.shape[:2])
