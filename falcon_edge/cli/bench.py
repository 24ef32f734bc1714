"""falcon-edge bench."""

from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli import options
from falcon_edge.cli.profile_tables import profile_tables
from falcon_edge.cli.results_tables import results_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput, DeviceFailed, Inconclusive


def bench(
    models: Annotated[list[Path] | None, typer.Argument(metavar="[BUNDLE|FILE]...", help="What to measure.")] = None,
    device: Annotated[
        str, typer.Option("--device", help="Where to measure: local, arm64[:CPU], ssh://[user@]host, adb[:SERIAL].")
    ] = "local",
    clean: Annotated[bool, typer.Option("--clean", help="Leave nothing on the device that was sent to it.")] = False,
    runtime: Annotated[list[str] | None, typer.Option("--runtime", help="onnxruntime (ort), litert (tflite).")] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="Only these formats.")] = None,
    precision: Annotated[list[str] | None, typer.Option("--precision", help="Only these precisions.")] = None,
    threads: Annotated[str, typer.Option("--threads", metavar="N,...", help="One or several numbers.")] = "1",
    cpus: Annotated[
        str, typer.Option("--cpus", metavar="fastest|any|N,...", help="Run on these CPUs only, as in 0,1.")
    ] = "fastest",
    data: options.Data = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, help="Images for accuracy; by default all, 200 if emulated.")
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Samples a model, at least.")] = 50,
    seconds: Annotated[float, typer.Option("--seconds", min=0.0, help="Of samples a model, at least.")] = 5.0,
    processes: Annotated[int, typer.Option("--processes", min=1, help="Fresh processes a model.")] = 5,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Bursts a process, interleaved with the others.")] = 2,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that a worker may take.")] = 300.0,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also measure every layer, and say what holds the models back.")
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration", metavar="FILE", help="Of devices calibrate: also estimate a board's milliseconds."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the order of measurement.")] = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if there is a reason to doubt a figure.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="FILE", help="Take over what these results have of the same run.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Results as JSON.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="A row for every file measured.")] = None,
    benchmark_json: Annotated[
        Path | None, typer.Option("--benchmark-json", metavar="FILE", help="For github-action-benchmark.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Measure latency, memory and accuracy, every model in a process of its own, interleaved."""
    with session(as_json, debug, quiet) as out:
        from rich.console import Group

        from falcon_edge.bundle import find_bundle
        from falcon_edge.steps.bench import Selection
        from falcon_edge.steps.bench import bench as run
        from runtime_bench import calibration as calibrations
        from runtime_bench import ci
        from runtime_bench.bench import Protocol
        from runtime_bench.devices.names import device_named
        from runtime_bench.results import check_writable, load, save, write

        protocol = Protocol(
            threads=_numbers("--threads", threads),
            runs=runs,
            seconds=seconds,
            processes=processes,
            rounds=rounds,
            timeout=timeout,
            cpus="fastest" if cpus == "fastest" else None if cpus == "any" else _numbers("--cpus", cpus),
            seed=seed,
        )
        for file in (output, csv, benchmark_json):
            if file is not None:
                check_writable(file)
        with out.progress() as progress:
            results = run(
                models or [find_bundle(None)],
                protocol,
                device=device_named(device, clean=clean),
                selection=Selection(runtime or (), target or (), precision or ()),
                data=data,
                samples=samples,
                earlier=None if resume is None else load(resume),
                profile=profile,
                calibration=None if calibration is None else calibrations.load(calibration),
                progress=progress,
            )
        if output is not None:
            save(results, output)
        if csv is not None:
            write(ci.csv_table(results).encode(), csv)
        if benchmark_json is not None:
            write(ci.benchmark_json(results).encode(), benchmark_json)
        out.result(
            results.model_dump(mode="json"),
            lambda: Group(results_table(results), *([profile_tables(results)] if profile else [])),
        )
        out.flags(results)
        if results.interrupted:
            raise KeyboardInterrupt
        failed = [entry for entry in results.entries if entry.failure is not None]
        if failed and failed[0].failure is not None:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            raise DeviceFailed(f"{failed[0].model.file}: {failed[0].failure.message}{more}")
        doubtful = [entry for entry in results.entries if entry.flags]
        if strict and doubtful:
            first = doubtful[0]
            raise Inconclusive(f"{first.model.file}: {first.flags[0].reason}; {first.flags[0].remedy}")


def _numbers(option: str, text: str) -> tuple[int, ...]:
    """'0,1' as (0, 1)."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise BadInput(f"{option} {text}: write numbers with commas between them, as in 0,1")
    return tuple(map(int, parts))
