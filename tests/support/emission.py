"""One graph on ONNX Runtime and on both sets of LiteRT's kernels: the same answers, or the test fails."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from converters.onnx_export import export_onnx
from converters.parity import snr_db
from converters.tflite.emit import emit_tflite
from converters.tflite.reader import read_tflite

node = helper.make_node


class Function(nn.Module):
    """A function as a network."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def graph(nodes, shape, *, opset=17, **constants):
    """A model from "input", of this shape, to "logits"."""
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    domains = sorted({"", *(made_node.domain for made_node in nodes)})
    opsets = [helper.make_opsetid(domain, 1 if domain else opset) for domain in domains]
    model = helper.make_model(made, opset_imports=opsets, ir_version=8)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def random(*shape, seed=0):
    """Normal float32 values."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def emitted(model, *, decibels=100):
    """Emit an ONNX model and compare its answers; returns how often the .tflite has every operator."""
    shape = [dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim]
    batches = [random(*shape, seed=seed) for seed in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        path, lite = Path(folder, "a.onnx"), Path(folder, "a.tflite")
        onnx.save(model, path)
        emit_tflite(path, lite)
        expected = run_onnx(path, batches)
        for found in (run_lite(lite, batches), run_lite(lite, batches, builtin=True)):
            assert found.shape == expected.shape
            assert snr_db(expected, found) >= decibels
        return Counter(operator.kind for operator in read_tflite(lite).operators)


def traced(network, shape, *, decibels=100):
    """`emitted` for a torch module, or a function, on an image (C, H, W)."""
    network = network if isinstance(network, nn.Module) else Function(network)
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(network, torch.zeros(1, *shape), Path(folder, "a.onnx"), simplify=False).path
        return emitted(onnx.load(path), decibels=decibels)


def run_onnx(path, batches):
    """ONNX Runtime's answers, stacked."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(path, options)
    return np.stack([session.run(None, {"input": batch})[0] for batch in batches])


def run_lite(path, batches, *, builtin=False):
    """LiteRT's answers, images turned from and to NCHW: as it comes, with XNNPACK, or with its own kernels alone."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if builtin else OpResolverType.AUTO
    data = path.read_bytes()
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    answers = []
    for batch in batches:
        value = batch.transpose(0, 2, 3, 1) if batch.ndim == 4 else batch
        interpreter.set_tensor(source["index"], np.ascontiguousarray(value))
        interpreter.invoke()
        answer = interpreter.get_tensor(target["index"])
        answers.append(answer.transpose(0, 3, 1, 2) if answer.ndim == 4 else answer)
    return np.stack(answers)
