"""Normalisation by stored statistics, and by those of the image itself."""

from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from falcon_edge.models.graphs.batch import Sizes
from falcon_edge.models.graphs.node import Call, Node, NoLayer, makes

BATCH: dict[int, Any] = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
INSTANCE: dict[int, Any] = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
USUAL = 0.9  # of old statistics


@makes("BatchNormalization")
def batch_normalization(node: Node) -> Call:
    """nn.BatchNorm2d, or that of another rank, with the file's statistics; training goes on from these."""
    if node.given.get("training_mode", 0):
        raise NoLayer("statistics of the batch")
    epsilon = node.given.get("epsilon", 1e-5)
    if node.rank() not in BATCH:
        raise NoLayer(f"a value of {node.rank()} dimensions")
    if epsilon < 0:
        raise NoLayer(f"epsilon {epsilon:g}")
    scale, shift, mean, variance = (node.constant(index) for index in range(1, 5))
    # ONNX gives the share of the old statistics, torch that of the new ones; in inference a file may say anything.
    old = node.given.get("momentum", USUAL)
    momentum = round(1 - (old if 0 < old < 1 else USUAL), 6)
    layer = BATCH[node.rank()](scale.shape[0], epsilon, momentum)
    return node.layer(
        layer,
        weight=scale,
        bias=shift,
        running_mean=mean,
        running_var=variance,
        num_batches_tracked=torch.zeros((), dtype=torch.int64, device="cpu"),
    )


@makes("LayerNormalization")
def layer_normalization(node: Node) -> Call:
    """nn.LayerNorm over the last axes; a function where its scale or shift is another one along the other axes."""
    axis, epsilon = node.axis(-1), node.given.get("epsilon", 1e-5)
    node.across(range(axis, node.rank()))
    shape = node.sizes()[axis:]
    given = [index for index in (1, 2) if node.has(index)]
    if not all(node.is_stored(index) and _is_of(node.sizes(index), shape) for index in given):
        return node.function_of_all(layer_normalised, count=len(shape), epsilon=epsilon)
    scale, shift = (_over(node.optional(index), shape) for index in (1, 2))
    return node.layer(nn.LayerNorm(shape, epsilon, bias=shift is not None), weight=scale, bias=shift)


@makes("InstanceNormalization")
def instance_normalization(node: Node) -> Call:
    """nn.InstanceNorm2d, or that of another rank: over the pixels of every channel.

    One without weights is exported with scales of 1 and shifts of 0, which stay these. (torch's exporter has to know
    the channels of a layer without them, and does not behind every layer.)
    """
    epsilon = node.given.get("epsilon", 1e-5)
    if node.rank() not in INSTANCE or prod(node.sizes()[2:]) == 1:  # torch refuses a single pixel
        return node.function_of_all(normalised, epsilon=epsilon)
    scale, shift = node.constant(1), node.constant(2)
    layer = INSTANCE[node.rank()](scale.shape[0], epsilon, affine=True)
    layer.requires_grad_(not ((scale == 1).all() and (shift == 0).all()))
    return node.layer(layer, weight=scale, bias=shift)


@makes("LRN")
def local_response_normalization(node: Node) -> Call:
    """nn.LocalResponseNorm: over channels, as many on either side."""
    given, size = node.given, node.given["size"]
    if size % 2 == 0:
        raise NoLayer("an even size")
    return node.layer(
        nn.LocalResponseNorm(size, given.get("alpha", 1e-4), given.get("beta", 0.75), given.get("bias", 1.0))
    )


def normalised(x: Tensor, scale: Tensor, shift: Tensor, epsilon: float) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) scale + shift over the pixels of every channel of (N, C, ...)."""
    pixels = tuple(range(2, x.ndim))
    centred = x - x.mean(pixels, keepdim=True) if pixels else x - x
    variance = centred.square().mean(pixels, keepdim=True) if pixels else centred
    per_channel = (-1, *(1 for _ in pixels))
    return centred / (variance + epsilon).sqrt() * scale.reshape(per_channel) + shift.reshape(per_channel)


def layer_normalised(x: Tensor, scale: Tensor, shift: Tensor | None = None, *, count: int, epsilon: float) -> Tensor:
    """nn.LayerNorm over the last `count` axes, with a scale and a shift that broadcast."""
    normal = F.layer_norm(x, x.shape[x.ndim - count :], eps=epsilon) * scale
    return normal if shift is None else normal + shift


def _is_of(given: Sizes, shape: Sizes) -> bool:
    """Whether a scale or shift of a shape is the same along all axes but the last, which have this shape."""
    outer, inner = given[: max(len(given) - len(shape), 0)], given[max(len(given) - len(shape), 0) :]
    aligned = zip(reversed(inner), reversed(shape), strict=False)
    return prod(outer) == 1 and all(size in (1, whole) for size, whole in aligned)


def _over(value: Tensor | None, shape: Sizes) -> Tensor | None:
    """A scale or shift as the weight of a layer over axes of this shape."""
    if value is None:
        return None
    return value.reshape(value.shape[max(value.ndim - len(shape), 0) :]).expand(shape).contiguous()
