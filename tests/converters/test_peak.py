"""Large convolutions, which both runtimes run."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from onnxruntime import InferenceSession

from converters.inspect import describe
from converters.peak import write_peak_models


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_the_files_are_convolutions_that_run(tmp_path, suffix, precision):
    models = list(write_peak_models(tmp_path, suffix, precision))
    assert [model.macs for model in models] == [32 * 32 * 256 * 256, 32 * 32 * 128 * 128 * 9]
    for model in models:
        found = describe(model.path)
        assert found.macs == model.macs
        (source,), (target,) = found.inputs, found.outputs
        assert source.shape == target.shape
        assert source.dtype == {"fp32": "float32", "int8": "int8" if suffix == ".tflite" else "uint8"}[precision]
        if suffix == ".onnx":
            session = InferenceSession(model.path, providers=["CPUExecutionProvider"])
            (answer,) = session.run(None, {source.name: np.ones(source.shape, source.dtype)})
        else:
            interpreter = Interpreter(str(model.path))
            interpreter.allocate_tensors()
            interpreter.invoke()
            answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        assert answer.shape == source.shape
