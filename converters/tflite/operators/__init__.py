"""One file per family of operators; importing this package registers them all."""

from converters.tflite.operators import (
    activation,
    broadcast,
    concat,
    convolution,
    linear,
    normalization,
    pad,
    pool,
    reduce,
    resize,
    slice,
    softmax,
    transposed_convolution,
    unary,
    view,
)

__all__ = [
    "activation",
    "broadcast",
    "concat",
    "convolution",
    "linear",
    "normalization",
    "pad",
    "pool",
    "reduce",
    "resize",
    "slice",
    "softmax",
    "transposed_convolution",
    "unary",
    "view",
]
