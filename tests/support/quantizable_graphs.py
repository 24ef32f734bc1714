"""Small random graphs of operators that have an int8 form: branches, joints, scales far apart, dead channels."""

import numpy as np
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from converters import onnx_graph

SIDE = 8
INPUT = (3, SIDE, SIDE)


class _Drawn:
    """A graph being drawn: every value is an image of SIDE x SIDE pixels."""

    def __init__(self, draw):
        self.draw, self.random = draw, np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.nodes, self.constants = [], {}
        self.channels = {"input": INPUT[0]}

    def node(self, kind, inputs, channels, **settings):
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **settings))
        self.channels[name] = channels
        return name

    def constant(self, value):
        name = f"constant{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def some(self):
        return self.draw(st.sampled_from(list(self.channels)))

    def conv(self, source):
        """Weights of a scale of their own, some channels dead, biases of any size beside them."""
        inputs, outputs = self.channels[source], self.draw(st.sampled_from((2, 4, 8)))
        side, scale = self.draw(st.sampled_from((1, 3))), 10.0 ** self.draw(st.integers(-6, 4))
        weight = self.random.standard_normal((outputs, inputs, side, side)) * scale / np.sqrt(inputs * side**2)
        bias = self.random.standard_normal(outputs) * scale
        if self.draw(st.booleans()):
            dead = self.draw(st.integers(0, outputs - 1))
            weight[dead] *= 10.0 ** self.draw(st.integers(-12, -3))
            bias[dead] *= 10.0 ** self.draw(st.integers(-3, 1))
        stored = [self.constant(each.astype(np.float32)) for each in (weight, bias)]
        made = self.node("Conv", [source, *stored], outputs, kernel_shape=[side] * 2, pads=[side // 2] * 4)
        return self.node("Relu", [made], outputs) if self.draw(st.booleans()) else made

    def alone(self, source):
        kind = self.draw(st.sampled_from(("Relu", "Sigmoid", "Tanh", "Softmax", "LeakyRelu", "MaxPool", "Transpose")))
        settings = {
            "Softmax": {"axis": 1},
            "LeakyRelu": {"alpha": 0.1},
            "MaxPool": {"kernel_shape": [3, 3], "pads": [1] * 4},
            "Transpose": {"perm": [0, 1, 3, 2]},
        }
        return self.node(kind, [source], self.channels[source], **settings.get(kind, {}))

    def pad(self, source):
        """A border of any number around what is left of the image without it."""
        starts, ends, axes = (self.constant(np.array(each, np.int64)) for each in ([1, 1], [SIDE - 1] * 2, [2, 3]))
        inner = self.node("Slice", [source, starts, ends, axes], self.channels[source])
        fill = self.draw(st.sampled_from((0.0, 0.5, -2.0, 30.0, 1e3)))
        pads = self.constant(np.array([0, 0, 1, 1] * 2, np.int64))
        result = self.node("Pad", [inner, pads, self.constant(np.float32(fill))], self.channels[source])
        del self.channels[inner]
        return result

    def concat(self, source):
        names = [source, *(self.some() for _ in range(self.draw(st.integers(1, 2))))]
        return self.node("Concat", names, sum(self.channels[name] for name in names), axis=1)

    def half(self, source):
        count = max(self.channels[source] // 2, 1)
        settings = [self.constant(np.array([each], np.int64)) for each in (0, count, 1)]
        return self.node("Slice", [source, *settings], count)

    def arithmetic(self, source):
        alike = [name for name, count in self.channels.items() if count == self.channels[source]]
        kind, other = self.draw(st.sampled_from(("Add", "Mul"))), self.draw(st.sampled_from(alike))
        return self.node(kind, [source, other], self.channels[source])

    def pooled(self, source):
        """The squeeze and excitation of SE-Net."""
        mean = self.node("GlobalAveragePool", [source], self.channels[source])
        gate = self.node("Sigmoid", [mean], self.channels[source])
        for name in (mean, gate):
            del self.channels[name]
        return self.node("Mul", [source, gate], self.channels[source])

    def model(self, output):
        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, self.channels[name], SIDE, SIDE])
            for name in ("input", output)
        ]
        tensors = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "drawn", values[:1], values[1:], tensors)
        opset = helper.make_opsetid("", onnx_graph.OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=onnx_graph.IR_VERSION)
        onnx_graph.drop_unused(model)
        return model


@st.composite
def graphs(draw):
    """A model from `input` (1, *INPUT) to one image."""
    drawn = _Drawn(draw)
    last = drawn.conv("input")
    kinds = (drawn.conv, drawn.alone, drawn.concat, drawn.concat, drawn.pad, drawn.half, drawn.arithmetic, drawn.pooled)
    for _ in range(draw(st.integers(1, 7))):
        source = last if draw(st.integers(0, 3)) else drawn.some()
        last = draw(st.sampled_from(kinds))(source)
    return drawn.model(last)
