"""What data teaches a network without labels: covariances of a layer's input, batch-normalisation statistics."""

import copy
import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.forms.form import Replacement
from falcon_edge.falcon.forward import evaluating, fed, on_reading
from falcon_edge.falcon.patches import PatchStatistics


class Moments:
    """Running sums over what a layer reads, in float64: taps(x) is what every tap sees of its input, (T, G, M, n)."""

    def __init__(self, groups: int, channels: int, taps: int, seen: Callable[[Tensor], Tensor], device: torch.device):
        self.patches, self.seen = 0, seen
        zeros = partial(torch.zeros, dtype=torch.float64, device=device)
        self.sum = zeros(groups, channels, taps)
        self.channel_products = zeros(groups, channels, channels)
        self.tap_products = zeros(groups, taps, taps)

    @classmethod
    def of(cls, conv: nn.Conv2d) -> "Moments":
        """Of a convolution's patches."""
        taps = conv.weight[0, 0].numel()
        return cls(conv.groups, conv.weight.shape[1], taps, partial(taps_of, conv), conv.weight.device)

    def add(self, x: Tensor) -> None:
        """Take in one batch of the layer's input."""
        taps = self.seen(x)
        self.patches += taps.shape[-1]
        self.sum += taps.sum(-1).permute(1, 2, 0).double()
        for tap in taps:
            self.channel_products += (tap @ tap.mT).double()
        flat = taps.transpose(0, 1).flatten(2)  # (G, T, M * n)
        self.tap_products += (flat @ flat.mT).double()

    def statistics(self) -> PatchStatistics:
        """Mean, and both factors of the centred covariance: sums over taps, and over channels."""
        mean = self.sum / self.patches
        channels = self.channel_products / self.patches - mean @ mean.mT
        taps = self.tap_products / self.patches - mean.mT @ mean
        return PatchStatistics(mean, channels, taps)


def taps_of(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """What every tap of a kernel sees of an input (B, G * M, H, W): (T, G, M, B * H' * W')."""
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    # The layer's own padding, in F.pad's order; Conv2d keeps it for 'same' and for numbers alike.
    x = functional.pad(x, conv._reversed_padding_repeated_twice, mode=mode)
    (kh, kw), (sh, sw), (dh, dw) = conv.kernel_size, conv.stride, conv.dilation
    height = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1
    width = (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    views = [
        x[:, :, i * dh : i * dh + sh * (height - 1) + 1 : sh, j * dw : j * dw + sw * (width - 1) + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]
    stacked = torch.stack(views)  # (T, B, G * M, H', W')
    return stacked.unflatten(2, (conv.groups, -1)).permute(0, 2, 3, 1, 4, 5).flatten(3).contiguous()


@torch.no_grad()
def patch_statistics(model: nn.Module, layers: Collection[str], batches: Iterable[Any]) -> dict[str, PatchStatistics]:
    """Statistics of the input patches of the convolutions named in `layers`, over batches (B, C, H, W).

    Centred: uncentred covariances spend the fit on the mean, which the bias corrects anyway.
    """
    moments = {}
    for name in layers:
        conv = model.get_submodule(name)
        assert isinstance(conv, nn.Conv2d), f"{name} is no convolution"
        moments[name] = Moments.of(conv)
    return collected(model, moments, batches)


def collected(model: nn.Module, moments: Mapping[str, Moments], batches: Iterable[Any]) -> dict[str, PatchStatistics]:
    """Statistics of what modules read, by path, over batches (B, C, H, W). Raises BadInput where these have none."""
    hooks = [on_reading(model.get_submodule(name), each.add) for name, each in moments.items()]
    try:
        with evaluating(model):
            for batch in fed(model, batches):
                model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    found = {name: moment.statistics() for name, moment in moments.items() if moment.patches}
    endless = next((name for name, each in found.items() if not each.channels.isfinite().all()), None)
    if endless is not None:
        raise BadInput(f"{endless}: reads values that are not finite, or too large; look at the weights before it")
    return found


@torch.no_grad()
def sequential_statistics(
    model: nn.Module, replaced: Mapping[str, Replacement], batches: Callable[[], Iterable[Any]]
) -> dict[str, PatchStatistics]:
    """Statistics of the input patches that each layer has once all before it are replaced: of layer after layer.

    replaced: in the order of execution. batches: a loader, read anew for every layer. Each knows the original's mean
    patch too, so that its bias makes up for what those before it have shifted. Batch normalisation is estimated anew
    behind every layer: with the original's statistics what is left of a signal fades, layer by layer.
    """
    originals = patch_statistics(model, replaced, batches())
    student, found = copy.deepcopy(model), dict[str, PatchStatistics]()
    for name in originals:
        if found and has_batchnorm(student):
            reestimate_batchnorm(student, batches())
        seen = patch_statistics(student, [name], batches())[name] if found else originals[name]
        found[name] = dataclasses.replace(seen, wanted=originals[name].mean)
        student = surgery.apply(student, {name: replaced[name]}, statistics=found, in_place=True)
    return found


def has_batchnorm(model: nn.Module) -> bool:
    """Whether there is a BN layer with running statistics, so that `reestimate_batchnorm` has something to do."""
    return bool(_batchnorm(model))


def _batchnorm(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]


@torch.no_grad()
def reestimate_batchnorm(model: nn.Module, batches: Iterable[Any]) -> int:
    """Replace the running statistics of every BN layer by the average over `batches`; returns how many layers.

    After surgery a layer's output has another mean and variance than its BN layer has learned. Only the BN layers run
    in training mode, so that Dropout stays off; modes and momenta are put back. batches: of any loader, inputs
    (B, C, H, W) alone or each with its targets. Raises BadInput, before anything changes, where it gives none.
    """
    layers = _batchnorm(model)
    momenta = [layer.momentum for layer in layers]
    with evaluating(model):
        try:
            for number, batch in enumerate(fed(model, batches)):
                for layer in layers if number == 0 else ():
                    layer.reset_running_stats()
                    layer.momentum = None  # a cumulative average
                    layer.train()
                model(batch)
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
    return len(layers)
