"""falcon-edge export."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from converters.formats import FORMATS, ONNX, PRECISIONS
from falcon_edge.cli import completion, options
from falcon_edge.cli.grouping import grouped
from falcon_edge.cli.groups import Images
from falcon_edge.cli.next_command import after_export
from falcon_edge.cli.render import manifest_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput

if TYPE_CHECKING:
    from falcon_edge.manifest import Manifest

# mypy reads the names of an enum from a literal alone, and these are those that there are.
Target = StrEnum("Target", [form.name for form in FORMATS])  # type: ignore[misc]
Precision = StrEnum("Precision", list(PRECISIONS))  # type: ignore[misc]


# What is made from nothing else: each has kernels of its own.
DEFAULT_TARGETS = [form.name for form in FORMATS if form.source == form.suffix]


class Calibration(StrEnum):
    """How ranges are chosen from what was observed."""

    minmax = "minmax"
    percentile = "percentile"
    entropy = "entropy"
    mse = "mse"


class InputOutput(StrEnum):
    """Types of an int8 file's input and output."""

    float = "float"
    int8 = "int8"


class Activations(StrEnum):
    """Types of the activations in an int8 .onnx."""

    uint8 = "uint8"
    int8 = "int8"


@grouped
def export(
    *,
    bundle: Annotated[
        Path | None,
        typer.Argument(
            metavar="[BUNDLE|FILE]",
            autocompletion=completion.source,
            help="By default the only bundle here; or an .onnx.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="BUNDLE", help="Made of an .onnx; by default NAME.falcon here."),
    ] = None,
    target: Annotated[
        list[Target] | None,
        typer.Option("--target", help=f"Repeat for several; by default {' and '.join(DEFAULT_TARGETS)}."),
    ] = None,
    precision: Annotated[
        list[Precision] | None, typer.Option("--precision", help="Repeat for several; by default fp32.")
    ] = None,
    images: Images,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Images of DATA that int8 is calibrated on.")] = 512,
    calibration: Annotated[Calibration, typer.Option("--calibration", help="Of the int8 ranges.")] = Calibration.minmax,
    io: Annotated[InputOutput, typer.Option("--io", help="Input and output of int8 files.")] = InputOutput.float,
    activations: Annotated[
        Activations, typer.Option("--activations", help="Of an int8 .onnx; int8 where a device is faster with it.")
    ] = Activations.uint8,
    cpu: options.FilesCpu = options.Cpu.any,
    times: Annotated[
        Path | None,
        typer.Option(
            "--times", metavar="FILE", help="Rewrite int8 files as was timed by falcon-edge times --rewrites."
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Whose times, where FILE has several devices'.")
    ] = None,
    keep_accuracy: Annotated[
        float | None,
        typer.Option(
            "--keep-accuracy",
            metavar="POINTS",
            min=0.0,
            help="Keep layers in float until no more of the metric is lost: points of a share, else its unit.",
        ),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(
            "--max-drop", metavar="POINTS", min=0.0, help="What int8 may lose of the metric on validation images."
        ),
    ] = 1.0,
    accept_loss: Annotated[bool, typer.Option("--accept-loss", help="Export int8 whatever it loses.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time int8 against fp32 on this machine, for the advice.")
    ] = False,
    head_only: Annotated[
        list[str] | None,
        typer.Option(
            "--head-only",
            metavar="NODE",
            help="End the files with this node of the graph (repeat for several heads); the app does the rest.",
        ),
    ] = None,
    dynamic_batch: Annotated[bool, typer.Option("--dynamic-batch", help="Leave the batch of .onnx free.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what is otherwise a warning.")] = False,
    trust_code: options.TrustCode = False,
    force: options.Force = False,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Add the network as files for the runtimes to its bundle, after their answers were found equal."""
    with session(as_json, debug, quiet) as out:
        precisions = [chosen.value for chosen in dict.fromkeys(precision or [Precision(PRECISIONS[0])])]
        if "int8" in precisions and images.data is None:
            raise BadInput("--precision int8 needs images to calibrate with: --data DATA")
        from converters.passes.rewrites.rules import Recorded
        from falcon_edge.bundle import bundle_path, find_bundle
        from falcon_edge.steps.convert import export_file
        from falcon_edge.steps.export import export_bundle
        from falcon_edge.steps.quantize import Int8

        found = find_bundle(bundle)
        classes = images.classes()
        targets = [chosen.value for chosen in dict.fromkeys(target or map(Target, DEFAULT_TARGETS))]
        int8 = None
        if images.data is not None:
            int8 = Int8(
                images.data,
                samples,
                calibration.value,
                integer_io=io is InputOutput.int8,
                activations=activations.value,
                keep_accuracy=keep_accuracy,
                max_drop=max_drop,
                accept_loss=accept_loss,
                measure=measure,
                class_map=classes,
                metric=images.metric,
                rules=Recorded(cpu.value),
                times=times,
                device=device,
            )
        run: Callable[..., Manifest] = export_bundle
        if found.suffix.lower() == ONNX.suffix:
            run, found = partial(export_file, found, force=force), bundle_path(output or Path(found.stem))
        elif output is not None or force:
            raise BadInput(f"{found}: gets its files where it is; --output and --force are for an {ONNX.suffix}")
        with out.progress() as progress:
            manifest = run(
                found,
                targets,
                precisions,
                int8=int8,
                head_only=head_only or (),
                dynamic_batch=dynamic_batch,
                strict=strict,
                trust_code=trust_code,
                progress=progress,
            )
        out.result(manifest.model_dump(mode="json"), lambda: manifest_table(manifest))
        for advice in manifest.advice:
            out.say(f"{advice.file}: {advice.text}")
        chosen = [each.value for each in target or ()], [each.value for each in precision or ()]
        out.next(after_export(found, manifest, images, *chosen))
