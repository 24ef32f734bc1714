"""FalconConv2d: a convolution as `rank` pointwise -> depthwise branches, summed."""

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from falcon_edge.falcon import gep

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


def why_not(conv: nn.Conv2d) -> str | None:
    """Why a convolution has no FALCON form, or None where it has one."""
    if isinstance(conv, nn.LazyConv2d) or isinstance(conv.weight, nn.UninitializedParameter):
        return "its shape is not known before the first forward pass"
    if type(conv) is not nn.Conv2d:
        return f"it is a {type(conv).__name__}, not a plain Conv2d"
    if "forward" in vars(conv):
        return "its forward is replaced"
    if conv._forward_hooks or conv._forward_pre_hooks:  # they may change what it computes, as weight norms do
        return "it has hooks, which would be lost"
    if conv.kernel_size == (1, 1):
        return "it is pointwise already"
    if conv.groups == conv.in_channels and conv.groups > 1:
        return "it is depthwise already"
    return None


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


class FalconConv2d(nn.Module):
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

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H', W')."""
        y = self.depthwise[0](self.pointwise[0](x))
        for pointwise, depthwise in zip(self.pointwise[1:], self.depthwise[1:], strict=True):
            y = y + depthwise(pointwise(x))
        return y

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"rank={self.rank}"

    @classmethod
    def like(cls, conv: nn.Conv2d, rank: int) -> "FalconConv2d":
        """A FALCON convolution of the same geometry, device and dtype, not fitted.

        Raises ValueError if `conv` has no FALCON form or `rank` is outside 1..lossless.
        """
        reason = why_not(conv)
        if reason is not None:
            raise ValueError(f"this convolution is left alone: {reason}")
        limit = gep.lossless_rank(conv.weight)
        if not 1 <= rank <= limit:
            raise ValueError(f"rank {rank} is outside 1..{limit} of a kernel {tuple(conv.weight.shape)}")
        layer = cls(
            conv.in_channels,
            conv.out_channels,
            cast(tuple[int, int], conv.kernel_size),
            cast(tuple[int, int], conv.stride),
            cast(tuple[int, int] | str, conv.padding),
            cast(tuple[int, int], conv.dilation),
            conv.groups,
            conv.bias is not None,
            conv.padding_mode,
            rank=rank,
        )
        return layer.to(conv.weight.device, conv.weight.dtype).train(conv.training)

    @classmethod
    def from_conv(cls, conv: nn.Conv2d, rank: int, statistics: gep.PatchStatistics | None = None) -> "FalconConv2d":
        """The FALCON convolution that is nearest to a trained one (see gep.fit).

        A mean shift found by a data-aware fit goes into the bias, which is made where there was none.
        Raises ValueError as `like` does.
        """
        layer = cls.like(conv, rank)
        layer.load_fit(gep.fit(conv.weight, rank, statistics), conv.bias)
        return layer

    @torch.no_grad()
    def load_fit(self, fit: gep.Fit, bias: Tensor | None) -> None:
        """Take over the factors of a fit at this layer's rank, and the bias (N,) of the original convolution."""
        for branch in range(self.rank):
            pointwise = cast(nn.Conv2d, self.pointwise[branch])
            depthwise = cast(nn.Conv2d, self.depthwise[branch])
            pointwise.weight.copy_(fit.pointwise[branch][:, :, None, None])
            depthwise.weight.copy_(fit.depthwise[branch][:, None])
        first = cast(nn.Conv2d, self.depthwise[0])
        shift = fit.bias_shift if bias is None else bias + fit.bias_shift
        if first.bias is not None:
            first.bias.copy_(shift)
        elif bool(fit.bias_shift.any()):
            first.bias = nn.Parameter(shift.clone())

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        """Make the bias that a data-aware fit added, where the loaded weights have one."""
        first = cast(nn.Conv2d, self.depthwise[0])
        if first.bias is None and f"{prefix}depthwise.0.bias" in state_dict:
            first.bias = nn.Parameter(first.weight.new_zeros(first.out_channels))
        super()._load_from_state_dict(state_dict, prefix, *args)
