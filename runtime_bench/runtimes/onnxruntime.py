"""ONNX Runtime. A device gets this file beside worker.py (Python >= 3.8; standard library, numpy and the runtime)."""

import importlib
import json
import os
import time
from typing import Any

TITLE, ALIAS = "ONNX Runtime", "ort"
SUFFIXES = (".onnx", ".ort")
PACKAGES = (("onnxruntime", "onnxruntime"),)
BY_DEFAULT = True
SATURATES = True
INPUT_TYPES = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}
TENSOR, TEXTS = "tensor(", "tensor(string)"
KERNEL_EVENT = "_kernel_time"  # how its profile ends the names of nodes


class Session:
    """A session of the CPU provider, sequential execution."""

    def __init__(self):
        self.library = importlib.import_module("onnxruntime")

    def load(self, path, threads, signed):
        """Make a session of a file."""
        options = self.library.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = self.library.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        if signed:
            options.add_session_config_entry("session.qdqisint8allowed", "1")
        self.path, self.options = path, options
        self.session = self.open()
        source = self.session.get_inputs()[0]
        self.source_name = source.name
        kinds = {target.name: target.type for target in self.session.get_outputs()}
        self.output_names = [name for name, kind in kinds.items() if kind.startswith(TENSOR) and kind != TEXTS]
        if not self.output_names:
            raise ValueError(f"none of its outputs is a tensor of numbers ({', '.join(kinds.values())})")
        if source.type not in INPUT_TYPES:
            raise ValueError(f"its input is {source.type}; known are {', '.join(INPUT_TYPES)}")
        self.dtype = INPUT_TYPES[source.type]
        batch, *sizes = source.shape
        if not all(isinstance(size, int) for size in sizes):
            raise ValueError(f"the size of its input is open {source.shape}; export it with a fixed one")
        self.shape = [batch if isinstance(batch, int) else 1, *sizes]
        self.layout = "NCHW"
        self.quantization = None if self.dtype == "float32" else self.card_quantization()
        self.about = {
            "name": "onnxruntime",
            "package": "onnxruntime",
            "version": self.library.__version__,
            "kernels": ",".join(self.session.get_providers()),
        }

    def open(self):
        """A session of the file."""
        return self.library.InferenceSession(self.path, self.options, providers=["CPUExecutionProvider"])

    def profile(self, value, moments, folder):
        """Every node that ran, in order, with its microseconds at each of the moments, in a session of its own.

        And the nanoseconds of each inference as a whole: to be profiled takes its time.
        """
        self.options.enable_profiling = True
        self.options.profile_file_prefix = os.path.join(folder, "profile")
        try:
            session = self.open()
        finally:
            self.options.enable_profiling = False
        wholes = []
        for _ in moments:
            started = time.perf_counter_ns()
            session.run(self.output_names, {self.source_name: value})
            wholes.append(time.perf_counter_ns() - started)
        path = session.end_profiling()
        with open(path) as file:
            events = json.load(file)
        os.remove(path)
        nodes: Any = {}
        for event in events:
            if event["cat"] == "Node" and event["name"].endswith(KERNEL_EVENT):
                about = event["args"]
                node = {
                    "name": event["name"][: -len(KERNEL_EVENT)],
                    "kernel": about["op_name"],
                    "provider": about["provider"],
                    "shape": next(iter(about["output_type_shape"][0].values())),
                    "bytes": int(about["activation_size"]) + int(about["output_size"]),
                    "us": [],
                }
                nodes.setdefault(event["name"], node)["us"].append(event["dur"])
        return {"nodes": list(nodes.values()), "samples_ns": wholes}

    def card_quantization(self):
        """(scale, zero point) of an integer input: ONNX has no place for them, so the file's card tells."""
        card = self.session.get_modelmeta().custom_metadata_map.get("falcon_edge.card")
        known = (json.loads(card) if card else {}).get("quantization")
        if not known:
            return None
        shift = 128 if self.dtype == "uint8" else 0  # cards count from -128
        return known["input"]["scale"], known["input"]["zero_point"] + shift

    def run(self, value):
        """The outputs for one input."""
        return self.session.run(self.output_names, {self.source_name: value})
