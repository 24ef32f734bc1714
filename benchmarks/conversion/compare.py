"""falcon-edge beside litert-torch and onnx2tf: the same networks, one run, each converter in its own environment.

    python benchmarks/conversion/compare.py [--networks resnet18:1 vgg19:1 resnet34:1 vgg16_bn:1] [--runs 3]

NETWORK:RANK, rank 0 is the standard network. Every conversion is a process of its own, on one thread; `--runs` of them,
all converters in shuffled order, of which the medians are printed. Time and memory start when the converter and the
network are loaded; the peak is the resident memory of the process with its children, in all. Latency is LiteRT's with
XNNPACK, 1 thread, the files of all converters interleaved; parity is the SNR of the answers against torch's.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from environments import DEFAULT_FOLDER, Unavailable, environment, run
from networks import network

from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.parity import snr_db
from converters.runtimes import run_tflite
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice

OURS = "falcon-edge"
COLUMNS = (
    "from", "converter", "time, s", "CPU, s", "peak, MiB", "size, MB", "operators", "TRANSPOSE", "latency, ms",
    "parity, dB",
)  # fmt: skip


@dataclass
class Route:
    """One converter and what it starts from."""

    converter: str
    source: str
    python: Path
    script: str
    found: list[dict[str, float]] = field(default_factory=list)
    failure: str | None = None

    def median(self, key: str) -> float:
        """Of all conversions so far."""
        return statistics.median(one[key] for one in self.found)

    def convert(self, sources: dict[str, Path], target: Path, name: str, rank: int) -> None:
        """One conversion; a failure is kept, and the converter is left alone from then on."""
        if self.failure is None:
            try:
                printed = run(self.python, self.script, sources[self.source], target, name, rank)
                self.found.append(json.loads(printed.splitlines()[-1]))
            except RuntimeError as error:
                self.failure = str(error)


def routes(folder: Path, python312: str) -> list[Route]:
    """Every converter that can be had here."""
    ours = Path(sys.executable)
    found = [Route(OURS, "onnx", ours, "by_falcon_edge.py"), Route(OURS, "torch", ours, "by_falcon_edge.py")]
    for name, source, script, python in (
        ("onnx2tf", "onnx", "by_onnx2tf.py", python312),
        ("litert-torch", "torch", "by_litert_torch.py", sys.executable),
    ):
        try:
            found.append(Route(name, source, environment(name, folder, python), script))
        except Unavailable as problem:
            print(f"left out: {problem}")
    return found


def latencies(files: dict[str, Path], seconds: float) -> dict[str, float]:
    """Median milliseconds of every file, interleaved."""
    candidates = [Candidate(path, "litert", name, "tflite", "fp32") for name, path in files.items()]
    results = bench(candidates, LocalDevice(), Protocol(seconds=seconds, rounds=20, every=0))
    return {entry.model.name: entry.summary.p50_ns / 1e6 for entry in results.entries if entry.summary is not None}


def compare(name: str, rank: int, found: list[Route], runs: int, seconds: float) -> None:
    """Convert, measure and print the table of one network."""
    made, inputs = network(name, rank)
    with tempfile.TemporaryDirectory() as place, torch.no_grad():
        folder = Path(place)
        sources = {"torch": folder / "model.pt", "onnx": folder / "model.onnx"}
        torch.save(made.state_dict(), sources["torch"])
        export_onnx(made, inputs[:1], sources["onnx"])
        expected = made(inputs).numpy()
        del made
        targets = {id(route): folder / f"{route.converter}-{route.source}.tflite" for route in found}
        for _ in range(runs):
            for route in random.sample(found, len(found)):
                route.convert(sources, targets[id(route)], name, rank)
        files = {route.converter: targets[id(route)] for route in reversed(found) if route.failure is None}
        parity = {key: snr_db(expected, run_tflite(path, np.asarray(inputs))[0]) for key, path in files.items()}
        measured = latencies(files, seconds)
        print(f"\n{name}, {'standard' if rank == 0 else f'FALCON rank {rank}'}, medians of {runs}\n")
        print(
            "| from | converter | time, s | peak, MiB | size, MB | operators | TRANSPOSE | latency, ms | parity, dB |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for route in sorted(found, key=lambda route: (route.source, route.converter)):
            if route.failure is not None:
                print(f"| {route.source} | {route.converter} | {route.failure} |")
                continue
            described = describe(targets[id(route)])
            cells = (
                f"{route.median('seconds'):.2f}", f"{route.median('cpu'):.2f}", f"{route.median('peak'):.0f}",
                f"{described.bytes / 1e6:.2f}", len(described.operators), described.counts.get("TRANSPOSE", 0),
                f"{measured[route.converter]:.3f}", f"{parity[route.converter]:.1f}",
            )  # fmt: skip
            print(f"| {route.source} | {route.converter} | {' | '.join(map(str, cells))} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["resnet18:1", "vgg19:1", "resnet34:1", "vgg16_bn:1"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of latency samples a file")
    parser.add_argument("--environments", type=Path, default=DEFAULT_FOLDER, help="where they are made and kept")
    parser.add_argument("--python312", default="python3.12", help="an interpreter for onnx2tf, which needs 3.12")
    options = parser.parse_args()
    random.seed(0)
    torch.set_num_threads(1)
    for text in options.networks:
        name, _, rank = text.partition(":")
        compare(name, int(rank or 0), routes(options.environments, options.python312), options.runs, options.seconds)


if __name__ == "__main__":
    main()
