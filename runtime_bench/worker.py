"""Runs on the device: loads one model file and measures it. One file; standard library, numpy and the runtime only.

    python worker.py        (Python >= 3.8)

JSON lines: a request on stdin, its reply on stdout; {"error": ...} where it failed. Requests, by "do":
  load      path, runtime, threads, cpus, memory_limit    the file is loaded and run once
  warm_up   runs, seconds                                 at least so many runs and seconds
  measure   runs                                          durations of so many runs, in ns
  evaluate  pixels, mean, std                             class of every image of a .npy file, uint8 (N, H, W, C)
  replay    inputs, outputs                               runs files of float32 NCHW, writes outputs as they come
  memory                                                  resident set and its peak, in bytes
  quit
A sample is the time of one inference with its input set and its output read, by the monotonic clock.
"""

import json
import os
import resource
import sys
import time
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

FIRST_INPUT_SEED = 0


class OnnxRuntime:
    """ONNX Runtime, CPU provider, sequential execution."""

    def __init__(self, path, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        source, target = self.session.get_inputs()[0], self.session.get_outputs()[0]
        self.source_name, self.output_names = source.name, [target.name]
        self.shape = [size if isinstance(size, int) else 1 for size in source.shape]
        self.layout = "NCHW"
        self.quantization = None
        self.dtype = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}[source.type]
        self.about = {
            "name": "onnxruntime",
            "package": "onnxruntime",
            "version": onnxruntime.__version__,
            "kernels": ",".join(self.session.get_providers()),
        }

    def run(self, value):
        """The first output for one input."""
        return self.session.run(self.output_names, {self.source_name: value})[0]


class LiteRT:
    """LiteRT, or tflite-runtime where only that is installed; XNNPACK by the interpreter's default."""

    def __init__(self, path, threads):
        try:
            import ai_edge_litert as package
            from ai_edge_litert.interpreter import Interpreter

            name = "ai-edge-litert"
        except ImportError:
            import tflite_runtime as package
            from tflite_runtime.interpreter import Interpreter

            name = "tflite-runtime"
        with open(path, "rb") as file:
            self.data = file.read()  # the interpreter keeps a pointer to these bytes
        self.interpreter = Interpreter(model_content=self.data, num_threads=threads)
        self.interpreter.allocate_tensors()
        source, target = self.interpreter.get_input_details()[0], self.interpreter.get_output_details()[0]
        self.source_index, self.target_index = source["index"], target["index"]
        self.shape = [int(size) for size in source["shape"]]
        self.layout = "NHWC"
        self.dtype = source["dtype"].__name__
        scale, zero_point = source["quantization"]
        self.quantization = (float(scale), int(zero_point)) if scale else None
        self.about = {
            "name": "litert",
            "package": name,
            "version": getattr(package, "__version__", None) or distribution_version(name),
            "kernels": "xnnpack" if xnnpack_ran(self.interpreter) else "built-in",
        }

    def run(self, value):
        """A copy of the first output for one input."""
        self.interpreter.set_tensor(self.source_index, value)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.target_index)


def distribution_version(name):
    """Version of an installed package."""
    from importlib import metadata

    return metadata.version(name)


def xnnpack_ran(interpreter):
    """Whether the XNNPACK delegate took operators over: the interpreter then lists a DELEGATE operator."""
    details = getattr(interpreter, "_get_ops_details", None)
    return details is not None and any("delegate" in row["op_name"].lower() for row in details())


class Worker:
    """Answers requests about one loaded file."""

    def __init__(self):
        self.model: Any = None
        self.input: Any = None

    def load(self, path, runtime, threads, cpus=None, memory_limit=None):
        """Load a file and run it once on seeded noise."""
        import numpy

        if cpus:
            os.sched_setaffinity(0, cpus)
        if memory_limit:
            resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
        if runtime == "onnxruntime":
            import onnxruntime  # noqa: F401  # so that loading is timed without the import

            make: Any = OnnxRuntime
        else:
            make = LiteRT
            try:
                import ai_edge_litert.interpreter  # noqa: F401
            except ImportError:
                import tflite_runtime.interpreter  # noqa: F401
        before = memory()["resident"]
        started = time.perf_counter_ns()
        self.model = make(path, threads)
        loaded = time.perf_counter_ns()
        after = memory()["resident"]
        random = numpy.random.RandomState(FIRST_INPUT_SEED)
        if self.model.dtype == "float32":
            self.input = random.standard_normal(self.model.shape).astype("float32")
        else:
            limits = numpy.iinfo(self.model.dtype)
            self.input = random.randint(limits.min, limits.max + 1, self.model.shape).astype(self.model.dtype)
        started_first = time.perf_counter_ns()
        output = self.model.run(self.input)
        first = time.perf_counter_ns() - started_first
        affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        return {
            "runtime": self.model.about,
            "load_ns": loaded - started,
            "first_inference_ns": first,
            "input": {"shape": self.model.shape, "dtype": self.model.dtype, "layout": self.model.layout},
            "output": {"shape": list(output.shape), "dtype": str(output.dtype)},
            "memory_before_load": before,
            "memory_after_load": after,
            "cpus": affinity,
            "numpy": numpy.__version__,
            "python": sys.version.split()[0],
        }

    def warm_up(self, runs, seconds):
        """Run until both bounds are reached."""
        started, done = time.perf_counter(), 0
        while done < runs or time.perf_counter() - started < seconds:
            self.model.run(self.input)
            done += 1
        return {"runs": done}

    def measure(self, runs):
        """Durations of `runs` inferences."""
        run, value, clock, samples = self.model.run, self.input, time.perf_counter_ns, []
        for _ in range(runs):
            started = clock()
            run(value)
            samples.append(clock() - started)
        return {"samples_ns": samples}

    def evaluate(self, pixels, mean, std):
        """Class of every image: normalised in float32 (docs/preprocessing.md), one at a time."""
        import numpy

        images = numpy.load(pixels, allow_pickle=False, mmap_mode="r")
        mean, std = numpy.asarray(mean, "float32"), numpy.asarray(std, "float32")
        classes = []
        for image in images:
            x = image.astype("float32") / numpy.float32(255)
            x = x - mean
            x = x / std
            output = self.model.run(self.network_input(x[None].transpose(0, 3, 1, 2)))
            classes.append(int(numpy.argmax(output)))
        return {"classes": classes}

    def replay(self, inputs, outputs):
        """Outputs of input files, as they come."""
        import numpy

        shape = self.model.shape
        if self.model.layout == "NHWC":
            shape = [shape[0], shape[3], shape[1], shape[2]]
        for source, target in zip(inputs, outputs):
            x = numpy.fromfile(source, "<f4").reshape(shape)
            self.model.run(self.network_input(x)).tofile(target)
        return {"vectors": len(inputs)}

    def network_input(self, x):
        """float32 (1, C, H, W) in the layout and type of the file's input."""
        import numpy

        if self.model.layout == "NHWC":
            x = x.transpose(0, 2, 3, 1)
        if self.model.dtype != "float32":
            if self.model.quantization is None:
                raise ValueError(f"the file's input is {self.model.dtype} without a scale")
            scale, zero_point = self.model.quantization
            limits = numpy.iinfo(self.model.dtype)
            x = numpy.rint(x / numpy.float32(scale)) + zero_point
            x = numpy.clip(x, limits.min, limits.max).astype(self.model.dtype)
        return numpy.ascontiguousarray(x)

    def memory(self):
        """See memory() below."""
        return memory()


def memory():
    """Resident set and its peak in bytes; Linux tells both, elsewhere only the peak is known."""
    try:
        with open("/proc/self/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return {key: int(lines[name].split()[0]) * 1024 for key, name in (("resident", "VmRSS"), ("peak", "VmHWM"))}
    except OSError:
        scale = 1 if sys.platform == "darwin" else 1024
        return {"resident": None, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale}


def main():
    """Answer requests until the input ends."""
    # What native libraries print must not get between the replies: stdout becomes stderr for all but these.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        action = request.pop("do")
        if action == "quit":
            break
        try:
            if action not in ("load", "warm_up", "measure", "evaluate", "replay", "memory"):
                raise ValueError(f"no such request: {action}")
            reply = getattr(worker, action)(**request)
        except MemoryError:
            reply = {"error": "out of memory", "kind": "memory"}
        except Exception as error:  # a runtime raises what it likes; the parent gets it as one line
            text = " ".join(str(error).split()) or type(error).__name__
            kind = "missing-runtime" if isinstance(error, ImportError) else "runtime"
            reply = {"error": text[:500], "kind": "memory" if "bad_alloc" in text else kind}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
