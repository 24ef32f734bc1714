"""falcon-edge compare."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli.results_tables import comparison_table
from falcon_edge.cli.session import Debug, Json, Quiet, session


def compare(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Files that bench wrote.")],
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="NAME", help="Compare with this model; by default by lineage.")
    ] = None,
    across: Annotated[
        list[str] | None,
        typer.Option("--across", help="Compare although this differs: threads, precision, device, machine, emulation."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Show compressed beside standard: speedup, MACs ratio, and the share of it that became speed."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps.compare import compare as run

        rows = run(results, baseline=baseline, across=across or ())
        document = [
            asdict(row)
            | {
                "entry": row.entry.model_dump(
                    mode="json", exclude={"bursts": True, "paced": {"bursts"}, "cold": {"bursts"}}
                ),
                "standard": None if row.standard is None else row.standard.model.name,
            }
            for row in rows
        ]
        out.result(document, lambda: comparison_table(rows))
