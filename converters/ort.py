"""ONNX to ONNX Runtime's own format (.ort): optimised beforehand, loaded without a protobuf parser."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from converters import onnx_graph
from converters.errors import ConversionError
from converters.system import fix_addresses, run

# Nodes of any other domain are bound to the machine that saved the file (com.microsoft.nchwc on x86).
PORTABLE_DOMAINS = frozenset(("ai.onnx", "com.microsoft"))
SECONDS = 300.0
FIXED = {"ORT_DISABLE_TELEMETRY": "1", "PYTHONHASHSEED": "0"}
NEEDED = ("LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT")  # to find Python and its libraries
# Run by the child in the folder where the file goes. argv: the model.
PROGRAM = """
import sys
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.log_severity_level = 3
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
options.optimized_model_filepath = "model.ort"
options.add_session_config_entry("session.save_model_format", "ORT")
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
"""


@dataclass(frozen=True)
class OrtExport:
    """What was written, and the operators that a reduced build of ONNX Runtime needs for it, by (domain, opset).

    The opset is the one in which an operator got the form that it has here: kernels are found by it.
    """

    path: Path
    operators: dict[tuple[str, int], tuple[str, ...]]

    @property
    def config(self) -> str:
        """The operators in the format of ONNX Runtime's --include_ops_by_config."""
        lines = [f"{domain};{opset};{','.join(names)}" for (domain, opset), names in sorted(self.operators.items())]
        return "\n".join(lines) + "\n"


def convert_to_ort(source: Path, path: Path) -> OrtExport:
    """Write an ONNX file as .ort, with the optimisations that are valid on every CPU (level "extended").

    The highest level writes NCHWc nodes on x86, with which a file does not load on arm64. Raises ConversionError if
    ONNX Runtime cannot load the file.
    """
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        saved = _save_optimised(source, Path(folder))
        operators = operators_of(saved)
        foreign = [domain for domain, _ in operators if domain not in PORTABLE_DOMAINS]
        if foreign:
            raise ConversionError(f"{path}: holds operators of {foreign[0]}, which only this machine has")
        onnx_graph.write_atomically(path, saved.read_bytes())
    return OrtExport(path, operators)


def operators_of(path: Path) -> dict[tuple[str, int], tuple[str, ...]]:
    """The operators of an .ort file by (domain, opset), read by ONNX Runtime's own tool for reduced builds."""
    from onnxruntime.tools.ort_format_model import OrtFormatModelProcessor

    required: dict[str, dict[int, set[str]]] = {}
    OrtFormatModelProcessor(str(path), required, None).process()
    return {
        (domain, opset): tuple(sorted(names))
        for domain, by_opset in sorted(required.items())
        for opset, names in sorted(by_opset.items())
    }


def _save_optimised(source: Path, folder: Path) -> Path:
    """Have a child process write model.ort to `folder`."""
    # What is the same wherever it is called from: addresses follow from the length of every path and variable.
    environment = {name: value for name, value in os.environ.items() if name in NEEDED} | FIXED
    named = folder / "model.onnx"
    named.symlink_to(source.resolve())
    command = (sys.executable, "-c", PROGRAM, named.name)
    try:
        # It writes its hash tables in the order of their addresses: fixed ones give the same bytes.
        done = run(command, seconds=SECONDS, prepare=fix_addresses, environment=environment, folder=folder)
    except subprocess.TimeoutExpired as error:
        raise ConversionError(f"{source}: ONNX Runtime did not save it within {SECONDS:g} s") from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ConversionError(f"{source}: ONNX Runtime cannot load it: {lines[-1] if lines else 'it crashed'}")
    return folder / "model.ort"
