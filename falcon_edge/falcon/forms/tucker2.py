"""Tucker-2: 1x1 to fewer channels, the kernel on these, 1x1 to the output's channels (Kim and others, 2016)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from falcon_edge.falcon.forms.chain import Chain, along, pair_of_sizes, pointwise, singular, ungrouped
from falcon_edge.falcon.forms.form import Fit, Form, FormConv2d, Part, Sizes, already_pointwise, matrix, why_not
from falcon_edge.falcon.patches import Metric, PatchStatistics


class Tucker2(Form):
    """M r + kh kw r s + s N weights: r channels in, s out; directions by the truncated SVD of either side (HOSVD).

    Y.-D. Kim and others, "Compression of deep convolutional neural networks for fast and low power mobile
    applications", arXiv 1511.06530, section 3.1; L. De Lathauwer and others, "A multilinear singular value
    decomposition", 2000.
    """

    name = "tucker2"
    dimensions = ("inputs", "outputs")

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """Why a convolution has no such form, or None where it has one."""
        return why_not(conv) or ungrouped(conv) or already_pointwise(conv)

    def lossless(self, kernel: Tensor) -> Sizes:
        """min(M, kh kw N), min(N, kh kw M)."""
        count, channels, height, width = kernel.shape
        return min(channels, count * height * width), min(count, channels * height * width)

    def parts(self, kernel: Tensor, sizes: Sizes) -> tuple[Part, ...]:
        """H W M r + H' W' (kh kw r s + s N)."""
        count, channels, height, width = kernel.shape
        inputs, outputs = sizes
        core = Part(inputs * outputs * height * width, "outputs")
        return Part(channels * inputs, "inputs"), core, Part(outputs * count, "outputs")

    def errors(self, kernel: Tensor, statistics: PatchStatistics | None = None) -> Tensor:
        """What is left of the core outside its first r x s directions."""
        given = matrix(kernel)
        energies = _core(Metric(given, statistics).white(given))[2].square().sum(2).mT  # (M, N)
        inputs, outputs = self.lossless(kernel)
        kept = energies.cumsum(0).cumsum(1)[:inputs, :outputs]
        total = energies.sum()
        return (1 - kept / total).clamp(min=0) if total > 0 else torch.zeros_like(kept)

    def unfoldings(self, kernel: Tensor) -> tuple[Tensor, ...]:
        """Along the inputs and along the outputs, as Kim and others choose ranks by (section 3.2)."""
        return kernel.transpose(0, 1).flatten(1), kernel.flatten(1)

    def fit(self, kernel: Tensor, sizes: Sizes, statistics: PatchStatistics | None = None) -> Fit:
        """The core's energy in every direction is split evenly between it and the 1x1 convolutions."""
        self.check(kernel, sizes)
        inputs, outputs = sizes
        given = matrix(kernel)
        metric = Metric(given, statistics)
        read, written, core = _core(metric.white(given))
        read, written, core = read[:, :inputs], written[:, :outputs], core[:outputs, :inputs]
        reading, writing = (core.square().sum(axes).sqrt().sqrt() for axes in ((0, 2), (1, 2)))
        reading, writing = (torch.where(root > 0, root, 1.0) for root in (reading, writing))
        read, written = metric.channels_back @ read * reading, written * writing
        core = core / reading[:, None] / writing[:, None, None] @ metric.taps_back
        fitted = torch.einsum("ns,srt,mr->nmt", written, core, read)
        factors = {
            "reduce.weight": read.mT[:, :, None, None],
            "core.weight": core.unflatten(2, kernel.shape[2:]),
            "expand.weight": written[:, :, None, None],
        }
        return Fit.of(kernel, factors, fitted, metric)

    def module(self, conv: nn.Conv2d, sizes: Sizes) -> FormConv2d:
        """reduce, core, expand."""
        inputs, outputs = sizes
        links = {
            "reduce": pointwise(conv.in_channels, inputs),
            "core": along(conv, inputs, outputs),
            "expand": pointwise(outputs, conv.out_channels, conv.bias is not None),
        }
        return Chain(conv, links)

    def sizes_of(self, weights: Mapping[str, Sizes]) -> Sizes | None:
        """The channels of the core."""
        found = pair_of_sizes(weights, "reduce", "core", "expand")
        return None if found is None else (found[1][1], found[1][0])


def _core(kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Directions of the inputs (M, M) and outputs (N, N), and a kernel (N, M, T) in these."""
    read, _ = singular(kernel.transpose(0, 1).flatten(1))
    written, _ = singular(kernel.flatten(1))
    return read, written, torch.einsum("ns,nmt,mr->srt", written, kernel, read)
