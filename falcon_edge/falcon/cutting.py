"""Channels cut out of a network's modules, wherever they are written and read."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon.coupling import CONVOLUTIONS, NORMS, TRANSPOSED, Side

Removed = Mapping[Side, Sequence[int]]


def joined(each: Iterable[Removed]) -> dict[Side, tuple[int, ...]]:
    """What is removed from every side by all together."""
    found: dict[Side, set[int]] = {}
    for removed in each:
        for side, places in removed.items():
            found.setdefault(side, set()).update(places)
    return {side: tuple(sorted(places)) for side, places in found.items()}


def cut(model: nn.Module, removed: Removed, *, in_place: bool = False) -> nn.Module:
    """The network without the named channels of its modules' sides, its weights otherwise as they were.

    Works on a copy unless `in_place`. Raises BadInput, before anything is changed, for a side that is not there, or
    channels that it has not, or all of them.
    """
    for side, places in removed.items():
        _check(model, side, places)
    model = model if in_place else copy.deepcopy(model)
    modules = dict(model.named_modules())
    # As they are now: cut down to one input in each group, another one looks like these.
    depthwise = {side.name for side in removed if _is_depthwise(modules.get(side.name))}
    for side, places in removed.items():
        if places:
            _cut(model, side, places, depthwise=side.name in depthwise)
    return model


def _is_depthwise(module: nn.Module | None) -> bool:
    return getattr(module, "groups", 1) == getattr(module, "in_channels", 0) and getattr(module, "groups", 1) > 1


@torch.no_grad()
def masked(model: nn.Module, removed: Removed) -> nn.Module:
    """A copy of a network in which nothing reads the named channels: what it answers without them."""
    model = copy.deepcopy(model)
    for side, places in removed.items():
        if side.end == "inputs":
            _, _, weight, axis = _found(model, side)
            alike = weight.shape[axis]  # of a convolution of several groups, in each
            gone = torch.tensor([place for place in places if place < alike], dtype=torch.long).to(weight.device)
            weight.index_fill_(axis, gone, 0)
    return model


def width(model: nn.Module, side: Side) -> int:
    """How many channels a side has. Raises BadInput for one that is not there."""
    tensor, axis = _found(model, side)[2:]
    groups = getattr(model.get_submodule(side.name), "groups", 1) if side.name in dict(model.named_modules()) else 1
    grouped = (axis == 1) and groups > 1
    return tensor.shape[axis] * (groups if grouped else 1)


def _found(model: nn.Module, side: Side) -> tuple[nn.Module, str, Tensor, int]:
    """The module of a side, the name of its tensor there, this, and the axis that its channels lie along."""
    modules = dict(model.named_modules())
    module, field = modules.get(side.name), "weight"
    if module is None:
        path, _, field = side.name.rpartition(".")
        module = modules.get(path)
        tensor = None if module is None else module._parameters.get(field, module._buffers.get(field))
        axes = [] if tensor is None else [axis for axis, size in enumerate(tensor.shape) if size > 1]
        if module is None or tensor is None or len(axes) != 1 or side.end != "outputs":
            raise BadInput(f"the plan cuts the {side.end} of {side.name}, which the network has not")
        return module, field, tensor, axes[0]
    if isinstance(module, NORMS) and side.end == "outputs":
        numbers = module.weight if module.weight is not None else module.running_mean
        if numbers is not None:
            return module, field, numbers, 0
    if isinstance(module, (*CONVOLUTIONS, *TRANSPOSED, nn.Linear)):
        axis = int((side.end == "inputs") != isinstance(module, TRANSPOSED))
        return module, field, module.weight, axis
    raise BadInput(f"the plan cuts the {side.end} of {side.name}, which is a {type(module).__name__}")


def _check(model: nn.Module, side: Side, places: Sequence[int]) -> None:
    count = width(model, side)
    if len(set(places)) != len(places) or not all(0 <= place < count for place in places):
        raise BadInput(f"the plan cuts channels of the {side.end} of {side.name} that its {count} are not, or twice")
    if len(places) >= count:
        raise BadInput(f"the plan cuts all {count} {side.end} of {side.name}: leave at least one")


@torch.no_grad()
def _cut(model: nn.Module, side: Side, places: Sequence[int], *, depthwise: bool) -> None:
    module, field, tensor, axis = _found(model, side)
    count, gone = width(model, side), set(places)
    kept = torch.tensor([place for place in range(count) if place not in gone]).to(tensor.device)
    if module is not dict(model.named_modules()).get(side.name):
        _select(module, field, kept, axis)
    elif isinstance(module, NORMS):
        for name in ("weight", "bias", "running_mean", "running_var"):
            _select(module, name, kept, 0)
        module.num_features = len(kept)
    elif isinstance(module, nn.Linear):
        _select(module, "weight", kept, axis)
        if side.end == "outputs":
            _select(module, "bias", kept, 0)
        setattr(module, f"{'in' if side.end == 'inputs' else 'out'}_features", len(kept))
    else:
        _cut_convolution(module, side, kept, axis, count, depthwise=depthwise)


def _cut_convolution(conv: Any, side: Side, kept: Tensor, axis: int, count: int, *, depthwise: bool) -> None:
    """Of a depthwise one the inputs go with the outputs; one of several groups is cut alike in each."""
    if side.end == "outputs":
        _select(conv, "bias", kept, 0)
    if depthwise:
        times = conv.out_channels // conv.groups
        first = kept[::times] // times
        _select(conv, "weight", first if isinstance(conv, TRANSPOSED) else kept, 0)
        conv.groups = conv.in_channels = len(first)
        conv.out_channels = len(kept)
        return
    per_group = count // conv.groups
    _select(conv, "weight", kept[kept < per_group] if axis == 1 else kept, axis)
    setattr(conv, f"{'in' if side.end == 'inputs' else 'out'}_channels", len(kept))


def _select(module: nn.Module, name: str, kept: Tensor, axis: int) -> None:
    """Only the kept entries of a parameter or buffer along an axis."""
    tensor = getattr(module, name, None)
    if tensor is None:
        return
    chosen = tensor.detach().index_select(axis, kept)
    if isinstance(tensor, nn.Parameter):
        chosen = nn.Parameter(chosen, requires_grad=tensor.requires_grad)
    setattr(module, name, chosen)
