"""onnxsim in a child process: it has crashed on valid models, and a crash must not take the export with it.

The child sees the graph without large weights, which it could only copy: what can be computed from them was computed
before (converters.passes.fold_constants).
"""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx
from onnx import ModelProto

from converters.errors import ConversionError
from converters.onnx_graph import load, put_weights_back
from converters.onnx_verify import without_weights
from converters.system import limit_memory, run

MEMORY_LIMIT = 16 * 1024**3
# Run by the child: read a model, simplify it, write it. argv: input, output. onnxsim would load torch, for other ends
# than this one: 1.4 s and 180 MB.
CHILD = (
    sys.executable,
    "-c",
    "import sys; sys.modules['torch'] = None; import onnx, onnxsim; "
    "model, ok = onnxsim.simplify(onnx.load(sys.argv[1])); onnx.save(model, sys.argv[2]); "
    "sys.exit(0 if ok else 'onnxsim found its result different')",
)


@dataclass(frozen=True)
class Simplified:
    """The model to go on with, and why it is the unsimplified one where it is (else None)."""

    model: ModelProto
    problem: str | None


def simplify(model: ModelProto, *, timeout: float = 120.0, child: Sequence[str] = CHILD) -> Simplified:
    """Simplify a model with onnxsim, within `timeout` seconds and MEMORY_LIMIT bytes; it is changed in place.

    A crash, a time-out or a result that the checker refuses is reported, and the model is handed back as it was.
    """
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        onnx.save(without_weights(model), before)
        try:
            done = run(
                [*child, str(before), str(after)],
                seconds=timeout,
                memory=MEMORY_LIMIT,
                prepare=partial(limit_memory, MEMORY_LIMIT),
            )
        except MemoryError:
            return Simplified(model, f"onnxsim took more than {MEMORY_LIMIT >> 30} GiB")
        except subprocess.TimeoutExpired:
            return Simplified(model, f"onnxsim did not finish within {timeout:g} s")
        if done.returncode < 0:
            return Simplified(model, f"onnxsim crashed ({signal.Signals(-done.returncode).name})")
        if done.returncode or not after.exists():
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            return Simplified(model, f"onnxsim failed: {lines[-1] if lines else 'no message'}")
        try:
            simplified = load(after)
        except ConversionError as error:
            return Simplified(model, f"onnxsim's result cannot be used: {error}")
    put_weights_back(model, simplified)
    return Simplified(model, None)
