"""FALCON on arm64: what an inference of standard and compressed networks does on emulated CPUs, as tables.

    python benchmarks/arm64.py --folder arm64 [--networks vgg19 resnet34 mobilenetv1] [--cpus cortex-a53 ...]

Fresh weights: a kernel executes the same instructions whatever they are (int8 is calibrated on the shipped sample).
Bundles and results are kept in --folder, so that an interrupted run goes on. VGG19 has all 16 convolutions replaced.
Nothing here is a latency.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from falcon_edge.bundle import bundle_path
from falcon_edge.data.formats import SAMPLE
from falcon_edge.models.sources import BUILTIN
from falcon_edge.steps.bench import bench
from falcon_edge.steps.compress import compress
from falcon_edge.steps.export import export
from falcon_edge.steps.pack import pack
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.subject import Choice
from runtime_bench.bench import Protocol
from runtime_bench.devices.arm64.cpus import CPUS
from runtime_bench.results import Entry, load, save

NETWORKS = {
    "vgg19": Choice("vgg19", input_shape=BUILTIN["vgg19"].input_shape),
    "resnet34": Choice("resnet34", input_shape=BUILTIN["resnet34"].input_shape),
    "mobilenetv1": Choice("mobilenet:mobilenet_v1", input_shape=(3, 224, 224), num_classes=10),
}
RANKS = {"vgg19": (1, 2), "resnet34": (1, 2), "mobilenetv1": ()}  # it is separable already: for reference
SIGNED = "int8, int8 activations"
HEAD = (
    "network", "runtime", "precision", "model", "instructions", "ratio", "MACs", "ratio", "bytes", "L1", "L2",
    "cycles", "ratio",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """An entry, and what it is shown as."""

    network: str
    model: str
    precision: str
    entry: Entry

    @property
    def kind(self) -> tuple[str, str, str]:
        """What it is compared within."""
        runtime = self.entry.runtime
        return self.network, "" if runtime is None else runtime.name, self.precision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("arm64"))
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--cpus", nargs="+", default=[cpu.name for cpu in CPUS])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for cpu in options.cpus:
        rows = [row for network in options.networks for row in counted(network, cpu, options.folder)]
        print(f"\n**{cpu}**, one inference, in millions; misses of a model of its caches, in thousands\n")
        print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
        for row in sorted(rows, key=lambda row: row.kind):
            standard = next(other for other in rows if other.kind == row.kind and other.model == "standard")
            print(line(row, standard.entry))


def counted(network: str, cpu: str, folder: Path) -> Iterator[Row]:
    """Every model of a network on a CPU, in fp32, in int8, and in int8 with int8 activations."""
    for model, bundle, signed in models(network, folder):
        path = folder / f"{bundle.stem}-{cpu}.json"
        if not path.exists():
            save(bench([bundle, signed], Protocol(), device=f"arm64:{cpu}"), path)
        for entry in load(path).entries:
            assert entry.failure is None, entry.failure
            is_signed = entry.model.file == signed.name
            yield Row(network, model, SIGNED if is_signed else entry.model.precision, entry)


def models(network: str, folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """The name of each model, its bundle, and its int8 file with int8 activations."""
    standard = bundle_path(folder / network)
    if not standard.exists():
        pack(NETWORKS[network], standard, data=SAMPLE)
    for rank in (None, *RANKS[network]):
        bundle = standard if rank is None else bundle_path(folder / f"{network}-k{rank}")
        if not bundle.exists():
            compress(Choice(str(standard)), bundle, rank=rank)
        signed = folder / f"{bundle.stem}.signed.onnx"
        if not signed.exists():
            export(bundle, ("onnx",), ("int8",), int8=Int8(SAMPLE, samples=64, activations="int8"))
            signed.write_bytes((bundle / "exports/model.int8.onnx").read_bytes())
            export(bundle, ("onnx", "tflite"), ("fp32", "int8"), int8=Int8(SAMPLE, samples=64))
        yield "standard" if rank is None else f"FALCON rank {rank}", bundle, signed


def line(row: Row, standard: Entry) -> str:
    """A row of the table."""
    counts, before, model = row.entry.counts, standard.counts, row.entry.model
    assert counts is not None
    assert before is not None
    cells = [*row.kind, row.model]
    cells += _with_ratio(counts.instructions, before.instructions)
    cells += _with_ratio(model.macs or 0, standard.model.macs or 0)
    cells.append(f"{(counts.bytes_loaded + counts.bytes_stored) / 1e6:.1f}")
    cells += ["" if misses is None else f"{misses / 1e3:.0f}" for misses in (counts.l1_misses, counts.l2_misses)]
    if counts.cycles is None or before.cycles is None:
        cells += ["", ""]
    else:
        low, high = (cycles / 1e6 for cycles in counts.cycles)
        ratios = sorted(one / other for one, other in zip(before.cycles, counts.cycles, strict=True))
        cells += [f"{low:.1f}..{high:.1f}", f"{ratios[0]:.2f}..{ratios[1]:.2f}"]
    return f"| {' | '.join(cells)} |"


def _with_ratio(value: float, standard: float) -> list[str]:
    return [f"{value / 1e6:.1f}", f"{standard / value:.2f}" if value else ""]


if __name__ == "__main__":
    main()
