"""Where the time goes that a cold inference takes longer than one back to back, and whether the parts make the whole.

    python benchmarks/why.py [--networks vgg8 vgg19 resnet34] [--rank 1] [--precision fp32 int8]

The parts are found apart from the whole: the runtime's call by a network of one Relu, memory and operators by layers
that are measured cold (`runtime_bench.why.cold_cost`, which `bench --profile --cold` prints). Fresh weights, as in
speedup.py.
"""

import argparse
import tempfile
from pathlib import Path

from exported import exported_pair

from falcon_edge.steps.bench import BenchRequest, bench
from runtime_bench.bench import Protocol
from runtime_bench.why import ColdCost, cold_cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["vgg8", "vgg19", "resnet34"])
    parser.add_argument("--rank", type=int, default=1)
    parser.add_argument("--precision", nargs="+", default=["fp32", "int8"], choices=("fp32", "int8"))
    parser.add_argument("--ticks", type=int, default=300, help="samples cold a model file")
    options = parser.parse_args()
    print("| file | runtime | cold | longer by | the call | memory | operators | the parts together |")
    print("|---|---|---|---|---|---|---|---|")
    for network in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            pair = exported_pair(network, options.rank, options.precision, Path(folder))
            protocol = Protocol(seconds=1.0, rounds=4, ticks=options.ticks, every=0, cold=True)
            results = bench(pair, BenchRequest(protocol, profile=True))
        for entry in results.entries:
            assert results.peaks is not None
            assert entry.cold is not None
            cost = cold_cost(entry, results.peaks)
            parts = ["not longer"] if cost is None else _parts(cost)
            file = f"{entry.model.name} {entry.model.precision}"
            cold = f"{entry.cold.summary.p50_ns / 1e3:.0f} µs"
            print("|", " | ".join([file, entry.model.target, cold, *parts]), "|", flush=True)


def _parts(cost: ColdCost) -> list[str]:
    parts = [f"{part / 1e3:.0f} µs" for part in (cost.whole, cost.call, cost.memory, cost.operators)]
    return [*parts, f"{100 * cost.explained:.0f}%"]


if __name__ == "__main__":
    main()
