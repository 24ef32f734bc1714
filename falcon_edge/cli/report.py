"""falcon-edge report."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli.results_tables import headlines_table
from falcon_edge.cli.session import Debug, Json, Quiet, session


def report(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Files that bench wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write.")] = Path(
        "report.html"
    ),
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="NAME", help="Compare with this model; by default by lineage.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Write results as one HTML file that needs no network: plots, tables, doubts, where the time goes."""
    with session(as_json, debug, quiet) as out:
        from runtime_bench.files import check_outputs, write
        from runtime_bench.report import page
        from runtime_bench.report.contents import contents
        from runtime_bench.results import load

        check_outputs([output], results)
        found = contents([load(path) for path in results], baseline=baseline)
        data = page.html(found).encode()
        write(data, output)
        headlines = [asdict(headline) for headline in found.headlines]
        document = {"path": str(output), "bytes": len(data), "headlines": headlines}
        out.result(document, lambda: headlines_table(found.headlines))
        out.say(f"written to {output}")
