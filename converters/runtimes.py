"""Both runtimes on this host, for parity and golden outputs: one thread, one image at a time."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from converters import onnx_verify
from converters.errors import ConversionError
from converters.onnx_graph import first_line
from converters.quantization.twin import probe, signed_twin
from converters.silence import STDERR, silenced

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def onnx_session(
    source: Path | ModelProto, *, signed: bool = False, unoptimised: bool = False, optimised: Path | None = None
) -> Any:
    """A session of ONNX Runtime for a file or a graph: CPU, one thread.

    signed: allow kernels that multiply int8 by int8, which x86 has only in a slow and exact form. unoptimised: only
    what keeps every value of the graph. optimised: where to write the graph that it runs. Raises ConversionError for a
    graph that ONNX Runtime does not take.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if signed:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    if unoptimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        # Weights are dequantized when they are needed, and their memory is given back then.
        options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
        options.enable_cpu_mem_arena = False
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    if isinstance(source, Path):
        return _session(str(source), str(source), options)
    with NamedTemporaryFile(prefix="falcon-edge-", suffix=".onnx") as file:  # sessions keep bytes that they get
        file.writelines(onnx_verify.pieces(source))
        file.flush()
        return _session(file.name, "the graph", options)


def _session(file: str, name: str, options: Any) -> Any:
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it has a kind for each status, and none that they share
        reason = first_line(error).replace(file, name)
        raise ConversionError(f"{name}: ONNX Runtime cannot load it: {reason}") from error


def run_onnx(
    source: Path | ModelProto,
    samples: Sequence[np.ndarray] | np.ndarray,
    *,
    outputs: list[str] | None = None,
    exact: bool = True,
) -> list[np.ndarray]:
    """Outputs of ONNX Runtime for samples (N, C, H, W), each stacked over the samples; arguments as of `each_onnx`."""
    return stacked(each_onnx(source, samples, outputs=outputs, exact=exact))


def each_onnx(
    source: Path | ModelProto,
    samples: Iterable[np.ndarray],
    *,
    outputs: list[str] | None = None,
    exact: bool = True,
) -> Iterator[list[np.ndarray]]:
    """Outputs of ONNX Runtime for samples (N, C, H, W), which are asked for one by one.

    `outputs` names the values to fetch; by default all outputs of the graph. exact: on a host that saturates, an .onnx
    with uint8 activations is run as its int8-activation twin. Raises ConversionError
    for a graph that ONNX Runtime does not take, or fails on.
    """
    twin = exact_twin(source) if exact else None
    session = onnx_session(source) if twin is None else onnx_session(twin, signed=True)
    name = session.get_inputs()[0].name
    for sample in samples:
        feed = {name: np.asarray(sample)[None]}
        try:
            found = session.run(outputs, feed)
        except Exception as error:  # it has a kind for each status, and none that they share
            what = source if isinstance(source, Path) else "the graph"
            raise ConversionError(f"{what}: ONNX Runtime cannot run it: {first_line(error)}") from error
        yield found


def stacked(rows: Iterator[list[np.ndarray]]) -> list[np.ndarray]:
    """Every output over all samples."""
    return [np.concatenate([np.atleast_1d(value) for value in column]) for column in zip(*rows, strict=True)]


def exact_twin(source: Path | ModelProto) -> ModelProto | None:
    """The graph to run in the place of one that this host would get wrong; None where it gets it right."""
    if not host_saturates():
        return None
    return signed_twin(source if isinstance(source, ModelProto) else onnx.load(source))


@cache
def host_saturates() -> bool:
    """Whether this host's ONNX Runtime saturates: the probe is run and looked at, whatever the CPU says of itself."""
    model, value, expected = probe()
    found = onnx_session(model).run(None, {model.graph.input[0].name: value})[0]
    return not np.array_equal(found, expected)


def run_tflite(path: Path, samples: Sequence[np.ndarray] | np.ndarray, *, delegate: bool = True) -> list[np.ndarray]:
    """Outputs of the TFLite runtime, as the file has them, each stacked over the samples; see `each_tflite`."""
    return stacked(each_tflite(path, samples, delegate=delegate))


def each_tflite(path: Path, samples: Iterable[np.ndarray], *, delegate: bool = True) -> Iterator[list[np.ndarray]]:
    """Outputs of the TFLite runtime for samples (N, C, H, W), which are turned to the file's NHWC.

    delegate: let XNNPACK take over, as applications do; otherwise its own built-in kernels run.
    """
    data = path.read_bytes()  # the interpreter keeps a pointer to these bytes
    interpreter = tflite_interpreter(data, delegate=delegate)
    with silenced(STDERR):  # it announces its delegate there, and has no switch for that
        try:
            interpreter.allocate_tensors()
        except RuntimeError as error:
            raise ConversionError(f"{path}: LiteRT cannot load it: {first_line(error)}") from error
    source, targets = interpreter.get_input_details()[0], interpreter.get_output_details()
    for sample in samples:
        interpreter.set_tensor(source["index"], np.ascontiguousarray(np.asarray(sample)[None].transpose(0, 2, 3, 1)))
        interpreter.invoke()
        yield [interpreter.get_tensor(target["index"]) for target in targets]


def tflite_interpreter(data: bytes, *, delegate: bool = True) -> Any:
    """An interpreter of LiteRT, or of tflite-runtime where only that is installed; delegate: see run_tflite."""
    try:
        from ai_edge_litert import interpreter
    except ImportError:
        from tflite_runtime import interpreter

    resolvers = interpreter.OpResolverType
    resolver = resolvers.AUTO if delegate else resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return interpreter.Interpreter(model_content=data, num_threads=1, experimental_op_resolver_type=resolver)
