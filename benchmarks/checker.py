"""The checker checked: latencies by falcon-edge beside those of bare loops, and what the parent takes of the CPUs.

    python benchmarks/checker.py [--apart] [--runtimes onnxruntime litert]

The shipped network, standard, in fp32; with --apart also at rank 1 and in int8, paced and cold in the place of back to
back. Half of the workers are a script with nothing of ours in it: it loads the file and times a plain loop. Both sides
have the same number of fresh pinned processes, whose bursts (or ticks) take turns.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from falcon_edge.bundle import bundle_path
from falcon_edge.data.formats import SAMPLE
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.shipped import copy_sample_network
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice
from runtime_bench.runtimes import runtime_named
from runtime_bench.stats import paired_ratio
from runtime_bench.ways import BACK_TO_BACK

PROTOCOL = Protocol(seconds=10.0, processes=8, rounds=10, warm_up_seconds=0.5, every=0)
APART = Protocol(seconds=0.2, processes=8, rounds=10, warm_up_seconds=0.2, ticks=240, cold=True)
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

def paced(run, count, every, turn, turns):
    samples = []
    for _ in range(count):
        now = time.monotonic()
        time.sleep((every * turn - now) % (every * turns))
        started = time.perf_counter_ns()
        run()
        samples.append(time.perf_counter_ns() - started)
    return samples

def cold(run, count, others=numpy.ones(1 << 24)):
    samples = []
    for _ in range(count):
        others += 1
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
        reply |= {"input": {"shape": [1, 1, 28, 28], "dtype": "float32", "layout": "NCHW"}}
        reply |= {"outputs": [{"shape": [1, 10], "dtype": "float32"}]}
    elif request["do"] == "warm_up":
        until = time.perf_counter() + request["seconds"]
        timed(run, request["runs"])
        while time.perf_counter() < until:
            run()
        reply = {"runs": request["runs"], "stable": True}
    elif request["do"] == "measure":
        count = request["runs"]
        if "every_ms" in request:
            samples = paced(run, count, request["every_ms"] / 1000, request["turn"], request["turns"])
            reply = {"samples_ns": samples, "missed": 0}
        elif "cold" in request:
            reply = {"samples_ns": cold(run, count), "flushed": 1 << 27}
        else:
            reply = {"samples_ns": timed(run, count)}
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--runtimes", nargs="+", default=["onnxruntime", "litert"], choices=("onnxruntime", "litert"))
    options = parser.parse_args()
    print("| file | runtime | way | falcon-edge | bare loop | ratio (95%) | the parent's share of a CPU |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        bundles = [copy_sample_network(Path(folder, "standard"))]
        if options.apart:
            compress_bundle(Choice(str(bundles[0])), bundle_path(Path(folder, "rank1")), rank=1)
            bundles.append(bundle_path(Path(folder, "rank1")))
        for bundle in bundles:
            precisions = ("fp32", "int8") if options.apart else ("fp32",)
            export_bundle(bundle, ("onnx", "tflite"), precisions, int8=Int8(SAMPLE, samples=64))
            for precision in precisions:
                for runtime in options.runtimes:
                    file = bundle / "exports" / f"model.{precision}{runtime_named(runtime).suffixes[0]}"
                    for row in rows(file, runtime, apart=options.apart):
                        print(f"| {bundle.stem} {precision} | {runtime} | {row} |", flush=True)


def rows(file: Path, runtime: str, *, apart: bool) -> Iterator[str]:
    """Lines of the table without their beginnings."""
    candidates = [Candidate(file, runtime, name, file.suffix[1:], "fp32") for name in ("falcon-edge", "bare")]
    moments: list[tuple[float, float]] = []
    protocol = APART if apart else PROTOCOL
    results = bench(candidates, Beside(), protocol, progress=lambda *step: moments.append(now()))
    ours, bare = results.entries
    for entry in results.entries:
        if entry.failure is not None:
            raise SystemExit(f"{entry.model.name}: {entry.failure.message}")
    # Until a worker was asked for the last time: behind that, figures are computed.
    wall, cpu = (moments[-2][axis] - moments[0][axis] for axis in (0, 1))
    for way in ("paced", "cold") if apart else (BACK_TO_BACK,):
        one, other = ours.timings[way], bare.timings[way]
        ratio, (low, high) = paired_ratio(one.bursts, other.bursts)
        p50s = " | ".join(f"{each.summary.p50_ns / 1e6:.4f} ms" for each in (one, other))
        yield f"{way} | {p50s} | {ratio:.4f} ({low:.4f}..{high:.4f}) | {100 * cpu / wall:.2f}%"


def now() -> tuple[float, float]:
    """The time, and the seconds that this process has taken of the CPUs."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
