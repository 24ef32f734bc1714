"""How often the gate is right: A/A comparisons, and slowdowns that are planted.

    python benchmarks/gate.py [--same 300] [--planted 100] [--slowdown 0.10] [--file gate.jsonl]
                              [--patience SECONDS] [--burners 2] [--results] [--paced]

Compares the shipped network with itself, as `falcon-edge check` does, under PROTOCOL. For a planted slowdown the new
model's workers do real work after each inference, multiplying matrices for a share of the time that it took. --burners
are processes that keep as many CPUs busy meanwhile, the first ones first. --results: two results files that were
measured one after the other are compared, and not models in turns. --paced: it is about paced latency. Verdicts are
appended to --file, so that an interrupted run goes on; the table counts them, with Clopper-Pearson bounds (95%,
one-sided).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scipy.stats import binomtest

from falcon_edge.steps.bench import BenchRequest, Selection, bench_groups
from falcon_edge.steps.check import PROTOCOL as CHECKED
from falcon_edge.steps.check import Checked, check_models
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.shipped import copy_sample_network
from runtime_bench.bench import Protocol
from runtime_bench.devices.local import LocalDevice
from runtime_bench.regression import Tolerances
from runtime_bench.results import save

PROTOCOL = Protocol(runs=800, seconds=2.0, processes=8, rounds=12, warm_up_runs=5, warm_up_seconds=0.02, every=0)
PACED = Protocol(
    runs=96, seconds=0.0, processes=8, rounds=12, warm_up_runs=5, warm_up_seconds=0.02, ticks=CHECKED.ticks
)
ANY = 9.0  # the tolerance of what it is not about
SELECTION = Selection(runtimes=["onnxruntime"])
PLANTED = """
import runpy, sys, time
import numpy
worker = runpy.run_path(sys.argv[1], run_name="worker")
load, (left, right) = worker["Worker"].load, numpy.ones((2, 16, 16), "float32")
def slowed(self, **request):
    reply, run = load(self, **request), self.model.run
    def slow(value):
        started = time.perf_counter()
        found = run(value)
        until = time.perf_counter() + SHARE * (time.perf_counter() - started)
        while time.perf_counter() < until:
            left @ right
        return found
    self.model.run = slow
    return reply
worker["Worker"].load = slowed
sys.path[:] = sys.path[1:]
worker["main"]()
"""


class Planted(LocalDevice):
    """Every other worker, which is the new model's, is slower by a share; with every=1 each of them."""

    def __init__(self, share: float, every: int = 2):
        super().__init__()
        self._share, self._every, self._started = share, every, 0

    def start_worker(self):
        """The new model's and the baseline's in turns."""
        slow = self._started % self._every == 0
        self._started += 1
        script = PLANTED.replace("SHARE", str(self._share))
        self._python = (sys.executable, "-c", script) if slow else (sys.executable,)
        return super().start_worker()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--same", type=int, default=300)
    parser.add_argument("--planted", type=int, default=100)
    parser.add_argument("--slowdown", type=float, default=0.10)
    parser.add_argument("--file", type=Path, default=Path("gate.jsonl"))
    parser.add_argument("--patience", type=float)
    parser.add_argument("--burners", type=int, default=0)
    parser.add_argument("--results", action="store_true")
    parser.add_argument("--paced", action="store_true")
    options = parser.parse_args()
    wanted = {0.0: options.same, options.slowdown: options.planted}
    with tempfile.TemporaryDirectory() as folder, burning(options.burners):
        bundle = copy_sample_network(Path(folder, "standard"))
        export_bundle(bundle, ("onnx",))
        done = read(options.file)
        # One of each in turns, so that both meet the machine in the same moods.
        while any(len(done.get(share, [])) < count for share, count in wanted.items()):
            for share, count in wanted.items():
                if len(done.get(share, [])) < count:
                    protocol, figure = (PACED, "paced") if options.paced else (PROTOCOL, "latency")
                    row = (
                        compared_results(bundle, share, protocol, figure)
                        if options.results
                        else compared(bundle, share, protocol, figure, options.patience)
                    )
                    done.setdefault(share, []).append(row)
                    with options.file.open("a") as file:
                        file.write(json.dumps(row) + "\n")
    print("| slowdown | comparisons | pass | inconclusive | regression | seconds each, at most |")
    print("|---|---|---|---|---|---|")
    for share, rows in done.items():
        print(summary(share, rows))


@contextmanager
def burning(count: int) -> Iterator[None]:
    """So many processes that do nothing but take a CPU each, the first ones first."""
    # They end with this process, however that ends.
    code = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nour = os.getppid()\n"
    code += "while os.getppid() == our: sum(range(100000))"
    cpus = sorted(os.sched_getaffinity(0))
    burners = [subprocess.Popen([sys.executable, "-c", code, str(cpus[number % len(cpus)])]) for number in range(count)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def compared(bundle: Path, share: float, protocol: Protocol, figure: str, patience: float | None) -> dict[str, object]:
    """One comparison of a network with itself, the new one slower by a share."""
    started = time.perf_counter()
    checked = check_models(
        bundle,
        bundle,
        tolerances(figure),
        protocol=protocol,
        device=Planted(share),
        selection=SELECTION,
        patience=patience,
    )
    return row(share, checked, figure, started) | {"runs": checked.runs}


def compared_results(bundle: Path, share: float, protocol: Protocol, figure: str) -> dict[str, object]:
    """The same of two results files, the new one's workers slower by a share."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, device in (("old", LocalDevice()), ("new", Planted(share, every=1))):
            results, _ = bench_groups([[bundle]], BenchRequest(protocol, selection=SELECTION), device=device)
            paths.append(Path(folder, f"{name}.json"))
            save(results, paths[-1])
        checked = check_models(paths[1], paths[0], tolerances(figure))
    return row(share, checked, figure, started)


def tolerances(figure: str) -> Tolerances:
    """5% of one figure."""
    return Tolerances(**{"latency": ANY, "paced": ANY, "memory": ANY, figure: 0.05})


def row(share: float, checked: Checked, figure: str, started: float) -> dict[str, object]:
    """What is kept of a comparison."""
    (found,) = (finding for finding in checked.findings if finding.figure == figure)
    return {
        "slowdown": share,
        "verdict": str(found.verdict),
        "change": found.change,
        "interval": found.interval,
        "reason": found.reason,
        "seconds": time.perf_counter() - started,
    }


def read(path: Path) -> dict[float, list[dict[str, object]]]:
    """What an earlier run has measured, by slowdown."""
    found: dict[float, list[dict[str, object]]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        row = json.loads(line)
        found.setdefault(row["slowdown"], []).append(row)
    return found


def summary(share: float, rows: list[dict[str, object]]) -> str:
    """One line of the table."""
    seconds = sorted(row["seconds"] for row in rows)
    cells = [f"{100 * share:g}%", str(len(rows))]
    for verdict in ("pass", "inconclusive", "regression"):
        count = sum(row["verdict"] == verdict for row in rows)
        bounds = binomtest(count, len(rows)).proportion_ci(0.90, method="exact")
        cells.append(f"{count} ({100 * count / len(rows):.1f}%, {100 * bounds.low:.1f}..{100 * bounds.high:.1f})")
    return f"| {' | '.join(cells)} | {seconds[len(seconds) // 2]:.1f}, {seconds[-1]:.0f} |"


if __name__ == "__main__":
    main()
