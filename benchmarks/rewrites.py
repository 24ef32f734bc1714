"""Exact rewrites for int8: each network with and without them, on both runtimes, in turns.

    python benchmarks/rewrites.py [--networks vgg8 vgg19 resnet34 resnet18] [--ranks 0 1] [--seconds 3]

Fresh weights: a convolution takes the same time whatever its weights are. Rank 0 is the standard network. Also with the
channels of the shipped network at five eighths, of which 40 are no multiple of 16, and with the stem of ResNet18
left in float. One thread; how many times as fast, with its 95% interval. Files that are rewritten alone are measured.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from converters.formats import FORMATS, Format, Source
from converters.onnx_export import export_onnx
from converters.onnx_graph import OnnxGraph, load
from converters.passes.rewrites import Applied, rewritten
from converters.passes.rewrites.rules import RECORDED, Never, Rules
from converters.quantization.quantize import quantize
from falcon_edge.models.sources import BUILTIN
from falcon_edge.steps.compress import compress
from falcon_edge.steps.opening import Choice, open_network
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["vgg8", "vgg19", "resnet34", "resnet18"], choices=BUILTIN)
    parser.add_argument("--ranks", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--seconds", type=float, default=3.0, help="of samples a model file")
    options = parser.parse_args()
    print("| network | runtime | rewrites | without | with | times as fast (95%) |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(options.networks, options.ranks, Path(folder)):
            for form in FORMS:
                print(f"| {case.name} | {row(case, form, options.seconds)} |", flush=True)


def cases(networks: list[str], ranks: list[int], folder: Path) -> Iterator[Case]:
    """Every network at every rank, and the two variants."""
    for network in networks:
        for rank in ranks:
            case = exported(network, rank, 1.0, folder)
            yield case
            if network == "resnet18" and rank == 1:
                yield Case(f"{case.name}, stem in float", case.path, case.images, float_stem=True)
            if network == "vgg8" and rank == 1:
                yield exported(network, rank, NARROW, folder)


def exported(network: str, rank: int, width: float, folder: Path) -> Case:
    """A network with fresh weights, its normalisation estimated, as a float graph."""
    shape = BUILTIN[network].input_shape
    opened = open_network(Choice(network, input_shape=shape, width=width))
    module = (compress(opened, rank=rank) if rank else opened).module
    images = torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(0))
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        module.train()(images)
    name = f"{network}{'' if width == 1 else f' {width:g} wide'}, {f'rank {rank}' if rank else 'standard'}"
    path = folder / f"{name}.onnx"
    export_onnx(module.eval(), images[:1], path, simplify=False)
    return Case(name, path, images.numpy())


def row(case: Case, form: Format, seconds: float) -> str:
    """Both files of a case in turns, or that there is but one."""
    runtime = runtime_for(form.suffix)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, f"without{form.suffix}"), Path(folder, f"with{form.suffix}")
        written(case, form, paths[0], Never())
        applied = written(case, form, paths[1], RECORDED)
        if not applied.nodes:
            return f"{runtime.title} | none | | |"
        candidates = [Candidate(path, runtime.name, path.stem, form.name, "int8") for path in paths]
        found = bench(candidates, LocalDevice(), Protocol(seconds=seconds, processes=6, rounds=6)).entries
    without, rewrote = (entry.timings["back to back"] for entry in found)
    paired = paired_ratio(without.bursts, rewrote.bursts)
    assert paired is not None
    ratio, (low, high) = paired
    times = " | ".join(f"{each.summary.p50_ns / 1e3:.1f} µs" for each in (without, rewrote))
    return f"{runtime.title} | {', '.join(applied.nodes)} | {times} | {ratio:.3f} ({low:.3f}..{high:.3f})"


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
