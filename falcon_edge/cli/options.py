"""Options that several verbs share, and how their texts are read."""

import math
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from falcon_edge.cli import completion
from falcon_edge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from falcon_edge.falcon.units.unit import Unit
    from falcon_edge.steps.goals import Rank
    from falcon_edge.training.recipe import Recipe

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        autocompletion=completion.model,
        help=f"A bundle, an .onnx, or {', '.join(completion.NETWORKS)}, timm:NAME, torchvision:NAME, module:function.",
    ),
]
Results = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULTS...",
        autocompletion=completion.results,
        help="Files that bench wrote, or a phone's app shared.",
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="NAME|BUNDLE",
        autocompletion=completion.bundle,
        help="Compare with this model that was measured; by default by lineage.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help="A folder (format recognised), a .npz, or 'sample' (ships with us)."),
]
ClassMap = Annotated[
    Path | None,
    typer.Option(
        "--class-map", metavar="FILE", help="JSON: class of DATA -> the model's (name or number; null: left out)."
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="top1, top5, miou, pixel-accuracy, psnr, mae, or your module:function; by default what DATA is for.",
    ),
]
Every = Annotated[
    str | None,
    typer.Option(
        "--every", metavar="33ms", help="Paced: one inference at each such tick, models in turns; 0 leaves it out."
    ),
]
Cold = Annotated[
    bool,
    typer.Option("--cold", help="With emptied caches, in the place of pacing (or beside it, with --every)."),
]
Runner = Annotated[
    str | None,
    typer.Option(
        "--runner",
        metavar="app|app_process|python",
        help="What runs files on phones; by default the first of these that can.",
    ),
]
OrtAar = Annotated[
    Path | None,
    typer.Option("--ort-aar", metavar="FILE", help="ONNX Runtime's Android archive, for phones without the app."),
]
LitertAar = Annotated[
    list[Path] | None,
    typer.Option("--litert-aar", metavar="FILE", help="LiteRT's Android archive, likewise; repeat it for its parts."),
]
Times = Annotated[
    Path | None,
    typer.Option("--times", metavar="FILE", help="Of a latency: times of layers, as falcon-edge times made them."),
]
TimesDevice = Annotated[str | None, typer.Option("--device", help="Whose times, where FILE has several devices'.")]
TimesRuntime = Annotated[
    str | None, typer.Option("--runtime", help="Of a latency: onnxruntime (ort) or litert (tflite).")
]
TimesPrecision = Annotated[str | None, typer.Option("--precision", help="Of a latency: fp32 or int8.")]
TimesThreads = Annotated[int, typer.Option("--threads", min=1, help="Of a latency.")]


class Cpu(StrEnum):
    """What int8 files are to run on."""

    any = "any"
    x86_vnni = "x86-vnni"


FilesCpu = Annotated[
    Cpu, typer.Option("--cpu", help="What int8 files are to run on: of one kind more of the graph is rewritten.")
]
TimesCpu = Annotated[Cpu, typer.Option("--cpu", help="Of a latency: the kind of CPU that its int8 files are for.")]
RuntimesMeasured = Annotated[list[str] | None, typer.Option("--runtime", help="onnxruntime (ort), litert (tflite).")]
TargetsMeasured = Annotated[list[str] | None, typer.Option("--target", help="Only these formats.")]
PrecisionsMeasured = Annotated[list[str] | None, typer.Option("--precision", help="Only these precisions.")]
Runs = Annotated[int, typer.Option("--runs", min=1, help="Samples a file, at least.")]
Seconds = Annotated[float, typer.Option("--seconds", min=0.0, help="Of samples a file, at least.")]
WarmUp = Annotated[
    float,
    typer.Option("--warm-up", min=0.0, metavar="S", help="Seconds, at least, then until it is steady; 0: five runs."),
]
Processes = Annotated[int, typer.Option("--processes", min=1, help="Fresh processes a file.")]
Rounds = Annotated[int, typer.Option("--rounds", min=1, help="Bursts a process, interleaved with the others.")]
Samples = Annotated[
    int | None, typer.Option("--samples", min=1, help="Images for quality; by default all, 200 if emulated.")
]
Paced = Annotated[
    bool, typer.Option("--paced", help="A latency as an app has it, by times of layers with emptied caches.")
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="The bundle to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the bundle that is there.")]
ModelArgs = Annotated[
    list[str] | None,
    typer.Option(
        "--model-arg", metavar="NAME=VALUE", help="What module:function is called with; VALUE as in TOML; repeat it."
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Trained weights: .safetensors, or a .pt, also a trainer's."),
]
WeightsKey = Annotated[
    str | None,
    typer.Option("--weights-key", metavar="NAME", help="Which of the weights in FILE, where several fit."),
]
Input = Annotated[
    str | None,
    typer.Option("--input", metavar="CxHxW", help="The network's input; by default from DATA or the paper."),
]
Classes = Annotated[int | None, typer.Option("--num-classes", min=1, help="By default from DATA or the paper.")]
Width = Annotated[float, typer.Option("--width", min=0.01, help="Channel multiplier of our own networks.")]
Mean = Annotated[
    str | None,
    typer.Option("--mean", metavar="M,...", help="Mean per channel, in 0..1; by default from DATA."),
]
Std = Annotated[str | None, typer.Option("--std", metavar="S,...", help="Standard deviation per channel.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of weights, batches and augmentation.")]
RecipeSeed = Annotated[
    int | None,
    typer.Option("--seed", min=0, help="Of weights, batches and augmentation; by default the recipe's, or 0."),
]
TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        help="Run the code that a bundle names (module:function) though you did not pack it here; or "
        "FALCON_EDGE_TRUST_CODE=1.",
    ),
]

UnitName = Annotated[
    str | None,
    typer.Option(
        "--unit",
        metavar="NAME",
        autocompletion=completion.unit,
        help=f"What takes the place of convolutions: {', '.join(completion.UNITS)}; by default nothing.",
    ),
]
Expansion = Annotated[int | None, typer.Option("--expansion", metavar="T", help="Of mobilev2.", show_default="2")]
Groups = Annotated[int | None, typer.Option("--groups", metavar="G", help="Of shuffle.", show_default="2")]
UnitRank = Annotated[
    int | None, typer.Option("--rank", metavar="K", help="Of falcon and falcon_branch.", show_default="1")
]
LearningRate = Annotated[
    float | None,
    typer.Option("--lr", help="Peak learning rate; without it one is found, beginning with the verb's own."),
]
Recipes = Annotated[
    list[str] | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE|FIELD=VALUE",
        help="How to train: paper, imagenet or short; a .toml; a field, as in mixup=0.2; repeat it, the last counts.",
    ),
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", min=2, help="By default the recipe's, or 128, and 64 in fine-tuning.")
]
WeightDecay = Annotated[float | None, typer.Option("--weight-decay", min=0.0, help="By default the recipe's, or 5e-4.")]
CropPadding = Annotated[
    int | None, typer.Option("--crop-padding", min=0, help="Random shifts by up to so many pixels.")
]
Flip = Annotated[
    bool | None, typer.Option("--flip/--no-flip", help="Mirror half of the training images; by default so.")
]
Temperature = Annotated[float | None, typer.Option("--temperature", show_default="4", help="Of the distillation.")]
Distillation = Annotated[
    float | None, typer.Option("--distillation", show_default="0.9", help="Weight of the teacher, 0 to 1.")
]
Accelerator = Annotated[str, typer.Option("--accelerator", metavar="cpu|cuda", help="What trains.")]
Workers = Annotated[
    int, typer.Option("--workers", min=0, help="Processes that decode images, where they are too many to keep.")
]
Curves = Annotated[
    Path | None,
    typer.Option(
        "--curves",
        metavar="FOLDER",
        help="metrics.csv after every epoch, and events for TensorBoard where that is installed.",
    ),
]


def shape(text: str | None) -> tuple[int, int, int] | None:
    """'3x32x32' as (3, 32, 32)."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise BadInput(f"--input {text}: write channels x height x width, as in 3x32x32")
    return int(parts[0]), int(parts[1]), int(parts[2])


# A text that needs no quotation marks, which a shell would take away.
WORD = re.compile(r"[A-Za-z_][\w./:+-]*")
MEANT_OTHERWISE = {"true", "false", "none", "null", "inf", "nan"}


def arguments(given: "Sequence[str] | None", option: str = "--model-arg", example: str = "depth=3") -> dict[str, Any]:
    """'depth=3' and 'kind=small' as {"depth": 3, "kind": "small"}: values of TOML, or words."""
    import json
    import tomllib

    found: dict[str, Any] = {}
    for text in given or ():
        name, _, value = text.partition("=")
        if not name.isidentifier() or not value:
            raise BadInput(f"{option} {text}: write NAME=VALUE, as in {example}")
        if name in found:
            raise BadInput(f"{option} {name}: is given twice")
        try:
            document = tomllib.loads(f"value = {value}")
            json.dumps(document, allow_nan=False)
            if document.keys() != {"value"}:
                raise ValueError(text)
            found[name] = document["value"]
        except (ValueError, TypeError) as error:
            if not WORD.fullmatch(value) or value.lower() in MEANT_OTHERWISE:
                raise BadInput(
                    f"{option} {text}: its value is none of TOML, as in 3, 0.5, true, word, '\"any text\"' or [1, 2]"
                ) from error
            found[name] = value
    return found


def recipe(said: "Sequence[str] | None", first: "Mapping[str, Any]", **given: Any) -> "Recipe":
    """What a verb does by itself, then what --recipe says in its order, then options of their own that were `given`.

    A learning rate is found unless one is said.
    """
    from falcon_edge.training.recipe import PRESETS, fields_named, recipe_with

    named: dict[str, Any] = {}
    for text in said or ():
        if "=" in text:
            named |= arguments([text], "--recipe", "epochs=10")
        elif (fields := fields_named(text)) is not None:
            named |= fields
        else:
            raise BadInput(f"--recipe {text}: write {', '.join(PRESETS)}, a .toml, or FIELD=VALUE")
    named |= {name: value for name, value in given.items() if value is not None}
    return recipe_with(first, named)


def class_map(path: Path | None, data: str | None) -> "dict[str, str | int | None] | None":
    """What a file of --class-map says, of the classes of `data`."""
    if path is None:
        return None
    if data is None:
        raise BadInput("--class-map says what classes of --data are, which is not there")
    from falcon_edge.data.classes import read_class_map

    return read_class_map(path)


def every(text: str | None, cold: bool) -> float:
    """The seconds between ticks: by default 33 ms, and none where cold inferences stand for them."""
    from runtime_bench.measurement import EVERY

    if text is None:
        return 0.0 if cold else EVERY
    return seconds("--every", text)


def seconds(option: str, text: str) -> float:
    """'90', '90s', '33ms', '1.5m' or '1h' in seconds. Raises BadInput for anything else."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    unit = next((unit for unit in units if text.endswith(unit)), "")
    try:
        found = float(text.removesuffix(unit)) * units.get(unit, 1)
        if not 0 <= found < math.inf:
            raise ValueError(text)
    except ValueError as error:
        raise BadInput(f"{option} {text}: write a time, as in 33ms, 90s or 2m") from error
    return found


def numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """'0.5,0.4,0.3' as floats."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise BadInput(f"{option} {text}: write numbers with commas between them") from error


def rank(text: str | None) -> "Rank | None":
    """'2' as a number, or 'evbmf'."""
    if text is None:
        return None
    if text == "evbmf":
        return "evbmf"
    try:
        return int(text)
    except ValueError as error:
        raise BadInput(f"--rank {text}: write a whole number, or evbmf") from error


def unit(name: str | None, **given: int | None) -> "Unit | None":
    """The unit of --unit, and what was said of it. Raises BadInput for what it has not."""
    said = {option: value for option, value in given.items() if value is not None}
    if name is None:
        if said:
            raise BadInput(f"`{next(iter(said))}` goes with `unit`")
        return None
    from falcon_edge.falcon.units import unit_named

    return unit_named(name, said)
