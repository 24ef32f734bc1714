"""falcon-edge's int8 beside that of litert-torch's quantizer: trained networks, one float .tflite, the same images.

    python benchmarks/conversion/int8.py BUNDLE... --data DATA [--calibration minmax] [--images N]

Of every bundle: top-1 on the test images, and how the int8 answers agree with the float ones and with ONNX Runtime's
int8 (SNR of the logits, and how often the first class is the same). Calibration images are spread over the training
split, as `falcon-edge export` takes them. Both .tflite run on LiteRT with XNNPACK.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from environments import DEFAULT_FOLDER, environment, run

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.parity import snr_db
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import DEFAULT_METHOD, quantize
from converters.quantization.ranges import METHODS
from converters.runtimes import run_onnx, tflite_interpreter
from converters.tflite.emit import emit_tflite
from falcon_edge.data import Split
from falcon_edge.preprocessing import InputSpec
from falcon_edge.steps.opening import Choice, open_with_data
from falcon_edge.training.images import Images

COLUMNS = ("", "top-1", "SNR to fp32, dB", "same top-1 as fp32", "SNR to ORT int8, dB", "same top-1 as ORT int8")


def inputs(split: Split, spec: InputSpec, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(float32 (N, C, H, W), labels) of at most `count` images, spread evenly."""
    chosen = split.subset(np.linspace(0, len(split) - 1, min(count, len(split))).round().astype(int))
    images = Images(chosen, spec)
    return np.concatenate([batch.numpy() for batch, _ in images.batches(256)]), np.asarray(chosen.labels)


def answers(path: Path, images: np.ndarray) -> np.ndarray:
    """Logits of a .tflite whose input and output may be int8 or float32."""
    interpreter = tflite_interpreter(path.read_bytes())
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = []
    for image in images:
        value = np.ascontiguousarray(image[None].transpose(0, 2, 3, 1))
        if source["dtype"] == np.int8:
            scale, zero_point = source["quantization"]
            value = np.clip(np.round(value / scale) + zero_point, -128, 127).astype(np.int8)
        interpreter.set_tensor(source["index"], value)
        interpreter.invoke()
        row = interpreter.get_tensor(target["index"])
        if target["dtype"] == np.int8:
            scale, zero_point = target["quantization"]
            row = ((row.astype(np.float32) - zero_point) * scale).astype(np.float32)
        rows.append(row)
    return np.concatenate(rows)


def compare(bundle: str, data: str, python: Path, method: str, samples: int, count: int) -> None:
    """Quantize one network both ways and print its table."""
    opened, dataset = open_with_data(Choice(bundle), data)
    assert dataset is not None
    calibration, _ = inputs(dataset.train, opened.input, samples)
    images, labels = inputs(dataset.test, opened.input, count)
    with tempfile.TemporaryDirectory() as place, torch.no_grad():
        folder = Path(place)
        whole, lite = folder / "fp32.onnx", folder / "fp32.tflite"
        export_onnx(opened.module, torch.from_numpy(images[:1]), whole)
        emit_tflite(whole, lite)
        made = quantize(onnx_graph.load(whole), calibration, method=method)
        emit_tflite(made.model, folder / "ours.tflite", quantization=made.spec)
        np.save(folder / "calibration.npy", np.ascontiguousarray(calibration.transpose(0, 2, 3, 1)))
        run(python, "by_litert_quantizer.py", lite, folder / "calibration.npy", folder / "theirs.tflite")
        reference = run_onnx(whole, images)[0]
        runtime = run_onnx(write_qdq(made.model, made.spec), images)[0]
        found = {
            "fp32, ONNX Runtime": reference,
            "int8, falcon-edge, ONNX Runtime": runtime,
            "int8, falcon-edge, LiteRT": answers(folder / "ours.tflite", images),
            "int8, litert-quantizer, LiteRT": answers(folder / "theirs.tflite", images),
        }
    print(f"\n{Path(bundle).stem}, {len(images)} test images, {len(calibration)} to calibrate with, {method}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name, logits in found.items():
        cells = [f"{100 * (logits.argmax(1) == labels).mean():.2f}%"]
        for other in (reference, runtime):
            same = 100 * (logits.argmax(1) == other.argmax(1)).mean()
            cells += (
                ["", ""] if logits is other or logits is reference else [f"{snr_db(other, logits):.1f}", f"{same:.2f}%"]
            )
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--calibration", default=DEFAULT_METHOD, choices=tuple(METHODS))
    parser.add_argument("--samples", type=int, default=512, help="images to calibrate with")
    parser.add_argument("--images", type=int, default=10_000, help="test images")
    parser.add_argument("--environments", type=Path, default=DEFAULT_FOLDER, help="where they are made and kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    python = environment("litert-torch", options.environments, sys.executable)
    for bundle in options.bundles:
        compare(bundle, options.data, python, options.calibration, options.samples, options.images)


if __name__ == "__main__":
    main()
