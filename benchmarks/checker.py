"""The checker checked: latencies by falcon-edge beside those of a bare loop, and what the parent takes of the CPUs.

    python benchmarks/checker.py

The shipped network, standard, in fp32. Half of the workers are a script with nothing of ours in it: it loads the file
and times a plain loop. Both sides have the same number of fresh pinned processes, whose bursts take turns.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.shipped import copy_sample_network
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice
from runtime_bench.stats import paired_ratio

PROTOCOL = Protocol(seconds=10.0, processes=8, rounds=10, warm_up_seconds=0.5)
# Answers as worker.py does, in as few words as bench can do with.
BARE = """
import json, os, sys, time
import numpy

def onnxruntime(path):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = numpy.random.standard_normal((1, 1, 28, 28)).astype("float32")
    return lambda: session.run(None, {"input": x})[0]

def litert(path):
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    x = numpy.random.standard_normal((1, 28, 28, 1)).astype("float32")
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    def run():
        interpreter.set_tensor(source, x)
        interpreter.invoke()
        return interpreter.get_tensor(target)
    return run

def timed(run, count):
    samples = []
    for _ in range(count):
        started = time.perf_counter_ns()
        run()
        samples.append(time.perf_counter_ns() - started)
    return samples

for line in sys.stdin:
    request = json.loads(line)
    reply = {"resident": None, "peak": None}
    if request["do"] == "load":
        os.sched_setaffinity(0, request["cpus"])
        run = globals()[request["runtime"]](request["path"])
        run()
        about = dict.fromkeys(("name", "package", "version", "kernels"), request["runtime"])
        reply = {"runtime": about, "load_ns": 1, "first_inference_ns": 1}
        reply |= {"memory_before_load": None, "memory_after_load": None}
    elif request["do"] == "warm_up":
        until = time.perf_counter() + request["seconds"]
        timed(run, request["runs"])
        while time.perf_counter() < until:
            run()
    elif request["do"] == "measure":
        reply = {"samples_ns": timed(run, request["runs"])}
    print(json.dumps(reply), flush=True)
"""


class Beside(LocalDevice):
    """This machine, on which every other worker is the bare script."""

    def __init__(self):
        super().__init__()
        self._started = 0

    def start_worker(self):
        """Ours and the bare one in turns."""
        self._started += 1
        self._python = (sys.executable,) if self._started % 2 else (sys.executable, "-c", BARE)
        return super().start_worker()


def main() -> None:
    print("| runtime | falcon-edge | bare loop | ratio (95%) | the parent's share of a CPU |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        bundle = copy_sample_network(Path(folder, "standard"))
        export_bundle(bundle, ("onnx", "tflite"))
        for runtime, target in (("onnxruntime", "onnx"), ("litert", "tflite")):
            print(row(bundle / "exports" / f"model.fp32.{target}", runtime), flush=True)


def row(file: Path, runtime: str) -> str:
    """A line of the table."""
    candidates = [Candidate(file, runtime, name, file.suffix[1:], "fp32") for name in ("falcon-edge", "bare")]
    moments: list[tuple[float, float]] = []
    results = bench(candidates, Beside(), PROTOCOL, progress=lambda *step: moments.append(now()))
    ours, bare = results.entries
    ratio, (low, high) = paired_ratio(ours.bursts, bare.bursts)
    # Until a worker was asked for the last time: behind that, figures are computed.
    wall, cpu = (moments[-2][axis] - moments[0][axis] for axis in (0, 1))
    p50s = " | ".join(f"{entry.summary.p50_ns / 1e6:.4f} ms" for entry in (ours, bare))
    return f"| {runtime} | {p50s} | {ratio:.4f} ({low:.4f}..{high:.4f}) | {100 * cpu / wall:.2f}% |"


def now() -> tuple[float, float]:
    """The time, and the seconds that this process has taken of the CPUs."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
