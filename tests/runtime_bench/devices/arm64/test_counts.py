"""What is counted of a convolution whose multiply-accumulates are known, and how alike counts of several runs are."""

import numpy as np
import pytest
import torch
from arm64 import emulated
from torch import nn

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.tflite.emit import emit_tflite
from runtime_bench.runtimes import runtime_for

SHAPE = (64, 32, 32)
MACS = 64 * 64 * 9 * 32 * 32
CPUS = ("cortex-a53", "cortex-a72", "cortex-a76", "neoverse-n1")
FILES = ("int8.onnx", "int8.tflite", "fp32.onnx", "fp32.tflite")
QUICK = [("cortex-a72", "int8.tflite"), ("cortex-a76", "int8.onnx")]
EVERY = [
    pytest.param(cpu, name, marks=() if (cpu, name) in QUICK else pytest.mark.slow) for cpu in CPUS for name in FILES
]


@pytest.fixture(scope="module")
def convolutions(tmp_path_factory):
    """A folder with a 3x3 convolution of 64 to 64 channels in FILES; the int8 ones have integer inputs and outputs."""
    folder = tmp_path_factory.mktemp("convolutions")
    torch.manual_seed(0)
    export_onnx(nn.Conv2d(64, 64, 3, padding=1).eval(), torch.zeros(1, *SHAPE), folder / "fp32.onnx", simplify=False)
    model = onnx_graph.load(folder / "fp32.onnx")
    emit_tflite(model, folder / "fp32.tflite")
    made = quantize(model, np.random.default_rng(0).standard_normal((4, *SHAPE)).astype(np.float32))
    onnx_graph.save(write_qdq(made.model, made.spec, quantized_io=True), folder / "int8.onnx")
    emit_tflite(made.model, folder / "int8.tflite", quantization=made.spec, integer_io=True)
    return folder


def counted(device, path):
    """The counts of the second of two inferences in a fresh process."""
    with device.start_counter() as worker:
        runtime = runtime_for(path.suffix).name
        worker.ask("load", timeout=120, path=str(path), runtime=runtime, threads=1)
        return [worker.ask("count", timeout=120) for _ in range(2)][-1]


@pytest.mark.parametrize(("cpu", "name"), EVERY)
def test_the_multiply_accumulates_of_a_convolution(convolutions, cpu, name):
    device = emulated(cpu)
    found = counted(device, convolutions / name)
    device.close()
    macs = {kind: number for kind, number in found["macs"].items() if number}
    if name.startswith("int8"):
        assert sum(macs.values()) == MACS == 37_748_736
        assert set(macs) <= ({"dot"} if cpu in ("cortex-a76", "neoverse-n1") else {"mlal", "mull"})
    else:
        assert MACS <= sum(macs.values()) <= 1.007 * MACS  # rows that do not fill a tile
        assert set(macs) == {"fmla"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["int8.onnx", "int8.tflite"])
def test_ten_runs_count_the_same_within_a_thousandth(convolutions, name):
    device = emulated()
    found = [counted(device, convolutions / name) for _ in range(10)]
    device.close()
    instructions = [counts["instructions"] for counts in found]
    assert max(instructions) <= 1.001 * min(instructions)
    assert len({tuple(counts["macs"].items()) for counts in found}) == 1
