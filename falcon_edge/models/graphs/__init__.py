"""An ONNX graph as a torch module of ordinary layers, without the code that made it."""

from falcon_edge.models.graphs.build import module_of
from falcon_edge.models.graphs.network import GraphInput, GraphNetwork, Step

__all__ = ["GraphInput", "GraphNetwork", "Step", "module_of"]
