"""falcon-edge compare."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from falcon_edge.cli import options
from falcon_edge.cli.results_tables import comparison_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from runtime_bench.ways import APART

if TYPE_CHECKING:
    from runtime_bench.compare import Row


def compare(
    results: options.Results,
    baseline: options.Baseline = None,
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
        document = [_row(row) for row in rows]
        out.result(document, lambda: comparison_table(rows))


def _row(row: "Row") -> dict[str, object]:
    """Back to back as since the first version, the other ways by their names."""
    apart = {way: row.speedups.get(way) for way in APART}
    return {
        "entry": row.entry.model_dump(mode="json", exclude={"bursts": True, **{way: {"bursts"} for way in apart}}),
        "standard": None if row.standard is None else row.standard.model.name,
        "speedup": row.speedup,
        "speedup_interval": row.speedup_interval,
        "macs_ratio": row.macs_ratio,
        "realised_share": row.realised_share,
        "instructions_ratio": row.instructions_ratio,
        **{way: None if speedup is None else asdict(speedup) for way, speedup in apart.items()},
    }
