"""Batches of any loader: inputs of a network, alone or each with its targets."""

from collections.abc import Iterable, Iterator
from typing import Any

from falcon_edge.errors import BadInput


def each(batches: Iterable[Any], name: str = "batches") -> Iterator[tuple[Any, Any]]:
    """(inputs, targets) of each batch: floats (B, C, H, W), and what stands beside them, or None.

    Raises BadInput, naming `name` and the batch, for what is no loader, gives no batch, or gives something else.
    """
    try:
        found = iter(batches)
    except TypeError as error:
        raise BadInput(f"{name}: {_described(batches)} is no loader; give an iterable of batches") from error
    number = -1
    for number, batch in enumerate(found):
        inputs, *rest = batch if isinstance(batch, tuple | list) and batch else (batch,)
        if len(getattr(inputs, "shape", ())) != 4 or not _are_floats(inputs):
            raise BadInput(
                f"{name}: batch {number} is {_described(batch)}; it must be floats (B, C, H, W), or these and targets"
            )
        yield inputs, rest[0] if rest else None
    if number < 0:
        raise BadInput(f"{name}: the loader gives no batch (a generator gives its own only once)")


def _are_floats(inputs: Any) -> bool:
    """Of a tensor of torch, or an array of NumPy."""
    asked = getattr(inputs, "is_floating_point", None)
    return getattr(inputs.dtype, "kind", "") == "f" if asked is None else bool(asked())


def _described(value: Any) -> str:
    if isinstance(value, tuple | list) and value:
        return f"a {type(value).__name__} with {_described(value[0])}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return f"a {type(value).__name__}"
