"""falcon-edge inspect."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli.render import description_table, manifest_table, plan_table
from falcon_edge.cli.session import Debug, Json, Quiet, session


def inspect(
    path: Annotated[
        Path | None, typer.Argument(metavar="[FILE|BUNDLE]", help="An .onnx, a .tflite or a bundle.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Show operators, shapes, precision, MACs, size and lineage."""
    with session(as_json, debug, quiet) as out:
        from rich.console import Group

        from converters.inspect_apart import describe_apart
        from falcon_edge.bundle import PLAN, find_bundle, is_bundle, open_bundle, read_document

        chosen = find_bundle(path)
        if is_bundle(chosen):
            from falcon_edge.falcon.plan import Plan  # torch comes with it: a second that a bare file does not need

            bundle = open_bundle(chosen)
            plan = read_document(bundle.file(PLAN), Plan)
            # Not the .ort, whose format is ONNX Runtime's own: the manifest says of it what there is to say.
            names = [export.file for export in bundle.manifest.exports if export.target != "ort"]
            files = dict(zip(names, describe_apart([bundle.file(name) for name in names]), strict=True))
            out.result(
                {
                    "manifest": bundle.manifest.model_dump(mode="json"),
                    "plan": plan.model_dump(mode="json"),
                    "files": {name: asdict(file) for name, file in files.items()},
                },
                lambda: Group(
                    manifest_table(bundle.manifest),
                    plan_table(plan),
                    *(description_table(name, file, operators=False) for name, file in files.items()),
                ),
            )
        else:
            (description,) = describe_apart([chosen])
            totals = {"macs": description.macs, "parameters": description.parameters}
            operators = [
                asdict(operator) | {"bytes": operator.bytes, "flags": description.flags(operator)}
                for operator in description.operators
            ]
            document = asdict(description) | totals | {"operators": operators}
            out.result(document, lambda: description_table(chosen.name, description))
