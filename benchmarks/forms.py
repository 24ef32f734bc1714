"""Every form at the MACs of FALCON rank 1 and 2: latency here, or instructions on emulated CPUs, one run a network.

    python benchmarks/forms.py --folder forms [--networks vgg8 vgg19 resnet34 resnet18]
    python benchmarks/forms.py --folder forms --device arm64:cortex-a76 [--networks vgg8]

Fresh weights but for VGG8, which is the shipped one: a kernel takes the same time whatever they are; but the sizes of
a form are chosen by its error on them, and the channels of narrow by their norms (int8 is calibrated on the shipped
sample). Bundles and results are kept in --folder, so that an interrupted run goes on. --export makes the bundles and
measures nothing.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from exported import KINDS, exported

from falcon_edge.bundle import PLAN, bundle_path, open_bundle
from falcon_edge.data.formats import SAMPLE
from falcon_edge.documents import read_document
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.narrow import NARROW
from falcon_edge.falcon.plan import Plan
from falcon_edge.models.sources import BUILTIN
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.shipped import copy_sample_network
from runtime_bench.bench import Protocol
from runtime_bench.results import Entry, load, save

RANKS = 1, 2
INT8 = Int8(SAMPLE, samples=64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("forms"))
    parser.add_argument("--networks", nargs="+", default=["vgg8", "vgg19", "resnet34", "resnet18"])
    parser.add_argument("--device", default="local")
    parser.add_argument("--seconds", type=float, default=1.0, help="of samples back to back a model file")
    parser.add_argument("--ticks", type=int, default=60, help="samples paced, a model file")
    parser.add_argument("--export", action="store_true")
    options = parser.parse_args()
    for network in options.networks:
        folder = options.folder / network
        folder.mkdir(parents=True, exist_ok=True)
        bundles = dict(made(network, folder))
        if options.export:
            continue
        path = folder / f"results-{options.device.replace(':', '-')}.json"
        earlier = load(path) if path.exists() else None
        if earlier is None or any(entry.failure is not None for entry in earlier.entries):
            protocol = Protocol(
                seconds=options.seconds, ticks=options.ticks, processes=2, rounds=4, warm_up_seconds=0.3
            )
            request = BenchRequest(protocol, earlier=earlier)
            save(bench([*bundles.values()], request, device=options.device), path)
        print_table(network, options.device, bundles, load(path).entries)


def made(network: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """What each model is called, and its bundle, exported."""
    standard = bundle_path(folder / "standard")
    if not standard.exists():
        if network == "vgg8":
            copy_sample_network(standard)
        else:
            pack_bundle(Choice(network, input_shape=BUILTIN[network].input_shape), standard, data=SAMPLE)
    yield "standard", exported(standard, INT8)
    for rank in RANKS:
        falcon = bundle_path(folder / f"falcon-{rank}")
        if not falcon.exists():
            compress_bundle(Choice(str(standard)), falcon, rank=rank)
        yield f"falcon, rank {rank}", exported(falcon, INT8)
        plan = read_document(open_bundle(falcon).file(PLAN), Plan)
        for form in (*(name for name in FORMS if name != "falcon"), NARROW):
            bundle = bundle_path(folder / f"{form}-{rank}")
            if not bundle.exists():
                share = plan.planned_macs / plan.macs
                try:
                    compress_bundle(Choice(str(standard)), bundle, target_macs=share, form=form)
                except BadInput:  # it is not that small anywhere: the column of MACs tells
                    compress_bundle(Choice(str(standard)), bundle, rank=1, form=form)
            yield f"{form}, as rank {rank}", exported(bundle, INT8)


def print_table(network: str, device: str, bundles: dict[str, Path], entries: Sequence[Entry]) -> None:
    """A row a model, a column a runtime and precision: the share of the standard network's, which is told itself."""
    unit = "microseconds, back to back / paced" if device == "local" else "millions of instructions"
    head = [f"{precision} {runtime}" for runtime, precision in KINDS]
    print(f"\n| {network}, {device} | M MACs | {' | '.join(head)} |\n|{'---|' * (2 + len(head))}")
    found = {}
    for entry in entries:
        assert entry.runtime is not None, entry.failure
        found[entry.model.name, entry.runtime.name, entry.model.precision] = costs(entry)
    for name, bundle in sorted(bundles.items(), key=lambda each: each[0].partition("rank ")[2]):
        cells = []
        for kind in KINDS:
            mine, standard = found[(bundle.stem, *kind)], found[("standard", *kind)]
            shares = (f"{one / other:.2f}" for one, other in zip(mine, standard, strict=True))
            told = (f"{one:.0f}" if one >= 100 else f"{one:.3g}" for one in mine)
            cells.append(" / ".join(told if name == "standard" else shares))
        title = f"{name}: {unit}" if name == "standard" else name
        print(f"| {title} | {open_bundle(bundle).manifest.macs / 1e6:.1f} | {' | '.join(cells)} |")


def costs(entry: Entry) -> list[float]:
    """Millions of instructions; or medians in microseconds, back to back and paced."""
    if entry.counts is not None:
        return [entry.counts.instructions / 1e6]
    assert entry.summary is not None, entry.failure
    assert entry.paced is not None
    return [entry.summary.p50_ns / 1e3, entry.paced.summary.p50_ns / 1e3]


if __name__ == "__main__":
    main()
