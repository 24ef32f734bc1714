"""falcon-edge export."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli.render import manifest_table
from falcon_edge.cli.session import Debug, Json, Quiet, session


class Target(StrEnum):
    """Formats that can be exported."""

    onnx = "onnx"
    tflite = "tflite"


class Precision(StrEnum):
    """Precisions that can be exported."""

    fp32 = "fp32"


def export(
    bundle: Annotated[Path | None, typer.Argument(metavar="[BUNDLE]", help="By default the only one here.")] = None,
    target: Annotated[list[Target] | None, typer.Option("--target", help="Repeat for several; by default all.")] = None,
    precision: Annotated[list[Precision] | None, typer.Option("--precision", help="Repeat for several.")] = None,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Add the network as ONNX and TFLite files to its bundle, after their answers were found equal."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.bundle import find_bundle
        from falcon_edge.steps.export import export as run

        targets = [chosen.value for chosen in dict.fromkeys(target or list(Target))]
        with out.progress() as progress:
            manifest = run(find_bundle(bundle), targets, progress=progress)
        out.result(manifest.model_dump(mode="json"), lambda: manifest_table(manifest))
