"""falcon-edge bench."""

from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from falcon_edge.cli import completion, options
from falcon_edge.cli.grouping import grouped
from falcon_edge.cli.groups import Bursts, Chosen, Images, Phones
from falcon_edge.cli.profile_tables import profile_tables
from falcon_edge.cli.results_tables import results_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput, Inconclusive

if TYPE_CHECKING:  # rich is imported where it is used: --help must answer at once
    from collections.abc import Iterator, Sequence

    from rich.console import Group, RenderableType

    from runtime_bench.results import Results


@grouped
def bench(
    *,
    models: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[BUNDLE|FILE]...", autocompletion=completion.file, help="What to measure."),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", help="local (the default), arm64[:CPU], ssh://[user@]host, adb[:SERIAL]; repeat it."),
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Leave nothing on the device that was sent to it.")] = False,
    phones: Phones,
    selected: Chosen,
    threads: Annotated[str, typer.Option("--threads", metavar="N,...", help="One or several numbers.")] = "1",
    cpus: Annotated[
        str, typer.Option("--cpus", metavar="fastest|any|N,...", help="Run on these CPUs only, as in 0,1.")
    ] = "fastest",
    images: Images,
    samples: options.Samples = None,
    bursts: Bursts,
    every: options.Every = None,
    ticks: Annotated[
        int | None, typer.Option("--ticks", min=1, help="Paced or cold samples a model, at least; by default 60.")
    ] = None,
    cold: options.Cold = False,
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
    """Measure latency (back to back, and paced as an app has it), memory and quality, models in turns."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.bundle import find_bundle
        from falcon_edge.steps.bench import BenchRequest
        from falcon_edge.steps.several import bench_each, file_of
        from runtime_bench import calibration as calibrations
        from runtime_bench.bench import Protocol
        from runtime_bench.files import check_outputs
        from runtime_bench.interrupts import held
        from runtime_bench.measurement import TICKS
        from runtime_bench.results import Results, load, save

        pace = options.every(every, cold)
        if ticks is not None and not (pace or cold):
            raise BadInput(
                "--ticks: how many samples there are paced (--every) or cold (--cold); there are none of either"
            )
        protocol = Protocol(
            threads=_numbers("--threads", threads),
            **asdict(bursts),
            timeout=timeout,
            cpus="fastest" if cpus == "fastest" else None if cpus == "any" else _numbers("--cpus", cpus),
            seed=seed,
            every=pace,
            ticks=TICKS if ticks is None else ticks,
            cold=cold,
        )
        names = list(device or ["local"])
        if resume is not None and len(names) > 1:
            raise BadInput("--resume goes on with one device: name that alone")
        if samples is not None and images.data is None:
            raise BadInput("--samples: how many images of --data DATA; without that there are none")
        classes = images.classes()
        chosen = models or [find_bundle(None)]
        several, made = len(names) > 1, ((output, save), (csv, _write_csv), (benchmark_json, _write_benchmark))
        outputs = [file_of(file, name) if several else file for file, _ in made if file is not None for name in names]
        inputs = filter(None, (calibration, _file(images.data), *phones.archives))
        check_outputs(outputs, [*chosen, *inputs])
        request = BenchRequest(
            protocol,
            selection=selected.selection(),
            data=images.data,
            class_map=classes,
            metric=images.metric,
            samples=samples,
            earlier=None if resume is None else load(resume),
            profile=profile,
            calibration=None if calibration is None else calibrations.load(calibration),
        )
        devices = phones.devices(names, clean=clean)
        with ExitStack() as opened, held():  # interrupted, it writes what was measured
            for each in devices:
                opened.enter_context(closing(each))
            with out.progress() as progress:
                found = bench_each(
                    chosen,
                    request,
                    devices,
                    progress=progress,
                )
            measured = [results for results in found if isinstance(results, Results)]
            unusable = [error for error in found if not isinstance(error, Results)]
            if not measured:
                raise unusable[0] if unusable else KeyboardInterrupt
            for results in measured:
                for file, write_to in made:
                    if file is not None:
                        write_to(results, file_of(file, results.options["device"]) if several else file)
        documents = [results.model_dump(mode="json") for results in measured]
        out.result(documents if several else documents[0], lambda: _shown(measured, profile, several))
        for results in measured:
            out.flags(results)
        if any(results.interrupted for results in measured):
            raise KeyboardInterrupt
        out.failures([*map(str, unusable), *_failures(measured, several)])
        doubtful = [entry for results in measured for entry in results.entries if entry.flags]
        if strict and doubtful:
            first = doubtful[0]
            raise Inconclusive(f"{first.model.file}: {first.flags[0].reason}; {first.flags[0].remedy}")
        if output is not None:
            files = [file_of(output, each.options["device"]) if several else output for each in measured]
            several_models = len({entry.model.name for results in measured for entry in results.entries}) > 1
            out.next(["compare", *files] if several_models and not several else ["report", *files, "-o", "report.html"])


def _file(data: str | None) -> Path | None:
    """DATA, if it is a file."""
    return Path(data) if data is not None and Path(data).is_file() else None


def _shown(measured: "Sequence[Results]", profile: bool, several: bool) -> "Group":
    from rich.console import Group

    parts: list[RenderableType] = []
    for results in measured:
        parts += [results.options["device"]] if several else []
        parts += [results_table(results), *([profile_tables(results)] if profile else [])]
    return Group(*parts)


def _failures(measured: "Sequence[Results]", several: bool) -> "Iterator[str]":
    """A line for every file that failed, or whose layers were asked for and are not known."""
    from runtime_bench.validity import NOT_PROFILED

    for results in measured:
        name = f"{results.options['device']}: " if several else ""
        for entry in results.entries:
            if entry.failure is not None:
                yield f"{name}{entry.model.file}: {entry.failure.message}"
            for flag in entry.flags:
                if flag.flag == NOT_PROFILED:
                    yield f"{name}{entry.model.file}: {flag.reason}"


def _write_csv(results: "Results", path: Path) -> None:
    from runtime_bench.ci import csv_table
    from runtime_bench.files import write

    write(csv_table(results).encode(), path)


def _write_benchmark(results: "Results", path: Path) -> None:
    from runtime_bench.ci import benchmark_json
    from runtime_bench.files import write

    write(benchmark_json(results).encode(), path)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    """'0,1' as (0, 1)."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise BadInput(f"{option} {text}: write numbers with commas between them, as in 0,1")
    return tuple(map(int, parts))
