"""Large constants: written as they lie, aligned, never copied as a whole; what is too large is refused beforehand."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from emission import graph, node, random
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from torch import nn

from converters import lending, onnx_graph
from converters.errors import ConversionError
from converters.lending import lent
from converters.onnx_export import export_onnx
from converters.onnx_graph import OnnxGraph
from converters.tflite import packing
from converters.tflite.builder import Builder
from converters.tflite.emit import emit_tflite, tflite_bytes
from converters.tflite.packing import ALIGNMENT, Constant
from converters.tflite.verify import verified

MUCH = 2**29  # float32 numbers: 2 GiB


def added(*constants):
    """A builder that adds constants to its input: the least that uses them. Returns the file in pieces."""
    builder = Builder("test")
    tensor = builder.activation("x", (1,))
    for index, (value, columns) in enumerate(constants):
        total = builder.activation(f"y{index}", (1,))
        operands = [tensor, builder.constant(f"c{index}", value, columns)]
        builder.operator(schema.BuiltinOperator.ADD, operands, [total], schema.AddOptionsT())
        tensor = total
    return builder.finish({"x": 0}, {"y": tensor})


def stored(data):
    """The buffers of a file that are not empty."""
    return [buffer["Data"] for buffer in verified(data)["Buffers"] if buffer["Data"] is not None]


@st.composite
def constants(draw):
    shape = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=4)))
    value = np.arange(np.prod(shape), dtype=draw(st.sampled_from(["f4", "i4", "i1", "f2"]))).reshape(shape)
    value = value.transpose(draw(st.permutations(range(len(shape)))))
    last = value.shape[-1]
    columns = np.array(draw(st.permutations(range(last))), int) if draw(st.booleans()) else None
    return value, columns


@given(st.lists(constants(), min_size=1, max_size=4), st.sampled_from([1, 16, 2**20]))
@settings(deadline=None)
def test_every_array_is_read_back_as_it_was_and_is_aligned(given_constants, piece):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "PIECE", piece)
        packed = added(*given_constants)
        data = b"".join(packed.pieces())
    assert len(data) == packed.size
    base = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    for (value, columns), found in zip(given_constants, stored(data), strict=True):
        expected = np.ascontiguousarray(value if columns is None else value[..., columns])
        assert found.tobytes() == expected.tobytes()
        assert not found.size or (found.__array_interface__["data"][0] - base) % ALIGNMENT == 0


@pytest.mark.parametrize("columns", [None, np.arange(63, -1, -1)])
def test_half_precision_is_made_on_the_way(columns):
    value = random(4096, 64).astype(np.float16).astype(np.float32)
    constant = Constant(value, columns, half=True)
    pieces = list(constant.pieces())
    assert max(piece.nbytes for piece in pieces) <= packing.PIECE // 2
    expected = (value if columns is None else value[:, columns]).astype(np.float16)
    assert constant.fits_half
    assert not replace(constant, array=value + np.float32(1e-4)).fits_half
    assert b"".join(pieces) == expected.tobytes() == constant.value().tobytes()
    assert (constant.bytes, constant.dtype) == (expected.nbytes, expected.dtype)


def test_an_array_in_one_piece_is_not_copied():
    value = random(64, 64)
    (piece,) = Constant(value).pieces()
    assert np.shares_memory(np.frombuffer(piece, np.uint8), value)


def test_another_array_is_put_together_in_bounded_pieces():
    pieces = list(Constant(random(4096, 256).T).pieces())
    assert len(pieces) > 1
    assert max(piece.nbytes for piece in pieces) <= packing.PIECE


def test_more_than_a_tflite_file_holds_is_refused_before_anything_is_copied():
    large = np.broadcast_to(np.zeros(1, np.float32), (MUCH,))
    with pytest.raises(ConversionError, match=r"it would take 2\.15 GB, and a TFLite file holds 2 GiB at most"):
        added((large, None))


def test_nothing_is_written_of_a_file_that_would_be_too_large(tmp_path, monkeypatch):
    model = graph([node("Add", ["input", "c"], ["logits"])], (1, 3, 4, 4), c=random(1, 3, 4, 4))
    onnx.save(model, tmp_path / "a.onnx")
    whole = tflite_bytes(tmp_path / "a.onnx")
    monkeypatch.setattr(packing, "MAXIMUM_BYTES", len(whole))
    emit_tflite(tmp_path / "a.onnx", tmp_path / "fits.tflite")
    monkeypatch.setattr(packing, "MAXIMUM_BYTES", len(whole) - 1)
    with pytest.raises(ConversionError, match=r"a\.onnx: it would take .* GB"):
        emit_tflite(tmp_path / "a.onnx", tmp_path / "a.tflite")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.onnx", "fits.tflite"]


def test_more_than_an_onnx_file_holds_is_refused_before_it_is_traced(tmp_path):
    network = nn.Linear(1, 1)
    network.weight = nn.Parameter(torch.zeros(1).expand(MUCH))
    with pytest.raises(ConversionError, match=r"the network: takes 2\.15 GB, and an ONNX file holds 2 GiB at most"):
        export_onnx(network, torch.zeros(1, 1), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_more_than_an_onnx_file_holds_is_not_saved(tmp_path):
    model = graph([node("Add", ["input", "c"], ["logits"])], (1, 3, 4, 4), c=random(1, 3, 4, 4))
    model.graph.initializer.append(TensorProto(name="large", data_type=TensorProto.FLOAT, dims=[MUCH]))
    with pytest.raises(ConversionError, match=r"takes 2\.15 GB"):
        onnx_graph.save(model, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def gemm(pixels, outputs):
    """An image, flattened, times a matrix: its columns are stored in another order."""
    weight = random(outputs, pixels * 64)
    nodes = [node("Relu", ["input"], ["y"]), node("Flatten", ["y"], ["z"])]
    nodes.append(node("Gemm", ["z", "w", "b"], ["logits"], transB=1))
    return graph(nodes, (1, pixels, 8, 8), w=weight, b=random(outputs))


def test_a_graph_that_was_emitted_is_as_it_was():
    model = gemm(3, 40)
    before = model.SerializeToString(deterministic=True)
    tflite_bytes(model)
    assert model.SerializeToString(deterministic=True) == before


def test_weights_are_lent_and_not_copied():
    model = gemm(3, 40)
    with lent(model) as light:
        assert light.ByteSize() < 1000 < model.ByteSize()
        assert np.array_equal(OnnxGraph(light).constants["w"], OnnxGraph(model).constants["w"])
        with lent(model) as again:
            assert OnnxGraph(again).constants["w"].shape == (40, 192)
        assert OnnxGraph(light).constants["w"].shape == (40, 192)
    assert not lending._LENT


PROGRAM = """
import sys
from pathlib import Path
import onnx
from converters.tflite.emit import emit_tflite

def resident(kind):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))

model = onnx.load(sys.argv[1])
loaded = resident("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
emit_tflite(model, Path(sys.argv[2]))
print((resident("VmHWM") - loaded) / Path(sys.argv[1]).stat().st_size)
"""


def test_a_large_graph_is_emitted_within_its_own_size_of_memory(tmp_path):
    onnx.save(gemm(256, 2048), tmp_path / "a.onnx")  # 134 MB
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "a.onnx"), str(tmp_path / "a.tflite")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 1.2
