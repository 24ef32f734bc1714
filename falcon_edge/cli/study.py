"""falcon-edge study."""

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from falcon_edge.cli import options
from falcon_edge.cli.grouping import grouped
from falcon_edge.cli.groups import Bursts, Phones
from falcon_edge.cli.hosts import loads_models
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.cli.tables import Table
from falcon_edge.errors import BadInput

if TYPE_CHECKING:  # rich is imported where it is used: --help must answer at once
    from collections.abc import Mapping, Sequence

    from falcon_edge.steps.study.claims import Claim
    from falcon_edge.steps.study.making import Record


class RunByDefault(TyperGroup):
    """A group in which words that begin with an option or a file are those of `run`."""

    def parse_args(self, context: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """See click."""
        first = args[0] if args else "--help"
        known = first in self.commands or first == "--help"
        if not known and (first.startswith("-") or Path(first).suffix or Path(first).exists()):
            args = ["run", *args]
        return super().parse_args(context, args)


study = typer.Typer(cls=RunByDefault, no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study.")]


@study.callback()
def about() -> None:
    """Make many networks alike, measure them together, and report what that says; STUDY.toml alone means run."""


def run(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="Which networks, see docs/training.md.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Goes on where it has cells already.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="In the place of what STUDY.toml says.")
    ] = None,
    processes: Annotated[int, typer.Option("--processes", min=1, help="Cells that are made at once, here.")] = 1,
    ray: Annotated[
        bool, typer.Option("--ray", help="Make cells as tasks of the cluster of RAY_ADDRESS, or of one made here.")
    ] = False,
    accelerator: options.Accelerator = "cpu",
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Train and compress every network of a study; run again, it goes on."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps.study.document import read_study
        from falcon_edge.steps.study.run import Means, run_study

        read = read_study(file, data)
        with out.progress() as progress:
            records = run_study(read, output, Means(processes, ray, accelerator), progress=progress)
        out.result([each.model_dump(mode="json") for each in records.values()], lambda: _shown(records))
        out.failures([f"{name}: {record.failed}" for name, record in records.items() if record.failed is not None])
        out.next(["study", "measure", output])


@grouped
def measure(
    *,
    folder: Folder,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="In the place of what the study says.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="local, arm64[:CPU], ssh://[user@]host, adb[:SERIAL].")] = (
        "local"
    ),
    phones: Phones,
    samples: options.Samples = None,
    bursts: Bursts,
    every: options.Every = None,
    ticks: Annotated[int, typer.Option("--ticks", min=1, help="Paced samples a file, at least.")] = 60,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Export one network of each structure to ONNX and TFLite in fp32 and int8, and measure all files in turns."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.cli.results_tables import results_table
        from falcon_edge.steps.study.measure import measure_study
        from runtime_bench.bench import Protocol

        protocol = Protocol(**asdict(bursts), every=options.every(every, False), ticks=ticks)
        (opened,) = phones.devices([device])
        with closing(opened), out.progress() as progress:
            results, failed = measure_study(
                *(folder, protocol), data=data, device=opened, samples=samples, progress=progress
            )
        out.result(results.model_dump(mode="json"), lambda: results_table(results))
        out.flags(results)
        if results.interrupted:
            raise KeyboardInterrupt
        measured = [(entry.model.file, entry.failure) for entry in results.entries]
        out.failures([*failed, *(f"{file}: {failure.message}" for file, failure in measured if failure is not None)])
        out.next(["study", "report", folder, "-o", "study.html"])


def report(
    folder: Folder,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="An .html, or tables as .md.")],
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Plots and tables of a study, and which claims of the FALCON paper hold in it."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps.study.report import write_report

        if output.suffix.lower() not in (".html", ".md"):
            raise BadInput(f"{output}: write to an .html or an .md")
        claims = write_report(folder, output)
        out.result([vars(claim) for claim in claims], lambda: _claims(claims))
        out.say(f"written to {output}")


for verb in (run, measure):
    study.command()(loads_models(verb))
study.command()(report)


def _claims(claims: "Sequence[Claim]") -> Table:
    """A row a claim."""
    table = Table("network", "claimed", "here it", "found")
    for each in claims:
        table.add_row(each.network, each.claimed, each.word, each.says)
    return table


def _shown(records: "Mapping[str, Record]") -> Table:
    """A row a cell."""
    table = Table("cell", "parameters", "MACs", "top-1, test")
    for name, record in records.items():
        if record.made is None:
            table.add_row(name, "", "", f"failed: {record.failed}")
        else:
            made = record.made
            table.add_row(name, f"{made.parameters:,}", f"{made.macs:,}", f"{100 * made.top1:.2f}%")
    return table
