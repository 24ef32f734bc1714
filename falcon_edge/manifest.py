"""What a manifest says of a network, and the card that an exported file carries (docs/formats.md)."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, JsonValue

from falcon_edge.documents import VERSION, Document, Upgrades
from falcon_edge.preprocessing import InputSpec

# The name of a format; those of today are in converters/formats.
Target = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Precision = Literal["fp32", "fp16", "int8"]
Role = Literal["standard", "compressed"]

# Folders and a name, none of which starts with a dot: neither absolute nor out of the bundle, on any system.
INSIDE = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"


def _inside(name: str) -> str:
    if not re.fullmatch(INSIDE, name):
        raise ValueError(f"{name!r} is no path inside of the bundle")
    return name


BundlePath = Annotated[str, AfterValidator(_inside), Field(json_schema_extra={"pattern": INSIDE})]


class PlacedUnit(Document):
    """What stands in the place of convolutions since before the network was trained (see falcon_edge.falcon.units)."""

    name: str
    options: dict[str, int] = Field(default={})
    layers: tuple[str, ...] = Field(description="the convolutions, by module path")


class Architecture(Document):
    """How to build the network before its plan is applied (see falcon_edge.models.sources)."""

    source: str
    num_classes: int | None = None
    in_channels: int | None = None
    width: float = 1.0
    model_args: dict[str, JsonValue] = Field(default={}, description="what `module:function` is called with besides")
    unit: PlacedUnit | None = None


class Parent(Document):
    """The model that this one was made from."""

    name: str
    identity: str


class Step(Document):
    """One thing that was done to the model: the verb and what decided its outcome."""

    verb: str
    options: dict[str, Any] = Field(default={})
    data: str | None = None


class Lineage(Document):
    """Where a model came from. `identity` is the SHA-256 of its weights.safetensors."""

    identity: str
    role: Role
    parent: Parent | None = None
    steps: tuple[Step, ...] = ()


class Output(Document):
    """An output of the network, its shape without that of the batch: in exported files one image is the batch.

    kind: classes (a score for each), map (channels, height, width), or values (all else). node: of an output that is
    cut out of the network's graph, what it is called there.
    """

    name: str
    shape: tuple[int, ...]
    kind: Literal["classes", "map", "values"]
    node: str | None = None


class IntegerValue(Document):
    """real = scale (q - zero_point) with q in -128..127; a uint8 counts 128 more, at the same scale."""

    scale: float
    zero_point: int


class Quantization(Document):
    """How the int8 files were made: both runtimes have the same scales."""

    calibration: str = Field(description="how ranges were chosen: minmax, percentile, entropy or mse")
    data: str
    data_sha256: str = Field(description="of the calibration images and labels")
    samples: int
    input: IntegerValue
    outputs: dict[str, IntegerValue] = Field(description="by name; those that are left out stay in float")
    kept: dict[str, str] = Field(default={}, description="nodes left in float, by the name of their output: why")
    islands: tuple[str, ...] = Field(default=(), description="nodes that ONNX Runtime computes in float")
    multiplied: tuple[str, ...] = Field(
        default=(), description="convolutions of which the factors were multiplied back, for int8 is faster so"
    )


class Rewrites(Document):
    """Exact rewrites of an int8 file's graph, which its runtime is faster with: the same answers.

    What they add to it are zeros and the like: they are not counted as the network's.
    """

    nodes: dict[str, tuple[str, ...]] = Field(description="by the name of the rewrite, those that it was applied to")
    macs: int = Field(description="how many they add")
    parameters: int = Field(description="how many they add")


class LayerLosses(Document):
    """What int8 costs layer by layer against float32, on calibration images."""

    snr_db: dict[str, float | None] = Field(
        description="by the name of a layer's result, the median over images; null: no difference at all"
    )
    warnings: tuple[str, ...] = Field(default=(), description="layers that lose more than their operands explain: why")


def _card_from_version_1(card: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew one output, a row of classes."""
    for output in card["outputs"]:
        output["kind"] = "classes"
    quantization = card.get("quantization")
    if quantization is not None:
        quantization["outputs"] = {card["outputs"][0]["name"]: quantization.pop("output")}
    return card | {VERSION: 2}


class Card(Document):
    """What is frozen into an exported file: everything that a program needs to use it, nothing that was measured."""

    UPGRADES: ClassVar[Upgrades] = {1: _card_from_version_1}

    schema_version: Literal[2] = 2
    name: str
    input: InputSpec
    labels: tuple[str, ...]
    outputs: tuple[Output, ...]
    quantization: Quantization | None = None
    rewrites: Rewrites | None = None
    lineage: Lineage


class MeasuredParity(Document):
    """How an output of an exported file differs from that of `against`, over `samples` inputs."""

    output: str
    against: str
    samples: int
    max_abs: float
    max_relative: float
    snr_db: float | None = Field(description="null: no difference at all")


class Export(Document):
    """One exported file, by its path in the bundle."""

    file: BundlePath
    target: Target
    precision: Precision
    parity: tuple[MeasuredParity, ...] = Field(description="that the file is right, of every output")
    loss: tuple[MeasuredParity, ...] = Field(default=(), description="what its precision loses against float32")
    layouts: dict[str, Literal["NCHW", "NHWC"]] = Field(
        default={}, description="of outputs with four axes, the batch among them, by name"
    )
    macs: int
    rewrites: Rewrites | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = Field(default=(), description="what a strict export refuses")


class Speed(Document):
    """Median latencies of float32 and int8 in nanoseconds, one thread, measured in turns on a machine with this CPU."""

    cpu: str | None
    runtime: str
    fp32_ns: float
    int8_ns: float


class Quality(Document):
    """A metric's value on so many images, with its 95% interval (null where there is none).

    unit: share (in 0..1), dB, or none.
    """

    metric: str
    value: float
    interval: tuple[float, float] | None = None
    samples: int
    higher_is_better: bool = True
    unit: Literal["share", "dB", ""] = ""


class Advice(Document):
    """What int8 costs and brings one file, and a word on it.

    Its quality on validation images, beside that of float32; speed is null where it was not measured.
    """

    file: str
    quality: Quality | None
    quality_float: Quality | None
    speed: Speed | None = None
    text: str


class Tolerance(Document):
    """How far an output of a file may be from the golden one: a share of the largest value, or int8 steps.

    runtime: on which, where it has a tolerance of its own; null: on every other. differing: the share of its values
    that may be others at all, of an output of whole numbers.
    """

    file: BundlePath
    output: str
    runtime: str | None = None
    rtol: float | None = None
    max_lsb: int | None = None
    differing: float | None = None
    classes: bool = Field(default=False, description="the highest class must be the same")


class GoldenVector(Document):
    """One input (float32 little-endian, NCHW, normalised), the image it was made of, the outputs of every file."""

    input: BundlePath
    pixels: BundlePath | None = Field(default=None, description="raw uint8 image, height x width x channels")
    pixels_shape: tuple[int, int, int] | None = None
    outputs: dict[BundlePath, BundlePath] = Field(
        default={}, description="exported file -> its outputs, one after the other, in their own dtypes and layouts"
    )


class Golden(Document):
    """Inputs and the outputs that every exported file must reproduce on any device."""

    vectors: tuple[GoldenVector, ...] = ()
    tolerances: tuple[Tolerance, ...] = ()

    def of(self, file: str, runtime: str) -> tuple[Tolerance, ...]:
        """The tolerances of a file's outputs on a runtime, in the order of the outputs."""
        chosen: dict[str, Tolerance] = {}
        for each in self.tolerances:
            own = each.runtime == runtime
            if each.file == file and (own or (each.runtime is None and each.output not in chosen)):
                chosen[each.output] = each
        return tuple(chosen.values())


class MeasuredQuality(Quality):
    """Of the torch model, on one split of a data set."""

    data: str
    split: str


def _from_version_1(manifest: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew one output, a row of classes, and top-1 alone."""
    card = {name: manifest.get(name) for name in ("outputs", "quantization")}
    upgraded = manifest | _card_from_version_1(card) | {VERSION: 2}
    output = upgraded["outputs"][0]["name"]

    def top1(value: float, samples: int) -> dict[str, Any]:
        return {"metric": "top1", "value": value, "samples": samples, "unit": "share"}

    upgraded["quality"] = [
        top1(each["top1"], each["samples"]) | {"data": each["data"], "split": each["split"]}
        for each in upgraded.pop("accuracy", [])
    ]
    upgraded["advice"] = [
        {name: each[name] for name in ("file", "speed", "text") if name in each}
        | {"quality": top1(each["top1"], each["samples"]), "quality_float": top1(each["top1_float"], each["samples"])}
        for each in upgraded.get("advice", [])
    ]
    for export in upgraded.get("exports", []):
        export["parity"] = [export["parity"] | {"output": output}]
        export["loss"] = [] if export.get("loss") is None else [export["loss"] | {"output": output}]
    golden = upgraded.get("golden")
    if golden is not None:
        golden["tolerances"] = [
            {name: value for name, value in each.items() if name != "top1"}
            | {"file": file, "output": output, "classes": each.get("top1", True)}
            for file, each in golden.get("tolerances", {}).items()
        ]
    return upgraded


class Manifest(Document):
    """manifest.json."""

    UPGRADES: ClassVar[Upgrades] = {1: _from_version_1}

    schema_version: Literal[2] = 2
    name: str
    architecture: Architecture
    input: InputSpec
    labels: tuple[str, ...]
    outputs: tuple[Output, ...]
    head: tuple[Output, ...] = Field(default=(), description="what exported files give, where they end before these")
    lineage: Lineage
    parameters: int
    macs: int
    quality: tuple[MeasuredQuality, ...] = ()
    quantization: Quantization | None = None
    layer_losses: LayerLosses | None = None
    advice: tuple[Advice, ...] = ()
    exports: tuple[Export, ...] = ()
    golden: Golden = Golden()
    tools: dict[str, str] = Field(default={})

    def card(self, quantization: Quantization | None = None, rewrites: Rewrites | None = None) -> Card:
        """The part that an exported file carries; an int8 file's with its quantization and its rewrites."""
        return Card(
            name=self.name,
            input=self.input,
            labels=self.labels,
            outputs=self.given,
            quantization=quantization,
            rewrites=rewrites,
            lineage=self.lineage,
        )

    @property
    def given(self) -> tuple[Output, ...]:
        """The outputs of exported files."""
        return self.head or self.outputs

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the manifest names."""
        names = [export.file for export in self.exports]
        for vector in self.golden.vectors:
            names += [vector.input, *vector.outputs.values(), *([] if vector.pixels is None else [vector.pixels])]
        return tuple(names)
