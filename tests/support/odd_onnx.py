""".onnx files that are odd: those that are networks all the same, and those that are to be refused, with the words."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

node, value = helper.make_node, helper.make_tensor_value_info
FLOAT, IMAGE = TensorProto.FLOAT, [1, 3, 8, 8]
# What names may be made of.
NAMES = {
    "slashes": "a/b/../../c",
    "absolute": "/etc/passwd",
    "long": "n" * 300,
    "lines": "a\nb\r\nc",
    "nul": "a\0b",
    "escape": "a\x1b[31mb",
    "other scripts": "größe模型",
    "spaces": " a b ",
    "quotes": "a'\"b`|<>",
    "dots": "..",
    "input": "input",
    "colon": "StatefulPartitionedCall:0",
    "format": "%s{0}%n",
    "direction": "a\u202eb",
    "shell": "$HOME;rm",
    "number": "0",
}


def random(*shape, kind=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(kind)


def stored(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def conv(source="x", target="y", weight="w", name="conv"):
    return node("Conv", [source, weight], [target], name, pads=[1, 1, 1, 1])


def head(source, target):
    return [node("GlobalAveragePool", [source], [f"{source}.pooled"]), node("Flatten", [f"{source}.pooled"], [target])]


def model(nodes, *, inputs=None, outputs=("y",), weights=None, opset=17, ir=8, domains=(), kind=FLOAT):
    """A model from x to outputs, names or values, that no checker has seen; weights: arrays or tensors by name."""
    held = {"w": random(4, 3, 3, 3)} if weights is None else weights
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", FLOAT, IMAGE)] if inputs is None else inputs,
        [value(each, kind, None) if isinstance(each, str) else each for each in outputs],
        [each if isinstance(each, TensorProto) else stored(name, each) for name, each in held.items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir)


def claimed(*sizes, data=b""):
    """A weight that claims to be as large."""
    return {"w": TensorProto(name="w", data_type=FLOAT, dims=sizes, raw_data=data)}


def elsewhere(place):
    """A weight in another file."""
    made = model([conv()])
    weight = made.graph.initializer[0]
    onnx.external_data_helper.set_external_data(weight, place)
    weight.ClearField("raw_data")
    return made


def networks():
    """Files that are odd, and networks all the same: models by what is odd in them."""
    second = {"w": random(4, 3, 3, 3), "v": random(5, 4, 3, 3)}
    body = [conv(target="a"), node("Relu", ["a"], ["b"])]
    yield "a free batch", model([conv(), *head("y", "z")], inputs=[value("x", FLOAT, ["n", 3, 8, 8])], outputs=("z",))
    yield "a map", model([*body, conv("b", "y", "v", "second")], weights=second)
    yield (
        "two heads",
        model([*body, conv("b", "mask", "v", "second"), *head("b", "cls")], outputs=("mask", "cls"), weights=second),
    )
    turned = node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), node("Transpose", ["b"], ["y"], perm=[0, 2, 3, 1])
    yield (
        "channels last",
        model(
            [turned[0], conv("t", "a"), node("Relu", ["a"], ["b"]), turned[1]],
            inputs=[value("x", FLOAT, ["n", 8, 8, 3])],
        ),
    )
    listed = [value("x", FLOAT, IMAGE), value("w", FLOAT, [4, 3, 3, 3])]
    yield "weights listed as inputs", model([conv()], inputs=listed, opset=7, ir=3)
    for kind, name in NAMES.items():
        yield f"an output named with {kind}", model([conv("x", name)], outputs=(name,))
        both = [conv("x", name), node("Relu", [name], ["second"])]
        yield f"an output of two named with {kind}", model(both, outputs=(name, "second"))
        yield f"an input named with {kind}", model([conv(name)], inputs=[value(name, FLOAT, IMAGE)])
        yield f"nodes named with {kind}", model([conv("x", "a", name=name), node("Relu", ["a"], ["y"], f"{name}2")])
        yield f"a weight named with {kind}", model([conv(weight=name)], weights={name: random(4, 3, 3, 3)})


def refused():
    """Files that are no networks of ours, as models or bytes, and what is said of them."""
    good = model([conv()]).SerializeToString()
    yield "empty", b"", "not an ONNX model (it has no nodes)"
    yield "text", b"a text", "not an ONNX model"
    yield "half", good[: len(good) // 2], "not an ONNX model"
    yield "nothing", model([], outputs=("x",)), "not an ONNX model (it has no nodes)"
    yield "old", model([node("Relu", ["x"], ["y"])], opset=6), "is of opset 6, and 7 is the first that is read"
    unknown = [node("Det", ["x"], ["a"], "first"), node("Fused", ["a"], ["y"], "second", domain="com.acme")]
    yield (
        "unknown",
        model(unknown, domains=["com.acme"]),
        "no torch layer for Det (at first); com.acme.Fused (at second)",
    )
    same = model([conv("x", "a", name="n"), node("Relu", ["a"], ["y"], "n")])
    yield "nodes of one name", same, "2 of its nodes are called n; give each a name of its own"
    two = [value("x", FLOAT, IMAGE), value("b", FLOAT, IMAGE)]
    yield "two", model([node("Add", ["x", "b"], ["y"])], inputs=two), "has 2 inputs (x, b); one image is"
    yield "none", model([node("Relu", ["w"], ["y"])], inputs=[]), "has 0 inputs"
    branch = helper.make_graph([node("Relu", ["x"], ["r"])], "b", [], [value("r", FLOAT, IMAGE)])
    chosen = node("If", ["t"], ["y"], "choice", then_branch=branch, else_branch=branch)
    asked = [node("ReduceMax", ["x"], ["m"], "most", keepdims=0), node("Greater", ["m", "n"], ["t"], "asked"), chosen]
    yield "if", model(asked, weights={"n": np.float32(0)}), "no torch layer for "
    body = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Relu", ["v"], ["r"])],
        "b",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("v", FLOAT, IMAGE)],
        [value("on", TensorProto.BOOL, []), value("r", FLOAT, IMAGE)],
    )
    loop = node("Loop", ["times", "go", "x"], ["y"], "loop", body=body)
    held = {"times": np.array(2), "go": np.array(True)}
    yield "loop", model([loop], weights=held), "no torch layer for Loop (at loop)"
    for number, place in enumerate(("gone.bin", "../../etc/passwd", "/dev/zero")):
        yield f"elsewhere {number}", elsewhere(place), "keeps its weights in other files; save it as one file"
    for number, sizes in enumerate(((1 << 40, 3, 3, 3), (1 << 62, 4), (-4, 3, 3, 3))):
        yield f"claim {number}", model([conv()], weights=claimed(*sizes)), "the values of w do not fit its shape"
    yield (
        "open",
        model([conv()], inputs=[value("x", FLOAT, [1, 3, "h", "w"])]),
        "x is free in dimension 2; fix its size",
    )
    yield "four", model([conv()], inputs=[value("x", FLOAT, [4, 3, 8, 8])]), "takes (4, 3, 8, 8); one image"
    row = [value("x", FLOAT, [1, 16])]
    yield "row", model([node("Relu", ["x"], ["y"])], inputs=row), "takes (1, 16); one image"
    large = [value("x", FLOAT, [1, 1, 8192, 8192])]
    yield "large", model([node("Relu", ["x"], ["y"])], inputs=large), "images of at most 16,777,216 numbers are read"
    for kind in ("FLOAT16", "DOUBLE", "INT64", "UINT8"):
        typed = [value("x", TensorProto.DataType.Value(kind), IMAGE)]
        nodes = [node("Cast", ["x"], ["c"], to=FLOAT), conv("c")]
        yield f"of {kind}", model(nodes, inputs=typed), f"its input x is {kind.lower()}; float32 is expected"
    cycle = [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])]
    yield "cycle", model(cycle), "must be topologically sorted, however input 'b' of node: name: OpType: Add"
    twice = [node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"])]
    yield "twice", model(twice), "'y' has been used as output names multiple times"
    yield "outputs", model([conv()], outputs=("y", "y")), "gives its output y twice"
    doubled = [node("Concat", [f"a{place}"] * 2, [f"a{place + 1}"], axis=1) for place in range(36)]
    first = node("Relu", ["x"], ["a0"])
    yield "doubled", model([first, *doubled, node("Relu", ["a36"], ["y"])]), "with a value of 402,653,184 numbers"
    huge = node("MaxPool", ["x"], ["y"], kernel_shape=[1 << 40, 2], pads=[1 << 39, 0, 1 << 39, 0])
    yield "huge", model([huge]), "cannot be run by torch: value cannot be converted to type int"
    yield "nan", model([conv()], weights={"w": np.full((4, 3, 3, 3), np.nan, np.float32)}), "that are not finite"


def written(made, path):
    """Write a model, the shapes of its outputs told as far as inference can, or bytes."""
    if isinstance(made, bytes):
        path.write_bytes(made)
        return
    try:
        inferred = onnx.shape_inference.infer_shapes(made)
    except Exception:
        inferred = made
    for given, found in zip(made.graph.output, inferred.graph.output, strict=True):
        kind = given.type.tensor_type
        if not kind.HasField("shape"):
            sizes = found.type.tensor_type.shape.dim if found.type.tensor_type.HasField("shape") else None
            given.CopyFrom(found if sizes is not None else value(given.name, kind.elem_type, [1, 4, 8, 8]))
    path.write_bytes(made.SerializeToString())
