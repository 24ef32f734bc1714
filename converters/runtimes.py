"""Both runtimes on this host, for parity and golden outputs: one thread, one image at a time."""

import os
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def run_onnx(path: Path, samples: np.ndarray, *, outputs: list[str] | None = None) -> list[np.ndarray]:
    """Outputs of ONNX Runtime for samples (N, C, H, W), each stacked over the samples.

    `outputs` names the values to fetch; by default all outputs of the graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rows = [session.run(outputs, {name: samples[index : index + 1]}) for index in range(len(samples))]
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def run_tflite(path: Path, samples: np.ndarray) -> np.ndarray:
    """First output of the TFLite runtime for samples (N, C, H, W), which are turned to the file's NHWC."""
    data = path.read_bytes()  # the interpreter keeps a pointer to these bytes
    interpreter = tflite_interpreter(data)
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
