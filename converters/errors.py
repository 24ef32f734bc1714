"""What can go wrong in a conversion. Each message is one line: what, in which file or node, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass


class ConversionError(Exception):
    """A file or a network that cannot be converted."""


@dataclass(frozen=True)
class Unsupported:
    """An operator of ONNX, or a form (`detail`) of one, that TFLite lacks; `node` is torch's path to the module."""

    operator: str
    node: str
    detail: str = ""


class UnsupportedOperator(ConversionError):
    """All the operators of a file that TFLite cannot have."""

    def __init__(self, source: str, unsupported: Sequence[Unsupported]):
        nodes: dict[str, list[str]] = {}
        for item in unsupported:
            form = f"{item.operator} with {item.detail}" if item.detail else item.operator
            nodes.setdefault(form, []).append(item.node)
        listed = "; ".join(f"{form} (at {', '.join(names)})" for form, names in nodes.items())
        super().__init__(f"{source}: no TFLite for {listed}. Replace these layers, or run the network on ONNX Runtime")
        self.unsupported = tuple(unsupported)


class ParityError(Exception):
    """An exported file does not compute what its source computes."""
