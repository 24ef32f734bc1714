"""A free batch fixed to one image, so that every shape is known."""

from onnx import ModelProto

from converters.errors import ConversionError
from converters.onnx_graph import OnnxGraph


def one_image(model: ModelProto, source: str) -> ModelProto:
    """Set the first dimension of every input to 1 where it is free; the model is changed in place.

    Raises ConversionError, naming `source`, if another dimension is free.
    """
    for value in OnnxGraph(model).inputs:
        for index, dimension in enumerate(value.type.tensor_type.shape.dim):
            if not dimension.HasField("dim_value"):
                if index:
                    raise ConversionError(f"{source}: {value.name} is free in dimension {index}; fix its size")
                dimension.dim_value = 1
    for value in model.graph.output:
        for dimension in value.type.tensor_type.shape.dim:
            if not dimension.HasField("dim_value"):
                dimension.Clear()
    del model.graph.value_info[:]  # they may speak of the free batch; what they say is inferred again
    return model
