"""What can go wrong in a conversion. Each message is one line: what, in which file or node, what to do."""

from collections.abc import Iterable


class ConversionError(Exception):
    """A file or a network that cannot be converted."""


class UnsupportedOperator(ConversionError):
    """An operator, or a form of one, that an emitter does not know."""

    def __init__(self, operator: str, node: str, known: Iterable[str], detail: str = ""):
        form = f" with {detail}" if detail else ""
        super().__init__(f"{node}: {operator}{form} is not supported in TFLite; known are {', '.join(sorted(known))}")
        self.operator, self.node = operator, node


class ParityError(Exception):
    """An exported file does not compute what its source computes."""
