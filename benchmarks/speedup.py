"""Standard against FALCON on this machine, back to back, paced and cold: both runtimes, one interleaved run a network.

    python benchmarks/speedup.py [--networks vgg8 vgg19 resnet34 resnet18] [--rank 1] [--precision fp32 int8]

Fresh weights: a convolution takes the same time whatever its weights are (int8 is calibrated on the shipped sample).
Prints falcon-edge's own comparison.
"""

import argparse
import tempfile
from pathlib import Path

from exported import exported_pair
from rich.console import Console

from falcon_edge.cli.results_tables import comparison_table
from falcon_edge.steps.bench import BenchRequest, bench
from runtime_bench.bench import Protocol
from runtime_bench.compare import compare
from runtime_bench.results import save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["vgg8", "vgg19", "resnet34", "resnet18"])
    parser.add_argument("--rank", type=int, default=1)
    parser.add_argument("--precision", nargs="+", default=["fp32", "int8"], choices=("fp32", "int8"))
    parser.add_argument("--seconds", type=float, default=3.0, help="of samples back to back a model file")
    parser.add_argument("--ticks", type=int, default=150, help="samples paced, and cold, a model file")
    parser.add_argument("--output", type=Path, help="a folder for the results, NETWORK.json each")
    options = parser.parse_args()
    for network in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            pair = exported_pair(network, options.rank, options.precision, Path(folder))
            protocol = Protocol(seconds=options.seconds, rounds=4, ticks=options.ticks, cold=True)
            results = bench(pair, BenchRequest(protocol))
        if options.output is not None:
            options.output.mkdir(parents=True, exist_ok=True)
            save(results, options.output / f"{network}.json")
        print(f"{network}, rank {options.rank}, 1 thread, {results.before.cpu}")
        Console(width=160).print(comparison_table(compare([results])))


if __name__ == "__main__":
    main()
