"""Batches of any loader: inputs of a network, alone or each with its targets."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from falcon_edge.errors import BadInput


def each(batches: Iterable[Any], name: str = "batches") -> Iterator[tuple[Any, Any]]:
    """(inputs, targets) of each batch: floats (B, C, H, W), and what stands beside them, or None.

    Raises BadInput, naming `name` and the batch, for what is no loader, gives no batch, or gives something else; inputs
    are finite.
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
        strange = first_not_finite(inputs)
        if strange is not None:
            raise BadInput(f"{name}: image {strange} (from 0) of batch {number} holds NaN or infinity")
        yield inputs, rest[0] if rest else None
    if number < 0:
        raise BadInput(f"{name}: the loader gives no batch (a generator gives its own only once)")


def first_not_finite(values: Any) -> int | None:
    """The place along the first axis of the first number that is none, in a tensor of torch or an array of NumPy."""
    with np.errstate(invalid="ignore"):
        strange = values - values != 0
    if not strange.any():
        return None
    found: list[bool] = strange.reshape(len(values), -1).any(1).tolist()
    return found.index(True)


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
