"""What a description of a model file has: its values, its operators and its card."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from converters.errors import ConversionError

Shape = tuple[int, ...]
MAXIMUM_CARD, MAXIMUM_CARD_DEPTH = 16 * 1024**2, 32
# Output channels that kernels compute at a time on ARM: XNNPACK's tiles for NEON are 8 floats or 16 int8 wide.
LANES = {"float": 8, "float16": 8, "float32": 8, "int8": 16}
IMAGE_CHANNELS = 4  # so few come from an image, and cannot be chosen


@dataclass(frozen=True)
class Value:
    """An input or output of the whole graph; a dimension that has no size of its own counts as 1.

    free: those of them that are not the batch, as in '2 (height)'.
    """

    name: str
    shape: Shape
    dtype: str
    free: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operator:
    """One operator. MACs are of convolutions and matrix products, without bias additions.

    reads, writes: names of its tensors that are no constants, as many as `inputs`, and its outputs. form: what computes
    its MACs (pointwise, depthwise, grouped, standard, transposed, dense). channels: into and out of a convolution.
    """

    name: str
    kind: str
    inputs: tuple[Shape, ...]
    output: Shape
    dtype: str
    parameters: int
    macs: int
    activation: str | None = None
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    form: str | None = None
    channels: tuple[int, int] | None = None

    @property
    def bytes(self) -> int:
        """What it reads and writes at least: inputs, output and weights, once."""
        return self.bytes_each * (sum(map(prod, self.inputs)) + prod(self.output) + self.parameters)

    @property
    def idle_lanes(self) -> float:
        """The share of a convolution's work that kernels do for channels that do not exist."""
        lanes, used = LANES.get(self.dtype, 1), 1.0
        for count in self.channels or ():
            if count > IMAGE_CHANNELS:
                used *= count / (-(-count // lanes) * lanes)
        return 1 - used

    @property
    def bytes_each(self) -> int:
        """Of one number."""
        return np.dtype("float32" if self.dtype == "float" else self.dtype).itemsize


@dataclass(frozen=True)
class Transpose:
    """A transpose, and the bytes that it reads and writes."""

    name: str
    input: Shape
    output: Shape
    bytes: int


@dataclass(frozen=True)
class Description:
    """A model file. Shapes are the file's own: NCHW in ONNX, NHWC in TFLite."""

    format: str
    bytes: int
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    operators: tuple[Operator, ...]
    card: dict[str, Any] | None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, without those that rewrites added to the network's."""
        return sum(operator.macs for operator in self.operators) - self._added("macs")

    @property
    def parameters(self) -> int:
        """Numbers that weights and biases hold, without those that rewrites added to the network's."""
        return sum(operator.parameters for operator in self.operators) - self._added("parameters")

    @property
    def rewrites(self) -> tuple[str, ...]:
        """The exact rewrites that the card tells of (converters.passes.rewrites), by their names."""
        return tuple(sorted(self._rewrites.get("nodes") or ()))

    @property
    def _rewrites(self) -> dict[str, Any]:
        found = (self.card or {}).get("rewrites")
        return found if isinstance(found, dict) else {}

    def _added(self, what: str) -> int:
        found = self._rewrites.get(what)
        return found if isinstance(found, int) else 0

    @property
    def counts(self) -> dict[str, int]:
        """Operators by kind, the most frequent first."""
        return dict(Counter(operator.kind for operator in self.operators).most_common())

    def flags(self, operator: Operator) -> tuple[str, ...]:
        """What is known to make one of the operators slow: transpose, odd-channels, float-island."""
        found = []
        if operator.kind.upper() == "TRANSPOSE":
            found.append("transpose")
        if operator.idle_lanes > 0:
            found.append("odd-channels")
        computes_in_float = operator.macs > 0 and operator.dtype.startswith("float")
        if computes_in_float and any(other.dtype == "int8" and other.macs for other in self.operators):
            found.append("float-island")
        return tuple(found)

    @property
    def transposes(self) -> tuple[Transpose, ...]:
        """The operators that do nothing but move data from one layout to another."""
        return tuple(
            Transpose(
                operator.name, operator.inputs[0], operator.output, 2 * prod(operator.output) * operator.bytes_each
            )
            for operator in self.operators
            if operator.kind.upper() == "TRANSPOSE" and operator.inputs
        )


def card_of(path: Path, text: str | bytes | None) -> dict[str, Any] | None:
    """The embedded card: an object of JSON as others can read it, too, not deeper than any card is."""
    if text is None:
        return None
    try:
        if len(text) > MAXIMUM_CARD:
            raise ValueError("too large")
        card = json.loads(text)
        json.dumps(card, allow_nan=False, ensure_ascii=False).encode()
        level = [card]
        for _ in range(MAXIMUM_CARD_DEPTH):
            level = [part for parts in level if isinstance(parts, dict | list) for part in _parts(parts)]
        if level:
            raise ValueError("too deep")
    except (ValueError, RecursionError) as error:
        raise ConversionError(f"{path}: its embedded card is damaged") from error
    return card if isinstance(card, dict) else None


def _parts(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value
