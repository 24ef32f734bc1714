"""What a form is: something that can stand in a convolution's place, fitted to its kernel in closed form."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from falcon_edge.falcon.observe import Use
from falcon_edge.falcon.patches import Metric, PatchStatistics, mean_shift

Sizes = tuple[int, ...]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class Replacement(NamedTuple):
    """A form by name, and the size it is to have: one number for each of the form's `dimensions`."""

    form: str
    sizes: Sizes


class Part(NamedTuple):
    """One convolution of a form: its weights, and where it runs: at which pixels of `Use`."""

    weights: int
    at: Literal["inputs", "between", "outputs"]


def error_at(errors: Tensor, sizes: Sizes) -> float:
    """Of the errors of a form at all sizes, which begin at ones, that at these."""
    return float(errors[tuple(size - 1 for size in sizes)])


@dataclass(frozen=True)
class Fit:
    """A kernel in a form.

    factors: in the kernel's dtype, by their names in the form's module. bias_shift: (N,), of a fit to data: to be added
    to the bias, corrects the output's mean. error: squared error of the kernel over its squared norm, in the metric
    that was fitted.
    """

    factors: Mapping[str, Tensor]
    bias_shift: Tensor | None
    error: float

    @classmethod
    def of(cls, kernel: Tensor, factors: Mapping[str, Tensor], fitted: Tensor, metric: Metric) -> "Fit":
        """The factors of a kernel, which make another one together: (N, M, T), float64."""
        given = matrix(kernel)
        shift = None if metric.statistics is None else mean_shift(given, fitted, metric.statistics).to(kernel.dtype)
        shaped = {name: factor.to(kernel.dtype).contiguous() for name, factor in factors.items()}
        return cls(shaped, shift, metric.share(given, fitted))


def why_not(conv: nn.Conv2d) -> str | None:
    """Why nothing can stand in a convolution's place, whatever its form, or None."""
    if isinstance(conv, nn.LazyConv2d) or isinstance(conv.weight, nn.UninitializedParameter):
        return "its shape is not known before the first forward pass"
    if type(conv) is not nn.Conv2d:
        return f"it is a {type(conv).__name__}, not a plain Conv2d"
    if "forward" in vars(conv):
        return "its forward is replaced"
    if conv._forward_hooks or conv._forward_pre_hooks:  # they may change what it computes, as weight norms do
        return "it has hooks, which would be lost"
    if conv.groups == conv.in_channels and conv.groups > 1:
        return "it is depthwise already"
    return None


def already_pointwise(conv: nn.Conv2d) -> str | None:
    """Why a form that makes convolutions pointwise is none for a convolution, or None."""
    return "it is pointwise already" if conv.kernel_size == (1, 1) else None


class StandIn(nn.Module):
    """What stands in the place of a convolution: (B, in_channels, H, W) to (B, out_channels, H', W'), as that does.

    What its forward reads is called `input`, as that of nn.Conv2d: a network may call it by name.
    """

    in_channels: int
    out_channels: int
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] | str
    dilation: tuple[int, int]
    groups: int
    padding_mode: PaddingMode

    def stand_for(self, conv: nn.Conv2d) -> None:
        """Say about itself what the convolution does, for networks that ask it (to pad by its kernel, say)."""
        self.in_channels, self.out_channels, self.groups = conv.in_channels, conv.out_channels, conv.groups
        self.kernel_size = cast(tuple[int, int], conv.kernel_size)
        self.stride = cast(tuple[int, int], conv.stride)
        self.padding = cast(tuple[int, int] | str, conv.padding)
        self.dilation, self.padding_mode = cast(tuple[int, int], conv.dilation), conv.padding_mode


class FormConv2d(StandIn, ABC):
    """A convolution in a form."""

    @abstractmethod
    def last(self) -> dict[str, nn.Conv2d]:
        """Its convolutions whose sum is the output, by name; the first of them has the bias."""

    @torch.no_grad()
    def load_fit(self, fit: Fit, bias: Tensor | None) -> None:
        """Take over the factors of a fit at this layer's size, and the bias (N,) of the original convolution."""
        for name, factor in fit.factors.items():
            self.get_parameter(name).copy_(factor)
        first = next(iter(self.last().values()))
        if fit.bias_shift is not None:
            self.make_bias()
        given = [each for each in (bias, fit.bias_shift) if each is not None]
        if first.bias is not None and given:
            first.bias.copy_(sum(given[1:], given[0]))

    @torch.no_grad()
    def rescale(self, scale: Tensor, shift: Tensor) -> None:
        """Scale the output by `scale` (N,) and add `shift`, in weights and bias, which is made where there is none."""
        last = list(self.last().values())
        for conv in last:
            conv.weight.copy_(conv.weight.double() * scale[:, None, None, None])
        first = last[0]
        self.make_bias()
        assert first.bias is not None
        first.bias.copy_(scale * first.bias.double() + shift)

    def make_bias(self) -> None:
        """Give it a bias, of zeros, where it has none."""
        first = next(iter(self.last().values()))
        if first.bias is None:
            first.bias = nn.Parameter(first.weight.new_zeros(first.out_channels))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        """Make the bias that a data-aware fit added, where the loaded weights have one."""
        if f"{prefix}{next(iter(self.last()))}.bias" in state_dict:
            self.make_bias()
        super()._load_from_state_dict(state_dict, prefix, *args)


class Form(ABC):
    """A form by its `name`. dimensions: what its sizes count, in order; counts_channels: whether these are channels.

    A kernel is (N, M, kh, kw), M channels a group. Sizes run from ones to `lossless(kernel)`, where the form equals the
    convolution. Methods raise ValueError for sizes outside and kernels that are not finite.
    """

    name: ClassVar[str]
    dimensions: ClassVar[tuple[str, ...]] = ("rank",)
    counts_channels: ClassVar[bool] = True

    @property
    def title(self) -> str:
        """Its name as texts have it."""
        return self.name

    @abstractmethod
    def why_not(self, conv: nn.Conv2d) -> str | None:
        """Why a convolution has no such form, or None where it has one."""

    def unwise(self, conv: nn.Conv2d) -> str | None:
        """Why it is not for a convolution unless somebody asks for it, or None."""
        return None

    @abstractmethod
    def lossless(self, kernel: Tensor) -> Sizes:
        """The largest sizes: with them the form equals the convolution."""

    @abstractmethod
    def parts(self, kernel: Tensor, sizes: Sizes) -> tuple[Part, ...]:
        """Its convolutions, in order."""

    @abstractmethod
    def errors(self, kernel: Tensor, statistics: PatchStatistics | None = None) -> Tensor:
        """The error of the fit at every size, float64, of shape `lossless(kernel)`: [r - 1] of rank r."""

    @abstractmethod
    def fit(self, kernel: Tensor, sizes: Sizes, statistics: PatchStatistics | None = None) -> Fit:
        """The closed-form fit, plain or to the output under the statistics of its input patches."""

    @abstractmethod
    def module(self, conv: nn.Conv2d, sizes: Sizes) -> FormConv2d:
        """The module of a convolution's geometry at sizes that were checked, not fitted."""

    @abstractmethod
    def sizes_of(self, weights: Mapping[str, Sizes]) -> Sizes | None:
        """The sizes of a module by the shapes of its weights by name; None for the names of another form."""

    def unfoldings(self, kernel: Tensor) -> tuple[Tensor, ...]:
        """For every dimension the kernel as the matrix whose rank the size is; nothing of a form without such."""
        return ()

    def describe(self, sizes: Sizes) -> str:
        """Sizes in words: rank 2, or inputs 16, outputs 32."""
        return ", ".join(f"{name} {size}" for name, size in zip(self.dimensions, sizes, strict=True))

    def check(self, kernel: Tensor, sizes: Sizes) -> None:
        """Raise ValueError for sizes that a kernel has not."""
        limit = self.lossless(kernel)
        if len(sizes) != len(limit) or not all(1 <= size <= most for size, most in zip(sizes, limit, strict=True)):
            words = self.describe(sizes) if len(sizes) == len(limit) else f"{len(sizes)} sizes"
            raise ValueError(f"{words} is outside {_range(limit)} of a kernel {tuple(kernel.shape)}")

    def like(self, conv: nn.Conv2d, sizes: Sizes) -> FormConv2d:
        """The form of a convolution's geometry, device and dtype, not fitted. Raises ValueError if there is none."""
        reason = self.why_not(conv)
        if reason is not None:
            raise ValueError(f"this convolution is left alone: {reason}")
        self.check(conv.weight, sizes)
        return self.module(conv, sizes).to(conv.weight.device, conv.weight.dtype).train(conv.training)

    def from_conv(self, conv: nn.Conv2d, sizes: Sizes, statistics: PatchStatistics | None = None) -> FormConv2d:
        """The form that is nearest to a trained convolution. Raises ValueError as `like` does.

        A mean shift found by a data-aware fit goes into the bias, which is made where there was none.
        """
        layer = self.like(conv, sizes)
        layer.load_fit(self.fit(conv.weight, sizes, statistics), conv.bias)
        return layer

    def parameters(self, conv: nn.Conv2d, sizes: Sizes, biased: bool) -> int:
        """Weights, and N of the bias (a data-aware fit makes one where there was none)."""
        return sum(part.weights for part in self.parts(conv.weight, sizes)) + (conv.out_channels if biased else 0)

    def macs(self, conv: nn.Conv2d, sizes: Sizes, use: Use) -> int:
        """MACs over all calls of the convolution for one image."""
        return sum(part.weights * getattr(use, part.at) for part in self.parts(conv.weight, sizes))


def _range(limit: Iterable[int]) -> str:
    return " x ".join(f"1..{most}" for most in limit)


def matrix(kernel: Tensor) -> Tensor:
    """A kernel as (N, M, T) float64, T = kh kw taps. Raises ValueError for one that is not finite."""
    found = kernel.detach().double().flatten(2)
    if not torch.isfinite(found).all():
        raise ValueError(f"a kernel {tuple(kernel.shape)} holds values that are not finite")
    return found
