"""Spatially separable: a column of the kernel's height to r channels, then a row of its width."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from falcon_edge.falcon.forms.chain import Chain, along, behind, pair_of_sizes, singular, ungrouped
from falcon_edge.falcon.forms.form import Fit, Form, FormConv2d, Part, Sizes, matrix, why_not
from falcon_edge.falcon.patches import Metric, PatchStatistics, square_roots


class Spatial(Form):
    """kh M r + kw r N weights (M. Jaderberg and others, 2014, arXiv 1405.3866, scheme 2).

    A truncated SVD of the kernel as a matrix (M kh, kw N), the best of its kind; under statistics, whose taps do not
    separate into rows and columns, the best under the nearest ones that do.
    """

    name = "spatial"

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """Why a convolution has no such form, or None where it has one."""
        reason = why_not(conv) or ungrouped(conv)
        if reason is None and 1 in conv.kernel_size:
            return "its kernel is no more than a row or a column"
        return reason

    def lossless(self, kernel: Tensor) -> Sizes:
        """min(M kh, kw N)."""
        count, channels, height, width = kernel.shape
        return (min(channels * height, count * width),)

    def parts(self, kernel: Tensor, sizes: Sizes) -> tuple[Part, ...]:
        """H' W kh M r + H' W' kw r N."""
        count, channels, height, width = kernel.shape
        (rank,) = sizes
        return Part(channels * rank * height, "between"), Part(count * rank * width, "outputs")

    def errors(self, kernel: Tensor, statistics: PatchStatistics | None = None) -> Tensor:
        """What is left behind rank r, of products that are orthogonal in the kernel's own metric alone."""
        given = matrix(kernel)
        (limit,) = self.lossless(kernel)
        columns, rows, energies = _products(kernel, statistics)  # (M, kh, R), (N, kw, R)
        if statistics is None:
            return behind(energies, limit)
        metric = Metric(given, statistics)
        channels, taps = metric.channels @ metric.channels, metric.taps @ metric.taps
        weighted = (channels @ given @ taps).unflatten(2, kernel.shape[2:])
        total = float((weighted * given.unflatten(2, kernel.shape[2:])).sum())
        if total <= 0:
            return given.new_zeros(limit)
        along_kernel = torch.einsum("nmij,mir,njr->r", weighted, columns, rows)
        among = _among(columns, rows, channels, taps)
        return (1 - (2 * along_kernel.cumsum(0) - among.cumsum(0).cumsum(1).diagonal()) / total).clamp(min=0)

    def fit(self, kernel: Tensor, sizes: Sizes, statistics: PatchStatistics | None = None) -> Fit:
        """Singular values split evenly between column and row."""
        self.check(kernel, sizes)
        given = matrix(kernel)
        columns, rows, _ = (each[..., : sizes[0]] for each in _products(kernel, statistics))
        fitted = torch.einsum("mir,njr->nmij", columns, rows).flatten(2)
        factors = {
            "column.weight": columns.permute(2, 0, 1)[..., None],
            "row.weight": rows.permute(0, 2, 1)[:, :, None],
        }
        return Fit.of(kernel, factors, fitted, Metric(given, statistics))

    def module(self, conv: nn.Conv2d, sizes: Sizes) -> FormConv2d:
        """column, row."""
        (rank,) = sizes
        row = along(conv, rank, conv.out_channels, axes=(1,), bias=conv.bias is not None)
        return Chain(conv, {"column": along(conv, conv.in_channels, rank, axes=(0,)), "row": row})

    def sizes_of(self, weights: Mapping[str, Sizes]) -> Sizes | None:
        """The channels between."""
        found = pair_of_sizes(weights, "column", "row")
        return None if found is None else (found[0][0],)


def _products(kernel: Tensor, statistics: PatchStatistics | None) -> tuple[Tensor, Tensor, Tensor]:
    """Columns (M, kh, R) and rows (N, kw, R) whose products add up to the kernel, the largest first, and energies."""
    count, channels, height, width = kernel.shape
    folded = matrix(kernel).unflatten(2, (height, width)).permute(1, 2, 0, 3)  # (M, kh, N, kw)
    back: list[Tensor] = []
    if statistics is not None:
        taps = statistics.taps[0].double().unflatten(0, (height, width)).unflatten(2, (height, width))
        down, across = torch.einsum("ijkj->ik", taps), torch.einsum("ijil->jl", taps)
        roots = [square_roots(each) for each in (statistics.channels[0], down, across)]
        folded = torch.einsum("minj,mp,iq,jl->pqnl", folded, *(root for root, _ in roots))
        back = [inverse for _, inverse in roots]
    unfolded = folded.flatten(2).flatten(0, 1)
    tall = channels * height > count * width
    left, energies = singular(unfolded.mT if tall else unfolded)
    right = (unfolded if tall else unfolded.mT) @ left
    root = energies.sqrt().sqrt()
    root = torch.where(root > 0, root, 1.0)
    one, other = (right / root, left * root) if tall else (left * root, right / root)
    columns, rows = one.unflatten(0, (channels, height)), other.unflatten(0, (count, width))
    if back:
        columns = torch.einsum("mir,mp,iq->pqr", columns, back[0], back[1])
        rows = torch.einsum("njr,jl->nlr", rows, back[2])
    return columns, rows, energies


def _among(columns: Tensor, rows: Tensor, channels: Tensor, taps: Tensor) -> Tensor:
    """(R, R): scalar products of the products of columns and rows under the covariances of channels and taps."""
    height, width = columns.shape[1], rows.shape[1]
    read = torch.einsum("mir,mp,pks->ikrs", columns, channels, columns)
    written = torch.einsum("njr,nls->jlrs", rows, rows)
    weights = taps.unflatten(0, (height, width)).unflatten(2, (height, width))
    found = torch.zeros_like(read[0, 0])
    for i in range(height):
        for k in range(height):
            found += read[i, k] * torch.einsum("jl,jlrs->rs", weights[i, :, k], written)
    return found
