"""Resize: RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR, where one of TFLite's forms reads the same pixels as ONNX."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from converters.onnx_graph import attributes
from converters.tflite.context import Context, emits
from converters.tflite.padding import image

# TFLite's forms: (align_corners, half_pixel_centers); the first is of version 1.
FORMS = ((False, False), (False, True), (True, False))
CLOSE = 1e-4  # of a pixel, for linear: the runtimes compute places in float32
ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda places: np.ceil(places - np.float32(0.5)),
    "round_prefer_ceil": lambda places: np.floor(places + np.float32(0.5)),
}


@emits("Resize")
def resize(context: Context, node: NodeProto) -> None:
    """Height and width only. Every form of TFLite is tried: what each output pixel is made of is compared."""
    mode = attributes(node).get("mode", b"nearest").decode()
    before, after = context.shape(node.input[0]), context.shape(node.output[0])
    if attributes(node).get("antialias", 0):
        raise context.no_form(node, "antialias")
    if mode not in ("nearest", "linear") or len(before) != 4 or before[:2] != after[:2]:
        raise context.no_form(node, f"mode {mode} from {before} to {after}")
    if before == after:
        context.alias(node)
        return
    wanted = [
        _onnx_places(node, size, goal, scale)
        for size, goal, scale in zip(before[2:], after[2:], _scales(context, node), strict=True)
    ]
    tflite_places = _tflite_nearest if mode == "nearest" else _tflite_linear
    for corners, centers in FORMS:
        found = [tflite_places(size, goal, corners, centers) for size, goal in zip(before[2:], after[2:], strict=True)]
        if all(np.allclose(ours, theirs, rtol=0, atol=CLOSE) for ours, theirs in zip(found, wanted, strict=True)):
            _emit(context, node, mode, corners, centers)
            return
    transform = attributes(node).get("coordinate_transformation_mode", b"half_pixel").decode()
    raise context.no_form(node, f"mode {mode}, {transform}, from {before[2:]} to {after[2:]}")


def _scales(context: Context, node: NodeProto) -> tuple[float, float]:
    """How much H and W grow, as ONNX computes places: by the scales where it has these, else by the sizes."""
    before, after = context.shape(node.input[0]), context.shape(node.output[0])
    listed = context.optional(node, 2)
    if listed is not None and listed.size == 4:
        return float(listed[2]), float(listed[3])
    return after[2] / before[2], after[3] / before[3]


def _onnx_places(node: NodeProto, size: int, goal: int, scale: float) -> np.ndarray:
    """Where in the input each output pixel is read, in float32 as a runtime does (Resize of the ONNX specification)."""
    given, pixels = attributes(node), np.arange(goal, dtype=np.float32)
    transform = given.get("coordinate_transformation_mode", b"half_pixel").decode()
    if transform == "asymmetric":
        places = pixels / np.float32(scale)
    elif transform == "align_corners" and goal > 1:
        places = pixels * np.float32((size - 1) / (goal - 1))
    elif transform == "half_pixel" or (transform == "pytorch_half_pixel" and goal > 1):
        places = (pixels + np.float32(0.5)) / np.float32(scale) - np.float32(0.5)
    elif transform in ("align_corners", "pytorch_half_pixel"):
        places = pixels * 0
    else:
        return np.full(goal, np.nan)
    if given.get("mode", b"nearest") == b"nearest":
        places = ROUNDINGS[given.get("nearest_mode", b"round_prefer_floor").decode()](places)
    return places.clip(0, size - 1)


def _tflite_linear(size: int, goal: int, corners: bool, centers: bool) -> np.ndarray:
    """Places of tensorflow/lite/kernels/internal/reference/resize_bilinear.h."""
    scale = np.float32((size - 1) / (goal - 1) if corners and goal > 1 else size / goal)
    pixels = np.arange(goal, dtype=np.float32)
    places = (pixels + np.float32(0.5)) * scale - np.float32(0.5) if centers else pixels * scale
    return places.clip(0, size - 1)


def _tflite_nearest(size: int, goal: int, corners: bool, centers: bool) -> np.ndarray:
    """Places of tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h."""
    scale = np.float32((size - 1) / (goal - 1) if corners and goal > 1 else size / goal)
    places = (np.arange(goal, dtype=np.float32) + np.float32(0.5 if centers else 0)) * scale
    return np.floor(places + np.float32(0.5) if corners else places).clip(0, size - 1)


def _emit(context: Context, node: NodeProto, mode: str, corners: bool, centers: bool) -> None:
    linear = mode == "linear"
    options: Any = schema.ResizeBilinearOptionsT() if linear else schema.ResizeNearestNeighborOptionsT()
    options.alignCorners, options.halfPixelCenters = corners, centers
    sizes = context.raw(f"{node.output[0]}.sizes", np.array(context.shape(node.output[0])[2:], np.int32))
    code = schema.BuiltinOperator.RESIZE_BILINEAR if linear else schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR
    version = 3 if centers or (corners and not linear) else 1
    inputs = [image(context, node.input[0]), sizes]
    context.operator(code, inputs, [context.output(node)], options, version)
