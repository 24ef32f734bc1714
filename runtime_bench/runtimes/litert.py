"""LiteRT, or tflite-runtime where only that is installed. A device gets this file beside worker.py (Python >= 3.8)."""

import importlib
import sys
from typing import Any

TITLE, ALIAS = "LiteRT", "tflite"
SUFFIXES = (".tflite",)
PACKAGES = (("ai-edge-litert", "ai_edge_litert"), ("tflite-runtime", "tflite_runtime"))
BY_DEFAULT = True
SATURATES = False


class Session:
    """An interpreter with XNNPACK, its default."""

    def __init__(self):
        for package, module in PACKAGES:
            try:
                self.library = importlib.import_module(module + ".interpreter")
            except ModuleNotFoundError as error:
                if error.name not in (module, module + ".interpreter"):
                    raise  # it is installed, but something that it needs is not
            else:
                self.package = package
                self.version = getattr(sys.modules[module], "__version__", None) or distribution_version(package)
                return
        raise ImportError("neither ai-edge-litert nor tflite-runtime is installed")

    def load(self, path, threads, signed):
        """Make an interpreter of a file; all its integers are signed."""
        with open(path, "rb") as file:
            self.data = file.read()  # the interpreter keeps a pointer to these bytes
        self.interpreter = self.library.Interpreter(model_content=self.data, num_threads=threads)
        self.interpreter.allocate_tensors()
        # Bound once: to look them up takes several microseconds where caches are cold.
        self.set_tensor, self.invoke, self.get_tensor = (
            self.interpreter.set_tensor,
            self.interpreter.invoke,
            self.interpreter.get_tensor,
        )
        source = self.interpreter.get_input_details()[0]
        self.source_index = source["index"]
        self.target_indices = [target["index"] for target in self.interpreter.get_output_details()]
        self.shape = [int(size) for size in source["shape"]]
        self.layout = "NHWC"
        self.dtype = source["dtype"].__name__
        scale, zero_point = source["quantization"]
        self.quantization = (float(scale), int(zero_point)) if scale else None
        self.about = {
            "name": "litert",
            "package": self.package,
            "version": self.version,
            "kernels": "xnnpack" if xnnpack_ran(self.interpreter) else "built-in",
        }

    def run(self, value):
        """Copies of the outputs for one input."""
        self.set_tensor(self.source_index, value)
        self.invoke()
        return [*map(self.get_tensor, self.target_indices)]

    def profile(self, value, moments, folder):
        """First outputs of the operators that a delegate took over: all between its outputs and its inputs."""
        operators = self.interpreter._get_ops_details()
        names = {row["index"]: row["name"] for row in self.interpreter.get_tensor_details()}
        writers = {int(tensor): row for row in operators if not is_delegate(row) for tensor in row["outputs"]}
        found: Any = {}
        for delegate in operators:
            if is_delegate(delegate):
                edge, waiting = set(map(int, delegate["inputs"])), list(map(int, delegate["outputs"]))
                while waiting:
                    tensor = waiting.pop()
                    row = writers.get(tensor)
                    if row is not None and tensor not in edge and row["index"] not in found:
                        found[row["index"]] = names[int(row["outputs"][0])]
                        waiting.extend(map(int, row["inputs"]))
        return {"delegated": list(found.values())}


def distribution_version(name):
    """Version of an installed package; 'unknown' if it came without its metadata."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def xnnpack_ran(interpreter):
    """Whether the XNNPACK delegate took operators over: the interpreter then lists a DELEGATE operator."""
    details = getattr(interpreter, "_get_ops_details", None)
    return details is not None and any(map(is_delegate, details()))


def is_delegate(row):
    """Whether a row of the interpreter's operators stands for those that a delegate took over."""
    return "delegate" in row["op_name"].lower()
