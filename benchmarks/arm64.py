"""FALCON on arm64: what an inference of standard and compressed networks does on emulated CPUs, as tables.

    python benchmarks/arm64.py --folder arm64 [--networks vgg19 resnet34 mobilenetv1] [--cpus cortex-a53 ...]
    python benchmarks/arm64.py --folder arm64 --layers vgg19 --cpus cortex-a72

Fresh weights: a kernel executes the same instructions whatever they are (int8 is calibrated on the shipped sample).
Bundles and results are kept in --folder, so that an interrupted run goes on. VGG19 has all 16 convolutions replaced.
--layers: standard and rank 1, convolution by convolution. Nothing here is a latency.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from falcon_edge.bundle import bundle_path
from falcon_edge.data.formats import SAMPLE
from falcon_edge.models.sources import BUILTIN
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8
from runtime_bench.bench import Protocol
from runtime_bench.devices.arm64.cpus import CPUS
from runtime_bench.results import Entry, load, save
from runtime_bench.why import Section, counted_peaks, hindrances, sections

NETWORKS = {
    "vgg19": Choice("vgg19", input_shape=BUILTIN["vgg19"].input_shape),
    "resnet34": Choice("resnet34", input_shape=BUILTIN["resnet34"].input_shape),
    "mobilenetv1": Choice("mobilenet:mobilenet_v1", input_shape=(3, 224, 224), num_classes=10),
}
RANKS = {"vgg19": (1, 2), "resnet34": (1, 2), "mobilenetv1": ()}  # it is separable already: for reference
OTHERS = "all else"
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
    parser.add_argument("--layers", choices=RANKS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for cpu in options.cpus:
        if options.layers is not None:
            print_layers(options.layers, cpu, options.folder)
            continue
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
            save(bench([bundle, signed], BenchRequest(Protocol()), device=f"arm64:{cpu}"), path)
        for entry in load(path).entries:
            assert entry.failure is None, entry.failure
            is_signed = entry.model.file == signed.name
            yield Row(network, model, SIGNED if is_signed else entry.model.precision, entry)


def models(network: str, folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """The name of each model, its bundle, and its int8 file with int8 activations."""
    standard = bundle_path(folder / network)
    if not standard.exists():
        pack_bundle(NETWORKS[network], standard, data=SAMPLE)
    for rank in (None, *RANKS[network]):
        bundle = standard if rank is None else bundle_path(folder / f"{network}-k{rank}")
        if not bundle.exists():
            compress_bundle(Choice(str(standard)), bundle, rank=rank)
        signed = folder / f"{bundle.stem}.signed.onnx"
        if not signed.exists():
            export_bundle(bundle, ("onnx",), ("int8",), int8=Int8(SAMPLE, samples=64, activations="int8"))
            signed.write_bytes((bundle / "exports/model.int8.onnx").read_bytes())
            export_bundle(bundle, ("onnx", "tflite"), ("fp32", "int8"), int8=Int8(SAMPLE, samples=64))
        yield "standard" if rank is None else f"FALCON rank {rank}", bundle, signed


def print_layers(network: str, cpu: str, folder: Path) -> None:
    """Convolutions of a network beside what stands for them at rank 1, those of one size as one row, and why."""
    pairs = [*profiled(network, cpu, folder)]
    tables = [by_size(sections(*pair)) for pair in pairs]
    head = [f"{pair[0].runtime.name} {pair[0].model.precision}" for pair in pairs if pair[0].runtime is not None]
    print(f"\n**{network} on {cpu}**, thousands of instructions, standard -> FALCON rank 1\n")
    print(f"| | MACs ratio | {' | '.join(head)} |\n|{'---|' * (2 + len(head))}")
    for size in tables[0]:
        cells = [change(table[size]) for table in tables]
        times = f", {len(tables[0][size])} times" if size != OTHERS and len(tables[0][size]) > 1 else ""
        print(f"| {size}{times} | {macs_ratio(tables[0][size])} | {' | '.join(cells)} |")
    rest = [[entry.profile.remainder_instructions for entry in pair if entry.profile] for pair in pairs]
    print(f"| in no layer | | {' | '.join(f'{(one or 0) / 1e3:.1f} -> {(two or 0) / 1e3:.1f}' for one, two in rest)} |")
    peaks = counted_peaks([entry for pair in pairs for entry in pair])
    assert peaks is not None
    for name, (standard, falcon) in zip(head, pairs, strict=True):
        for found in hindrances(falcon, peaks, standard):
            print(f"- {name}, {found.kind}: up to {found.gain:.0%}. {found.says}")


def profiled(network: str, cpu: str, folder: Path) -> Iterator[tuple[Entry, Entry]]:
    """Standard and rank 1 in each format, with the counts of every layer."""
    bundles = [bundle for _, bundle, _ in models(network, folder)][:2]
    path = folder / f"{network}-layers-{cpu}.json"
    if not path.exists():
        save(bench(bundles, BenchRequest(Protocol(), profile=True), device=f"arm64:{cpu}"), path)
    entries = load(path).entries
    half = len(entries) // 2
    yield from zip(entries[:half], entries[half:], strict=True)


def by_size(found: Iterable[Section]) -> dict[str, list[Section]]:
    """Sections of convolutions of one size together, and all others."""
    grouped: dict[str, list[Section]] = {}
    for section in found:
        (layer, *_) = sorted(section.standard, key=lambda layer: -layer.macs)
        size = OTHERS
        if layer.form == "standard" and layer.channels is not None:
            side = round((layer.macs / (9 * layer.channels[0] * layer.channels[1])) ** 0.5)
            size = f"{layer.channels[0]} to {layer.channels[1]} channels, {side}x{side}"
        grouped.setdefault(size, []).append(section)
    return grouped | {OTHERS: grouped.pop(OTHERS)}


def change(found: Sequence[Section]) -> str:
    """Instructions before and after, and their ratio."""
    before, after = (
        sum(layer.cost for section in found for layer in getattr(section, side)) for side in ("standard", "compressed")
    )
    return f"{before / 1e3:,.0f} -> {after / 1e3:,.0f} ({before / after:.2f})"


def macs_ratio(found: Sequence[Section]) -> str:
    """MACs before over after."""
    before, after = (
        sum(layer.macs for section in found for layer in getattr(section, side)) for side in ("standard", "compressed")
    )
    return f"{before / after:.2f}"


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
        ratio = "" if row.entry is standard else f"{ratios[0]:.2f}..{ratios[1]:.2f}"
        cells += [f"{low:.1f}..{high:.1f}", ratio]
    return f"| {' | '.join(cells)} |"


def _with_ratio(value: float, standard: float) -> list[str]:
    return [f"{value / 1e6:.1f}", "" if value == standard else f"{standard / value:.2f}"]


if __name__ == "__main__":
    main()
