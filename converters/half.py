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


def round_constants(constants: Constants, *, by_channel: bool = False) -> tuple[str, ...]:
    """Put those that float16 holds in the place of a graph's large float32 constants, in float32.

    With `by_channel` it must hold every channel of a constant, or else a channel whose weights are nothing beside those
    of others may become nothing. Returns the names of those that it cannot hold, which stay as they are.
    """
    left = []
    for name in constants:
        if constants.is_float(name) and np.prod(constants.shape(name)) >= LEAST_NUMBERS:
            value = _rounded(constants[name], by_channel)
            if value is None:
                left.append(name)
            else:
                constants.add(name, value)
    return tuple(left)


def round_weights(model: ModelProto, *, by_channel: bool = False) -> tuple[str, ...]:
    """`round_constants` of a model without Constant nodes, which is changed in place."""
    constants = OnnxGraph(model).constants
    left = round_constants(constants, by_channel=by_channel)
    for tensor in model.graph.initializer:
        value = constants[tensor.name]
        if tensor.data_type == TensorProto.FLOAT and value.size >= LEAST_NUMBERS and tensor.name not in left:
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return left


def is_exact(value: np.ndarray) -> bool:
    """Whether float16 holds every number of a float32 array as it is."""
    with np.errstate(over="ignore"):
        return bool((value.astype(np.float16) == value).all())


def _rounded(value: np.ndarray, by_channel: bool) -> np.ndarray | None:
    """The numbers of float16 that are nearest, as float32, a piece at a time; None where too little is left of them."""
    flat, made = value.reshape(-1), np.empty(value.size, np.float32)
    signal = noise = 0.0
    for start in range(0, flat.size, PIECE):
        part = flat[start : start + PIECE]
        with np.errstate(over="ignore"):
            made[start : start + PIECE] = part.astype(np.float16)
        energies = _energies(part, made[start : start + PIECE])
        signal, noise = signal + energies[0].sum(), noise + energies[1].sum()
    rounded, held = made.reshape(value.shape), _is_held(signal, noise)
    if held and by_channel:
        energies = _energies(value, rounded)
        for axis in range(min(value.ndim, 2)):  # of weights the first two are channels
            others = tuple(other for other in range(value.ndim) if other != axis)
            held &= _is_held(*(each.sum(others) for each in energies))
    return rounded if held else None


def _energies(value: np.ndarray, rounded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squares of numbers, and of what rounding does to them. Infinities stay what they are, and count for nothing."""
    exact = value == rounded
    finite = np.where(np.isfinite(value), value, 0).astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.where(exact, 0, rounded - value.astype(np.float64))
    return np.square(finite), np.square(difference)


def _is_held(signal: np.ndarray | float, noise: np.ndarray | float) -> bool:
    return bool(np.all(np.multiply(noise, 10 ** (HELD_DB / 10)) <= signal))
