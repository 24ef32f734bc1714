"""One file per family of operators; importing this package registers them all."""

from converters.tflite.operators import activation, convolution, elementwise, linear, pad, pool, reduce, reshape

__all__ = ["activation", "convolution", "elementwise", "linear", "pad", "pool", "reduce", "reshape"]
