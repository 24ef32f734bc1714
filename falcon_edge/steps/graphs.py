"""Networks without source: .onnx files, and the graph that a bundle holds in the place of code that builds a network.

Such a bundle needs nobody's code: its network is what the graph says, in ordinary layers.
"""

import copy
from math import prod
from pathlib import Path

import numpy as np
import torch
from onnx import ModelProto
from torch import Tensor, nn

from converters import onnx_graph
from converters.errors import ConversionError, ParityError
from converters.onnx_export import export_onnx
from converters.parity import measure_all
from converters.passes.current_form import current_form
from converters.passes.drop_identity import drop_identity
from converters.passes.fix_ceil_mode import fix_ceil_mode
from converters.passes.fold_constants import fold_constants
from converters.passes.name_functions import name_functions
from converters.passes.one_image import one_image
from converters.runtimes import run_onnx, stacked
from converters.torch_parity import check_onnx
from falcon_edge.errors import BadInput
from falcon_edge.models.graphs import GraphNetwork, module_of
from falcon_edge.network import Network
from falcon_edge.outputs import Flat, flattened
from falcon_edge.preprocessing import MAXIMUM_VALUES

SOURCE = "graph"  # what the manifest's architecture says in the place of a function's name
FILE = "network.onnx"  # of a bundle
PROOFS = 2  # seeded inputs
LEAST_DB = 90.0  # of what torch and ONNX Runtime make of the same graph


class ChannelsFirst(nn.Module):
    """A network whose images have their channels last, for (B, C, H, W); maps that it gives have them there, too."""

    def __init__(self, network: GraphNetwork):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """What the network makes of (B, H, W, C)."""
        found, last = self.network(x.permute(0, 2, 3, 1)), self.network.last
        if isinstance(found, Tensor):
            return found.permute(0, 3, 1, 2) if last else found
        return {name: value.permute(0, 3, 1, 2) if name in last else value for name, value in found.items()}


def network_in(path: Path, called: str | None = None) -> tuple[nn.Module, tuple[int, int, int]]:
    """The network of an .onnx as a module for (B, C, H, W), found to answer as ONNX Runtime does, and its (C, H, W).

    called: in errors, in the place of `path`. Raises BadInput for a file that is none, or holds what has no layer.
    """
    called = called or str(path)
    try:
        network = _read(path, called)
        _refuse_other_inputs(network, called)
        _prove(network, path, called)
    except (ConversionError, ParityError) as error:
        text = str(error)
        raise BadInput(text if text.startswith(called) else f"{called}: {text}") from error
    _, *sizes = network.input.shape
    if network.input.layout != "NHWC":
        return network, (sizes[0], sizes[1], sizes[2])
    return ChannelsFirst(network).eval(), (sizes[2], sizes[0], sizes[1])


def maps_last(path: Path) -> tuple[bool, ...]:
    """Of every output of an .onnx, whether it is a map whose channels are last and that `network_in` gives first."""
    network = _read(path, str(path))
    return tuple(name in network.last for name in network.outputs)


def _read(path: Path, called: str) -> GraphNetwork:
    graph = current_form(one_image(onnx_graph.load(path), called))
    # Equal tensors are one for torch's exporter, by an Identity, and what can be computed is no layer.
    return module_of(name_functions(fold_constants(fix_ceil_mode(drop_identity(graph)))), called)


def write_graph(network: Network, samples: np.ndarray, path: Path) -> None:
    """Write a network as a graph that becomes a network again, its batch normalisation apart, and prove both.

    samples: (N, C, H, W) float32. The module is left as it was, wherever it is. Raises BadInput for one that cannot be
    traced, has operators without a layer, or answers otherwise as a graph.
    """
    module = flattened(copy.deepcopy(network.module).cpu().eval(), network.outputs)
    try:
        export_onnx(
            module,
            torch.from_numpy(samples[:1]),
            path,
            input_name=network.input.name,
            output_names=[output.name for output in network.outputs],
            keep_batchnorm=True,
        )
        if isinstance(module, Flat):
            onnx_graph.save(_without_flat(onnx_graph.load(path)), path)
        check_onnx(module, samples, path)
    except (ConversionError, ParityError) as error:
        raise BadInput(f"{network}: {str(error).replace(path.name, 'its graph')}") from error
    network_in(path, str(network))


def _without_flat(model: ModelProto) -> ModelProto:
    """The graph of a `Flat`, its weights named as in the network that this holds, but where a name is taken."""
    nodes = model.graph.node
    taken = {value.name for value in model.graph.input} | {name for node in nodes for name in node.output}
    names = {weight.name: weight.name.removeprefix("module.") for weight in model.graph.initializer}
    names = {name: own for name, own in names.items() if own not in taken}
    for weight in model.graph.initializer:
        weight.name = names.get(weight.name, weight.name)
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
    return model


def _refuse_other_inputs(network: GraphNetwork, called: str) -> None:
    shape = network.input.shape
    if len(shape) != 4 or shape[0] != 1:
        raise BadInput(f"{called}: takes {shape}; one image, (1, C, H, W) or (1, H, W, C), is what is read")
    if prod(shape) > MAXIMUM_VALUES:
        raise BadInput(f"{called}: takes {shape}; images of at most {MAXIMUM_VALUES:,} numbers are read")


def _prove(network: GraphNetwork, path: Path, called: str) -> None:
    random = np.random.default_rng(0)
    samples = random.standard_normal((PROOFS, *network.input.shape[1:])).astype(np.float32)
    try:
        with torch.no_grad():
            answers = [network(torch.from_numpy(sample[None])) for sample in samples]
    except (MemoryError, RuntimeError) as error:  # what no shape tells: kernels have limits of their own
        raise BadInput(f"{called}: cannot be run by torch: {onnx_graph.first_line(error)}") from error
    rows = (answer.values() if isinstance(answer, dict) else [answer] for answer in answers)
    found = stacked([tensor.numpy() for tensor in row] for row in rows)
    expected = run_onnx(path, samples, outputs=list(network.outputs))
    if not all(np.isfinite(values).all() for values in expected):
        raise BadInput(f"{called}: answers with values that are not finite; look at its weights")
    for name, parity in zip(network.outputs, measure_all(expected, found), strict=True):
        if parity.snr_db < LEAST_DB:
            raise ParityError(
                f"{path}: as a network of torch its output {name} is {parity.snr_db:.0f} dB from ONNX Runtime's: "
                "report it, with the file"
            )
