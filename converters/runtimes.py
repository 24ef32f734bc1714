"""Both runtimes on this host, for parity and golden outputs: one thread, one image at a time."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from converters.silence import STDERR, silenced

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def onnx_session(
    source: Path | ModelProto, *, signed: bool = False, unoptimised: bool = False, optimised: Path | None = None
) -> Any:
    """A session of ONNX Runtime for a file or a graph: CPU, one thread.

    signed: allow kernels that multiply int8 by int8, which x86 has only in a slow and exact form. unoptimised: only
    what keeps every value of the graph. optimised: where to write the graph that it runs.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if signed:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    if unoptimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    model = source.SerializeToString() if isinstance(source, ModelProto) else str(source)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_onnx(
    source: Path | ModelProto, samples: np.ndarray, *, outputs: list[str] | None = None, signed: bool = False
) -> list[np.ndarray]:
    """Outputs of ONNX Runtime for samples (N, C, H, W), each stacked over the samples.

    `outputs` names the values to fetch; by default all outputs of the graph. signed: see onnx_session.
    """
    session = onnx_session(source, signed=signed)
    name = session.get_inputs()[0].name
    rows = [session.run(outputs, {name: samples[index : index + 1]}) for index in range(len(samples))]
    return [np.concatenate([np.atleast_1d(value) for value in column]) for column in zip(*rows, strict=True)]


def run_tflite(path: Path, samples: np.ndarray) -> np.ndarray:
    """First output of the TFLite runtime for samples (N, C, H, W), which are turned to the file's NHWC."""
    data = path.read_bytes()  # the interpreter keeps a pointer to these bytes
    interpreter = tflite_interpreter(data)
    with silenced(STDERR):  # it announces its delegate there, and has no switch for that
        interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = []
    for sample in samples:
        interpreter.set_tensor(source["index"], np.ascontiguousarray(sample[None].transpose(0, 2, 3, 1)))
        interpreter.invoke()
        rows.append(interpreter.get_tensor(target["index"]))
    return np.concatenate(rows)


def tflite_interpreter(data: bytes) -> Any:
    """An interpreter of LiteRT, or of tflite-runtime where only that is installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tflite_runtime.interpreter import Interpreter

    return Interpreter(model_content=data, num_threads=1)
