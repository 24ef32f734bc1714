"""Plans against everything that a user would pick instead: accuracy after tuning, and latency, on Fashion-MNIST.

    python benchmarks/frontier.py FOLDER --standard vgg8.falcon --data FASHION_MNIST --step plan      # at rest
    python benchmarks/frontier.py FOLDER --standard vgg8.falcon --data FASHION_MNIST --step tune [--seeds 0 1 2]
    python benchmarks/frontier.py FOLDER --standard vgg8.falcon --data FASHION_MNIST --step measure   # at rest
    python benchmarks/frontier.py FOLDER --standard vgg8.falcon --data FASHION_MNIST --step count --cpu cortex-a72
    python benchmarks/frontier.py FOLDER --step table

Plans are made for int8 on LiteRT and for fp32 on ONNX Runtime, for three shares of the standard network's latency, by
times of its layers at four widths. Rivals: one form in every layer at the MACs of FALCON at rank 1 and 2; networks of
fewer channels and a small MobileNetV2 from scratch; and channels pruned by Torch-Pruning to the MACs of FALCON (by the
magnitudes of groups, where it can be imported: pip install --no-deps --target ELSEWHERE torch-pruning==1.6.1). What
starts from the trained network is tuned for 6 epochs (--epochs) at one learning rate, what does not is trained for 24,
both with the standard network as the teacher. Bundles are kept in FOLDER, rows of accuracy and latency in its .csv
files, so that an interrupted run goes on. --only NAME... makes these cells alone.
"""

import argparse
import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import torch
from exported import KINDS, exported
from mobilenet import mobilenet_v2
from rows import append, mean, read
from torch import nn

from falcon_edge.bundle import bundle_path, open_bundle
from falcon_edge.data import Dataset
from falcon_edge.documents import canonical_json, read_document
from falcon_edge.errors import BelowAsked
from falcon_edge.falcon.cost import cost
from falcon_edge.falcon.plan import Plan, share_plan, uniform_plan
from falcon_edge.manifest import Step
from falcon_edge.network import Network
from falcon_edge.preprocessing import batch_pixels
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.compress import compress
from falcon_edge.steps.evaluations import host_answers
from falcon_edge.steps.judging import judge_for
from falcon_edge.steps.modules import from_module
from falcon_edge.steps.opening import Choice, open_network, open_with_data
from falcon_edge.steps.planning.budgets import Latency
from falcon_edge.steps.planning.planner import planner_for
from falcon_edge.steps.quality import measured_quality
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.times import TimesRequest, time_layers
from falcon_edge.steps.writing import save
from falcon_edge.training.fit import fit
from falcon_edge.training.images import Images
from falcon_edge.training.recipe import Recipe
from runtime_bench.bench import Protocol
from runtime_bench.results import Entry
from runtime_bench.units import BY_NAME

TARGETS = ("litert", "int8"), ("onnxruntime", "fp32")
SHARES = 0.5, 0.35, 0.25
WIDTHS = 0.75, 0.5, 0.35  # of narrower networks: timed for plans, and rivals from scratch
RANKS = 1, 2
FORMS = "falcon", "dsconv", "tucker2"
MOBILE = 0.5, 0.35
EPOCHS, RATE = 6, 0.02
FROM_SCRATCH, FIRST_RATE = 24, 0.1
AFRESH = "narrow", "mobilenetv2"
INT8 = "onnxruntime int8"
PROTOCOL = Protocol(seconds=1.0, processes=3, rounds=4, warm_up_seconds=0.3, ticks=40)
ACCURACY = "network", "cell", "seed", "epochs", "macs", "parameters", "torch", *(f"{r} {p}" for r, p in KINDS)
LATENCY = "network", "cell", "device", "runtime", "precision", "figure", "value", "low", "high"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--standard", type=Path)
    parser.add_argument("--data")
    parser.add_argument("--step", choices=("plan", "tune", "measure", "count", "table"), required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of tuning")
    parser.add_argument("--only", nargs="+", help="names of cells")
    parser.add_argument("--cpu", default="cortex-a76")
    options = parser.parse_args()
    if options.step == "table":
        table(options.folder)
        return
    network, data = open_with_data(Choice(str(options.standard)), options.data)
    assert data is not None
    study = Study(options.folder, network, data, options.epochs)
    if options.step == "plan":
        study.plan()
    elif options.step == "tune":
        study.tune(options.seeds, options.only)
    elif options.step == "measure":
        study.measure("local", PROTOCOL)
    else:
        study.measure(f"arm64:{options.cpu}", Protocol(processes=1))


class Study:
    """The cells of one network."""

    def __init__(self, folder: Path, network: Network, data: Dataset, epochs: int):
        self.network, self.data, self.tuning = network, data, epochs
        self.files, self.folder = folder, folder / network.name
        self.folder.mkdir(parents=True, exist_ok=True)

    def plan(self) -> None:
        """Times and plans."""
        times = self.folder / "times.json"
        for runtime, precision in TARGETS:
            time_layers(self.network, times, TimesRequest(runtime, precision, widths=WIDTHS))
            planner = planner_for(self.network, self.data, Latency(times, runtime, precision))
            for share in SHARES:
                try:
                    found = planner.within(share * planner.standard)
                except BelowAsked as error:
                    print(error)
                    continue
                path = self.folder / f"{runtime}-{precision}-{share:g}.json"
                path.write_bytes(canonical_json(found.plan))
                print(f"{path.stem}: {found.share:.3f} of the latency, width {found.width:g}, loss {found.loss:.3g}")

    def cells(self) -> Iterator[str]:
        """Their names; plans only where they were made."""
        yield "standard"
        yield from (f"{runtime}-{precision}-{share:g}" for runtime, precision in TARGETS for share in SHARES)
        yield from (f"{form}-{rank}" for rank in RANKS for form in FORMS)
        yield from (f"narrow-{width:g}" for width in WIDTHS)
        yield from (f"mobilenetv2-{width:g}" for width in MOBILE)
        if find_spec("torch_pruning") is not None:
            yield from (f"pruned-{rank}" for rank in RANKS)

    def plan_of(self, cell: str) -> Plan | None:
        """What a cell's network is made by; None: not by a plan, or there is none."""
        path = self.folder / f"{cell}.json"
        if path.exists():
            return read_document(path, Plan)
        form, _, rank = cell.rpartition("-")
        if form not in FORMS:
            return None
        module, shape = self.network.module, self.network.input.shape
        falcon = uniform_plan(module, shape, int(rank))
        return falcon if form == "falcon" else share_plan(module, shape, falcon.planned_macs / falcon.macs, form=form)

    def tune(self, seeds: Sequence[int], only: Sequence[str] | None) -> None:
        """Accuracies."""
        rows = self.files / "accuracy.csv"
        done = {(row["network"], row["cell"], row["seed"], row["epochs"]) for row in read(rows)}
        for seed in seeds:
            for cell in self.cells():
                own = self.network.name, cell, str(seed), str(self.epochs(cell))
                if own in done or (only and cell not in only):
                    continue
                bundle = self.bundle(cell, seed)
                if bundle is not None:
                    append(rows, ACCURACY, self.row(cell, seed, bundle))

    def bundle(self, cell: str, seed: int, *, tuned: bool = True) -> Path | None:
        """A cell's bundle with its four files, made if it is not there; None for a plan that could not be made.

        Not tuned it computes as much, which is all that a latency depends on.
        """
        longer = f"-{self.tuning}" if self.tuning != EPOCHS else ""
        path = bundle_path(self.folder / (f"{cell}-{seed}{longer}" if tuned else f"{cell}-untuned"))
        if not path.exists():
            made = self.made(cell, seed, tuned=tuned)
            if made is None:
                return None
            save(made, path, self.data)
        return exported(path, Int8(self.data, accept_loss=True))

    def made(self, cell: str, seed: int, *, tuned: bool) -> Network | None:
        """Tuned or trained, or as it is before that."""
        epochs = self.epochs(cell) if tuned else 0
        recipe = Recipe(epochs=epochs, learning_rate=RATE, batch_size=64, seed=seed)
        if cell == "standard":
            return self.network
        kind, _, number = cell.partition("-")
        if kind in AFRESH:
            fresh = self.narrow(float(number)) if kind == "narrow" else self.mobile(float(number))
            return self.taught(fresh, replace(recipe, learning_rate=FIRST_RATE, batch_size=128))
        if kind == "pruned":
            return self.taught(self.pruned(int(number)), recipe)
        plan = self.plan_of(cell)
        if plan is None:
            return None
        return compress(self.network, replace(self.data, test=None), plan=plan, recipe=recipe)

    def epochs(self, cell: str) -> int:
        """For how many a cell is tuned, or trained."""
        return 0 if cell == "standard" else FROM_SCRATCH if cell.partition("-")[0] in AFRESH else self.tuning

    def narrow(self, width: float) -> Network:
        """Fewer channels everywhere, fresh weights."""
        own = self.network.architecture
        width *= own.width
        shape, classes = self.network.input.shape, len(self.network.labels)
        choice = Choice(own.source, input_shape=shape, num_classes=classes, width=width)
        torch.manual_seed(0)
        return replace(open_network(choice), input=self.network.input, labels=self.network.labels)

    def mobile(self, width: float) -> Network:
        """A small MobileNetV2, fresh weights."""
        torch.manual_seed(0)
        return self.like(mobilenet_v2(len(self.network.labels), self.network.input.shape[0], width))

    def pruned(self, rank: int) -> Network:
        """Channels pruned until the MACs are those of FALCON."""
        import torch_pruning

        shape = self.network.input.shape
        wanted = uniform_plan(self.network.module, shape, rank).planned_macs
        for lanes, ratio in product((16, 8, 4), np.linspace(0.02, 0.98, 49)):
            module = copy.deepcopy(self.network.module)
            last = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]
            pruner = torch_pruning.pruner.MagnitudePruner(
                *(module, torch.zeros(1, *shape)),
                importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
                pruning_ratio=float(ratio),
                ignored_layers=[last],
                round_to=lanes,
            )
            pruner.step()
            if cost(module, shape).macs <= wanted:
                return self.like(module)
        raise SystemExit(f"no ratio prunes to {wanted} MACs")

    def like(self, module: nn.Module) -> Network:
        """A module that takes the same images."""
        spec = self.network.input
        example = torch.zeros(1, *spec.shape)
        found = from_module(module, example, labels=self.network.labels, mean=spec.mean, std=spec.std)
        return replace(found, input=spec)

    def taught(self, network: Network, recipe: Recipe) -> Network:
        """Trained in place, with the same teacher."""
        training, validation = (Images(split, network.input) for split in self.data.train_and_val())
        fit(network.module, training, validation, replace(recipe, distillation=0.9), teacher=self.network.module)
        return network.after(Step(verb="train", options={"epochs": recipe.epochs}, data=self.data.name))

    def row(self, cell: str, seed: int, bundle: Path) -> dict[str, object]:
        """Top-1 of a bundle's network in memory and of its files."""
        manifest = open_bundle(bundle).manifest
        split = self.data.require("test")
        judge = judge_for(split, manifest.input, manifest.outputs, "top1", where=self.data.name)
        pixels = batch_pixels(split.images, manifest.input)
        found: dict[str, object] = {"network": self.network.name, "cell": cell, "seed": seed}
        found |= {"epochs": self.epochs(cell), "macs": manifest.macs, "parameters": manifest.parameters}
        for export in manifest.exports:
            runtime = "onnxruntime" if export.target == "onnx" else "litert"
            answers = host_answers(judge, bundle / export.file, pixels, manifest.input)
            found[f"{runtime} {export.precision}"] = judge.judged(answers)[0].value
        (quality,) = measured_quality(open_network(Choice(str(bundle))), self.data, "test", split, None)
        return {**found, "torch": quality.value}

    def measure(self, device: str, protocol: Protocol) -> None:
        """Latencies, or instructions, of all cells in one run, whatever of them is tuned yet."""
        made = {cell: self.bundle(cell, 0, tuned=False) for cell in self.cells()}
        bundles = {cell: path for cell, path in made.items() if path is not None}
        results = bench([*bundles.values()], BenchRequest(protocol), device=device)
        named = [cell for cell in bundles for _ in KINDS]
        rows = self.files / "latency.csv"
        kept = [row for row in read(rows) if (row["network"], row["device"]) != (self.network.name, device)]
        rows.unlink(missing_ok=True)
        for row in kept:
            append(rows, LATENCY, row)
        for cell, entry in zip(named, results.entries, strict=True):
            for figure, value, low, high in figures(entry):
                own = {"network": self.network.name, "cell": cell, "device": device, "figure": figure}
                assert entry.runtime is not None
                own |= {"runtime": entry.runtime.name, "precision": entry.model.precision}
                append(rows, LATENCY, {**own, "value": value, "low": low, "high": high})


def figures(entry: Entry) -> Iterator[tuple[str, float, float | str, float | str]]:
    """What was measured, in microseconds, or what was counted, in millions."""
    if entry.counts is not None:
        yield "instructions", entry.counts.instructions / 1e6, "", ""
        return
    for way, timing in entry.timings.items():
        low, high = ("", "") if timing.intervals is None else (end / 1e3 for end in timing.intervals.p50_ns)
        yield way, timing.summary.p50_ns / 1e3, low, high


def table(folder: Path) -> None:
    """A row a cell and length: mean top-1 over seeds with its 95% interval (Student's; of one seed there is none), and
    the share of the standard network's latency in all four.

    Then a row a cell: the share of its instructions on emulated CPUs.
    """
    accuracies, latencies = read(folder / "accuracy.csv"), read(folder / "latency.csv")
    for network in dict.fromkeys(row["network"] for row in accuracies):
        figured = [row for row in latencies if row["network"] == network]
        cells = [*dict.fromkeys(row["cell"] for row in figured)]
        timed, counted = (
            [*dict.fromkeys(row["device"] for row in figured if (row["figure"] == "instructions") == emulated)]
            for emulated in (False, True)
        )
        heads = ["epochs", "seeds", "M MACs", "top-1 fp32", "top-1 int8"]
        _head(network, *heads, *_columns(timed))
        own = [row for row in accuracies if row["network"] == network]
        made = {(cells.index(row["cell"]), int(row["epochs"])) for row in own}
        for cell, epochs in ((cells[place], epochs) for place, epochs in sorted(made)):
            rows = [row for row in own if (row["cell"], int(row["epochs"])) == (cell, epochs)]
            means = [mean([100 * float(row[name]) for row in rows]) for name in ("torch", INT8)]
            shares = [share(figured, cell, device, *kind) for device in timed for kind in KINDS]
            macs = f"{int(rows[0]['macs']) / 1e6:.1f}"
            print(f"| {' | '.join([called(cell), str(epochs), str(len(rows)), macs, *means, *shares])} |")
        if counted:
            print()
            _head(network, *_columns(counted))
        for cell in cells if counted else []:
            shares = [share(figured, cell, device, *kind) for device in counted for kind in KINDS]
            print(f"| {' | '.join([called(cell), *shares])} |")


def _head(*names: str) -> None:
    print(f"| {' | '.join(names)} |\n{'|---' * len(names)}|")


def _columns(devices: Sequence[str]) -> list[str]:
    """What a device is called, and what was run there."""
    return [f"{device.removeprefix('arm64:')}, {p} {BY_NAME[r].title}" for device in devices for r, p in KINDS]


def called(cell: str) -> str:
    """A cell in words."""
    kind, _, number = cell.rpartition("-")
    said = {
        **{
            f"{runtime}-{precision}": f"**plan, {precision} {BY_NAME[runtime].title}**,"
            for runtime, precision in TARGETS
        },
        **{form: f"{form} at the MACs of rank" for form in FORMS},
        "falcon": "FALCON, rank",
        "narrow": "narrower, width",
        "mobilenetv2": "MobileNetV2, width",
        "pruned": "Torch-Pruning to the MACs of rank",
    }
    return f"{said[kind]} {number}" if kind else cell


def share(rows: Sequence[dict[str, str]], cell: str, device: str, runtime: str, precision: str) -> str:
    """Of the standard network's, back to back and paced; or its own figure where it is that."""
    said = []
    for figure in ("back to back", "paced", "instructions"):
        of = {
            row["cell"]: float(row["value"])
            for row in rows
            if (row["device"], row["runtime"], row["precision"], row["figure"]) == (device, runtime, precision, figure)
        }
        if cell in of:
            own = f"{of[cell]:.1f}" if figure == "instructions" else f"{of[cell]:.0f}"
            said.append(own if cell == "standard" else f"{of[cell] / of['standard']:.2f}")
    return " / ".join(said)


if __name__ == "__main__":
    main()
