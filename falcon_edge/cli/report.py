"""falcon-edge report."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli import options
from falcon_edge.cli.results_tables import headlines_table
from falcon_edge.cli.session import Debug, Json, Quiet, session


def report(
    results: options.Results,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write.")] = Path(
        "report.html"
    ),
    baseline: options.Baseline = None,
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
