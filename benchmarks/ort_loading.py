""".ort beside .onnx: file size, time to load, time of an inference, on ONNX Runtime on this machine.

    python benchmarks/ort_loading.py [--networks vgg8 vgg19 resnet34] [--rank 1] [--runs 31]

vgg8 is the demo's. Fresh weights for the others (no time here depends on them; int8 is calibrated on the shipped
sample). In one process, on one thread, the two files of a pair are loaded in turns, each time as a new session: what is
measured is the making of the session, the file in the page cache, and its fastest of five inferences. Medians over the
runs; the ratio is .onnx over .ort, with the 95% interval of a bootstrap over pairs. Prints a Markdown table.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime

from falcon_edge.bundle import bundle_path, open_bundle
from falcon_edge.data.formats import SAMPLE
from falcon_edge.models.sources import BUILTIN
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle, golden_samples
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.shipped import copy_sample_network
from runtime_bench.environment import local_environment

PRECISIONS = ("fp32", "int8")
TARGETS = ("onnx", "ort")
DEMO = "vgg8"
INFERENCES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=[DEMO, "vgg19", "resnet34"], choices=BUILTIN)
    parser.add_argument("--rank", type=int, default=1)
    parser.add_argument("--runs", type=int, default=31)
    options = parser.parse_args()
    print(f"onnxruntime {onnxruntime.__version__}, {local_environment().cpu}, 1 thread, {options.runs} pairs\n")
    print(
        "| network | precision | .onnx MB | .ort MB | load .onnx ms | load .ort ms | ratio | infer .onnx ms | .ort ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for network in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            standard, falcon = (bundle_path(Path(folder, name)) for name in (network, f"{network}-k{options.rank}"))
            if network == DEMO:
                copy_sample_network(standard)
            else:
                pack_bundle(Choice(network, input_shape=BUILTIN[network].input_shape), standard, data=SAMPLE)
            compress_bundle(Choice(str(standard)), falcon, rank=options.rank)
            for bundle in (standard, falcon):
                export_bundle(bundle, TARGETS, PRECISIONS, int8=Int8(SAMPLE, samples=64))
                for precision in PRECISIONS:
                    print(row(bundle, precision, options.runs), flush=True)


def row(bundle: Path, precision: str, runs: int) -> str:
    opened = open_bundle(bundle)
    files = [opened.file(f"exports/model.{precision}.{target}") for target in TARGETS]
    image = golden_samples(opened)[:1]
    measured = np.array([[once(file, image) for file in files] for _ in range(runs + 1)])[1:]  # the first one warms up
    loads, inferences = 1e3 * measured[:, :, 0], 1e3 * measured[:, :, 1]
    low, high = interval(loads)
    sizes = [file.stat().st_size / 1e6 for file in files]
    load, infer = np.median(loads, 0), np.median(inferences, 0)
    return (
        f"| {bundle.stem} | {precision} | {sizes[0]:.2f} | {sizes[1]:.2f} | {load[0]:.1f} | {load[1]:.1f} "
        f"| {load[0] / load[1]:.2f} ({low:.2f}..{high:.2f}) | {infer[0]:.3f} | {infer[1]:.3f} |"
    )


def once(file: Path, image: np.ndarray) -> tuple[float, float]:
    """Seconds to make a session, and of its fastest inference."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    started = time.perf_counter()
    session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
    loaded = time.perf_counter() - started
    name, seconds = session.get_inputs()[0].name, []
    for _ in range(INFERENCES):
        started = time.perf_counter()
        session.run(None, {name: image})
        seconds.append(time.perf_counter() - started)
    return loaded, min(seconds)


def interval(loads: np.ndarray) -> tuple[float, float]:
    """95% interval of the ratio of medians, for loads (pairs, 2)."""
    drawn = np.random.default_rng(0).integers(0, len(loads), (2000, len(loads)))
    medians = np.median(loads[drawn], 1)
    low, high = np.percentile(medians[:, 0] / medians[:, 1], [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
