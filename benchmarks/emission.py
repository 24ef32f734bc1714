"""ONNX to TFLite: time, size and parity of FALCON ResNet18 for 224x224 (or another network).

    python benchmarks/emission.py [--network resnet18] [--rank 1] [--runs 5]

The time is that of emit_tflite in this process: reading the .onnx, emitting, writing the .tflite. The signal-to-noise
ratio is that of LiteRT's answers against torch's, over seeded inputs.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.parity import snr_db
from converters.runtimes import run_tflite
from converters.tflite.emit import emit_tflite
from falcon_edge.falcon import surgery
from falcon_edge.falcon.plan import uniform_plan
from falcon_edge.falcon.statistics import reestimate_batchnorm
from falcon_edge.models.sources import BUILTIN, build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet18", choices=BUILTIN)
    parser.add_argument("--rank", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    shape = BUILTIN[options.network].input_shape
    network = build(options.network)
    network = surgery.apply(network, uniform_plan(network, shape, options.rank).replaced, in_place=True)
    inputs = torch.randn(4, *shape)
    reestimate_batchnorm(network, [inputs])
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        onnx_path, path = Path(folder, "model.onnx"), Path(folder, "model.tflite")
        export_onnx(network, inputs[:1], onnx_path)
        seconds = []
        for _ in range(options.runs):
            started = time.perf_counter()
            emit_tflite(onnx_path, path)
            seconds.append(time.perf_counter() - started)
        reference = network(inputs).numpy()
        snr = snr_db(reference, run_tflite(path, np.asarray(inputs))[0])
        described = describe(path)
    size, operators = described.bytes / 1e6, len(described.operators)
    print(f"{options.network}, rank {options.rank}: {size:.1f} MB, {operators} operators")
    print(f"emitted in {statistics.median(seconds):.3f} s (median of {options.runs}, slowest {max(seconds):.3f} s)")
    print(f"SNR against torch {snr:.1f} dB; TRANSPOSE operators: {described.counts.get('TRANSPOSE', 0)}")


if __name__ == "__main__":
    main()
