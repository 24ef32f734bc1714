"""What gives the same numbers other axes, another type, or nothing else at all."""

from math import prod

import torch
from torch import Tensor, nn

from falcon_edge.models.graphs.batch import Sizes, resolved, target_for_any
from falcon_edge.models.graphs.groups import group_normalization
from falcon_edge.models.graphs.node import Call, Node, NoLayer, makes
from falcon_edge.models.graphs.stored import DTYPES, kind_name


@makes("Identity", any_type=True)
def identity(node: Node) -> Call:
    """nn.Identity."""
    return node.layer(nn.Identity())


@makes("Dropout", any_type=True)
def dropout(node: Node) -> Call:
    """nn.Dropout, which is nothing in eval mode."""
    trains, ratio = node.optional(2), node.optional(1)
    if trains is not None and trains.any():
        raise NoLayer("training_mode")
    return node.layer(nn.Dropout(0.5 if ratio is None else float(ratio.reshape(()))))


@makes("Cast", any_type=True)
def cast(node: Node) -> Call:
    """Another type."""
    kind = node.given["to"]
    if kind not in DTYPES:
        raise NoLayer(f"the type {kind_name(kind)}")
    return node.function(converted, dtype=DTYPES[kind])


@makes("Reshape", any_type=True)
def reshape(node: Node) -> Call:
    """The file's target, with -1 where the batch goes; nn.GroupNorm where it begins with this node."""
    listed = node.integers(1)
    inferred = listed.index(-1) if -1 in listed else None
    target = resolved(listed, node.sizes(), zeros=not node.given.get("allowzero", 0))
    return group_normalization(node) or _reshaped(node, target, inferred)


@makes("Flatten", any_type=True)
def flatten(node: Node) -> Call:
    """nn.Flatten, or a Reshape where it joins axes in front too."""
    axis, before = node.given.get("axis", 1), node.sizes()
    axis = axis + len(before) if axis < 0 else axis
    return _reshaped(node, (prod(before[:axis]), prod(before[axis:])), None)


@makes("Squeeze", any_type=True)
def squeeze(node: Node) -> Call:
    """Axes of size 1 left out."""
    before = node.sizes()
    listed = node.integers(1) if node.has(1) else [axis for axis, size in enumerate(before) if size == 1]
    axes = sorted({node.within(axis, len(before)) for axis in listed})
    if any(before[axis] != 1 for axis in axes):
        raise NoLayer(f"axes {axes} of {before}, which are not all of size 1")
    node.across(axes)
    return node.function(squeezed, axes=axes)


@makes("Unsqueeze", any_type=True)
def unsqueeze(node: Node) -> Call:
    """Axes of size 1 put in."""
    listed = node.integers(1)
    rank = node.rank() + len(listed)
    return node.function(unsqueezed, axes=sorted(node.within(axis, rank) for axis in listed))


@makes("Transpose", any_type=True)
def transpose(node: Node) -> Call:
    """Axes in another order."""
    return node.function(permuted, order=list(node.given.get("perm", reversed(range(node.rank())))))


@makes("DepthToSpace", any_type=True)
def depth_to_space(node: Node) -> Call:
    """Channels as blocks of pixels: nn.PixelShuffle where the block is the inner part of the channels."""
    block = node.given["blocksize"]
    if node.given.get("mode", "DCR") == "CRD":
        return node.layer(nn.PixelShuffle(block))
    return node.function(spread, block=block)


@makes("SpaceToDepth", any_type=True)
def space_to_depth(node: Node) -> Call:
    """Blocks of pixels as channels."""
    return node.function(gathered_blocks, block=node.given["blocksize"])


def converted(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x in another type."""
    return x.to(dtype)


def reshaped(x: Tensor, shape: Sizes) -> Tensor:
    """x in this shape, of which one size may be -1."""
    return x.reshape(shape)


def squeezed(x: Tensor, axes: list[int]) -> Tensor:
    """x without these axes."""
    for axis in reversed(axes):
        x = x.squeeze(axis)
    return x


def unsqueezed(x: Tensor, axes: list[int]) -> Tensor:
    """x with axes of size 1 at these places of the result."""
    for axis in axes:
        x = x.unsqueeze(axis)
    return x


def permuted(x: Tensor, order: list[int]) -> Tensor:
    """x with its axes in this order."""
    return x.permute(order)


def spread(x: Tensor, block: int) -> Tensor:
    """(N, B B C, H, W) to (N, C, H B, W B): DepthToSpace of the ONNX specification, mode DCR."""
    batch, depth, height, width = x.shape
    split = x.reshape(batch, block, block, depth // block**2, height, width)
    return split.permute(0, 3, 4, 1, 5, 2).reshape(batch, depth // block**2, height * block, width * block)


def gathered_blocks(x: Tensor, block: int) -> Tensor:
    """(N, C, H B, W B) to (N, B B C, H, W): SpaceToDepth of the ONNX specification."""
    batch, depth, height, width = x.shape
    split = x.reshape(batch, depth, height // block, block, width // block, block)
    return split.permute(0, 3, 5, 1, 2, 4).reshape(batch, depth * block**2, height // block, width // block)


def _reshaped(node: Node, target: Sizes, inferred: int | None) -> Call:
    before = node.sizes()
    if prod(target) != prod(before) or min(target, default=0) < 0:
        raise NoLayer(f"a result of shape {target} of a value of shape {before}")
    batch = node.batch_axis()
    if batch == 0 and target == (before[0], prod(before[1:])) and len(before) > 1:
        return node.layer(nn.Flatten())
    if batch is not None:
        target = target_for_any(before, batch, target, inferred, node.images)
    return node.function(reshaped, shape=target)
