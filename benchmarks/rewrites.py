"""Exact rewrites for int8: each network with and without them, on both runtimes, in turns.

    python benchmarks/rewrites.py [--networks vgg8 vgg19 resnet34 resnet18] [--ranks 0 1] [--cpu any|x86-vnni]
    python benchmarks/rewrites.py --places [--device arm64:cortex-a76]

Fresh weights: a convolution takes the same time whatever its weights are. Rank 0 is the standard network. Also with the
channels of the shipped network at five eighths (of which 40 are no multiple of 16), and with the stem of ResNet18 left
in float. --places: small networks around one place each, rewritten wherever that is possible, which is what the rules
record. One thread, the shortest inference of every burst (nothing else that runs is in it): how many times as fast,
with its 95% interval; on an emulated CPU how many times fewer instructions.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from converters.formats import FORMATS, Format, Source
from converters.onnx_export import export_onnx
from converters.onnx_graph import OnnxGraph, load
from converters.passes.rewrites import Applied, Place, rewritten
from converters.passes.rewrites.rules import CPUS, FOR_ONNX_RUNTIME, Never, Recorded, Rules
from converters.quantization.quantize import quantize
from falcon_edge.models.sources import BUILTIN
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.compress import compress
from falcon_edge.steps.opening import Choice, open_network
from runtime_bench.bench import Protocol
from runtime_bench.results import Burst, Entry
from runtime_bench.runtimes import runtime_for
from runtime_bench.stats import paired_ratio

FORMS = [form for form in FORMATS if form.source == form.suffix]
IMAGES = 4
NARROW = 0.625


@dataclass(frozen=True)
class Case:
    """A float graph, the images that it is calibrated with, and whether its first convolution stays in float."""

    name: str
    path: Path
    images: np.ndarray
    float_stem: bool = False


class Wherever:
    """Rules that want a rewrite wherever it is possible; what is made for ONNX Runtime alone only there."""

    def wants(self, runtime: str, place: Place) -> bool:
        """See Rules.wants."""
        return runtime == "onnxruntime" or place.rewrite not in FOR_ONNX_RUNTIME


class Factors(nn.Module):
    """A FALCON layer: a sum of pairs of a pointwise and a depthwise convolution."""

    def __init__(self, inputs: int, outputs: int, rank: int, stride: int):
        super().__init__()
        self.pointwise = nn.ModuleList(nn.Conv2d(inputs, outputs, 1, bias=False) for _ in range(rank))
        self.depthwise = nn.ModuleList(
            nn.Conv2d(outputs, outputs, 3, stride, 1, groups=outputs, bias=not index) for index in range(rank)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The sum of the branches."""
        pairs = zip(self.pointwise, self.depthwise, strict=True)
        first, *rest = (depthwise(pointwise(x)) for pointwise, depthwise in pairs)
        return torch.relu(sum(rest, start=first))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["vgg8", "vgg19", "resnet34", "resnet18"], choices=BUILTIN)
    parser.add_argument("--ranks", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--cpu", choices=CPUS, default=CPUS[0], help="the recorded rules of which kind")
    parser.add_argument("--places", action="store_true")
    parser.add_argument("--only", default="", help="cases that have this in their names")
    parser.add_argument("--device", default="local")
    parser.add_argument("--seconds", type=float, default=3.0, help="of samples a model file")
    options = parser.parse_args()
    unit = "instructions, millions" if options.device.startswith("arm64") else "µs"
    print(f"| network | runtime | rewrites | without, {unit} | with, {unit} | times as fast (95%) |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rules: Rules = Wherever() if options.places else Recorded(options.cpu)
        found = places(Path(folder)) if options.places else networks(options.networks, options.ranks, Path(folder))
        for case in found:
            for form in FORMS if options.only in case.name else ():
                print(f"| {case.name} | {row(case, form, rules, options.seconds, options.device)} |", flush=True)


def networks(names: Sequence[str], ranks: Sequence[int], folder: Path) -> Iterator[Case]:
    """Every network at every rank, and the two variants."""
    for name in names:
        for rank in ranks:
            case = network(name, rank, 1.0, folder)
            yield case
            if (name, rank) == ("resnet18", 1):
                yield Case(f"{case.name}, stem in float", case.path, case.images, float_stem=True)
            if (name, rank) == ("vgg8", 1):
                yield network(name, rank, NARROW, folder)


def network(name: str, rank: int, width: float, folder: Path) -> Case:
    """A network with fresh weights, its normalisation estimated."""
    opened = open_network(Choice(name, input_shape=BUILTIN[name].input_shape, width=width))
    module = (compress(opened, rank=rank) if rank else opened).module
    wide = "" if width == 1 else f" {width:g} wide"
    return exported(f"{name}{wide}, {f'rank {rank}' if rank else 'standard'}", module, opened.input.shape, folder)


def places(folder: Path) -> Iterator[Case]:
    """Small networks around one place each."""
    stems = [
        *((3, 7, 2, 224, 64), (3, 5, 2, 64, 32), (3, 3, 2, 224, 32), (1, 3, 2, 28, 32), (4, 3, 2, 128, 32)),
        *((8, 3, 2, 64, 32), (1, 3, 1, 28, 32), (1, 5, 1, 28, 16), (2, 3, 1, 32, 32)),
        *((3, 3, 1, 32, 64), (3, 3, 1, 224, 64), (6, 3, 1, 32, 32)),
    ]
    for channels, kernel, stride, size, outputs in stems:
        stem = nn.Conv2d(channels, outputs, kernel, stride, kernel // 2), nn.ReLU(), nn.MaxPool2d(2)
        name = f"{kernel}x{kernel} / {stride}, {channels} to {outputs} channels, {size} pixels"
        yield exported(name, nn.Sequential(*stem), (channels, size, size), folder)
    for channels, size in ((8, 28), (24, 14), (40, 28), (56, 14), (100, 14)):
        windows = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels)
        layers = nn.Conv2d(16, channels, 1), windows, nn.ReLU(), nn.Conv2d(channels, 16, 1)
        yield exported(
            f"depthwise, {channels} channels, {size} pixels", nn.Sequential(*layers), (16, size, size), folder
        )
    for inputs, outputs, rank, stride in (
        *((3, 64, 1, 1), (4, 32, 1, 1), (8, 16, 1, 1), (12, 24, 1, 1), (16, 32, 1, 1), (16, 32, 2, 1), (24, 24, 2, 1)),
        *((32, 32, 2, 1), (32, 32, 3, 1), (48, 48, 3, 1), (64, 64, 3, 1), (32, 64, 2, 2), (64, 128, 2, 2)),
    ):
        name = f"FALCON rank {rank} / {stride}, {inputs} to {outputs} channels, 28 pixels"
        yield exported(name, Factors(inputs, outputs, rank, stride), (inputs, 28, 28), folder)


def exported(name: str, module: nn.Module, shape: tuple[int, ...], folder: Path) -> Case:
    """A module as a float graph, its normalisation estimated on the images that it is calibrated with."""
    images = torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(0))
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        module.train()(images)
    path = folder / "float.onnx"
    export_onnx(module.eval(), images[:1], path, simplify=False)
    return Case(name, path, images.numpy())


def row(case: Case, form: Format, rules: Rules, seconds: float, device: str) -> str:
    """Both files of a case in turns, or that there is but one."""
    title = runtime_for(form.suffix).title
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, f"without{form.suffix}"), Path(folder, f"with{form.suffix}")
        written(case, form, paths[0], Never())
        applied = written(case, form, paths[1], rules)
        if not applied.nodes:
            return f"{title} | none | | | "
        protocol = Protocol(seconds=seconds, processes=5, rounds=8)
        without, rewrote = bench(paths, BenchRequest(protocol), device=device).entries
    return f"{title} | {', '.join(applied.nodes)} | {compared(without, rewrote)}"


def compared(without: Entry, rewrote: Entry) -> str:
    """Instructions, or latencies, and their ratio."""
    assert without.failure is None, without.failure
    assert rewrote.failure is None, rewrote.failure
    if without.counts is not None and rewrote.counts is not None:
        one, other = without.counts.instructions, rewrote.counts.instructions
        return f"{one / 1e6:.3f} | {other / 1e6:.3f} | {one / other:.2f}"
    before, after = (least(entry.timings["back to back"].bursts) for entry in (without, rewrote))
    paired = paired_ratio(before, after)
    assert paired is not None
    ratio, (low, high) = paired
    times = " | ".join(f"{min(burst.samples_ns[0] for burst in each) / 1e3:.1f}" for each in (before, after))
    return f"{times} | {ratio:.3f} ({low:.3f}..{high:.3f})"


def least(bursts: Sequence[Burst]) -> list[Burst]:
    """The shortest inference of every burst."""
    return [burst.model_copy(update={"samples_ns": (min(burst.samples_ns),)}) for burst in bursts]


def written(case: Case, form: Format, path: Path, rules: Rules) -> Applied:
    """Write the int8 file that `rules` want; which rewrites were applied."""
    first = OnnxGraph(load(case.path)).nodes[0].output[0]
    made = quantize(case.path, case.images, rules=rules, kept={first: "as asked"} if case.float_stem else {})
    assert bool(made.spec.kept) == case.float_stem
    with rewritten(made.model, made.spec, form.runtime, rules) as found:
        form.write(Source(found.model, found.spec), path)
        return made.multiplied + found.applied


if __name__ == "__main__":
    main()
