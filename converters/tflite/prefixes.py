"""Models that end earlier: what an operator takes is the difference between one that ends with it and one before it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from converters import onnx_graph
from converters.tflite.packing import Constant, pack
from converters.tflite.reader import read_tflite
from converters.tflite.schema import schema


def write_prefixes(path: Path, folder: Path) -> Iterator[Path]:
    """Write the first, the first two, ... operators of a file as files of their own, the whole graph as the last.

    A prefix gives out every tensor that the rest would read, so that nothing of it can be left out. None ends with the
    expansion of a constant, which is done once and not in every inference. Raises ConversionError for a file that is
    damaged or none of TFLite.
    """
    read = read_tflite(path)  # which checks it, too
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    data = [buffer.data for buffer in model.buffers]
    graph = model.subgraphs[0]
    operators, outputs = graph.operators, [int(index) for index in graph.outputs]
    model.signatureDefs, model.metadata, model.metadataBuffer, model.subgraphs = None, None, None, [graph]
    for stop, last in enumerate(read.operators, start=1):
        if last.expands_constant:
            continue
        read_later = {int(index) for operator in operators[stop:] for index in operator.inputs}
        written = [int(index) for operator in operators[:stop] for index in operator.outputs]
        graph.operators = operators[:stop]
        graph.outputs = np.array([index for index in written if index in read_later or index in outputs], np.int32)
        used = {graph.tensors[int(index)].buffer for op in graph.operators for index in op.inputs if index >= 0}
        for index, buffer in enumerate(model.buffers):
            stored = index in used and data[index] is not None and len(data[index]) > 0
            buffer.data = Constant(np.asarray(data[index], np.uint8)) if stored else None
        target = folder / f"{stop}{path.suffix}"
        onnx_graph.write_atomically(target, pack(model).pieces())
        yield target
