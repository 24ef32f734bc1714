"""What fewer operators bring an inference that runs once in a while, beside back to back: the same numbers, two graphs.

    python benchmarks/operators.py [--ticks 240]

branches: six FALCON layers of 64 channels at rank 2, as two branches and an addition each, or as one pointwise and one
grouped convolution. end: the same six at rank 1 with a classifier behind them, that flattens and multiplies, or that is
a convolution over the whole map and needs no reshape. Fresh weights, float32, one thread, in turns.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from converters.onnx_export import export_onnx
from converters.tflite.emit import emit_tflite
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice
from runtime_bench.runtimes import runtime_for
from runtime_bench.stats import paired_ratio

LAYERS, CHANNELS, SIZE, CLASSES = 6, 64, 7, 10


class Branches(nn.Module):
    """Rank k as falcon-edge exports it."""

    def __init__(self, rank: int):
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(_pointwise(CHANNELS), _windows(CHANNELS)) for _ in range(rank))

    def forward(self, x: Tensor) -> Tensor:
        """The sum of the branches."""
        first, *rest = (branch(x) for branch in self.branches)
        return torch.relu(sum(rest, start=first))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ticks", type=int, default=240)
    options = parser.parse_args()
    torch.manual_seed(0)
    rank1 = [Branches(1) for _ in range(LAYERS)]
    flat = nn.Sequential(*rank1, nn.Flatten(), nn.Linear(CHANNELS * SIZE * SIZE, CLASSES))
    mapped = nn.Sequential(*rank1, nn.Conv2d(CHANNELS, CLASSES, SIZE))
    branches = nn.Sequential(*(Branches(2) for _ in range(LAYERS)))
    merged = nn.Sequential(
        *(nn.Sequential(_pointwise(2 * CHANNELS), _windows(2 * CHANNELS), nn.ReLU()) for _ in range(LAYERS))
    )
    print("| what | runtime | way | as we write it | with fewer operators | ratio (95%) |")
    print("|---|---|---|---|---|---|")
    for name, ours, fewer in (("branches", branches, merged), ("end", flat, mapped)):
        with tempfile.TemporaryDirectory() as folder:
            files = [
                _written(network.eval(), Path(folder, f"{number}.onnx")) for number, network in enumerate((ours, fewer))
            ]
            for pair in zip(*files, strict=True):
                for row in _rows(pair, options.ticks):
                    print(f"| {name} | {row} |", flush=True)


def _pointwise(outputs: int) -> nn.Conv2d:
    return nn.Conv2d(CHANNELS, outputs, 1)


def _windows(inputs: int) -> nn.Conv2d:
    """The sum, over as many branches as there are inputs for an output, of depthwise convolutions."""
    return nn.Conv2d(inputs, CHANNELS, 3, padding=1, groups=CHANNELS)


def _written(network: nn.Module, path: Path) -> tuple[Path, Path]:
    export_onnx(network, torch.zeros(1, CHANNELS, SIZE, SIZE), path)
    emit_tflite(path, path.with_suffix(".tflite"))
    return path, path.with_suffix(".tflite")


def _rows(pair: tuple[Path, ...], ticks: int) -> list[str]:
    runtime = runtime_for(pair[0].suffix)
    candidates = [Candidate(path, runtime.name, path.stem, path.suffix[1:], "fp32") for path in pair]
    protocol = Protocol(seconds=1.0, processes=8, rounds=8, ticks=ticks, cold=True)
    ours, fewer = bench(candidates, LocalDevice(), protocol).entries
    found = []
    for way, timing in ours.timings.items():
        other = fewer.timings[way]
        ratio, (low, high) = paired_ratio(other.bursts, timing.bursts)
        p50s = (f"{each.summary.p50_ns / 1e3:.0f} µs" for each in (timing, other))
        found.append(" | ".join([runtime.title, way, *p50s, f"{ratio:.3f} ({low:.3f}..{high:.3f})"]))
    return found


if __name__ == "__main__":
    main()
