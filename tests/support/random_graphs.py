"""Small ONNX graphs of anything: operators of the whole table, at any opset, of odd shapes, types and attributes."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSETS = range(7, 26)
FLOAT, DOUBLE, HALF, INT64, INT32, BOOL = (
    *(TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16),
    *(TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL),
)
TYPES = {"float": FLOAT, "double": DOUBLE, "float16": HALF, "int64": INT64, "int32": INT32, "bool": BOOL}
# Drawn more often than all that ONNX has.
USUAL = (
    *("Abs", "Add", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "Conv"),
    *("ConvTranspose", "DepthToSpace", "Div", "Dropout", "Elu", "Expand", "Flatten", "Gather", "Gemm", "Identity"),
    *("GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish", "InstanceNormalization", "LRN", "LeakyRelu"),
    *("LayerNormalization", "LogSoftmax", "MatMul", "Max", "MaxPool", "Mean", "Min", "Mul", "PRelu", "Pad", "Pow"),
    *("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Reshape", "Resize", "Selu", "Shape"),
    *("Sigmoid", "Slice", "Softmax", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile"),
    *("Transpose", "Unsqueeze", "Upsample", "Where", "Greater", "Equal", "Not", "Celu", "Reciprocal"),
)
SMALL = (-4, -3, -2, -1, 0, 1, 2, 3, 4, 5)


def random_graph(draw):
    """A model that the ONNX checker takes; draw: a random.Random, so that hypothesis can make and shrink it."""
    opset = draw.choice(OPSETS)
    schemas = {
        schema.name: schema
        for name in sorted({each.name for each in onnx.defs.get_all_schemas_with_history() if each.domain == ""})
        if (schema := _schema(name, opset)) is not None
    }
    rank = draw.choice((4, 4, 4, 3, 2, 1, 5, 0))
    shape = [1, *(draw.choice((1, 2, 3, 4, 6)) for _ in range(rank - 1))][:rank]
    maker = _Maker(draw, opset, shape)
    for _ in range(draw.choice((1, 2, 3, 4))):
        usual = [name for name in USUAL if name in schemas]
        kind = draw.choice(usual if draw.random() < 0.9 else sorted(schemas))
        for _ in range(12):
            if maker.added(schemas[kind]):
                break
    return maker.model()


def graph_of(kind, draw):
    """A model of one operator, its operands and attributes drawn; None where none was found that the checker takes."""
    opset = draw.choice(OPSETS)
    schema = _schema(kind, opset)
    rank = draw.choice((4, 4, 4, 3, 2))
    maker = _Maker(draw, opset, [1, *(draw.choice((1, 2, 3, 4, 6)) for _ in range(rank - 1))])
    if kind in ("And", "Or", "Xor", "Not"):
        maker.added(_schema("Greater", opset))
    if schema is None or not any(maker.added(schema) for _ in range(30)):
        return None
    last = list(maker.values)[-1]
    if maker.values[last][1] != FLOAT:
        maker.nodes.append(helper.make_node("Cast", [last], ["cast"], "cast", to=FLOAT))
        maker._infer(["cast"])
    return maker.model()


def _schema(name, opset):
    try:
        found = onnx.defs.get_schema(name, opset)
    except onnx.defs.SchemaError:
        return None
    left_out = name in ("If", "Loop", "Scan", "SequenceMap") or name.startswith("Random")
    return None if found.deprecated or left_out else found


class _Maker:
    def __init__(self, draw, opset, shape):
        self.draw, self.opset, self.shape = draw, opset, shape
        self.nodes, self.constants = [], {}
        self.values = {"input": (tuple(shape), FLOAT)}  # computed

    def added(self, schema):
        """Whether a node of this operator could be added; its inputs and attributes are drawn."""
        before = dict(self.constants)
        number = len(self.nodes)
        outputs = [f"v{number}"]
        if schema.name == "Split":
            outputs += [f"v{number}.{index}" for index in range(1, self.draw.choice((1, 2, 3)))]
        settings = self._attributes(schema)
        if "num_outputs" in settings:
            settings["num_outputs"] = len(outputs)  # of any other number ONNX's shape inference aborts
        try:
            inputs = self._inputs(schema)
            made = helper.make_node(schema.name, inputs, outputs, f"n{number}", **settings)
            self.nodes.append(made)
            self._infer(outputs)
        except Exception:  # not what ONNX allows: another is drawn
            self.nodes = self.nodes[:number]
            self.constants = before
            return False
        return True

    def model(self, result=None):
        """The graph with its last float value as its result."""
        names = [name for name, (_, kind) in self.values.items() if kind == FLOAT and name != "input"]
        if not names:
            self.nodes.append(helper.make_node("Identity", ["input"], ["copy"]))
            names = ["copy"]
        result = names[-1]
        return self._model([helper.make_tensor_value_info(result, FLOAT, None)])

    def _model(self, outputs):
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("input", FLOAT, self.shape)],
            outputs,
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)

    def _infer(self, names):
        inferred = self._model([])
        found = {value.name: value.type.tensor_type for value in inferred.graph.value_info}
        for name in names:
            kind = found[name]
            shape = tuple(size.dim_value if size.HasField("dim_value") else -1 for size in kind.shape.dim)
            if not kind.elem_type or any(size > 4000 for size in shape) or len(shape) > 6:
                raise ValueError(name)
            self.values[name] = shape, kind.elem_type

    # What goes in.

    def _inputs(self, schema):
        names = []
        for place, formal in enumerate(schema.inputs):
            optional = formal.option == onnx.defs.OpSchema.FormalParameterOption.Optional
            variadic = formal.option == onnx.defs.OpSchema.FormalParameterOption.Variadic
            if optional and self.draw.random() < 0.4:
                names.append("")
                continue
            for _ in range(self.draw.choice((1, 2, 3)) if variadic else 1):
                names.append(self._operand(schema, formal, place))
        while names and names[-1] == "":
            names.pop()
        return names

    def _operand(self, schema, formal, place):
        kinds = {TYPES[kind[7:-1]] for kind in formal.types if kind[7:-1] in TYPES}
        if not kinds:
            raise ValueError(f"{schema.name} takes no numbers")
        computed = [name for name, (_, kind) in self.values.items() if kind in kinds]
        if computed and (place == 0 or self.draw.random() < 0.35):
            return self.draw.choice(computed[-2:] if self.draw.random() < 0.8 else computed)
        return self._constant(schema, formal, sorted(kinds))

    def _constant(self, schema, formal, kinds):
        shape, kind = self.values[list(self.values)[-1]]
        kind = kind if kind in kinds else FLOAT if FLOAT in kinds else self.draw.choice(kinds)
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        name = f"c{len(self.constants)}"
        self.constants[name] = self._numbers(schema.name, formal.name, shape).astype(dtype)
        return name

    def _numbers(self, operator, formal, shape):
        draw, rank = self.draw, len(shape)
        generator = np.random.default_rng(draw.randrange(1000))
        channels = shape[1] if rank > 1 else 1
        if formal in ("axes", "axis"):
            return np.array([draw.choice(SMALL[:7]) for _ in range(draw.choice((1, 1, 2)))])
        if formal in ("starts", "ends", "steps", "indices", "repeats", "split", "pads", "shape", "sizes"):
            count = {"pads": 2 * rank, "repeats": rank, "sizes": rank}.get(formal, draw.choice((1, 1, 2, rank)))
            usual = {"repeats": (0, 1, 1, 2), "pads": (0, 0, 1, 2, -1), "sizes": (1, 2, 3, 5), "steps": (1, 1, 2, -1)}
            if formal == "shape" and draw.random() < 0.7:
                return np.array([draw.choice((-1, 0, 1)), *(draw.choice((0, 1, 2, 3)) for _ in range(count - 1))])
            return np.array([draw.choice(usual.get(formal, SMALL)) for _ in range(count)])
        if formal in ("scales", "roi"):
            pair = [draw.choice((1, 2, 1.5, 0.5, 3)) for _ in range(max(rank - 2, 0))]
            return np.array([1, 1][:rank] + pair) if formal == "scales" else np.zeros(0)
        if formal == "W" or (formal == "B" and operator in ("Conv", "ConvTranspose")):
            sides = [draw.choice((1, 2, 3)) for _ in range(max(rank - 2, 0))]
            outputs = draw.choice((channels, 1, 2, 4))
            one, other = draw.choice(((outputs, channels), (channels, outputs), (channels, 1), (outputs, channels)))
            return generator.standard_normal([one, other, *sides] if formal == "W" else [outputs])
        if formal in ("scale", "B", "bias", "input_mean", "input_var", "mean", "var") and operator.endswith("ization"):
            numbers = generator.standard_normal(channels if operator != "LayerNormalization" else shape[-1:])
            return np.abs(numbers) + 0.1 if "var" in formal else numbers
        form = draw.choice(("same", "scalar", "one", "channels", "last", "matrix", "odd"))
        chosen = {
            "same": shape,
            "scalar": (),
            "one": (1,),
            "channels": (channels, *(1,) * max(rank - 2, 0)),
            "last": shape[-1:],
            "matrix": (shape[-1] if rank else 1, draw.choice((1, 3, 4))),
            "odd": tuple(draw.choice((0, 1, 1, 2)) for _ in range(draw.choice((0, 1, 2, 5)))),
        }[form]
        if any(size < 0 for size in chosen):
            chosen = ()
        numbers = generator.standard_normal(chosen)
        return numbers if draw.random() < 0.9 else np.full(chosen, draw.choice((-np.inf, np.inf, 0.0, 1e-8, 1e6)))

    # How it is computed.

    def _attributes(self, schema):
        rank = max((len(shape) for shape, _ in self.values.values()), default=0)
        spatial = max(len(list(self.values.values())[-1][0]) - 2, 1)
        found = {}
        for name, attribute in schema.attributes.items():
            if attribute.required or self.draw.random() < 0.35:
                value = self._attribute(schema.name, name, attribute, rank, spatial)
                if value is not None:
                    found[name] = value
        return found

    def _attribute(self, operator, name, attribute, rank, spatial):
        draw, kind = self.draw, attribute.type.name
        sides = {"kernel_shape": (1, 2, 3), "strides": (1, 1, 2), "dilations": (1, 1, 2), "output_padding": (0, 0, 1)}
        if name in sides:
            return [draw.choice(sides[name]) for _ in range(spatial)]
        if name == "pads":
            return [draw.choice((0, 0, 1, 2)) for _ in range(2 * (rank if operator == "Pad" else spatial))]
        if name == "perm":
            order = list(range(len(list(self.values.values())[-1][0])))
            draw.shuffle(order)
            return order
        choices = {
            "auto_pad": ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
            "mode": ("nearest", "linear", "cubic", "constant", "reflect", "edge", "wrap", "DCR", "CRD"),
            "coordinate_transformation_mode": ("half_pixel", "asymmetric", "align_corners", "tf_crop_and_resize"),
            "nearest_mode": ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"),
            "approximate": ("none", "tanh"),
            "to": tuple(TYPES.values()),
            "value": (numpy_helper.from_array(np.float32(0.5)), numpy_helper.from_array(np.float64([1, 2]))),
            "group": (1, 1, 2, 3, 4),
            "blocksize": (1, 2, 3),
            "size": (1, 2, 3, 5),
            "axis": SMALL[1:8],
            "keepdims": (0, 1),
        }
        if name in choices:
            return draw.choice(choices[name])
        if kind == "INT":
            return draw.choice((0, 1))
        if kind == "INTS":
            return [draw.choice(SMALL) for _ in range(draw.choice((1, 1, 2, 3, rank)))]
        if (operator, name) == ("LRN", "bias"):
            return draw.choice((0.5, 1.0, 2.0))  # without one ONNX Runtime is inexact: it adds and subtracts squares
        if kind == "FLOAT":
            return draw.choice((0.0, 0.5, 1.0, -1.0, 2.0, 1e-5))
        if kind == "FLOATS":
            return [draw.choice((0.5, 1.0, 2.0)) for _ in range(draw.choice((1, 2, rank)))]
        return None
