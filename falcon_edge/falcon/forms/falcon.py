"""FALCON: a convolution as `rank` pointwise -> depthwise branches, summed."""

import re
from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from falcon_edge.falcon import gep
from falcon_edge.falcon.forms.form import Fit, Form, FormConv2d, PaddingMode, Part, Sizes, already_pointwise, why_not
from falcon_edge.falcon.patches import PatchStatistics

POINTWISE = re.compile(r"pointwise\.\d+\.weight")


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


class FalconConv2d(FormConv2d):
    """A convolution whose kernel is the sum of `rank` products of a pointwise and a depthwise one.

    (B, in_channels, H, W) to (B, out_channels, H', W'), with the geometry of nn.Conv2d: the pointwise parts run at
    the input's resolution and take the groups, the depthwise parts take stride, padding, dilation and padding mode.
    The bias stands on the first depthwise part: behind a pointwise one it would be wrong at zero-padded borders.

    FALCON, arXiv 1909.11321, equation (6) (rank 1) and section 3.4 (rank k).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        *,
        rank: int = 1,
    ):
        super().__init__()
        if rank < 1:
            raise ValueError(f"rank {rank}: a FALCON convolution needs at least one branch")
        self.rank = rank
        # What a convolution says about itself, for networks that ask it (to pad by its kernel, say).
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = _pair(kernel_size), _pair(stride)
        self.dilation, self.padding_mode = _pair(dilation), padding_mode
        self.padding = padding if isinstance(padding, str) else _pair(padding)
        self.pointwise = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 1, groups=groups, bias=False) for _ in range(rank)
        )
        self.depthwise = nn.ModuleList(
            nn.Conv2d(
                out_channels,
                out_channels,
                kernel_size,
                stride,
                padding,
                dilation,
                groups=out_channels,
                bias=bias and branch == 0,
                padding_mode=padding_mode,
            )
            for branch in range(rank)
        )

    def forward(self, input: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H', W')."""
        y = self.depthwise[0](self.pointwise[0](input))
        for pointwise, depthwise in zip(self.pointwise[1:], self.depthwise[1:], strict=True):
            y = y + depthwise(pointwise(input))
        return y

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"rank={self.rank}"

    def last(self) -> dict[str, nn.Conv2d]:
        """The depthwise parts."""
        return {f"depthwise.{branch}": cast(nn.Conv2d, each) for branch, each in enumerate(self.depthwise)}


class Falcon(Form):
    """FALCON of rank k: k (M N + kh kw N) weights; a truncated SVD for every output channel (see gep)."""

    name = "falcon"
    counts_channels = False

    @property
    def title(self) -> str:
        """FALCON."""
        return "FALCON"

    def why_not(self, conv: nn.Conv2d) -> str | None:
        """Why a convolution has no FALCON form, or None where it has one."""
        return why_not(conv) or already_pointwise(conv)

    def lossless(self, kernel: Tensor) -> Sizes:
        """min(M, kh kw)."""
        return (gep.lossless_rank(kernel),)

    def parts(self, kernel: Tensor, sizes: Sizes) -> tuple[Part, ...]:
        """k (H W M N + H' W' kh kw N): the pointwise parts run at the input's resolution."""
        count, channels, height, width = kernel.shape
        (rank,) = sizes
        return Part(rank * count * channels, "inputs"), Part(rank * count * height * width, "outputs")

    def errors(self, kernel: Tensor, statistics: PatchStatistics | None = None) -> Tensor:
        """What the singular values behind rank k hold."""
        return 1 - gep.fit(kernel, 1, statistics).captured

    def fit(self, kernel: Tensor, sizes: Sizes, statistics: PatchStatistics | None = None) -> Fit:
        """See gep.fit."""
        self.check(kernel, sizes)
        found = gep.fit(kernel, sizes[0], statistics)
        pointwise = {f"pointwise.{k}.weight": each[:, :, None, None] for k, each in enumerate(found.pointwise)}
        depthwise = {f"depthwise.{k}.weight": each[:, None] for k, each in enumerate(found.depthwise)}
        shift = None if statistics is None else found.bias_shift
        return Fit({**pointwise, **depthwise}, shift, found.relative_error)

    def module(self, conv: nn.Conv2d, sizes: Sizes) -> FormConv2d:
        """FalconConv2d."""
        return FalconConv2d(
            conv.in_channels,
            conv.out_channels,
            cast(tuple[int, int], conv.kernel_size),
            cast(tuple[int, int], conv.stride),
            cast(tuple[int, int] | str, conv.padding),
            cast(tuple[int, int], conv.dilation),
            conv.groups,
            conv.bias is not None,
            conv.padding_mode,
            rank=sizes[0],
        )

    def sizes_of(self, weights: Mapping[str, Sizes]) -> Sizes | None:
        """As many as it has pointwise parts."""
        rank = sum(POINTWISE.fullmatch(name) is not None for name in weights)
        return (rank,) if rank else None
