"""float16 as the store of a network's constants, while all arithmetic stays float32.

Rounding them is the whole of what is lost: a network whose constants were rounded is stored exactly.
"""

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from converters.onnx_graph import Constants, OnnxGraph

# A constant of fewer numbers saves less in float16 than the operator that expands it takes.
LEAST_NUMBERS = 128
# Rounding to 11 bits leaves 73 dB; where less is left, numbers are too large for float16 (65,504) or too small (6e-5).
HELD_DB = 60.0
PIECE = 2**18  # numbers


def round_constants(constants: Constants) -> tuple[str, ...]:
    """Put those that float16 holds in the place of a graph's large float32 constants, in float32.

    Returns the names of those that it cannot hold, which stay as they are.
    """
    left = []
    for name in constants:
        if constants.is_float(name) and np.prod(constants.shape(name)) >= LEAST_NUMBERS:
            value = _rounded(constants[name])
            if value is None:
                left.append(name)
            else:
                constants.add(name, value)
    return tuple(left)


def round_weights(model: ModelProto) -> tuple[str, ...]:
    """`round_constants` of a model without Constant nodes, which is changed in place."""
    constants = OnnxGraph(model).constants
    left = round_constants(constants)
    for tensor in model.graph.initializer:
        value = constants[tensor.name]
        if tensor.data_type == TensorProto.FLOAT and value.size >= LEAST_NUMBERS and tensor.name not in left:
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return left


def is_exact(value: np.ndarray) -> bool:
    """Whether float16 holds every number of a float32 array as it is."""
    with np.errstate(over="ignore"):
        return bool((value.astype(np.float16) == value).all())


def _rounded(value: np.ndarray) -> np.ndarray | None:
    """The numbers of float16 that are nearest, as float32, a piece at a time; None where too little is left of them."""
    flat, made = value.reshape(-1), np.empty(value.size, np.float32)
    signal = noise = 0.0
    for start in range(0, flat.size, PIECE):
        part = flat[start : start + PIECE]
        with np.errstate(over="ignore", invalid="ignore"):
            made[start : start + PIECE] = half = part.astype(np.float16)
            exact = half == part  # infinities among them
            signal += float(np.square(part[np.isfinite(part)], dtype=np.float64).sum())
            noise += float(np.square(part[~exact] - half[~exact].astype(np.float64)).sum())
    return made.reshape(value.shape) if noise * 10 ** (HELD_DB / 10) <= signal else None
