"""The other end of the bridge (tests/support/java/litert): an interpreter for one model, over stdin and stdout.

Big-endian, as Java's streams are. It is told the threads and the model; it answers with a text, which is empty where
all is well, and the inputs and outputs. Then for each input it answers with such a text and all outputs. It ends with
its input.
"""

import struct
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

source, target = sys.stdin.buffer, sys.stdout.buffer


def text(value):
    data = value.encode()[:60_000]
    return struct.pack(">H", len(data)) + data


def whole(count):
    return struct.unpack(f">{count}i", source.read(4 * count))


def described(details):
    found = struct.pack(">i", len(details))
    for each in details:
        dtype, shape, (scale, zero_point) = np.dtype(each["dtype"]), [*map(int, each["shape"])], each["quantization"]
        found += text(each["name"]) + text(dtype.name.upper())
        found += struct.pack(f">ii{len(shape)}i", int(np.prod(shape)) * dtype.itemsize, len(shape), *shape)
        found += struct.pack(">fi", scale, zero_point)
    return found


def main():
    """See above."""
    threads, size = whole(2)
    model = source.read(size)
    try:
        interpreter = Interpreter(model_content=model, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        target.write(text(str(error) or type(error).__name__))
        target.flush()
        return
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    target.write(text("") + described(inputs) + described(outputs))
    target.flush()
    shape, dtype = inputs[0]["shape"], np.dtype(inputs[0]["dtype"])
    while data := source.read(int(np.prod(shape)) * dtype.itemsize):
        interpreter.set_tensor(inputs[0]["index"], np.frombuffer(data, dtype).reshape(shape))
        interpreter.invoke()
        target.write(text("") + b"".join(interpreter.get_tensor(each["index"]).tobytes() for each in outputs))
        target.flush()


main()
