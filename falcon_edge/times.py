"""The file of times: how long forms of convolutions take on a device, and networks that show what else takes time."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from falcon_edge.documents import Document, read_document
from falcon_edge.errors import BadInput

Way = Literal["back to back", "cold", "cycles"]
WAYS: dict[Way, str] = {"back to back": "warm_ns", "cold": "cold_ns", "cycles": "cycles"}
Pair = tuple[int, int]
LONGEST = 1e18  # nanoseconds: what is beyond is no inference
Figures = tuple[Annotated[float, Field(ge=0, le=LONGEST)], ...]


class Unit(Document):
    """A form of a convolution at a place of a network, with a bias, as it is exported: what decides its time."""

    form: str = Field(description="its name; keep: the convolution as it is")
    sizes: tuple[int, ...] = Field(description="one for each dimension of the form")
    channels: Pair = Field(description="in, out")
    kernel: Pair
    stride: Pair
    padding: Pair | str
    padding_mode: str
    dilation: Pair
    groups: int
    height: int = Field(description="of what it reads")
    width: int
    of_image: bool = Field(description="it reads the network's input")
    clamped: bool = Field(description="a Relu follows; always so where that costs nothing: behind a single convolution")

    @property
    def reference(self) -> "Reference":
        """What it is timed within."""
        return Reference(of_image=self.of_image, channels=self.channels[0], height=self.height, width=self.width)

    def __str__(self) -> str:
        sizes = f" {', '.join(map(str, self.sizes))}" if self.sizes else ""
        return f"{self.form}{sizes} of {self.channels[0]} to {self.channels[1]} channels at {self.height}x{self.width}"


class Measured(Document):
    """Figures of an inference, one a round; of an emulated CPU estimated cycles and no times.

    The least counts: what disturbs a machine only adds.
    """

    warm_ns: Figures = Field(default=(), description="back to back")
    cold_ns: Figures = Field(default=(), description="with emptied caches")
    cycles: Figures = Field(default=(), description="estimated, without any wait for memory")

    @property
    def rounds(self) -> int:
        """How often it was measured."""
        return max(len(self.warm_ns), len(self.cycles))

    def value(self, way: Way) -> float | None:
        """Seconds, or cycles; None where it was not measured so."""
        figures = self.figures(way)
        if not figures:
            return None
        return min(figures) if way == "cycles" else min(figures) / 1e9

    def figures(self, way: Way) -> Figures:
        """Nanoseconds, or cycles, one a round; none where it was not measured so."""
        found: Figures = getattr(self, WAYS[way])
        return found


class Reference(Document):
    """What a small model is apart from its units: what makes their input, and reads a pixel of their output."""

    of_image: bool = Field(description="their input is the network's")
    channels: int
    height: int
    width: int


class TimedReference(Measured):
    """A small model without any unit: what it takes is no unit's."""

    reference: Reference


class TimedUnit(Measured):
    """A small model of a unit."""

    unit: Unit
    copies: int = Field(ge=1, description="how many it has, one behind the other")
    failure: str | None = Field(default=None, description="why it cannot be run")


class TimedNetwork(Measured):
    """A whole network, some of its convolutions in other forms: what it takes beyond these is the rest of it."""

    outline: str = Field(description="hash of the standard network's operators and their shapes")
    replaced: dict[str, tuple[str, tuple[int, ...]]] = Field(description="by layer, the form and its sizes")
    parameters: int = Field(ge=0, description="of the network with these forms")
    width: float | None = Field(
        default=None, gt=0, lt=1, description="of a narrower network: the share of its channels that every group keeps"
    )


class RewritePlace(Document):
    """An operator of an int8 graph that an exact rewrite could be applied to: what its time depends on."""

    rewrite: str
    input: tuple[int, ...] = Field(description="shape as in ONNX")
    output: tuple[int, ...]
    kernel: Pair
    stride: Pair
    groups: int
    branches: int = Field(description="of a sum of pairs of a pointwise and a depthwise convolution that could be one")

    def __str__(self) -> str:
        kernel, sizes = (f"{each[0]}x{each[1]}" for each in (self.kernel, self.input[2:]))
        return f"{self.rewrite} of {kernel}, {self.input[1]} to {self.output[1]} channels at {sizes}"


class TimedRewrite(Measured):
    """A whole network in int8 with one rewrite at all places that are alike, or without any."""

    outline: str = Field(description="hash of the network's operators and their shapes")
    place: RewritePlace | None
    failure: str | None = Field(default=None, description="why it cannot be run")


class Series(Document):
    """What was timed on one device, with one runtime, in one precision."""

    device: str = Field(description="as the user called it")
    machine: str = Field(description="its CPU and system")
    emulated: bool = Field(description="figures are estimated cycles, never times")
    runtime: str
    version: str
    precision: str
    cpu: str = Field(default="any", description="the kind of CPU that int8 files are written for")
    threads: int = Field(ge=1)
    references: tuple[TimedReference, ...] = ()
    units: tuple[TimedUnit, ...] = ()
    networks: tuple[TimedNetwork, ...] = ()
    rewrites: tuple[TimedRewrite, ...] = ()

    @property
    def key(self) -> tuple[str, str, str, str, str, str, int]:
        """What its times are of."""
        return self.device, self.machine, self.runtime, self.version, self.precision, self.cpu, self.threads

    def value(self, timed: TimedUnit, way: Way) -> float | None:
        """What a unit adds to an inference: seconds, or cycles; None where that was not measured."""
        wanted = timed.unit.reference
        without = next((each.value(way) for each in self.references if each.reference == wanted), None)
        whole = timed.value(way)
        return None if whole is None or without is None else (whole - without) / timed.copies

    def __str__(self) -> str:
        return f"{self.runtime} {self.version} in {self.precision} on {self.device}{_used(self.threads, self.cpu)}"


class Times(Document):
    """A file of times. The same times give the same bytes."""

    schema_version: Literal[1] = 1
    series: tuple[Series, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> "Times":
        for what, keys in _keys(self.series).items():
            if len(set(keys)) < len(keys):
                raise ValueError(f"it has one of its {what} twice")
        return self

    def with_series(self, series: Series) -> "Times":
        """The same with one series in the place of that of the same key, all in order."""
        others = [each for each in self.series if each.key != series.key]
        ordered = series.model_copy(
            update={
                "references": tuple(sorted(series.references, key=lambda each: repr(each.reference))),
                "units": tuple(sorted(series.units, key=lambda each: repr(each.unit))),
                "networks": tuple(
                    sorted(series.networks, key=lambda each: (each.outline, repr(each.replaced), each.parameters))
                ),
                "rewrites": tuple(sorted(series.rewrites, key=lambda each: (each.outline, repr(each.place)))),
            }
        )
        return Times(series=tuple(sorted([*others, ordered], key=lambda each: each.key)))

    def series_of(
        self, *, runtime: str, precision: str, device: str | None = None, threads: int = 1, cpu: str = "any"
    ) -> Series:
        """The one series of a runtime and precision. Raises BadInput if there is none, or several."""
        found = [
            each
            for each in self.series
            if (each.runtime, each.precision, each.threads, each.cpu) == (runtime, precision, threads, cpu)
            and device in (None, each.device)
        ]
        if len(found) == 1:
            return found[0]
        where = "" if device is None else f" on {device}"
        wanted = f"{runtime} in {precision}{where}{_used(threads, cpu)}"
        having = "; ".join(map(str, self.series)) or "nothing"
        problem = "no times of" if not found else "several machines' or versions' times of"
        raise BadInput(f"{problem} {wanted}; there are {having}")


def _used(threads: int, cpu: str) -> str:
    """In words, where it is not as usual: one thread, files for any CPU."""
    return ("" if threads == 1 else f" by {threads} threads") + ("" if cpu == "any" else f", of files for {cpu}")


def _keys(series: tuple[Series, ...]) -> dict[str, list[str]]:
    """What tells the entries of each kind apart."""
    return {
        "series": [repr(each.key) for each in series],
        "references": [repr((each.key, timed.reference)) for each in series for timed in each.references],
        "units": [repr((each.key, timed.unit)) for each in series for timed in each.units],
        "networks": [
            repr((each.key, timed.outline, timed.parameters, sorted(timed.replaced.items())))
            for each in series
            for timed in each.networks
        ],
        "rewrites": [repr((each.key, timed.outline, timed.place)) for each in series for timed in each.rewrites],
    }


def read_times(path: Path) -> Times:
    """A file of times. Raises BadInput."""
    return read_document(path, Times)
