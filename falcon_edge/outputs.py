"""What a network answers: any structure of tensors, as a flat row of them under names that stay."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from falcon_edge.errors import BadInput
from falcon_edge.manifest import Output

LOGITS, SINGLE = "logits", "output"
MOST = 1000  # outputs: a network that gives more gives something else
STRANGE = re.compile(r"[^A-Za-z0-9_.-]+")  # what names of tensors in files are not made of


def named(answer: Any) -> dict[str, Tensor]:
    """The tensors of an answer by their names: fields, keys and numbers on the way to each, as in 'boxes.0'.

    A single tensor is `logits` where it is a row for each image, else `output`, which also stands before a name that
    would be a number, or the input's. Nothing (None) is left out. Raises TypeError for anything else that is no tensor,
    or two of one name.
    """
    if isinstance(answer, Tensor):
        return {LOGITS if answer.ndim == 2 else SINGLE: answer}
    found: dict[str, Tensor] = {}
    for way, value in _leaves(answer, ""):
        if not isinstance(value, Tensor):
            raise TypeError(f"a {type(value).__name__}{f' as {way}' if way else ''}")
        name = f"{SINGLE}.{way}" if way[0].isdigit() or way == "input" else way
        if name in found:
            raise TypeError(f"two tensors of the name {name}")
        found[name] = value
        if len(found) > MOST:
            raise TypeError(f"more than {MOST} tensors")
    if not found:
        raise TypeError("no tensor at all")
    return found


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    parts: Iterator[tuple[str, Any]] | None = None
    if value is None:
        return
    if isinstance(value, Tensor):
        parts = None
    elif is_dataclass(value) and not isinstance(value, type):
        parts = ((field.name, getattr(value, field.name)) for field in fields(value))
    elif isinstance(value, Mapping):
        parts = ((str(key), part) for key, part in value.items())
    elif isinstance(value, tuple | list):
        names = getattr(value, "_fields", None) or (str(number) for number in range(len(value)))
        parts = zip(names, value, strict=True)
    if parts is None:
        yield name or "0", value
        return
    for key, part in parts:
        yield from _leaves(part, f"{name}.{_plain(key)}" if name else _plain(key))


def _plain(key: str) -> str:
    """A part of a name, in signs that names of tensors have."""
    return STRANGE.sub("_", key) or "_"


class Flat(nn.Module):
    """A network whose answer is a tuple of tensors, in their order."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The tensors of the network's answer."""
        return tuple(named(self.module(x)).values())


def flattened(module: nn.Module, outputs: tuple[Output, ...]) -> nn.Module:
    """The network itself where it gives one tensor, else as `Flat`."""
    single = len(outputs) == 1 and outputs[0].name in (LOGITS, SINGLE)
    return module if single else Flat(module).eval()


def answers(source: str, module: nn.Module, inputs: Tensor, advice: str = "") -> dict[str, Tensor]:
    """What a network answers to a batch of images. Raises BadInput if it takes none, or gives no outputs of images."""
    try:
        with torch.no_grad():
            found = module(inputs)
    except (Exception, SystemExit) as error:  # a user's network may raise anything
        words = "x".join(map(str, inputs.shape[1:]))
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{source} does not take an input of {words}: {text}{advice}") from error
    try:
        tensors = named(found)
    except TypeError as error:
        raise BadInput(f"{source} gives {error}; a network's outputs are tensors, however they are nested") from error
    for name, tensor in tensors.items():
        where = f"{source}, output {name}:"
        if tensor.device != inputs.device:
            raise BadInput(f"{where} is on the device {tensor.device}, the images on {inputs.device}; keep it there")
        if tensor.is_complex() or tensor.layout is not torch.strided:
            raise BadInput(f"{where} has values of {tensor.dtype} ({tensor.layout}); give real numbers, dense ones")
        if tensor.ndim < 1 or len(tensor) != len(inputs):
            raise BadInput(
                f"{where} has the shape {tuple(tensor.shape)} for {len(inputs)} images; its first axis is the images"
            )
    return tensors


def outputs_of(source: str, module: nn.Module, inputs: Tensor, advice: str = "") -> tuple[Output, ...]:
    """The outputs of a network for images like `inputs` (1, C, H, W). advice: what to do where it takes none.

    Raises BadInput for one that are none, has values that are not finite, or changes its shape from one image to
    another.
    """
    found = answers(source, module, inputs, advice)
    for name, tensor in found.items():
        if not torch.isfinite(tensor).all():
            raise BadInput(
                f"{source} answers an image of zeros with values that are not finite"
                f"{f' ({name})' if len(found) > 1 else ''}; look at its weights"
            )
    noise = torch.rand(inputs.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    other = answers(source, module, noise.to(inputs))
    shapes, others = ({name: tuple(tensor.shape) for name, tensor in each.items()} for each in (found, other))
    if shapes != others:
        name = next(name for name in {**shapes, **others} if shapes.get(name) != others.get(name))
        raise BadInput(
            f"{source}: its output {name} has the shape {shapes.get(name)} for one image and {others.get(name)} for "
            "another; give outputs of one shape (what chooses among them, such as NMS, comes after the network)"
        )
    return described((name, shape[1:]) for name, shape in shapes.items())


def described(shapes: Iterable[tuple[str, tuple[int, ...]]], nodes: Sequence[str] = ()) -> tuple[Output, ...]:
    """Outputs by their names and shapes for one image; nodes: see Output, of each.

    The first, where it is a row, is one of classes: what metrics are of. Another row may be anything.
    """
    found = []
    for place, (name, shape) in enumerate(shapes):
        kind: Literal["classes", "map", "values"] = "map" if len(shape) == 3 else "values"
        if len(shape) == 1 and place == 0:
            kind = "classes"
        found.append(Output(name=name, shape=shape, kind=kind, node=nodes[place] if nodes else None))
    return tuple(found)


def check_one_input(source: str, module: nn.Module) -> None:
    """Raise BadInput for a network that takes more than images."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return  # compiled ones do not tell
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [each.name for each in parameters if each.default is each.empty and each.kind in kinds]
    needed += [
        each.name for each in parameters if each.default is each.empty and each.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    if len(needed) > 1:
        raise BadInput(
            f"{source} takes {len(needed)} inputs ({', '.join(needed)}); one image is what can be measured and "
            "exported: wrap it in a network that takes the image alone"
        )
