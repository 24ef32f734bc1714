"""A module in memory as a network: any nn.Module, whether its code can be imported or not."""

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import full_precision
from falcon_edge.manifest import Architecture
from falcon_edge.models.ordinary import inside
from falcon_edge.network import Network
from falcon_edge.preprocessing import InputSpec
from falcon_edge.steps import graphs
from falcon_edge.steps.opening import answer


@full_precision()
def from_module(
    module: nn.Module,
    example: Tensor,
    *,
    name: str = "network",
    labels: Sequence[str] = (),
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Network:
    """A trained module as a network: put into eval mode, and otherwise left where and as it is, without its wrappers.

    example: an input, (B, C, H, W), of which the shape is taken. labels: its classes, where the first output is a row
    or a map of them; by default numbers. mean, std: per channel, what pixels in 0..1 are brought to by whoever feeds it
    an image (a phone, or `falcon-edge bench --data`); by default they stay in 0..1.

    A bundle of it holds its graph in the place of code, so that all else can be made of it elsewhere. Raises BadInput
    for a module that does not take the example, or gives no tensors.
    """
    while (inner := inside(module)) is not None:
        module = inner
    _refuse_strange(name, module)
    if example.ndim != 4:
        raise BadInput(f"{name}: the example is {tuple(example.shape)}; give an input (B, C, H, W)")
    channels, height, width = example.shape[1:]
    if (mean is None) != (std is None):
        raise BadInput("`mean` and `std` go together")
    try:
        spec = InputSpec(
            shape=(channels, height, width),
            mean=tuple(mean or (0.0,) * channels),
            std=tuple(std or (1.0,) * channels),
        )
    except ValueError as error:
        raise BadInput(f"{name}: {' '.join(str(error).split())}") from error
    outputs = answer(name, module.eval(), spec.shape)
    first = outputs[0]
    count = first.shape[0] if first.kind != "values" and first.shape else None
    if labels and count not in (None, len(labels)):
        raise BadInput(f"{name}: gives {count} classes, and there are {len(labels)} labels")
    if not labels and first.kind == "classes":
        labels = tuple(map(str, range(first.shape[0])))
    return Network(module, name, Architecture(source=graphs.SOURCE, in_channels=channels), spec, tuple(labels), outputs)


def _refuse_strange(name: str, module: nn.Module) -> None:
    """Raise BadInput, naming what it is in, for numbers that no bundle holds."""
    if isinstance(module, torch.jit.ScriptModule):
        raise BadInput(f"{name}: is a TorchScript program, which has no layers to look at; give the module itself")
    for place, tensor in chain(module.named_parameters(), module.named_buffers()):
        if tensor.is_meta:
            raise BadInput(f"{name}: {place} is on the meta device, without numbers")
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise BadInput(f"{name}: {place} is {kind}; bundles are float32, as module.float() makes it")
