"""TFLite models that end earlier (Format.prefixes)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from converters import onnx_graph
from converters.tflite.packing import Constant, pack
from converters.tflite.reader import read_tflite
from converters.tflite.schema import schema


def write_tflite_prefixes(path: Path, folder: Path, ends: Sequence[str]) -> Iterator[Path]:
    """Write the graph up to the operator that writes each of the tensors `ends`, as files of their own.

    A prefix gives out every tensor that the rest would read. Raises ConversionError for a file that is damaged.
    """
    stops = {tensor.name: stop for stop, last in enumerate(read_tflite(path).operators, 1) for tensor in last.outputs}
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    data = [buffer.data for buffer in model.buffers]
    graph = model.subgraphs[0]
    operators, outputs = graph.operators, [int(index) for index in graph.outputs]
    model.signatureDefs, model.metadata, model.metadataBuffer, model.subgraphs = None, None, None, [graph]
    for number, stop in enumerate(stops[end] for end in ends):
        read_later = {int(index) for operator in operators[stop:] for index in operator.inputs}
        written = [int(index) for operator in operators[:stop] for index in operator.outputs]
        graph.operators = operators[:stop]
        graph.outputs = np.array([index for index in written if index in read_later or index in outputs], np.int32)
        used = {graph.tensors[int(index)].buffer for op in graph.operators for index in op.inputs if index >= 0}
        for index, buffer in enumerate(model.buffers):
            stored = index in used and data[index] is not None and len(data[index]) > 0
            buffer.data = Constant(np.asarray(data[index], np.uint8)) if stored else None
        target = folder / f"{number}{path.suffix}"
        onnx_graph.write_atomically(target, pack(model).pieces())
        yield target
