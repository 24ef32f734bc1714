"""Files from anywhere: whatever is wrong in them is one line, found before anything native reads them."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper, numpy_helper
from small_networks import resnet, vgg
from tflite_files import buffer, code, graph, model, operator, options, packed, quantization, tensor

from converters import inspect_apart
from converters.errors import ConversionError
from converters.inspect import describe
from converters.inspect_apart import describe_apart
from converters.onnx_export import export_onnx
from converters.tflite import flatbuffer
from converters.tflite.emit import emit_tflite
from converters.tflite.flatbuffer import layout
from converters.tflite.reader import read_tflite
from converters.tflite.verify import MAXIMUM_VERSIONS, OPERATORS, Damaged, verified

B, T = schema.BuiltinOperator, schema.TensorType


def refused(path, call=describe):
    """The one line with which a file is refused."""
    with pytest.raises(ConversionError) as caught:
        call(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line


# -- TFLite: what must be accepted --


def test_a_file_by_hand_is_whole(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(packed(model()))
    found = read_tflite(path)
    assert [item.kind for item in found.operators] == ["FULLY_CONNECTED", "RELU"]
    assert found.inputs[0].shape == (1, 4)
    assert [item.constant for item in found.operators[0].inputs] == [False, True, True]
    assert describe(path).card == {"name": "a"}
    Interpreter(model_content=path.read_bytes()).allocate_tensors()


@pytest.mark.parametrize("network", [vgg(), resnet(2)], ids=["vgg", "resnet"])
def test_what_we_emit_is_whole(tmp_path, network):
    export_onnx(network, torch.zeros(1, *network.shape), tmp_path / "a.onnx", simplify=False)
    emit_tflite(tmp_path / "a.onnx", tmp_path / "a.tflite", card={"name": "a"})
    assert verified((tmp_path / "a.tflite").read_bytes())["Version"] == 3


def sparse(made):
    """Two of eight weights, stored in compressed rows."""
    made.buffers[1] = buffer(np.ones(2, "<f4"))
    rows, columns = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    rows.format, rows.denseSize = schema.DimensionType.DENSE, 2
    columns.format = schema.DimensionType.SPARSE_CSR
    columns.arraySegmentsType = columns.arrayIndicesType = schema.SparseIndexVector.Uint8Vector
    columns.arraySegments, columns.arrayIndices = schema.Uint8VectorT(), schema.Uint8VectorT()
    columns.arraySegments.values, columns.arrayIndices.values = [0, 1, 2], [3, 0]
    found = made.subgraphs[0].tensors[1].sparsity = schema.SparsityParametersT()
    found.traversalOrder, found.dimMetadata = [0, 1], [rows, columns]
    return columns


def integer(made, scales=(0.5, 0.25), zero_points=(0, 0), dimension=0):
    """int8 weights with a scale a channel."""
    made.buffers[1] = buffer(np.ones((2, 4), "i1"))
    weights = made.subgraphs[0].tensors[1]
    weights.type, weights.quantization = T.INT8, quantization(scales, zero_points, dimension)


def texts(made, content, shape=(2,)):
    made.buffers.append(buffer(np.frombuffer(content, "u1")))
    made.subgraphs[0].tensors.append(tensor(shape, T.STRING, len(made.buffers) - 1))


def variable(made):
    """A tensor that operators read before anyone wrote it, and write again."""
    made.subgraphs[0].tensors[3].isVariable = True
    made.subgraphs[0].operators.append(operator(1, [3], [3]))


def without_bias(made):
    made.subgraphs[0].operators[0].inputs = [0, 1, -1]


def branch(made, then=1, otherwise=1, kind="IfOptions"):
    """The relu becomes an IF that runs another subgraph."""
    made.operatorCodes.append(code(B.IF))
    chosen = options(kind, thenSubgraphIndex=then, elseSubgraphIndex=otherwise) if kind == "IfOptions" else None
    made.subgraphs[0].tensors.append(tensor([1], T.BOOL))
    made.subgraphs[0].inputs = [0, 5]
    made.subgraphs[0].operators[1] = operator(2, [5, 3], [4], chosen)


def four_bits(made):
    made.buffers[1] = buffer(np.zeros(4, "u1"))
    made.subgraphs[0].tensors[1].type = T.INT4


def custom(made):
    made.operatorCodes[1] = code(B.CUSTOM, version=7)
    made.operatorCodes[1].customCode = "Mine"


TEXTS = struct.pack("<4i", 2, 16, 17, 19) + b"abc"


def two_texts(made):
    texts(made, TEXTS)


def without_zero_points(made):
    integer(made, [0.5], [])


@pytest.mark.parametrize(
    "edit", [sparse, integer, without_zero_points, four_bits, custom, branch, two_texts, variable, without_bias]
)
def test_what_others_write_is_whole(edit):
    made = model()
    edit(made)
    assert verified(packed(made))["Version"] == 3


def test_data_behind_the_flatbuffer_is_found():
    """As files of more than 2 GB have it."""
    made = model()
    made.buffers[1] = buffer()
    size = len(packed(made))
    made.buffers[1].offset, made.buffers[1].size = size + 1000, 32
    data = packed(made)
    assert verified(data + bytes(size + 1032 - len(data)))["Version"] == 3
    with pytest.raises(Damaged, match="a buffer lies outside of it"):
        verified(data + bytes(size + 1031 - len(data)))


# -- TFLite: what must be refused --


def external_buffer(made):
    made.externalBuffers = [schema.ExternalBufferT()]


def external_group(made):
    made.externalBufferGroups = [schema.ExternalBufferGroupT()]


def blocks(made):
    integer(made, [], [])
    found = made.subgraphs[0].tensors[1].quantization
    found.detailsType, found.details = schema.QuantizationDetails.BlockwiseQuantization, schema.BlockwiseQuantizationT()
    found.details.scales = 77


def on(part, **fields):
    """An edit that sets fields of a part of the model."""

    def edit(made):
        for name, value in fields.items():
            setattr(part(made), name, value)

    return edit


def weights(made):
    return made.subgraphs[0].tensors[1]


def layer(made):
    return made.subgraphs[0].operators[0]


def last(made):
    return made.subgraphs[0].operators[1]


def chain(made, length):
    """Subgraphs, each of which runs the next."""
    branch(made)
    for number in range(1, length):
        then = options("IfOptions", thenSubgraphIndex=number + 1, elseSubgraphIndex=number + 1)
        tensors = [tensor([1], T.BOOL), tensor([1, 2]), tensor([1, 2])]
        made.subgraphs.insert(number, graph(tensors, [0, 1], [2], [operator(2, [0, 1], [2], then)]))


BROKEN = [
    # the file
    (on(lambda made: made, version=2), "of version 2, not 3"),
    (on(lambda made: made, subgraphs=[]), "no subgraph"),
    (external_buffer, "keeps data in other files"),
    (external_group, "keeps data in other files"),
    (on(lambda made: made.metadata[0], buffer=4), "metadata's buffer does not exist"),
    (on(lambda made: made, metadataBuffer=[9]), "metadata's buffer does not exist"),
    (on(lambda made: made.signatureDefs[0], subgraphIndex=2), "signature's subgraph does not exist"),
    (on(lambda made: made.signatureDefs[0].inputs[0], tensorIndex=5), "signature's tensor does not exist"),
    # tensors
    (on(weights, buffer=99), "tensor 1: its buffer does not exist"),
    (on(weights, type=99), "tensor 1: there is no type 99"),
    (on(weights, type=-1), "tensor 1: there is no type -1"),
    (on(weights, shape=[2, 5]), "tensor 1: its buffer holds 32 bytes, but its shape and type need 40"),
    (on(weights, shape=[2, 3]), "need 24"),
    (on(weights, type=T.INT4), "need 4"),
    (on(weights, shape=[-2, -4]), "tensor 1: its shape makes no sense"),
    (on(weights, shape=[1] * 40), "tensor 1: its shape makes no sense"),
    (on(weights, shape=[2**31 - 1] * 3), "tensor 1: its shape is too large"),
    (on(weights, shapeSignature=[2]), "its shape signature does not fit"),
    (on(weights, shapeSignature=[-7, 4]), "its shape signature does not fit"),
    (on(weights, externalBuffer=1), "its data lies in another file"),
    # operators
    (on(layer, opcodeIndex=2), "operator 0: its code does not exist"),
    (on(layer, inputs=[0, 1, 5]), "operator 0: its input does not exist"),
    (on(layer, inputs=[0, 1, -2]), "operator 0: its input does not exist"),
    (on(layer, outputs=[5]), "operator 0: its output does not exist"),
    (on(layer, outputs=[-1]), "operator 0: its output does not exist"),
    (on(layer, intermediates=[5]), "its intermediate tensor does not exist"),
    (on(layer, mutatingVariableInputs=[True] * 4), "it changes more inputs than it has"),
    (on(layer, largeCustomOptionsOffset=10**6, largeCustomOptionsSize=1), "a buffer lies outside of it"),
    (on(layer, inputs=[0, 1, 4]), "it uses tensor 4, which was neither stored nor computed before"),
    (on(layer, outputs=[1]), "it writes to tensor 1, which has its values already"),
    (on(layer, outputs=[0]), "it writes to tensor 0, which has its values already"),
    (on(last, outputs=[3]), "it writes to tensor 3, which has its values already"),
    (on(last, inputs=[-1]), "operator 1: its input does not exist"),
    (on(lambda made: made.subgraphs[0], operators=[]), "its output, tensor 4, is never computed"),
    (on(lambda made: made.subgraphs[0], inputs=[5]), "input does not exist"),
    (on(lambda made: made.subgraphs[0], outputs=[5]), "output does not exist"),
    (on(lambda made: made.operatorCodes[0], version=15), "of version 15; the runtimes know those up to 14"),
    (on(lambda made: made.operatorCodes[0], version=0), "is of version 0"),
    (on(lambda made: made.operatorCodes[0], builtinCode=5000), "there is no operator 5000"),
    (on(lambda made: made.operatorCodes[0], builtinCode=B.CUSTOM), "a custom operator has no name"),
    # subgraphs
    (lambda made: branch(made, then=2), "operator 1: its subgraph does not exist"),
    (lambda made: branch(made, then=-1), "operator 1: its subgraph does not exist"),
    (lambda made: branch(made, kind="none"), "does not say which subgraph it runs"),
    (lambda made: branch(made, then=0), "subgraphs run themselves"),
    (lambda made: chain(made, 20), "subgraphs run themselves, or one another too deeply"),
    # quantization
    (lambda made: integer(made, [0.5] * 3, [0] * 3), "it has 3 scales for 2 channels"),
    (lambda made: integer(made, [0.5] * 2, [0]), "it has 2 scales, but 1 zero points"),
    (lambda made: integer(made, dimension=2), "its quantized dimension does not exist"),
    (lambda made: integer(made, dimension=-1), "its quantized dimension does not exist"),
    (lambda made: integer(made, [0.5, float("nan")]), "a scale is not a finite number"),
    (lambda made: integer(made, [0.5, -0.5]), "a scale is not a finite number"),
    (lambda made: integer(made, zero_points=[0, 128]), "a zero point is outside of its type"),
    (blocks, "its tensor of scales does not exist"),
    # sparse tensors and texts
    (lambda made: setattr(sparse(made).arrayIndices, "values", [3, 4]), "its sparse indices are outside"),
    (lambda made: setattr(sparse(made).arraySegments, "values", [0, 2, 1]), "its sparse segments do not fit"),
    (lambda made: setattr(sparse(made).arraySegments, "values", [0, 2]), "its sparse segments do not fit"),
    (lambda made: (sparse(made), on(weights, shape=[2, 4, 1])(made)), "its sparse order does not fit"),
    (lambda made: (sparse(made), on(weights, buffer=0)(made)), "it is sparse, but has no values"),
    (lambda made: texts(made, TEXTS, (3,)), "its texts do not fit its shape"),
    (lambda made: texts(made, TEXTS[:6]), "its texts do not fit its shape"),
    (lambda made: texts(made, struct.pack("<4i", 2, 16, 99, 19) + b"abc"), "a text lies outside of it"),
    (lambda made: texts(made, struct.pack("<4i", 2, 16, 17, 20) + b"abc"), "a text lies outside of it"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "reason"), BROKEN, ids=[f"{index}" for index in range(len(BROKEN))])
def test_a_broken_tflite(tmp_path, edit, reason):
    made = model()
    edit(made)
    (tmp_path / "a.tflite").write_bytes(packed(made))
    line = refused(tmp_path / "a.tflite")
    assert "a damaged TFLite model: " in line
    assert reason in line


def test_every_truncation_of_a_tflite(tmp_path):
    data, path = packed(model()), tmp_path / "a.tflite"
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        assert "TFLite model" in refused(path)


@pytest.mark.parametrize(
    "number", [1, 3, 4, 8, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF]
)  # fmt: skip
def test_every_number_of_a_tflite_made_another(number):
    """Each 4 bytes in turn: offsets, lengths, layouts. What is still accepted can be packed again: it was all read."""
    data = bytearray(packed(model()))
    accepted = 0
    for place in range(0, len(data) - 3, 4):
        kept = data[place : place + 4]
        data[place : place + 4] = struct.pack("<I", number)
        try:
            verified(bytes(data))
        except (Damaged, UnicodeDecodeError):
            pass
        else:
            accepted += 1
            packed(schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytes(data), 0)))
        data[place : place + 4] = kept
    assert 0 < accepted < len(data) / 8  # weights and the like


@pytest.mark.parametrize(("limit", "reason"), [("TABLES", "parts"), ("NUMBERS", "numbers"), ("TEXT", "bytes of text")])
def test_what_a_tflite_may_make_us_look_at(monkeypatch, limit, reason):
    monkeypatch.setattr(flatbuffer, f"MAXIMUM_{limit}", 5)
    with pytest.raises(Damaged, match=reason):
        verified(packed(model()))


def test_the_layouts_are_the_schema_s():
    """What the schema's source says of the type of every field is what its layout became."""
    kinds = {"int": "scalar", "float": "scalar", "bool": "scalar", "str": "string"}
    source, table, seen = Path(schema.__file__).read_text().splitlines(), "", 0
    for line in source:
        if line.startswith("class "):
            table = line.removeprefix("class ").partition("(")[0]
        if not (table.endswith("T") and "# type: " in line and line.strip().startswith("self.")):
            continue
        name, kind = line.strip().removeprefix("self.").partition(" ")[0], line.partition("# type: ")[2]
        field = next(f for f in layout(table[:-1]) if f and f.name == name[0].upper() + name[1:])
        kind = kind.removeprefix("Optional[").removesuffix("]") if kind.startswith("Optional[") else kind
        if kind.startswith("Union["):
            expected = ("union", set(kind.removeprefix("Union[None, ").removesuffix("]").replace("'", "").split(", ")))
            assert (field.kind, {f"{member}T" for member in field.of.values()} - {"NONET"}) == expected
        elif kind.startswith("List["):
            inner = kind.removeprefix("List[").removesuffix("]")
            assert field.kind == ("numbers" if inner in kinds else "tables"), (table, name)
            assert inner in kinds or field.of == inner[:-1]
            assert inner != "float" or field.of == "<f4"
        else:
            assert field.kind == kinds.get(kind, "table"), (table, name)
            assert kind in kinds or field.of == kind[:-1]
        seen += 1
    assert seen > 300


def test_the_versions_are_the_runtime_s():
    """Of every operator that it has a kernel of, the interpreter accepts the highest version, and none above."""
    made = model()
    made.subgraphs = [graph([], [], [], [])]
    made.signatureDefs = []

    def known(number, version):
        made.operatorCodes = [code(number, version)]
        try:
            return bool(Interpreter(model_content=packed(made)))
        except ValueError as error:
            if "Didn't find op" not in str(error):
                raise
            return False

    checked = 0
    for number, name in OPERATORS.items():
        highest = MAXIMUM_VERSIONS.get(name, 1)
        if name not in ("CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES") and known(number, highest):
            checked += 1
            assert not known(number, highest + 1), name
    assert checked > 140


# -- ONNX --


def onnx_model(nodes=(), constants=(), functions=(), shape=(1, 3)):
    """From "input" over `nodes` to "logits"; without any, a sum with the constant "table"."""
    table = numpy_helper.from_array(np.ones((1, 3), np.float32), "table")
    graph = helper.make_graph(
        nodes or [helper.make_node("Add", ["input", "table"], ["logits"])],
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        [table, *constants],
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    return helper.make_model(graph, opset_imports=domains, functions=functions, ir_version=8)


def outside(name="outside"):
    """A tensor whose values lie in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1, 3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def holding(tensor, name):
    return helper.make_node("Constant", [], [name], value=tensor)


def nested(tensor):
    """The tensor lies in a branch of an If."""
    empty = [helper.make_tensor_value_info("there", TensorProto.FLOAT, (1, 3))]
    branch = helper.make_graph([holding(tensor, "there")], "b", [], empty)
    condition = holding(numpy_helper.from_array(np.array(True)), "condition")
    return onnx_model(
        [condition, helper.make_node("If", ["condition"], ["logits"], then_branch=branch, else_branch=branch)]
    )


def of_function(tensor):
    domains = [helper.make_opsetid("", 17)]
    nodes = [holding(tensor, "held"), helper.make_node("Add", ["a", "held"], ["b"])]
    function = helper.make_function("mine", "F", ["a"], ["b"], nodes, domains)
    return onnx_model([helper.make_node("F", ["input"], ["logits"], domain="mine")], functions=[function])


def of_sparse(tensor):
    made = onnx_model()
    made.graph.sparse_initializer.add(values=tensor, dims=[9])
    return made


def calling(names):
    """Functions, each of which calls the next twice; the last one calls the first if it is named again."""
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    functions = []
    for name, following in zip(names, [*names[1:], "Relu"], strict=True):
        domain = "mine" if following != "Relu" else ""
        nodes = [helper.make_node(following, [one], [other], domain=domain) for one, other in (("a", "m"), ("m", "b"))]
        functions.append(helper.make_function("mine", name, ["a"], ["b"], nodes, domains))
    made = onnx_model([helper.make_node(names[0], ["input"], ["logits"], domain="mine")])
    made.functions.extend(functions)
    return made


def of_size(dims, count=3):
    """The values of "more" are `count` floats, but its shape says otherwise."""
    more = TensorProto(name="more", data_type=TensorProto.FLOAT, dims=dims, raw_data=bytes(4 * count))
    return onnx_model([helper.make_node("Add", ["input", "more"], ["logits"])], [more])


def with_card(text):
    made = onnx_model()
    made.metadata_props.add(key="falcon_edge.card", value=text)
    return made


def free(made):
    """The output's shape is free: what it is, inference must find out."""
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["a", "b"]))
    return made


OTHER_FILES = "keeps its weights in other files; save it as one file"
REFUSED_ONNX = [
    (onnx_model([helper.make_node("Add", ["input", "outside"], ["logits"])], [outside()]), OTHER_FILES),
    (onnx_model([holding(outside(), "held"), helper.make_node("Add", ["input", "held"], ["logits"])]), OTHER_FILES),
    (nested(outside()), OTHER_FILES),
    (of_function(outside()), OTHER_FILES),
    (of_sparse(outside()), OTHER_FILES),
    (of_size([1, 4]), "the values of more do not fit its shape"),
    (of_size([-1, -3]), "the values of more do not fit its shape"),
    (of_size([2**40, 2**40]), "the values of more do not fit its shape"),
    (nested(TensorProto(data_type=TensorProto.FLOAT, dims=[2], raw_data=b"")), "the values of a constant do not fit"),
    (onnx_model([helper.make_node("Relu", ["input"], ["logits"])] * 2), "refused by the ONNX checker"),
    (onnx_model([helper.make_node("Missing", ["input"], ["logits"])]), "refused by the ONNX checker"),
    (onnx_model([helper.make_node("Relu", ["nothing"], ["logits"])]), "refused by the ONNX checker"),
    (onnx_model([helper.make_node("Transpose", ["input"], ["logits"], perm=[5, -7])]), "refused by the ONNX checker"),
    (calling(["F", "G", "F"]), "refused by the ONNX checker"),
    (onnx.ModelProto(), "it has no nodes"),
    (with_card("no JSON"), "its embedded card is damaged"),
    (with_card('{"a": 1e999}'), "its embedded card is damaged"),
    (with_card('{"a": NaN}'), "its embedded card is damaged"),
    (with_card('"\\ud800"'), "its embedded card is damaged"),
    (with_card("[" * 100 + "]" * 100), "its embedded card is damaged"),
    (with_card("[" * 100_000), "its embedded card is damaged"),
]


@pytest.mark.parametrize(("made", "reason"), REFUSED_ONNX, ids=[f"{index}" for index in range(len(REFUSED_ONNX))])
def test_a_broken_onnx(tmp_path, made, reason):
    (tmp_path / "a.onnx").write_bytes(made.SerializeToString())
    assert reason in refused(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    "made", [onnx_model(), nested(numpy_helper.from_array(np.ones((1, 3), np.float32))), calling(["F", "G"])]
)
def test_a_good_onnx(tmp_path, made):
    (tmp_path / "a.onnx").write_bytes(made.SerializeToString())
    assert describe(tmp_path / "a.onnx") == describe_apart([tmp_path / "a.onnx"])[0]


def test_messages_without_end_in_one_another(tmp_path):
    """Ten thousand graphs in one another, as bytes: protobuf stops at a hundred."""
    data = b""
    for _ in range(10_000):
        size, length = len(data), b""
        while size >= 128:
            length, size = length + bytes([size % 128 + 128]), size // 128
        data = b"\x3a" + length + bytes([size]) + data
    (tmp_path / "a.onnx").write_bytes(data)
    assert "not an ONNX model" in refused(tmp_path / "a.onnx")


def test_four_bits_and_numbers_one_by_one(tmp_path):
    for kind, values in (
        (TensorProto.INT4, [1, 2, 3]),
        (TensorProto.FLOAT16, [1.0, 2.0, 3.0]),
        (TensorProto.BOOL, [1, 0, 1]),
    ):
        table = helper.make_tensor("more", kind, [1, 3], values)
        made = onnx_model([helper.make_node("Add", ["input", "table"], ["logits"])], [table])
        made.opset_import[0].version, made.ir_version = 21, 10
        (tmp_path / "a.onnx").write_bytes(made.SerializeToString())
        assert len(describe(tmp_path / "a.onnx").operators) == 1


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
@pytest.mark.parametrize("call", [describe, lambda path: describe_apart([path])], ids=["here", "apart"])
def test_a_file_that_is_too_large_is_not_read(tmp_path, suffix, call):
    path = tmp_path / f"a{suffix}"
    path.touch()
    os.truncate(path, 3 * 1024**3)
    assert "larger than 2 GiB" in refused(path, call)


# -- apart --


def apart(path):
    return describe_apart([path])[0]


@pytest.fixture
def good(tmp_path):
    (tmp_path / "a.onnx").write_bytes(onnx_model().SerializeToString())
    (tmp_path / "a.tflite").write_bytes(packed(model()))
    return [tmp_path / "a.onnx", tmp_path / "a.tflite"]


def test_files_are_described_apart_as_they_are_here(good):
    assert describe_apart(good) == [describe(path) for path in good]
    assert describe_apart([]) == []


def test_the_first_bad_file_is_named(good, tmp_path):
    bad = tmp_path / "b.tflite"
    bad.write_bytes(b"no model")
    assert refused(bad, lambda path: describe_apart([good[0], path, good[1]])) == f"{bad}: not a TFLite model"
    assert refused(tmp_path / "none.onnx", apart).endswith("no such model file")
    assert refused(tmp_path, apart).endswith("a folder, but no bundle")


def test_a_file_that_keeps_the_checker_busy(monkeypatch, tmp_path):
    """One kilobyte of functions that call one another twice: 2**40 calls to look into."""
    (tmp_path / "a.onnx").write_bytes(calling([f"F{index}" for index in range(40)]).SerializeToString())
    monkeypatch.setattr(inspect_apart, "SECONDS", 2.0)
    assert refused(tmp_path / "a.onnx", apart).endswith("a damaged model: checking it took more than 2 s")


def test_a_child_that_never_ends(monkeypatch, good):
    monkeypatch.setattr(inspect_apart, "SECONDS", 0.2)
    monkeypatch.setattr(inspect_apart, "CHILD", (sys.executable, "-c", "import time; time.sleep(60)"))
    assert "took more than" in refused(good[0], apart)


def test_a_file_that_wants_all_memory(monkeypatch, tmp_path):
    """Empty nodes take two bytes in the file and a hundred times that when they are read: whoever notices first."""
    length, nodes = b"\x80\x89\x7a", b"\x0a\x00" * 1_000_000
    (tmp_path / "a.onnx").write_bytes(b"\x08\x08\x42\x02\x10\x11\x3a" + length + nodes)
    assert len(onnx.load(tmp_path / "a.onnx").graph.node) == 1_000_000
    monkeypatch.setattr(inspect_apart, "MEMORY", 192 * 1024**2)
    line = refused(tmp_path / "a.onnx", apart)
    assert any(word in line for word in ("describing it takes more than", "alloc failed", "ended with")), line


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "checking it ended with SIGSEGV"),
        ("os.abort()", "checking it ended with SIGABRT"),
        ("sys.exit(3)", "checking it ended with exit code 3"),
        ("print('nonsense')", "cannot be described"),
    ],
)
def test_a_child_that_crashes(monkeypatch, good, does, said):
    monkeypatch.setattr(inspect_apart, "CHILD", (sys.executable, "-c", f"import os, signal, sys; {does}"))
    assert said in refused(good[0], apart)


def test_no_runtime_is_loaded(good):
    """Neither in the child nor here: what is native of the runtimes is not even mapped."""
    script = f"""
import json, sys
from pathlib import Path
from converters.inspect import describe
from converters.inspect_apart import describe_apart
files = [Path(name) for name in {[str(path) for path in good]}]
assert describe_apart(files) == [describe(path) for path in files]
mapped = Path("/proc/self/maps").read_text()
print(json.dumps([name for name in ("libLiteRt", "_pywrap", "onnxruntime") if name in mapped or name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
