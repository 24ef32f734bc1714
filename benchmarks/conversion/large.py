"""Time and peak memory of every conversion of a large network: VGG16 for 224x224, FALCON rank 1, about 500 MB.

    python benchmarks/conversion/large.py [--network vgg16_bn:1] [--runs 3] [--samples 8]

Each is a process of its own, on one thread. `in all` is the largest resident memory of the process with its children,
`above` what of it was not there when the conversion began, both also in sizes of the .onnx file. int8 is the whole of
it: calibration by `--samples` images, equalisation, bias correction, and both files.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from environments import run
from measure import measured

STAGES = {
    "export": "torch -> .onnx",
    "graph": "ModelProto -> .tflite",
    "file": ".onnx -> .tflite",
    "half": ".onnx -> .tflite, fp16",
    "int8": ".onnx -> .onnx and .tflite, int8",
}
COLUMNS = ("conversion", "time, s", "CPU, s", "above, MiB", "above, sizes", "in all, MiB", "in all, sizes")


def stage(name: str, source: Path, target: Path, network: str, rank: int, samples: int) -> dict[str, float]:
    """Run one conversion in this process."""
    if name == "export":
        from networks import restored

        from converters.onnx_export import export_onnx

        made, sample = restored(network, rank, str(source.with_suffix(".pt")))
        with measured() as found:
            export_onnx(made, sample, target)
        return found

    from converters import onnx_graph
    from converters.tflite.emit import emit_tflite

    if name == "graph":
        model = onnx_graph.load(source)
        with measured() as found:
            emit_tflite(model, target)
    elif name == "int8":
        import numpy as np

        from converters.quantization.qdq import write_qdq
        from converters.quantization.quantize import quantize

        shape = [size.dim_value for size in onnx_graph.load(source).graph.input[0].type.tensor_type.shape.dim]
        images = np.random.default_rng(0).standard_normal((samples, *shape[1:])).astype(np.float32)
        with measured() as found:
            made = quantize(onnx_graph.load(source), images)
            onnx_graph.save(write_qdq(made.model, made.spec), target.with_suffix(".int8.onnx"))
            emit_tflite(made.model, target, quantization=made.spec)
    else:
        with measured() as found:
            emit_tflite(source, target, half=name == "half")
    return found


def report(network: str, rank: int, runs: int, samples: int) -> None:
    import torch
    from networks import network as make

    from converters.onnx_export import export_onnx

    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "model.onnx")
        made, inputs = make(network, rank)
        torch.save(made.state_dict(), source.with_suffix(".pt"))
        export_onnx(made, inputs[:1], source)
        del made
        size = source.stat().st_size
        print(f"{network}, rank {rank}: {size / 1e6:.0f} MB, medians of {runs}\n")
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        for name, text in STAGES.items():
            words = ("--stage", name, source, Path(place, "model.tflite"), network, rank, samples)
            found = [json.loads(run(Path(sys.executable), "large.py", *words)) for _ in range(runs)]
            seconds, cpu, base, peak = (
                statistics.median(one[key] for one in found) for key in ("seconds", "cpu", "base", "peak")
            )
            above, unit = peak - base, size / 2**20
            cells = f"{seconds:.1f} | {cpu:.1f} | {above:.0f} | {above / unit:.2f} | {peak:.0f} | {peak / unit:.2f}"
            print(f"| {text} | {cells} |", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--stage"]:
        name, source, target, network, rank, samples = sys.argv[2:]
        print(json.dumps(stage(name, Path(source), Path(target), network, int(rank), int(samples))))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="vgg16_bn:1", help="NETWORK:RANK")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=8)
    options = parser.parse_args()
    name, _, rank = options.network.partition(":")
    report(name, int(rank or 0), options.runs, options.samples)


if __name__ == "__main__":
    main()
