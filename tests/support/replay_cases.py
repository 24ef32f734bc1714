"""Model files for replay.py, and what our own runtimes answer to them.

A case is a folder GROUP/NAME/FORM below the root: one model file, input.npy, and expected*.npy.
"""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import onnx
import torch
from emission import graph, node, random, run_lite, run_onnx
from small_networks import resnet, samples
from torch import nn
from torch.nn import functional

from converters import onnx_graph
from converters.formats import FORMATS, PRECISIONS
from converters.onnx_export import export_onnx
from converters.onnx_graph import OnnxGraph
from converters.ort import convert_to_ort
from converters.quantization.qdq import as_unsigned, write_qdq
from converters.quantization.quantize import quantize
from converters.quantization.spec import TensorQuantization
from converters.tflite.emit import emit_tflite, write_rounded
from falcon_edge.bundle import bundle_path, open_bundle
from falcon_edge.data.formats import SAMPLE
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle, golden_samples
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.shipped import copy_sample_network

TARGETS = tuple(form.name for form in FORMATS)
# How int8 is exported, by the name of the bundle.
INT8 = {
    "uint8": Int8(SAMPLE, samples=64),
    "uint8-integer": Int8(SAMPLE, samples=64, integer_io=True),
    "int8": Int8(SAMPLE, samples=64, activations="int8"),
    "int8-integer": Int8(SAMPLE, samples=64, activations="int8", integer_io=True),
}
IMAGE = (8, 10, 10)
# The kernels of LiteRT that answers are kept of.
XNNPACK, BUILTIN = "xnnpack", "builtin"


def tables(module, *names):
    """What another test module has under these names; `module` is its path below tests/converters."""
    path = Path(__file__).parents[1] / "converters" / module
    specification = importlib.util.spec_from_file_location(f"tables_of_{path.parent.stem}", path)
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    return [getattr(loaded, name) for name in names]


def case(folder, inputs, expected=None):
    """Make a case's folder, the model excepted. inputs: (N, the file's own shape)."""
    folder.mkdir(parents=True)
    np.save(folder / "input.npy", np.ascontiguousarray(inputs))
    if expected is not None:
        np.save(folder / "expected.npy", expected)
    return folder


def nhwc(values):
    """(N, B, C, H, W) as (N, B, H, W, C); other ranks as they are."""
    return np.ascontiguousarray(values.transpose(0, 1, 3, 4, 2)) if values.ndim == 5 else values


def exported(network, shape, scratch):
    """The ONNX graph of a network."""
    path = export_onnx(network.eval(), torch.zeros(1, *shape), scratch / "exported.onnx", simplify=False).path
    return onnx_graph.load(path)


WIDE = [  # five axes
    node("Reshape", ["input", "sizes"], ["x"]),
    node("Sub", ["x", "c"], ["y"]),
    node("Transpose", ["y"], ["z"], perm=[4, 1, 0, 3, 2]),
    node("Slice", ["z", "start", "end"], ["logits"]),
]
WIDE_CONSTANTS = {
    "sizes": np.array([1, 2, 3, 8, 7]),
    "c": random(3, 1, 1),
    "start": np.array([1, 0, 0, 2, 1]),
    "end": np.array([6, 2, 1, 8, 3]),
}


def float_cases(root, scratch):
    """The emitter's own operator cases, and what they leave out: as .onnx, .tflite, and .tflite in fp16."""
    (params,) = tables("tflite/test_operators.py", "CASES")
    (function,) = tables("quantization/test_operators.py", "Function")
    graphs = {f"{number:02d}-{param.id}": param.values[:3] for number, param in enumerate(params)}
    graphs["wide"] = (WIDE, (1, 6, 8, 7), WIDE_CONSTANTS)
    networks = {
        "gelu": nn.Sequential(nn.Conv2d(8, 8, 1), nn.GELU()),
        "silu": nn.Sequential(nn.Conv2d(8, 8, 1), nn.SiLU()),
        "depthwise": nn.Conv2d(8, 8, 3, dilation=2, groups=8),
        "grouped": nn.Conv2d(8, 16, 3, groups=4),
        "grouped transposed": nn.ConvTranspose2d(8, 8, 3, 2, groups=2),
        "reflected": nn.ReflectionPad2d(1),
        "attention": function(lambda x: x.flatten(2) @ x.flatten(2).transpose(1, 2)),
    }
    models = {name: graph(nodes, shape, **constants) for name, (nodes, shape, constants) in graphs.items()}
    models |= {name: exported(network, IMAGE, scratch) for name, network in networks.items()}
    for name, model in models.items():
        shape = [dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim]
        inputs = np.stack([random(*shape, seed=seed) for seed in range(2)])
        onnx.save(model, case(root / name / "onnx", inputs) / "model.onnx")
        expected = run_onnx(root / name / "onnx/model.onnx", inputs)
        np.save(root / name / "onnx/expected.npy", expected)
        rounded = scratch / "rounded.onnx"
        write_rounded(root / name / "onnx/model.onnx", rounded)
        for form, answers in (("tflite", expected), ("half", run_onnx(rounded, inputs))):
            path = case(root / name / form, nhwc(inputs), nhwc(answers)) / "model.tflite"
            emit_tflite(model, path, half=form == "half")


def int8_cases(root, scratch):
    """The int8 operators' own networks, and what they leave out, with integer input and output: .onnx and .tflite."""
    networks, function = tables("quantization/test_operators.py", "NETWORKS", "Function")
    uneven = nn.Sequential(nn.Flatten(), nn.Linear(800, 10))  # no scale per tensor fits its weights
    networks = networks | {
        "linear of uneven channels": uneven,
        "hardtanh": function(lambda x: functional.hardtanh(functional.max_pool2d(x, 3, 1, 1))),
        "larger product": function(lambda x: functional.relu(x) * (functional.relu(-x) + 0.01)),
    }
    for name, network in networks.items():
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.3)
        if network is uneven:
            uneven[1].weight.data *= torch.logspace(-2, 0, 10)[:, None]
        quantized = quantize(exported(network, IMAGE, scratch), samples(IMAGE, 16))
        signed = np.random.default_rng(1).integers(-128, 128, (8, 1, *IMAGE)).astype(np.int8)
        for activations, inputs in (("uint8", as_unsigned(signed)), ("int8", signed)):
            path = case(root / name / activations, inputs) / "model.onnx"
            qdq = write_qdq(quantized.model, quantized.spec, activations=activations, quantized_io=True)
            onnx_graph.save(qdq, path)
            np.save(path.with_name("expected.npy"), run_onnx(path, inputs))
        path = case(root / name / "tflite", nhwc(signed)) / "model.tflite"
        emit_tflite(quantized.model, path, quantization=quantized.spec, integer_io=True)
        for kernels in (XNNPACK, BUILTIN):
            answers = run_lite(path, signed, builtin=kernels == BUILTIN)
            np.save(path.with_name(f"expected.{kernels}.npy"), nhwc(answers))


def mixed_cases(root, scratch):
    """A network of which some layers stay in float, as --keep-accuracy leaves them: .onnx, .ort and .tflite."""
    network = resnet(2)
    model = exported(network, network.shape, scratch)
    layers = [made.output[0] for made in OnnxGraph(model).nodes if made.op_type in ("Conv", "Add")]
    kept = dict.fromkeys(layers[::3], "asked for")
    quantized = quantize(model, samples(network.shape, 8), kept=kept)
    inputs = samples(network.shape)[:, None]
    source = case(root / "network/onnx", inputs) / "model.onnx"
    onnx_graph.save(write_qdq(quantized.model, quantized.spec), source)
    expected = run_onnx(source, inputs)
    np.save(source.with_name("expected.npy"), expected)
    convert_to_ort(source, case(root / "network/ort", inputs, expected) / "model.ort")
    path = case(root / "network/tflite", nhwc(inputs), expected) / "model.tflite"
    emit_tflite(quantized.model, path, quantization=quantized.spec)


def bundle_cases(root, scratch):
    """The demo's network compressed and exported in all forms, for each way of INT8: the bundles that they are of.

    Their golden outputs are what must come.
    """
    standard, falcon = copy_sample_network(scratch / "standard"), bundle_path(scratch / "falcon")
    compress_bundle(Choice(str(standard)), falcon, data=SAMPLE, rank=1)
    bundles = {}
    for name, options in INT8.items():
        copy = bundle_path(scratch / name)
        shutil.copytree(falcon, copy)
        precisions = PRECISIONS if options == INT8["uint8"] else ("int8",)
        manifest = export_bundle(copy, TARGETS, precisions, int8=options)
        bundles[name] = bundle = open_bundle(copy)
        images = golden_samples(bundle)[:, None]
        for made in manifest.exports:
            inputs, lite = images, made.target == "tflite"
            if made.precision == "int8" and options.integer_io:
                meaning = manifest.quantization.input
                inputs = TensorQuantization(meaning.scale, meaning.zero_point).quantize(images)
                inputs = inputs if lite or options.activations == "int8" else as_unsigned(inputs)
            folder = case(root / name / f"{made.precision}-{made.target}", nhwc(inputs) if lite else inputs)
            shutil.copy(bundle.file(made.file), folder / f"model.{made.target}")
    return bundles
