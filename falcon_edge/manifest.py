"""What a manifest says of a network, and the card that an exported file carries (docs/formats.md)."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from falcon_edge.documents import Document
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


class Architecture(Document):
    """How to build the network before its plan is applied (see falcon_edge.models.sources)."""

    source: str
    num_classes: int | None = None
    in_channels: int | None = None
    width: float = 1.0


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
    """The network's output: (num_classes,) logits per image."""

    name: str = "logits"
    shape: tuple[int, ...]


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
    output: IntegerValue
    kept: dict[str, str] = Field(default={}, description="nodes left in float, by the name of their output: why")
    islands: tuple[str, ...] = Field(default=(), description="nodes that ONNX Runtime computes in float")


class LayerLosses(Document):
    """What int8 costs layer by layer against float32, on calibration images."""

    snr_db: dict[str, float | None] = Field(
        description="by the name of a layer's result, the median over images; null: no difference at all"
    )
    warnings: tuple[str, ...] = Field(default=(), description="layers that lose more than their operands explain: why")


class Card(Document):
    """What is frozen into an exported file: everything that a program needs to use it, nothing that was measured."""

    schema_version: Literal[1] = 1
    name: str
    input: InputSpec
    labels: tuple[str, ...]
    outputs: tuple[Output, ...]
    quantization: Quantization | None = None
    lineage: Lineage


class MeasuredParity(Document):
    """How an exported file's outputs differ from those of `against`, over `samples` inputs."""

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
    parity: MeasuredParity = Field(description="that the file is right")
    loss: MeasuredParity | None = Field(default=None, description="what its precision loses against float32")
    macs: int
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = Field(default=(), description="what a strict export refuses")


class Speed(Document):
    """Median latencies of float32 and int8 in nanoseconds, one thread, measured in turns on a machine with this CPU."""

    cpu: str | None
    runtime: str
    fp32_ns: float
    int8_ns: float


class Advice(Document):
    """What int8 costs and brings one file, and a word on it.

    Top-1 is in 0..1 on `samples` validation images, beside float32; speed is null where it was not measured.
    """

    file: str
    samples: int
    top1_float: float
    top1: float
    speed: Speed | None = None
    text: str


class Tolerance(Document):
    """How far a file's outputs may be from the golden ones: a share of the largest output, or int8 steps."""

    rtol: float | None = None
    max_lsb: int | None = None
    top1: bool = Field(default=True, description="the first class must be the same")


class GoldenVector(Document):
    """One input (float32 little-endian, NCHW, normalised), the image it was made of, the output of every file."""

    input: BundlePath
    pixels: BundlePath | None = Field(default=None, description="raw uint8 image, height x width x channels")
    pixels_shape: tuple[int, int, int] | None = None
    outputs: dict[BundlePath, BundlePath] = Field(
        default={}, description="exported file -> its output, in its own dtype and layout"
    )


class Golden(Document):
    """Inputs and the outputs that every exported file must reproduce on any device."""

    vectors: tuple[GoldenVector, ...] = ()
    tolerances: dict[BundlePath, Tolerance] = Field(default={})


class MeasuredAccuracy(Document):
    """Top-1 in 0..1 of the torch model on one split of a data set."""

    data: str
    split: str
    samples: int
    top1: float


class Manifest(Document):
    """manifest.json."""

    schema_version: Literal[1] = 1
    name: str
    architecture: Architecture
    input: InputSpec
    labels: tuple[str, ...]
    outputs: tuple[Output, ...]
    lineage: Lineage
    parameters: int
    macs: int
    accuracy: tuple[MeasuredAccuracy, ...] = ()
    quantization: Quantization | None = None
    layer_losses: LayerLosses | None = None
    advice: tuple[Advice, ...] = ()
    exports: tuple[Export, ...] = ()
    golden: Golden = Golden()
    tools: dict[str, str] = Field(default={})

    def card(self, quantization: Quantization | None = None) -> Card:
        """The part that an exported file carries; an int8 file's with its quantization."""
        return Card(
            name=self.name,
            input=self.input,
            labels=self.labels,
            outputs=self.outputs,
            quantization=quantization,
            lineage=self.lineage,
        )

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the manifest names."""
        names = [export.file for export in self.exports]
        for vector in self.golden.vectors:
            names += [vector.input, *vector.outputs.values(), *([] if vector.pixels is None else [vector.pixels])]
        return tuple(names)
