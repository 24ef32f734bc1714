"""Layers timed by themselves and added up, against whole networks measured: the error over many plans.

    python benchmarks/prediction.py [--networks vgg19 resnet34 resnet18] [--folder DIR]

For every network, runtime and precision the layers of all plans are timed (falcon-edge times), then the networks are
measured in one interleaved run: back to back, with emptied caches, and paced, which the cold times predict. Fresh
weights: a layer takes the same time whatever they are. DIR keeps plans, models, times and results, so that what is
there is not made again; `--prepare` makes only what needs no machine at rest.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from falcon_edge.documents import canonical_json, read_document
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.plan import Plan, make_plan, share_plan, uniform_plan
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.planning.predictor import Predictor
from falcon_edge.steps.planning.units import export
from falcon_edge.steps.times import TimesRequest, time_layers
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.names import device_named
from runtime_bench.results import load, save
from runtime_bench.runtimes import runtime_named

NETWORKS = {
    "vgg19": Choice("vgg19", input_shape=(3, 32, 32), num_classes=10),
    "resnet34": Choice("resnet34", input_shape=(3, 32, 32), num_classes=10),
    "resnet18": Choice("torchvision:resnet18", input_shape=(3, 224, 224), num_classes=1000),
}
FORMS = ("dsconv", "tucker2", "lowrank_in", "spatial")
WAYS = {"back to back": "back to back", "cold": "cold", "paced": "cold"}  # by which times
PROTOCOL = Protocol(processes=2, rounds=2, seconds=0.4, runs=40, warm_up_seconds=0.1, cold=True, ticks=16)


def plans_of(network, folder):
    """Fourteen plans by name, kept in a folder."""
    found = {}

    def kept(name, make):
        path = folder / f"{name}.json"
        if not path.exists():
            path.write_bytes(canonical_json(make()))
        found[name] = read_document(path, Plan)

    module, shape = network.module, network.input.shape
    kept("standard", lambda: make_plan(module, shape, {}))
    for rank in (1, 2):
        kept(f"falcon-{rank}", lambda rank=rank: uniform_plan(module, shape, rank))
        share = found[f"falcon-{rank}"].planned_macs / found["standard"].macs
        for form in FORMS:
            kept(f"{form}-as-{rank}", lambda share=share, form=form: at_most(module, shape, share, form))
    names = [layer.name for layer in found["falcon-1"].layers if layer.replacement is not None]

    def mixed(*parts):
        """Every layer in turn, or by its place in the network, from one of the plans."""
        replaced = {name: found[part].replaced.get(name) for name, part in zip(names, parts, strict=True)}
        return make_plan(module, shape, {name: each for name, each in replaced.items() if each is not None})

    half, count = len(names) // 2, len(names)
    kept("tucker2-then-falcon", lambda: mixed(*["tucker2-as-1"] * half, *["falcon-1"] * (count - half)))
    kept("standard-then-falcon", lambda: mixed(*["standard"] * half, *["falcon-1"] * (count - half)))
    turns = ("falcon-1", "tucker2-as-2", "dsconv-as-1", "spatial-as-2", "lowrank_in-as-1", "standard")
    kept("all-in-turn", lambda: mixed(*(turns[number % len(turns)] for number in range(count))))
    return found


def at_most(module, shape, share, form):
    """A form at a share of the MACs, or at its smallest where that has more."""
    try:
        return share_plan(module, shape, share, form=form)
    except BadInput:
        return uniform_plan(module, shape, 1, form=form)


def exported(network, plans, runtime, precision, folder):
    """The whole networks, as files of a runtime."""
    suffix = runtime_named(runtime).suffixes[0]
    for name, plan in plans.items():
        path = folder / f"{name}-{precision}{suffix}"
        if not path.exists():
            module = surgery.apply(network.module, plan.replaced, fit=False)
            export(module, network.input.shape, suffix, precision, path, simplify=True)
        yield Candidate(path, runtime, name, suffix[1:], precision)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=[*NETWORKS], choices=NETWORKS)
    parser.add_argument("--runtimes", nargs="+", default=["onnxruntime", "litert"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "int8"])
    parser.add_argument("--device", default="local")
    parser.add_argument("--folder", type=Path, help="keeps what is made")
    parser.add_argument("--prepare", action="store_true", help="make plans and models, measure nothing")
    parser.add_argument("--each", action="store_true", help="a row for every plan, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run(options, options.folder or Path(scratch))


def run(options, folder):
    rows, each = [], []
    for name in options.networks:
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        network = open_network(NETWORKS[name])
        plans = plans_of(network, place)
        for runtime in options.runtimes:
            for precision in options.precisions:
                candidates = [*exported(network, plans, runtime, precision, place)]
                if options.prepare:
                    continue
                began = time.monotonic()
                request = TimesRequest(runtime, precision, plans=tuple(plans.values()))
                series = time_layers(network, folder / "times.json", request, device=options.device)
                took = time.monotonic() - began
                results = measured(candidates, options.device, place / f"{runtime}.{precision}.json")
                for way, by in WAYS.items():
                    found = errors(Predictor(network, series, by), plans, results, way)
                    worst = max(found, key=lambda plan: abs(found[plan][2]))
                    off = np.array([abs(error) for _, _, error in found.values()])
                    cell = f"| {name} | {runtime} | {precision} | {way} |"
                    rows.append(
                        f"{cell} {len(found)} | {100 * np.median(off):.1f}% | {100 * np.mean(off <= 0.1):.0f}% "
                        f"| {100 * found[worst][2]:+.1f}% ({worst}) | {took:.0f} |"
                    )
                    print(rows[-1], flush=True)
                    each += [
                        f"{cell} {plan} | {said:.1f} | {was:.1f} | {100 * error:+.1f}% |"
                        for plan, (said, was, error) in found.items()
                    ]
    if not options.prepare:
        print(
            "\n| network | runtime | precision | way | plans | median error | within 10% | largest | seconds to time |"
        )
        print("|---|---|---|---|---|---|---|---|---|", *rows, sep="\n")
        if options.each:
            print("\n| network | runtime | precision | way | plan | predicted µs | measured µs | error |")
            print("|---|---|---|---|---|---|---|---|", *each, sep="\n")
        (folder / "errors.json").write_text(json.dumps(each, indent=1))


def measured(candidates, device, path):
    """Results of one interleaved run."""
    if not path.exists():
        opened = device_named(device)
        try:
            save(bench(candidates, opened, PROTOCOL), path)
        finally:
            opened.close()
    return load(path)


def errors(predictor, plans, results, way):
    """By plan: microseconds predicted and measured, and the error of the former."""
    found = {}
    for entry in results.entries:
        timing = {"back to back": entry, "cold": entry.cold, "paced": entry.paced}[way]
        was, said = timing.summary.p50_ns / 1e3, 1e6 * predictor.predict(plans[entry.model.name]).value
        found[entry.model.name] = said, was, said / was - 1
    return found


if __name__ == "__main__":
    main()
