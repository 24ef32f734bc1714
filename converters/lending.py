"""A model to be changed that borrows its large weights from another: nothing large is copied, or changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from onnx import ModelProto, TensorProto

from converters import onnx_verify

# The tensors that are lent now, by the "location" under which their borrowers name them.
_LENT: dict[str, TensorProto] = {}
_LOANS = count()


@contextmanager
def lent(model: ModelProto) -> Iterator[ModelProto]:
    """A copy of a model, to be changed while the context lasts, whose large initializers are still the model's.

    They look like data in another file; `owner` (and so converters.onnx_graph.Constants) finds their values.
    """
    light = ModelProto()
    onnx_verify.copy_fields(model, light, but=("graph",))
    onnx_verify.copy_fields(model.graph, light.graph, but=("initializer",))
    loan, mine = next(_LOANS), {}
    for index, tensor in enumerate(model.graph.initializer):
        if not onnx_verify.is_large(tensor):
            light.graph.initializer.append(tensor)
            continue
        borrowed = light.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        borrowed.data_location = TensorProto.EXTERNAL
        place = f"lent:{loan}:{index}"
        borrowed.external_data.add(key="location", value=place)
        mine[place] = owner(tensor)  # what is lent may be borrowed
    _LENT.update(mine)
    try:
        yield light
    finally:
        for place in mine:
            del _LENT[place]


def owner(tensor: TensorProto) -> TensorProto:
    """The tensor with the values: itself, unless they are borrowed."""
    if tensor.data_location == TensorProto.EXTERNAL and tensor.external_data:
        return _LENT.get(tensor.external_data[0].value, tensor)
    return tensor
