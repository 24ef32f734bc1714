"""falcon-edge inspect."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli import completion
from falcon_edge.cli.hosts import refuse_on_windows
from falcon_edge.cli.render import description_table, manifest_table, plan_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from runtime_bench.system import WINDOWS


def inspect(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE|BUNDLE]", autocompletion=completion.file, help="An .onnx, a .tflite or a bundle."
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Show operators, shapes, precision, MACs, size and lineage."""
    with session(as_json, debug, quiet) as out:
        from rich.console import Group

        from falcon_edge.bundle import find_bundle, is_bundle
        from falcon_edge.steps.inspect import Inspected
        from falcon_edge.steps.inspect import inspect as run

        chosen = find_bundle(path)
        if not is_bundle(chosen):
            refuse_on_windows()
        found = run(chosen, files=not WINDOWS)
        if isinstance(found, Inspected):
            out.result(
                {
                    "manifest": found.manifest.model_dump(mode="json"),
                    "plan": found.plan.model_dump(mode="json"),
                    "files": {name: asdict(file) for name, file in found.files.items()},
                },
                lambda: Group(
                    manifest_table(found.manifest),
                    plan_table(found.plan),
                    *(description_table(name, file, operators=False) for name, file in found.files.items()),
                ),
            )
        else:
            totals = {"macs": found.macs, "parameters": found.parameters}
            operators = [
                asdict(operator) | {"bytes": operator.bytes, "flags": found.flags(operator)}
                for operator in found.operators
            ]
            document = asdict(found) | totals | {"operators": operators}
            out.result(document, lambda: description_table(chosen.name, found))
