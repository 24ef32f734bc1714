"""falcon-edge bench."""

from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli import options
from falcon_edge.cli.render import results_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput, DeviceFailed


def bench(
    models: Annotated[list[Path] | None, typer.Argument(metavar="[BUNDLE|FILE]...", help="What to measure.")] = None,
    device: Annotated[str, typer.Option("--device", help="Where to measure: local.")] = "local",
    runtime: Annotated[list[str] | None, typer.Option("--runtime", help="onnxruntime (ort), litert (tflite).")] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="Only these formats.")] = None,
    precision: Annotated[list[str] | None, typer.Option("--precision", help="Only these precisions.")] = None,
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
    cpus: Annotated[
        str | None, typer.Option("--cpus", metavar="N,...", help="Run on these CPUs only, as in 0,1.")
    ] = None,
    data: options.Data = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, help="Images for accuracy; by default all.")
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Samples a model, at least.")] = 50,
    seconds: Annotated[float, typer.Option("--seconds", min=0.0, help="Of samples a model, at least.")] = 5.0,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Bursts a model, interleaved with the others.")] = 10,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that a worker may take.")] = 300.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the order of measurement.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Results as JSON.")] = None,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Measure latency, memory and accuracy, every model in a process of its own, interleaved."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.bundle import find_bundle
        from falcon_edge.steps.bench import bench as run
        from runtime_bench.bench import Protocol
        from runtime_bench.results import check_writable, save

        protocol = Protocol(
            threads=threads,
            runs=runs,
            seconds=seconds,
            rounds=rounds,
            timeout=timeout,
            cpus=_cpus(cpus),
            seed=seed,
        )
        if output is not None:
            check_writable(output)
        with out.progress() as progress:
            results = run(
                models or [find_bundle(None)],
                protocol,
                device=device,
                runtimes=runtime or (),
                targets=target or (),
                precisions=precision or (),
                data=data,
                samples=samples,
                progress=progress,
            )
        if output is not None:
            save(results, output)
        out.result(results.model_dump(mode="json"), lambda: results_table(results))
        out.flags(results)
        if results.interrupted:
            raise KeyboardInterrupt
        failed = [entry for entry in results.entries if entry.failure is not None]
        if failed and failed[0].failure is not None:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            raise DeviceFailed(f"{failed[0].model.file}: {failed[0].failure.message}{more}")


def _cpus(text: str | None) -> tuple[int, ...] | None:
    """'0,1' as (0, 1). Whether the device has them, the measurement finds out."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise BadInput(f"--cpus {text}: write numbers of CPUs with commas between them, as in 0,1")
    return tuple(map(int, parts))
