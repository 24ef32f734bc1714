"""Reads files in forks of this process, for every line on stdin: {"reader", "paths"}; see READERS.

For every path a line on stdout: {"code", "err"} as the program would end with it, or {"signal"} where the reader died
of one (SIGALRM: it took too long). A fork reads on until it dies; then the next fork goes on behind the culprit.
"""

import contextlib
import gc
import io
import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import typer
from torch import nn

from converters.inspect import describe
from falcon_edge.bundle import MANIFEST, PLAN, SUMS, open_bundle, sha256
from falcon_edge.cli.profile_tables import profile_tables
from falcon_edge.cli.render import description_table, manifest_table, plan_table
from falcon_edge.cli.results_tables import comparison_table
from falcon_edge.cli.session import Session, session
from falcon_edge.documents import read_document
from falcon_edge.falcon.plan import Plan
from falcon_edge.models.weights import load_weights
from falcon_edge.steps.cards import read_card
from falcon_edge.steps.opening import Choice, open_network
from runtime_bench.compare import compare
from runtime_bench.report.contents import contents
from runtime_bench.results import load

SECONDS = 20
MEMORY = 2 * 1024**3


def read_model(path: Path, out: Session) -> None:
    """As `inspect FILE` and `bench FILE` do."""
    description = describe(path)
    read_card(path, description)
    out.result({"macs": description.macs}, lambda: description_table(path.name, description))


def read_weights(path: Path, out: Session) -> None:
    """As `pack MODEL --weights FILE` does."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    load_weights(network, path)
    if not all(torch.isfinite(tensor).all() for tensor in network.state_dict().values()):
        raise AssertionError("not finite")


def read_bundle(name: str) -> Callable[[Path, Session], None]:
    """As every command does with a bundle, and what `inspect` shows: "a.falcon" beside the file, which becomes `name`.

    The bundle is hashed anew, as an attacker would, and opened with its network, as `compress` and `export` do.
    """

    def reader(path: Path, out: Session) -> None:
        folder = path.parent / "a.falcon"
        shutil.copy(path, folder / name)
        lines = [line for line in (folder / SUMS).read_text().splitlines() if not line.endswith(f"  {name}")]
        lines = sorted([*lines, f"{sha256(path)}  {name}"], key=lambda line: line[66:])
        (folder / SUMS).write_text("".join(f"{line}\n" for line in lines))
        manifest = open_bundle(folder).manifest
        plan = read_document(folder / PLAN, Plan)
        out.result(manifest.model_dump(mode="json"), lambda: manifest_table(manifest))
        out.result(plan.model_dump(mode="json"), lambda: plan_table(plan))
        open_network(Choice(str(folder)))

    return reader


def read_results(path: Path, out: Session) -> None:
    """As `compare RESULTS` and `report RESULTS` do, and `bench` at its end."""
    results = load(path)
    rows = compare([results])
    out.result([row.speedup for row in rows], lambda: comparison_table(rows))
    out.result(None, lambda: profile_tables(results))
    contents([results])


READERS = {
    "model": read_model,
    "weights": read_weights,
    MANIFEST: read_bundle(MANIFEST),
    PLAN: read_bundle(PLAN),
    "results": read_results,
}


def read(reader: str, path: str) -> dict[str, object]:
    """What the program would end with."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            with session(False, False, False) as opened:
                READERS[reader](Path(path), opened)
        except typer.Exit as end:
            code = end.exit_code
    return {"code": code, "err": err.getvalue()}


def read_all(reader: str, paths: list[str], answers: io.TextIOBase) -> None:
    """What a fork does."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in paths:
        signal.alarm(SECONDS)
        answers.write(json.dumps(read(reader, path)) + "\n")
        answers.flush()
    os._exit(0)


def main() -> None:
    """Answer requests until the input ends."""
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        paths = request["paths"]
        while paths:
            source, target = os.pipe()
            child = os.fork()
            if child == 0:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what native code says there
                read_all(request["reader"], paths, os.fdopen(target, "w"))
            os.close(target)
            with os.fdopen(source) as answers:
                for answer in answers:
                    print(answer, end="", flush=True)
                    paths = paths[1:]
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if paths:
                print(json.dumps({"signal": signal.Signals(-code).name if code < 0 else str(code)}), flush=True)
                paths = paths[1:]


if __name__ == "__main__":
    main()
