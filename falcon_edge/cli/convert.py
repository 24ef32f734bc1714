"""falcon-edge convert."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from converters.formats import PRECISIONS
from falcon_edge.cli import options
from falcon_edge.cli.export import Precision
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput

if TYPE_CHECKING:
    from falcon_edge.manifest import MeasuredParity


def convert(
    source: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="Of opset 7 to 21, with one image as its input.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write: .tflite, .ort or .onnx.")
    ],
    precision: Annotated[Precision | None, typer.Option("--precision", help="By default fp32.")] = None,
    data: options.Data = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Images of DATA that int8 is calibrated on.")] = 512,
    mean: options.Mean = None,
    std: options.Std = None,
    accept_loss: Annotated[bool, typer.Option("--accept-loss", help="Convert to int8 whatever it loses.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that is there.")] = False,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Convert an .onnx file, its answers found equal, without a bundle."""
    with session(as_json, debug, quiet) as out:
        chosen = PRECISIONS[0] if precision is None else precision.value
        is_int8 = chosen == "int8"
        if is_int8 and data is None:
            raise BadInput("--precision int8 needs images to calibrate with: --data DATA")
        if data is not None and not is_int8:
            raise BadInput(f"--data is what int8 is calibrated with, and {chosen} is not: leave it out")
        from falcon_edge.steps.convert import convert as run
        from falcon_edge.steps.quantize import Int8

        int8 = Int8(data, samples, accept_loss=accept_loss) if is_int8 and data is not None else None
        with out.progress() as progress:
            made = run(
                source,
                output,
                precision=chosen,
                int8=int8,
                mean=options.numbers(mean, "--mean"),
                std=options.numbers(std, "--std"),
                force=force,
                progress=progress,
            )
        proof = made.parity if chosen == PRECISIONS[0] else made.loss
        out.result(made.model_dump(mode="json"), lambda: f"{output}: {_proof(proof)}")


def _proof(parity: "tuple[MeasuredParity, ...]") -> str:
    worst = min(parity, key=lambda each: float("inf") if each.snr_db is None else each.snr_db)
    how = "no difference" if worst.snr_db is None else f"{worst.snr_db:.0f} dB"
    return f"{how} from {worst.against} over {worst.samples} inputs"
