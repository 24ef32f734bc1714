"""What int8 costs on trained networks, on every test image and both runtimes, for each way to calibrate.

    python benchmarks/int8_accuracy.py BUNDLE... --data DATA [--calibration minmax ...]

Prints a Markdown table: top-1 of float32 and of int8 on ONNX Runtime, on LiteRT with XNNPACK and on LiteRT's built-in
kernels; on how many images the runtimes give the same class; and the signal-to-noise ratio of the logits.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

from converters.parity import snr_db
from converters.quantization.ranges import METHODS
from converters.runtimes import run_onnx, run_tflite
from falcon_edge.bundle import EXPORTS, open_bundle
from falcon_edge.data import open_dataset
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.quantize import Int8
from falcon_edge.training.images import Images

HEAD = (
    "| network | calibration | fp32 | ONNX Runtime | drop | LiteRT | drop | built-in kernels | same class, runtimes "
    "| SNR, runtimes | SNR, int8 to fp32 | same class, built-in |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--calibration", nargs="+", default=[*METHODS], choices=[*METHODS])
    parser.add_argument("--keep-accuracy", type=float)
    options = parser.parse_args()
    dataset = open_dataset(options.data)
    print(f"{len(dataset.require('test'))} images of {options.data}\n\n{HEAD}")
    for bundle in options.bundles:
        manifest = open_bundle(bundle).manifest
        split = dataset.of_classes(manifest.labels, str(bundle)).require("test")
        labels = np.asarray(split.labels)
        inputs = np.concatenate([values.numpy() for values, _ in Images(split, manifest.input).batches(256)])
        for method in options.calibration:
            int8 = Int8(options.data, calibration=method, keep_accuracy=options.keep_accuracy, accept_loss=True)
            print(row(bundle, int8, inputs, labels), flush=True)


def row(bundle: Path, int8: Int8, inputs: np.ndarray, labels: np.ndarray) -> str:
    """One network under one way to calibrate."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(bundle, Path(folder, bundle.name)))
        made = copy / EXPORTS
        manifest = export_bundle(copy, ("onnx", "tflite"), ("fp32", "int8"), int8=int8)
        exact = run_onnx(made / "model.fp32.onnx", inputs)[0]
        onnx = run_onnx(made / "model.int8.onnx", inputs)[0]
        lite, plain = (
            run_tflite(made / "model.int8.tflite", inputs, delegate=delegate)[0] for delegate in (True, False)
        )
    kept = len(manifest.quantization.kept)

    def top1(logits: np.ndarray) -> float:
        return 100 * float((logits.argmax(1) == labels).mean())

    def same(one: np.ndarray, other: np.ndarray) -> str:
        return f"{100 * float((one.argmax(1) == other.argmax(1)).mean()):.2f}%"

    cells = [
        manifest.name + (f", {kept} layers in float" if kept else ""),
        int8.calibration,
        f"{top1(exact):.2f}%",
        f"{top1(onnx):.2f}%",
        f"{top1(exact) - top1(onnx):.2f}",
        f"{top1(lite):.2f}%",
        f"{top1(exact) - top1(lite):.2f}",
        f"{top1(plain):.2f}%",
        same(onnx, lite),
        f"{snr_db(onnx, lite):.1f} dB" if not np.array_equal(onnx, lite) else "the same bits",
        f"{snr_db(exact, onnx):.1f} dB",
        same(onnx, plain),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
