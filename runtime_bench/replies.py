"""What a worker may say: a kind of reply for every request of worker.py, in the ranges that results have.

Whoever answers, a board's Python or an app, is not trusted: a reply that is none of these costs its entry.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime_bench.errors import WorkerError
from runtime_bench.ranges import Amount, Count, Cpu, Duration, Text
from runtime_bench.results import Counts

Kind = TypeVar("Kind", bound=BaseModel)
KINDS_OF_ERROR = ("runtime", "missing-runtime", "memory", "contract")
MOST_DIMENSIONS = 32
MOST_OUTPUTS = 10_000
LONGEST_REASON = 500
Shape = Annotated[list[Count], Field(max_length=MOST_DIMENSIONS)]
Dtype = Literal[
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"
]


class Reply(BaseModel):
    """A part of a reply: unknown fields are refused, and so are texts and truth values for numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class About(Reply):
    """The runtime that has loaded a file."""

    name: Text
    package: Text
    version: Text
    kernels: Text


class Input(Reply):
    """What a file takes."""

    shape: Shape
    dtype: Dtype
    layout: Literal["NCHW", "NHWC"]


class Output(Reply):
    """An output of what a file answered its first input with."""

    shape: Shape
    dtype: Dtype


class Loaded(Reply):
    """To `load`."""

    runtime: About
    load_ns: Duration
    first_inference_ns: Duration
    input: Input
    outputs: Annotated[list[Output], Field(min_length=1, max_length=MOST_OUTPUTS)]
    memory_bare: Count | None = None
    memory_before_load: Count | None
    memory_after_load: Count | None
    cpus: list[Cpu] = []
    numpy: Text = ""
    python: Text = ""


class WarmedUp(Reply):
    """To `warm_up`."""

    runs: Count
    stable: bool


class Measured(Reply):
    """To `measure`: a duration for every run.

    missed: ticks, of paced ones; mhz: before, at and after a tick; flushed: the bytes that were written before each
    cold one.
    """

    samples_ns: list[Duration]
    energy_j: Amount | None = None
    missed: Count | None = None
    mhz: Annotated[list[Amount], Field(min_length=3, max_length=3)] | None = None
    flushed: Count | None = None


class Invoked(Reply):
    """To `invoke`: a duration for every run."""

    samples_ns: list[Duration]


class Ran(Reply):
    """An operator that ONNX Runtime ran, with its microseconds in each inference."""

    name: Text
    kernel: Text
    provider: Text
    shape: Shape
    bytes: Count
    us: Annotated[list[Amount], Field(min_length=1)]


class Profiled(Reply):
    """To `profile`: the operators that ran, or the first outputs of those that a delegate took over.

    samples_ns: of the inferences that were profiled, as a whole.
    """

    nodes: Annotated[list[Ran], Field(min_length=1)] | None = None
    samples_ns: list[Duration] | None = None
    delegated: list[Text] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.nodes is None) == (self.delegated is None):
            raise ValueError("nodes or delegated, one of both")
        return self


class Copied(Reply):
    """To `bandwidth`."""

    ns: Duration


class Evaluated(Reply):
    """To `evaluate`: how many images were."""

    images: Count


class Replayed(Reply):
    """To `replay`: how many inputs were."""

    vectors: Count


class Board(Reply):
    """What a device's Python says of itself: its version, which modules it has, and the CPUs it may be put on.

    cpus: none where the system puts no process on any (macOS).
    """

    python: Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}", max_length=100)]
    modules: tuple[Text, ...]
    cpus: tuple[Cpu, ...]

    @property
    def version(self) -> tuple[int, ...]:
        """Its first two numbers."""
        return tuple(int(number) for number in re.findall("[0-9]+", self.python)[:2])


class Weighed(Reply):
    """To `memory`."""

    resident: Count | None
    peak: Count | None


REQUESTS: Mapping[type[BaseModel], str] = {
    Loaded: "load",
    WarmedUp: "warm_up",
    Measured: "measure",
    Invoked: "invoke",
    Profiled: "profile",
    Copied: "bandwidth",
    Evaluated: "evaluate",
    Replayed: "replay",
    Weighed: "memory",
    Counts: "count",  # by an emulator that counts
}


# How many a reply has to tell (or tell of), by what was asked.
AS_MANY: Mapping[type[BaseModel], tuple[str, Callable[[Mapping[str, Any]], int]]] = {
    Measured: ("samples_ns", lambda request: request["runs"]),
    Invoked: ("samples_ns", lambda request: request["runs"]),
    Evaluated: ("images", lambda request: request["stop"] - request["start"]),
    Replayed: ("vectors", lambda request: len(request["inputs"])),
}


def checked(kind: type[Kind], reply: Mapping[str, Any], request: Mapping[str, Any]) -> Kind:
    """A reply to a request, if it is of the kind that answers it. Raises WorkerError with the field that is not."""
    try:
        found = kind.model_validate(reply)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise _wrong(kind, ".".join(map(str, first["loc"])) or "it", first["msg"]) from None
    if kind in AS_MANY:
        field, wanted = AS_MANY[kind]
        told = getattr(found, field)
        told = told if isinstance(told, int) else len(told)
        if told != wanted(request):
            raise _wrong(kind, field, f"{told} of {wanted(request)}")
    return found


def answer(action: str, line: bytes) -> dict[str, Any]:
    """What a worker says, not yet of any kind. Raises WorkerError if it is an error, or no object of JSON."""
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        reply = None
    if not isinstance(reply, dict):
        raise WorkerError(f"the worker's answer to {action} is damaged", kind="protocol")
    if "error" in reply:
        said, kind = reply["error"], reply.get("kind")
        text = _short(said) if isinstance(said, str) else "it failed, and does not say how"
        raise WorkerError(f"{action}: {text}", kind=kind if kind in KINDS_OF_ERROR else KINDS_OF_ERROR[0])
    return reply


def _wrong(kind: type[BaseModel], field: str, what: str) -> WorkerError:
    message = f"the worker's answer to {REQUESTS[kind]} is wrong: {_short(field)}: {_short(what)}"
    return WorkerError(message, kind="protocol")


def _short(text: str) -> str:
    """One line of what a worker says, which can be written: half a character cannot."""
    return " ".join(text[:LONGEST_REASON].encode(errors="replace").decode().split())
