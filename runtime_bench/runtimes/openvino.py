"""OpenVINO on a CPU, which reads .onnx as it is. A device gets this file beside worker.py (Python >= 3.8)."""

import importlib
import json

TITLE, ALIAS = "OpenVINO", "ov"
SUFFIXES = (".onnx",)
PACKAGES = (("openvino", "openvino"),)
BY_DEFAULT = False
SATURATES = False
DTYPES = {"f32": "float32", "i8": "int8", "u8": "uint8"}
CARD = "falcon_edge.card"


class Session:
    """A compiled model: one stream, in the precision of the file."""

    def __init__(self):
        self.library = importlib.import_module("openvino")

    def load(self, path, threads, signed):
        """Compile a file."""
        self.core = self.library.Core()
        self.options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # else it computes float32 in bfloat16 or float16 where the CPU can
            "ENABLE_CPU_PINNING": False,  # the worker has its CPUs already
        }
        self.network = self.core.read_model(path)
        self.compiled = self.core.compile_model(self.network, "CPU", self.options)
        self.request = self.compiled.create_infer_request()
        self.invoke = self.request.infer
        source = self.compiled.inputs[0]
        kind = source.element_type.get_type_name()
        if kind not in DTYPES:
            raise ValueError(f"its input is {kind}; known are {', '.join(DTYPES)}")
        self.dtype = DTYPES[kind]
        batch, *sizes = source.partial_shape
        if not all(size.is_static for size in sizes):
            raise ValueError(f"the size of its input is open {source.partial_shape}; export it with a fixed one")
        self.shape = [batch.get_length() if batch.is_static else 1, *(size.get_length() for size in sizes)]
        self.layout = "NCHW"
        self.quantization = None if self.dtype == "float32" else self.card_quantization()
        self.about = {
            "name": "openvino",
            "package": "openvino",
            "version": self.library.__version__.split("-")[0],
            "kernels": "CPU",
        }

    def card_quantization(self):
        """(scale, zero point) of an integer input: ONNX has no place for them, so the file's card tells."""
        try:
            card = json.loads(self.network.get_rt_info(["framework", CARD]).astype(str))
        except RuntimeError:  # what is not there
            return None
        known = card.get("quantization")
        if not known:
            return None
        shift = 128 if self.dtype == "uint8" else 0  # cards count from -128
        return known["input"]["scale"], known["input"]["zero_point"] + shift

    def run(self, value):
        """Copies of the outputs for one input."""
        found = self.request.infer({0: value})
        return [found[place].copy() for place in range(len(self.compiled.outputs))]

    def profile(self, value, moments, folder):
        """Nothing: the times that it keeps are of nodes of its own, which name no tensor of the file."""
        return {"delegated": []}
