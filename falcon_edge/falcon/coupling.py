"""Which channels of a network stand and fall together, seen by running it on labels beside its numbers.

Every value carries the labels of its channels along. What moves numbers moves labels; what adds two values makes their
labels one; what reads a channel for more than itself (a softmax, a mean over channels) binds it, and so does whatever
is not known here. So nothing is guessed: a channel that may be removed is one whose every use was understood.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from falcon_edge.falcon.forward import Shape, evaluating, tensors_in, whole_attention, zeros_for
from falcon_edge.falcon.observe import BATCHNORM, OUTSIDE, owners_of_shared

End = Literal["outputs", "inputs"]
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = nn.modules.batchnorm._BatchNorm
OWNERS = (*CONVOLUTIONS, *TRANSPOSED, nn.Linear, NORMS)  # whose weights are cut with them

MADE = "it is made of numbers that are no layer's"
STAYS = {"clone", "contiguous", "alias", "detach", "_to_copy", "lift_fresh"}
VIEWS = {"view", "_unsafe_view", "_reshape_alias", "reshape"}
MOVES = {
    *("permute", "transpose", "t", "squeeze", "unsqueeze", "expand", "repeat", "flip"),
    *("slice", "select", "split", "split_with_sizes", "unbind", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
}
WINDOWS = {  # over height and width, channel by channel
    *("max_pool2d_with_indices", "max_pool2d", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d"),
    *("reflection_pad2d", "replication_pad2d", "constant_pad_nd", "upsample_nearest2d", "_upsample_nearest_exact2d"),
    *("upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
}
REDUCTIONS = {"mean", "sum", "amax", "amin", "var", "std", "prod"}
ALONG = {"_softmax", "_log_softmax", "cumsum", "logsumexp"}
POINTWISE = {  # without torch's tag
    *("hardswish", "hardswish_", "copy_", "_prelu_kernel", "masked_fill", "log_sigmoid_forward", "rsub", "where"),
}


class Side(NamedTuple):
    """One end of a module (or, by its path, a parameter or buffer of its own, whose only end is its outputs)."""

    name: str
    end: End


@dataclass(frozen=True)
class Group:
    """Channels that have the same sides: where each of them is, on every side, in order of execution.

    positions: for every side, those of the first channel, of the second, ... on it; of a channel that a linear layer
    reads behind a flattening they are many. reason: why none of them can be removed, or None.
    """

    positions: dict[Side, tuple[tuple[int, ...], ...]]
    reason: str | None

    @property
    def channels(self) -> int:
        """How many there are."""
        return len(next(iter(self.positions.values())))

    @property
    def free(self) -> bool:
        """Whether some of them can be removed."""
        return self.reason is None and self.channels > 1

    def times(self, side: Side) -> int:
        """How many inputs behind one another a channel is on a side; 1 where they are not."""
        places = self.positions[side]
        count = len(places[0])
        return (
            count if all(each == (*range(each[0], each[0] + count),) and each[0] % count == 0 for each in places) else 1
        )

    def removed(self, channels: Sequence[int]) -> dict[Side, tuple[int, ...]]:
        """What is removed from every side with some of the channels."""
        return {
            side: tuple(sorted(place for channel in channels for place in places[channel]))
            for side, places in self.positions.items()
        }


@dataclass(frozen=True)
class _Labels:
    """The labels (n,) of a tensor's channels, which lie along an axis, counted from the end."""

    axis: int
    channels: Tensor

    def over(self, shape: Shape) -> Tensor:
        """The label of every number of a tensor."""
        return self.channels.reshape(-1, *(1,) * (-self.axis - 1)).expand(shape)


def couple(model: nn.Module, input_shape: Shape) -> tuple[Group, ...]:
    """The groups of channels of a network that takes images (C, H, W), by one of zeros; it is left as it was."""
    zeros = zeros_for(model, input_shape)
    trace = _Trace(model)
    trace.label(zeros, -3, trace.fresh(input_shape[0], "it is the image"))
    with evaluating(model), torch.no_grad(), whole_attention(), trace.followed(), trace:
        answer = model(zeros)
    for tensor in tensors_in(answer):
        trace.bind([tensor], "an answer is made of it")
    return trace.groups()


class _Trace(TorchDispatchMode):
    """Labels of all that a network computes."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.path = [""]
        self.parents: list[int] = []  # of labels: a forest, whose trees are channels
        self.reasons: dict[int, str] = {}  # of labels that are bound
        self.sides: dict[Side, Tensor] = {}
        self.labels: dict[int, _Labels | None] = {}
        self.kept: list[Any] = []  # tensors, so that no id is used twice
        names = {module: name for name, module in model.named_modules()}
        self.names = names
        self.owned = {
            id(tensor): (module, field)
            for module in names
            for field, tensor in (*module._parameters.items(), *module._buffers.items())
            if tensor is not None
        }
        self.transposed: dict[int, Tensor] = {}  # of what is a weight's transpose
        self.strays: dict[nn.Module, str] = {}  # modules whose weights are used otherwise than by a call
        self.shared = owners_of_shared(names)

    # Labels.

    def fresh(self, count: int, reason: str | None = None) -> Tensor:
        """New labels."""
        first = len(self.parents)
        self.parents += range(first, first + count)
        if reason is not None:
            self.reasons |= dict.fromkeys(range(first, first + count), reason)
        return torch.arange(first, first + count)

    def root(self, label: int) -> int:
        """The channel of a label."""
        while self.parents[label] != label:
            self.parents[label] = label = self.parents[self.parents[label]]
        return label

    def unite(self, one: Tensor, other: Tensor) -> None:
        """Make labels the same, one by one."""
        for a, b in {*zip(one.tolist(), other.tolist(), strict=True)}:
            first, second = sorted((self.root(a), self.root(b)))
            self.parents[second] = first

    def label(self, tensor: Tensor, axis: int, channels: Tensor) -> None:
        """Note the labels of a tensor; none where it has one channel only, which cannot be removed."""
        self.labels[id(tensor)] = _Labels(axis, channels) if len(channels) > 1 else None
        self.kept.append(tensor)
        if len(channels) <= 1:
            self.reasons |= dict.fromkeys(channels.tolist(), "it is the only channel")

    def of(self, tensor: Tensor) -> _Labels | None:
        """The labels of a tensor: of a parameter or buffer with one long axis they are made when they are asked for."""
        if id(tensor) not in self.labels and id(tensor) in self.owned:
            module, field = self.owned[id(tensor)]
            if isinstance(module, OWNERS):
                self.strays[module] = OUTSIDE
                return None
            axes = [axis for axis, size in enumerate(tensor.shape) if size > 1]
            if len(axes) == 1:
                name = ".".join(filter(None, (self.names[module], field)))
                self.sides[Side(name, "outputs")] = labels = self.fresh(tensor.shape[axes[0]], self.other_owner(module))
                self.label(tensor, axes[0] - tensor.dim(), labels)
        return self.labels.get(id(tensor))

    def bind(self, tensors: Sequence[Tensor], reason: str) -> None:
        """None of the tensors' channels can be removed."""
        for tensor in tensors:
            found = self.of(tensor)
            if found is not None:
                for label in found.channels.tolist():
                    self.reasons.setdefault(label, reason)

    def here(self, what: str) -> str:
        """What is done to channels, and where."""
        return f"{what} in {self.path[-1]}" if self.path[-1] else what

    def other_owner(self, module: nn.Module) -> str | None:
        """Why a module whose weights are another's too is bound."""
        other = self.shared.get(self.names[module])
        return None if other is None else f"the weight of {self.names[module]} is that of {other} too"

    def side(self, module: nn.Module, end: End, count: int) -> Tensor:
        """The labels of a module's end, the same at every call."""
        key = Side(self.names[module], end)
        if key not in self.sides:
            self.sides[key] = self.fresh(count, self.other_owner(module))
        return self.sides[key]

    # Operators.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._overloadpacket.__name__
        rule = self.rule(name, func)
        if rule is None and func is not torch.ops.prim.device.default:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        output = func(*args, **kwargs)
        self.kept.append((args, kwargs, output))
        given = {field.name: value for field, value in zip(func._schema.arguments, args, strict=False)} | kwargs
        if rule is None:
            self.bind(tensors_in((args, kwargs)), self.here(f"{name} reads it"))
            self.labels |= {id(tensor): None for tensor in tensors_in(output)}  # it may have changed one in its place
        else:
            rule(name, func, given, output)
        return output

    def rule(self, name: str, func: Any) -> Callable[[str, Any, dict[str, Any], Any], None] | None:
        """What an operator does with labels."""
        if name == "convolution":
            return self.convolution
        if name in ("mm", "addmm"):
            return self.product
        if name in BATCHNORM:
            return self.batchnorm
        if name in STAYS or name in VIEWS or name in MOVES:
            return self.move
        if name == "cat":
            return self.concatenation
        if name in WINDOWS:
            return self.window
        if name in REDUCTIONS or name in ALONG:
            return self.reduction
        if torch.Tag.pointwise in func.tags or name in POINTWISE:
            return self.pointwise
        return None

    def weight(self, tensor: Any, kinds: tuple[type[nn.Module], ...]) -> nn.Module | None:
        """The module of a kind whose `weight` a tensor is. One that does not run is no reader: nobody can watch it."""
        module, field = self.owned.get(id(tensor), (None, ""))
        if not isinstance(module, kinds) or field != "weight":
            return None
        if self.names[module] in (self.path[-1], *self.shared):
            return module
        self.strays[module] = OUTSIDE
        return None

    def read(self, tensor: Tensor, axis: int, module: nn.Module) -> Tensor:
        """The labels of what a module reads along an axis, noted as its inputs."""
        count, found = tensor.shape[axis], self.of(tensor)
        inputs = self.side(module, "inputs", count)
        if found is not None and found.axis == axis:
            self.unite(inputs, found.channels)
        else:
            words = "it is the only channel" if count == 1 else self.here(MADE)
            self.bind([tensor], words)
            self.reasons |= {label: words for label in inputs.tolist() if label not in self.reasons}
        return inputs

    def convolution(self, name: str, func: Any, given: dict[str, Any], output: Tensor) -> None:
        """Reads channels and writes others; channel by channel where it is depthwise; alike in all of its groups."""
        x, module = given["input"], self.weight(given["weight"], (*CONVOLUTIONS, *TRANSPOSED))
        axis = -len(given["stride"]) - 1
        if module is None or getattr(module, "bias", None) is not given["bias"]:
            self.bind([x], self.here("a convolution by a computed weight reads it"))
            return
        groups, inputs, outputs = given["groups"], x.shape[axis], output.shape[axis]
        if groups == inputs and groups > 1:
            found = self.of(x)
            labels = self.side(module, "outputs", outputs)
            if found is None or found.axis != axis:
                self.bind([x], self.here(MADE))
                self.reasons |= dict.fromkeys(labels.tolist(), self.here(MADE))
            else:
                self.unite(labels, found.channels.repeat_interleave(outputs // groups))
        else:
            read, labels = self.read(x, axis, module), self.side(module, "outputs", outputs)
            for alike in (read, labels) if groups > 1 else ():
                first, *others = alike.unflatten(0, (groups, -1))
                for other in others:
                    self.unite(first, other)
        self.label(output, axis, labels)

    def product(self, name: str, func: Any, given: dict[str, Any], output: Tensor) -> None:
        """A linear layer; every other product binds what it reads."""
        x, matrix = (given["mat1"], given["mat2"]) if name == "addmm" else (given["self"], given["mat2"])
        module = self.weight(self.transposed.get(id(matrix)), (nn.Linear,))
        if module is None or (name == "addmm" and module.bias is not given["self"]):
            self.bind(tensors_in(given), self.here("a matrix product reads it"))
            return
        self.read(x, -1, module)
        self.label(output, -1, self.side(module, "outputs", output.shape[-1]))

    def batchnorm(self, name: str, func: Any, given: dict[str, Any], output: Any) -> None:
        """Channel by channel, with numbers of its own."""
        x, axis = given["input"], 1 - given["input"].dim()
        own = [
            given[field] for field in ("weight", "bias", "running_mean", "running_var") if given.get(field) is not None
        ]
        modules = {self.owned.get(id(tensor), (None, ""))[0] for tensor in own}
        module = modules.pop() if len(modules) == 1 else None
        found = self.of(x)
        if found is None or found.axis != axis or (own and not isinstance(module, NORMS)):
            self.bind([x], self.here("a normalisation reads it"))
            if isinstance(module, NORMS):
                bound = self.side(module, "outputs", x.shape[axis])
                self.reasons |= dict.fromkeys(bound.tolist(), self.here("a normalisation reads it"))
            return
        if module is not None:
            self.unite(found.channels, self.side(module, "outputs", x.shape[axis]))
        self.label(tensors_in(output)[0], axis, found.channels)

    def move(self, name: str, func: Any, given: dict[str, Any], output: Any) -> None:
        """Labels move as the numbers do. A part of the channels, or channels in several axes, bind them."""
        source = given["self"]
        if name in ("t", "transpose") and self.weight(source, (nn.Linear,)) is not None:
            self.transposed[id(output)] = source
            return
        found = self.of(source)
        if found is None:
            return
        if name in STAYS:
            self.label(output, found.axis, found.channels)
            return
        everywhere = found.over(tuple(source.shape)).contiguous()
        others = {key: value for key, value in given.items() if key != "self"}
        moved = [everywhere.view(output.shape)] if name in VIEWS else tensors_in(func(everywhere, **others))
        for tensor, labels in zip(tensors_in(output), moved, strict=True):
            axes = [axis for axis in range(-labels.dim(), 0) if not _alike(labels, axis)]
            if len(axes) != 1:
                self.bind([source], self.here(f"{name} spreads or cuts it"))
                continue
            along = labels.movedim(axes[0], 0).reshape(labels.shape[axes[0]], -1)[:, 0]
            if len(along.unique()) < len(found.channels.unique()):
                self.bind([source], self.here(f"{name} cuts it"))
            self.label(tensor, axes[0], along)

    def concatenation(self, name: str, func: Any, given: dict[str, Any], output: Tensor) -> None:
        """Channels side by side; along other axes the same channel."""
        tensors = [tensor for tensor in given["tensors"] if tensor.numel()]
        dim = given.get("dim", 0)
        dim = dim if dim < 0 else dim - output.dim()
        found = [self.of(tensor) for tensor in tensors]
        axes = {each.axis for each in found if each is not None}
        if not axes:
            return
        if len(axes) > 1 or any(tensor.dim() != output.dim() for tensor in tensors):
            self.bind(tensors, self.here("a concatenation reads it"))
        elif axes == {dim}:
            words = self.here(MADE)
            parts = [
                self.fresh(tensor.shape[dim], words) if each is None else each.channels
                for tensor, each in zip(tensors, found, strict=True)
            ]
            self.label(output, dim, torch.cat(parts))
        elif any(each is None for each in found):
            self.bind(tensors, self.here("a concatenation reads it"))
        else:
            self.alike(tensors, output)

    def window(self, name: str, func: Any, given: dict[str, Any], output: Any) -> None:
        """The same channels, of another height and width."""
        source, made = given["self" if "self" in given else "input"], tensors_in(output)[0]
        found = self.of(source)
        if found is None:
            return
        axes = 2
        if name == "constant_pad_nd":
            axes = max((axis // 2 + 1 for axis, size in enumerate(given["pad"]) if size), default=0)
        if found.axis >= -axes or made.dim() != source.dim():
            self.bind([source], self.here(f"{name} reads it"))
        else:
            self.label(made, found.axis, found.channels)

    def reduction(self, name: str, func: Any, given: dict[str, Any], output: Any) -> None:
        """Channel by channel, unless it goes over the channels."""
        source = given["self"]
        found = self.of(source)
        if found is None:
            return
        dims, made = given.get("dim"), tensors_in(output)
        over = range(source.dim()) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
        axes = {axis if axis < 0 else axis - source.dim() for axis in over}
        if found.axis in axes:
            self.bind([source], self.here(f"{name.strip('_')} goes over the channels"))
            return
        gone = 0 if made[0].dim() == source.dim() else sum(axis > found.axis for axis in axes)
        for tensor in made:
            self.label(tensor, found.axis + gone, found.channels)

    def pointwise(self, name: str, func: Any, given: dict[str, Any], output: Tensor) -> None:
        """What meets is the same channel."""
        self.alike(tensors_in(given), tensors_in(output)[0])

    def alike(self, tensors: Sequence[Tensor], output: Tensor) -> None:
        """Tensors that meet number by number, or one for many."""
        found = [(tensor, self.of(tensor)) for tensor in tensors]
        labelled = [labels for _, labels in found if labels is not None]
        if not labelled:
            return
        axis, first = labelled[0].axis, labelled[0].channels
        if any(labels.axis != axis for labels in labelled):
            self.bind(tensors, self.here("it meets other channels"))
        elif any(labels is None and -axis <= tensor.dim() and tensor.shape[axis] > 1 for tensor, labels in found):
            self.bind(tensors, self.here("it meets numbers that are no layer's"))
        elif output.shape[axis] == len(first):
            for labels in labelled[1:]:
                self.unite(first, labels.channels)
            self.label(output, axis, first)

    # What was found.

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Knows which module runs."""
        hooks = []

        def enter(module: nn.Module, _: Any) -> None:
            self.path.append(self.names[module])

        def leave(*_: Any) -> None:
            self.path.pop()

        for module in self.names:
            hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def groups(self) -> tuple[Group, ...]:
        """Channels with the same sides, and what binds them."""
        for module, words in self.strays.items():
            for end in ("outputs", "inputs"):
                labels = self.sides.get(Side(self.names[module], end))
                self.reasons |= {} if labels is None else dict.fromkeys(labels.tolist(), words)
        bound: dict[int, str] = {}
        for label, words in self.reasons.items():
            bound.setdefault(self.root(label), words)
        places: dict[int, dict[Side, list[int]]] = {}
        for side, labels in self.sides.items():
            for place, label in enumerate(labels.tolist()):
                places.setdefault(self.root(label), {}).setdefault(side, []).append(place)
        alike: dict[Any, list[dict[Side, list[int]]]] = {}
        for channel, sides in places.items():
            kind = tuple((side, len(there)) for side, there in sides.items())
            alike.setdefault((kind, bound.get(channel)), []).append(sides)
        return tuple(
            Group({side: tuple(tuple(each[side]) for each in channels) for side, _ in kind}, reason)
            for (kind, reason), channels in alike.items()
        )


def _alike(labels: Tensor, axis: int) -> bool:
    """Whether labels do not change along an axis."""
    return bool((labels == labels.narrow(axis, 0, 1)).all())
