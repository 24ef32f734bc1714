"""falcon-edge demo."""

from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli.results_tables import comparison_table
from falcon_edge.cli.session import Debug, Json, Quiet, session


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to write.")] = Path("demo-out"),
    device: Annotated[str, typer.Option("--device", help="Where to measure, as in bench.")] = "local",
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Run the whole flow on the network and images that ship with us: 3 minutes on two cores, more if emulated."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps.demo import demo as run
        from runtime_bench.compare import compare

        with out.progress() as progress:
            results = run(output, device=device, progress=progress)
        out.result(results.model_dump(mode="json"), lambda: comparison_table(compare([results])))
        out.flags(results)
        out.say(f"written to {output}: standard.falcon, small.falcon, results.json, report.html")
        if results.interrupted:
            raise KeyboardInterrupt
        out.failures(
            [
                f"{entry.model.name}, {entry.model.file}: {entry.failure.message}"
                for entry in results.entries
                if entry.failure is not None
            ]
        )
