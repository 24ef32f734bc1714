"""A module in memory as a network: any nn.Module, whether its code can be imported or not."""

from collections.abc import Sequence

from torch import Tensor, nn

from falcon_edge.errors import BadInput
from falcon_edge.manifest import Architecture
from falcon_edge.network import Network
from falcon_edge.preprocessing import InputSpec
from falcon_edge.steps import graphs
from falcon_edge.steps.opening import answer


def from_module(
    module: nn.Module,
    example: Tensor,
    *,
    name: str = "network",
    labels: Sequence[str] = (),
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Network:
    """A trained module as a network: put into eval mode, and otherwise left where and as it is.

    example: an input, (B, C, H, W), of which the shape is taken. labels: its classes, where the first output is a row
    or a map of them; by default numbers. mean, std: per channel, what pixels in 0..1 are brought to by whoever feeds it
    an image (a phone, or `falcon-edge bench --data`); by default they stay in 0..1.

    A bundle of it holds its graph in the place of code, so that all else can be made of it elsewhere. Raises BadInput
    for a module that does not take the example, or gives no tensors.
    """
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
