"""falcon-edge report."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli.results_tables import headlines_table
from falcon_edge.cli.session import Debug, Json, Quiet, session


def report(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Files that bench wrote, or a phone's app shared.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write.")] = Path(
        "report.html"
    ),
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="NAME|BUNDLE",
            help="Compare with this model that was measured; by default by lineage.",
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Write results as one HTML file that needs no network: plots, tables, doubts, where the time goes."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps.report import report as run

        written = run(results, output, baseline=baseline)
        out.result(asdict(written) | {"path": str(output)}, lambda: headlines_table(written.headlines))
        out.say(f"written to {output}")
