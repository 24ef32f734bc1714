"""What a file stores, as tensors."""

from math import prod
from typing import Any

import numpy as np
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

DTYPES = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.INT64: torch.int64,
    TensorProto.INT32: torch.int32,
    TensorProto.INT16: torch.int16,
    TensorProto.INT8: torch.int8,
    TensorProto.UINT8: torch.uint8,
    TensorProto.BOOL: torch.bool,
}
MOST = 2**40  # numbers of one value
# How a Constant may be written, beside as a tensor.
NUMBERS = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}


def tensor_of(stored: TensorProto) -> Tensor:
    """The numbers in memory of their own. Raises ValueError for a type that torch does not have, or another file."""
    dtype = outline_of(stored).dtype
    try:
        values = numpy_helper.to_array(stored)
    except Exception as error:  # of several kinds: what is stored may be anything
        raise ValueError("has other numbers than its shape says") from error
    if dtype is torch.bfloat16:  # which numpy does not have
        values = values.astype(np.float32)
    return torch.from_numpy(np.array(values)).to(dtype)


def outline_of(stored: TensorProto) -> Tensor:
    """The type and the shape on the meta device, without the numbers. Raises ValueError as `tensor_of`."""
    if stored.data_location == TensorProto.EXTERNAL or stored.external_data:
        raise ValueError("is in another file; save the model as one file")
    dtype = DTYPES.get(stored.data_type)
    if dtype is None:
        raise ValueError(f"is of type {kind_name(stored.data_type)}, which no layer is made of")
    if any(size < 0 for size in stored.dims) or prod(stored.dims) > MOST:
        raise ValueError(f"has the shape {tuple(stored.dims)}, which no file holds")
    return torch.empty(tuple(stored.dims), dtype=dtype, device="meta")


def constant_of(node: NodeProto) -> Tensor:
    """The tensor of a Constant node. Raises ValueError as `tensor_of`, and for strings."""
    if len(node.attribute) != 1:
        raise ValueError("has no value, or several")
    attribute = node.attribute[0]
    value: Any = helper.get_attribute_value(attribute)
    if isinstance(value, TensorProto):
        return tensor_of(value)
    if attribute.name not in NUMBERS:
        raise ValueError(f"is written as {attribute.name}, which no layer is made of")
    return torch.from_numpy(np.array(value, NUMBERS[attribute.name]))


def kind_name(data_type: int) -> str:
    """A type of ONNX in words."""
    known = data_type in TensorProto.DataType.values()
    return str(TensorProto.DataType.Name(data_type)).lower() if known else f"number {data_type}"
