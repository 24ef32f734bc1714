"""Runs in an environment of its own: every model file below a folder, fed with the input beside it.

argv: the runtime (tflite-runtime or onnxruntime), the folder. Below it each folder of a case holds one model file and
input.npy, inputs as it takes them; the answers are written beside it, KERNELS.npy. Prints the runtime's version.
"""

import sys
from pathlib import Path

import numpy as np


def run_tflite(path, inputs, resolver):
    from tflite_runtime.interpreter import Interpreter

    data = path.read_bytes()
    interpreter = Interpreter(model_content=data, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    answers = []
    for value in inputs:
        interpreter.set_tensor(source["index"], value)
        interpreter.invoke()
        answers.append(interpreter.get_tensor(target["index"]))
    return np.stack(answers)


def run_onnx(path, inputs):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.stack([session.run(None, {name: value})[0] for value in inputs])


def main(runtime, folder):
    if runtime == "tflite-runtime":
        import tflite_runtime
        from tflite_runtime.interpreter import OpResolverType

        version, suffixes = tflite_runtime.__version__, (".tflite",)
        kernels = {"xnnpack": OpResolverType.AUTO, "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    else:
        import onnxruntime

        version, suffixes, kernels = onnxruntime.__version__, (".onnx", ".ort"), {"cpu": None}
    for path in sorted(Path(folder).rglob("model.*")):
        if path.suffix in suffixes:
            print(path, file=sys.stderr, flush=True)  # the last one is the one that a crash comes from
            inputs = np.load(path.with_name("input.npy"))
            for name, resolver in kernels.items():
                answers = run_onnx(path, inputs) if resolver is None else run_tflite(path, inputs, resolver)
                np.save(path.with_name(name + ".npy"), answers)
    print(version)


if __name__ == "__main__":
    main(*sys.argv[1:])
