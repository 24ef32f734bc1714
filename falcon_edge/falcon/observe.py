"""What a network does with an image, seen by running it: every product, and how its convolutions are used.

Counted are the operators that run, whichever module or function calls them, so that a weight used twice counts twice.
Of these only those on the way from the image to the answer: what depends on weights alone is computed when a network is
exported, and what no answer depends on is left out then.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from falcon_edge.falcon.forward import Shape, forward, tensors_in, whole_attention, zeros_for

CLAMPS = {"relu", "relu_", "clamp_min", "clamp_min_", "hardtanh", "hardtanh_", "clamp", "clamp_"}
BATCHNORM = {
    "native_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "_batch_norm_no_update",
    "cudnn_batch_norm",
    "miopen_batch_norm",
}
# Products of vectors, which torch's own table leaves out. It counts in FLOPs, two for a MAC.
VECTORS: dict[Any, Callable[..., int]] = {
    torch.ops.aten.mv: lambda matrix, vector: matrix.numel(),
    torch.ops.aten.addmv: lambda start, matrix, vector, **_: matrix.numel(),
    torch.ops.aten.dot: lambda one, other: one.numel(),
    torch.ops.aten.addbmm: lambda start, one, other, **_: one.numel() * other.shape[-1],
}
OUTSIDE = "the network uses its weight outside its forward pass"
DEAD = "no answer depends on it"
BYPASSED = (
    "the network would not call what stands in its place: it looks for a Conv2d, or holds it in a list of its own"
)


@dataclass(frozen=True)
class Executed:
    """A convolution or matrix product that ran: the innermost module that it ran in, what it gave, its MACs."""

    name: str
    kind: str
    output_shape: Shape
    macs: int


class Use(NamedTuple):
    """Pixels of an image that go into and come out of a convolution, over all its calls.

    between: of what has the rows of the output and the columns of the input.
    """

    inputs: int
    between: int
    outputs: int

    def __add__(self, other: tuple[int, ...]) -> "Use":  # type: ignore[override]
        return Use(*map(sum, zip(self, other, strict=True)))


UNUSED = Use(0, 0, 0)


class Place(NamedTuple):
    """One call of a convolution: its name, the height and width that it reads, and what stands around it.

    of_image: it reads the network's input; clamped: a Relu (or one that is cut off above) is all that reads it, but for
    normalisation in between.
    """

    name: str
    height: int
    width: int
    of_image: bool
    clamped: bool


class Outline(NamedTuple):
    """The calls of convolutions that the answer depends on, in order; digest: of all operators and their outputs."""

    places: tuple[Place, ...]
    digest: str


@dataclass(frozen=True)
class Observed:
    """One image's way through a network.

    executed: in order. uses: of every Conv2d that was called, by module path, in order. bound: those of them that
    something else than a call of theirs depends on, and why. unused: parameters that no answer depends on, by name.
    """

    executed: tuple[Executed, ...]
    uses: dict[str, Use]
    bound: dict[str, str]
    unused: tuple[str, ...]

    @property
    def total(self) -> int:
        """MACs of the whole network."""
        return sum(one.macs for one in self.executed)

    def macs(self, name: str) -> int:
        """MACs that ran in a module."""
        return sum(one.macs for one in self.executed if one.name == name or one.name.startswith(f"{name}."))


@dataclass
class _Operation:
    """One operator that ran. reads, writes: the memory of its tensors."""

    name: str
    kind: str
    macs: int
    output_shape: Shape
    reads: frozenset[int]
    writes: frozenset[int]


@dataclass
class _Call:
    """One call of a convolution, and where its operators lie on the tape."""

    name: str
    use: Use
    start: int
    end: int
    size: tuple[int, int]


class _Tape(TorchDispatchMode):
    """Writes down every operator, and keeps its tensors, so that no memory is used twice. path: what runs now."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[_Operation] = []
        self.kept: list[Tensor] = []
        self.path = [""]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func._overloadpacket
        known = packet in flop_registry or packet in VECTORS
        if not known and func is not torch.ops.prim.device.default:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        output = func(*args, **kwargs)
        macs = 0
        if packet in VECTORS:
            macs = VECTORS[packet](*args, **kwargs)
        elif known:
            macs = flop_registry[packet](*args, **kwargs, out_val=output) // 2
        given, made = tensors_in((args, kwargs)), tensors_in(output)
        shape = tuple(made[0].shape) if made else ()
        self.operations.append(_Operation(self.path[-1], packet.__name__, macs, shape, _memory(given), _memory(made)))
        self.kept += (*given, *made)
        return output


class _Run:
    """One run of a model on an image (C, H, W) of zeros in eval mode, which leaves it as it was.

    names: of modules. outside: convolutions whose weights were read without a call. image, read: the memory of the
    image, and all that the answer needs.
    """

    def __init__(self, model: nn.Module, input_shape: Shape):
        self.names = {module: name for name, module in model.named_modules()}
        tape, self.calls, self.outside = _Tape(), list[_Call](), set[str]()
        zeros = zeros_for(model, input_shape)
        with _watching(self.names, tape, self.calls, self.outside), whole_attention(), tape:
            answer = forward(model, zeros)
        self.operations, self.image = tape.operations, _memory([zeros])
        self._live, self.read = _on_the_way(self.operations, self.image, _memory(tensors_in(answer)))

    def is_alive(self, call: _Call) -> bool:
        """Whether the answer depends on products of a call."""
        return any(self._live[index] and self.operations[index].macs for index in range(call.start, call.end))

    def alive(self) -> Iterator[_Operation]:
        """The operators that the answer depends on, in order."""
        return compress(self.operations, self._live)


def observe(model: nn.Module, input_shape: Shape) -> Observed:
    """Run `model` on an image (C, H, W) of zeros in eval mode. It is left as it was."""
    run = _Run(model, input_shape)
    uses: dict[str, Use] = {}
    for call in run.calls:
        uses[call.name] = uses.get(call.name, UNUSED) + (call.use if run.is_alive(call) else UNUSED)
    bound = {name: DEAD for name, use in uses.items() if use.outputs == 0}
    bound |= {name: f"its weight is that of {other} too" for name, other in owners_of_shared(run.names).items()}
    bound |= dict.fromkeys(run.outside, OUTSIDE)
    bound |= dict.fromkeys(_bypassed(model, input_shape, run, bound), BYPASSED)
    return Observed(
        tuple(Executed(one.name, one.kind, one.output_shape, one.macs) for one in run.alive() if one.macs),
        uses,
        bound,
        tuple(name for name, one in model.named_parameters() if not run.read & _memory([one])),
    )


class _Double(nn.Module):
    """What stands in the place of a convolution for a while: it says of itself and does what that does, and counts."""

    def __init__(self, conv: nn.Module):
        super().__init__()
        self.__dict__["conv"] = conv  # it is no part of the network
        self.calls = 0

    def forward(self, input: Tensor) -> Tensor:
        self.calls += 1
        output: Tensor = self.conv(input)
        return output

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["conv"], name)


def _bypassed(model: nn.Module, input_shape: Shape, run: _Run, bound: Collection[str]) -> set[str]:
    """The convolutions, but for `bound` ones, that the network does not call by the places that it has them in.

    Found by another run, in which something else stands there; where that differs, by one for each of them.
    """
    zeros, calls = zeros_for(model, input_shape), Counter(call.name for call in run.calls)
    plain = (one for one in run.names if type(one) is nn.Conv2d and one is not model)
    convs = [one for one in plain if run.names[one] not in bound]

    def differs(convs: Sequence[nn.Module], raised: bool) -> bool:
        doubles = {conv: _Double(conv) for conv in convs}
        places = [(at, name, one) for at in model.modules() for name, one in at._modules.items() if one in doubles]
        try:
            for at, name, one in places:
                at._modules[name] = doubles[one]
            forward(model, zeros)
        except Exception:  # what a network says itself of a layer that it does not take is left to it
            return raised
        finally:
            for at, name, one in places:
                at._modules[name] = one
        return any(double.calls != calls[run.names[conv]] for conv, double in doubles.items())

    return {run.names[conv] for conv in convs if differs([conv], False)} if differs(convs, True) else set()


def outlined(model: nn.Module, input_shape: Shape) -> Outline:
    """Run `model` on an image (C, H, W) of zeros in eval mode, to see where its convolutions stand."""
    run = _Run(model, input_shape)
    found = []
    for call in filter(run.is_alive, run.calls):
        of_image = any(not one.reads.isdisjoint(run.image) for one in run.operations[call.start : call.end])
        found.append(Place(call.name, *call.size, of_image, _clamped(run.operations, call)))
    ran = [(one.kind, one.output_shape) for one in run.alive()]
    return Outline(tuple(found), hashlib.sha256(repr((input_shape, ran)).encode()).hexdigest())


def unregistered(model: nn.Module, input_shape: Shape) -> tuple[Shape, ...]:
    """The shapes of parameters that a model computes with and that are none of its own, as of layers in a plain list.

    Nothing that is written of the model, or moves or trains it, has these.
    """
    own, found = set(model.parameters()), dict[nn.Parameter, None]()

    class Reading(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            read = tensors_in((args, kwargs or {}))
            found.update((one, None) for one in read if isinstance(one, nn.Parameter) and one not in own)
            return func(*args, **(kwargs or {}))

    with Reading():
        forward(model, zeros_for(model, input_shape))
    return tuple(tuple(one.shape) for one in found)


@contextmanager
def _watching(names: dict[nn.Module, str], tape: _Tape, calls: list[_Call], outside: set[str]) -> Iterator[None]:
    """Follow which module runs, note calls of convolutions, and who reads the weights of plain ones without a call."""
    inside: list[nn.Module] = []

    class Watched(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            inside.append(self)
            tape.path.append(names[self])  # it may be called without its hooks
            start = len(tape.operations)
            output = super().forward(input)
            tape.path.pop()
            inside.pop()
            calls.append(_Call(names[self], _use(input, output), start, len(tape.operations), _size(input)))
            return output

        def __getattr__(self, name: str) -> Any:
            if name in ("weight", "bias") and self not in inside:
                outside.add(names[self])
            return super().__getattr__(name)

    hooks = []
    starts: list[int] = []
    plain = [module for module in names if type(module) is nn.Conv2d and "forward" not in vars(module)]

    def enter(module: nn.Module, *_: Any) -> None:
        tape.path.append(names[module])
        starts.append(len(tape.operations))

    def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        tape.path.pop()
        start = starts.pop()
        if isinstance(module, nn.Conv2d) and not isinstance(module, Watched):  # with a forward of its own
            given = tensors_in((args, kwargs))
            known = given and isinstance(output, Tensor)
            use, size = (_use(given[0], output), _size(given[0])) if known else (UNUSED, (0, 0))
            calls.append(_Call(names[module], use, start, len(tape.operations), size))

    try:
        for module in names:
            hooks.append(module.register_forward_pre_hook(enter))
            hooks.append(module.register_forward_hook(leave, with_kwargs=True))
        for module in plain:
            module.__class__ = Watched
        yield
    finally:
        for module in plain:
            module.__class__ = nn.Conv2d
        for hook in hooks:
            hook.remove()


def _use(x: Tensor, output: Tensor) -> Use:
    """Pixels of (B, C, H, W) or (C, H, W)."""
    inputs, outputs = x.numel() // x.shape[-3], output.numel() // output.shape[-3]
    return Use(inputs, inputs // x.shape[-2] * output.shape[-2], outputs)


def _size(x: Tensor) -> tuple[int, int]:
    """Height and width of (B, C, H, W) or (C, H, W)."""
    return x.shape[-2], x.shape[-1]


def _clamped(operations: Sequence[_Operation], call: _Call) -> bool:
    """Whether a Relu is all that reads what a call wrote, but for normalisation in between."""
    made = operations[call.end - 1].writes if call.end > call.start else frozenset()
    for one in operations[call.end :]:
        if made.isdisjoint(one.reads):
            continue
        if one.kind in CLAMPS:
            return True
        if one.kind not in BATCHNORM:
            return False
        made = one.writes
    return False


def _on_the_way(
    operations: Sequence[_Operation], image: frozenset[int], answer: frozenset[int]
) -> tuple[list[bool], set[int]]:
    """Whether an operation depends on the image and the answer on it, for each; all memory that the answer needs."""
    depends, reached = [], set(image)
    for one in operations:
        depends.append(not reached.isdisjoint(one.reads))
        if depends[-1]:
            reached |= one.writes
    needed = set(answer)
    live = [False] * len(operations)
    for index in reversed(range(len(operations))):
        one = operations[index]
        if not needed.isdisjoint(one.writes):
            needed |= one.reads
            live[index] = depends[index]
    if reached.isdisjoint(answer):  # it left torch on its way, and nothing can be told
        return [True] * len(operations), needed.union(*(one.reads for one in operations))
    return live, needed


def owners_of_shared(names: dict[nn.Module, str]) -> dict[str, str]:
    """Modules that own a parameter which another one owns too: that one's name (its own, for a second name of it)."""
    owners: dict[nn.Parameter, list[tuple[str, str]]] = {}
    for module, name in names.items():
        for parameter_name, parameter in module._parameters.items():
            if parameter is not None:
                owners.setdefault(parameter, []).append((name, parameter_name))
    shared = {}
    for group in owners.values():
        for name, _ in group if len(group) > 1 else ():
            shared[name] = next((other for other, _ in group if other != name), name) or "the network"
    return shared


def _memory(tensors: Sequence[Tensor]) -> frozenset[int]:
    return frozenset(tensor.untyped_storage()._cdata for tensor in tensors if tensor.layout is torch.strided)
