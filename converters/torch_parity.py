"""Whether an .onnx computes what torch does, output by output, and the first layer that does not."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from converters import onnx_graph
from converters.errors import ParityError
from converters.parity import Parity, measure_all, snr_db, worst
from converters.runtimes import run_onnx, stacked

SAME_VALUE_DB = 60.0


def check_onnx(model: nn.Module, samples: np.ndarray, path: Path) -> tuple[Parity, ...]:
    """ONNX Runtime on an exported file against torch, for samples (N, C, H, W) float32; of every output.

    `model` gives a tensor, or a row of them as the file does. Raises ParityError, naming the first layer that differs,
    if any output differs by more than `Parity.same` lets pass.
    """
    with torch.no_grad():
        rows = [model(torch.from_numpy(sample[None])) for sample in samples]
    reference = stacked([value.numpy() for value in ([row] if isinstance(row, Tensor) else row)] for row in rows)
    found = measure_all(reference, run_onnx(path, samples))
    if not all(parity.same for parity in found):
        layer = first_difference(model, samples[:1], path)
        raise ParityError(
            f"{path.name} differs from torch by {worst(found, path)}; the first layer that differs is {layer}"
        )
    return found


class _Recorder(TorchDispatchMode):
    """Every tensor that torch computes."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[np.ndarray] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.is_floating_point():
            self.values.append(result.detach().clone().numpy())
        return result


def first_difference(model: nn.Module, sample: np.ndarray, path: Path) -> str:
    """The first node of an ONNX file whose output torch never computes, although it computed the ones before.

    Folded layers have intermediate values of their own, so the search starts behind the last value that both have.
    """
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        model(torch.from_numpy(sample))
    exported = onnx_graph.load(path)
    nodes = [node for node in exported.graph.node if node.op_type != "Constant"]
    known = {value.name for value in exported.graph.output}
    for node in nodes:
        if node.output[0] not in known:
            exported.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.output[0]))
    values = run_onnx(exported, sample, outputs=[node.output[0] for node in nodes])
    suspect = nodes[0]
    for following, value in zip([*nodes[1:], nodes[-1]], values, strict=True):
        same_shape = (known for known in recorder.values if known.shape == value.shape)
        if any(snr_db(known, value) > SAME_VALUE_DB for known in same_shape):
            suspect = following
    return f"{suspect.name or suspect.output[0]} ({suspect.op_type})"
