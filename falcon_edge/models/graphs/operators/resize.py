"""Resize: nn.Upsample where a form of torch reads the same pixels as ONNX, else pixels by their places."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from falcon_edge.models.graphs.node import Call, Node, NoLayer, makes

LONGEST = 2**16  # elements of an axis: beyond are files that ask for the impossible
CLOSE = 1e-4  # of a pixel, for linear: places are computed in float32
ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda places: np.ceil(places - np.float32(0.5)),
    "round_prefer_ceil": lambda places: np.floor(places + np.float32(0.5)),
}
# torch's forms by the number of spatial axes.
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
CUBIC = -0.75  # torch's coefficient


@makes("Resize")
def resize(node: Node) -> Call:
    """Every form of torch is tried: what each output pixel is made of is compared."""
    given, before = node.given, node.sizes()
    mode = given.get("mode", "nearest")
    if given.get("antialias", 0):
        raise NoLayer("antialias")
    if given.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise NoLayer(f"keep_aspect_ratio_policy {given['keep_aspect_ratio_policy']}")
    scales, after = _goal(node)
    if max(after, default=0) > LONGEST:
        raise NoLayer(f"a result of shape {after}")
    node.across([axis for axis, scale in enumerate(scales) if scale != 1])
    if mode == "cubic":
        return _cubic(node, scales, after)
    if mode not in ("nearest", "linear"):
        raise NoLayer(f"mode {mode}")
    wanted = [_places(node, *each) for each in zip(before, after, scales, strict=True)]
    spatial = len(before) - 2
    if spatial in LINEAR and before[:2] == after[:2]:
        for form, corners, places in _forms(mode, spatial):
            found = [places(*each) for each in zip(before[2:], after[2:], scales[2:], strict=True)]
            if all(np.allclose(*each, rtol=0, atol=CLOSE) for each in zip(found, wanted[2:], strict=True)):
                return node.layer(nn.Upsample(after[2:], mode=form, align_corners=corners))
    rows = [
        None if size == goal and scale == 1 else list(map(float, places))
        for size, goal, scale, places in zip(before, after, scales, wanted, strict=True)
    ]
    return node.function(read_at, places=rows)


def read_at(x: Tensor, places: list[list[float] | None]) -> Tensor:
    """x read at these places along each axis, linearly between two elements; as it is where there is None."""
    for axis, row in enumerate(places):
        if row is None:
            continue
        place = torch.tensor(row, dtype=torch.float32, device=x.device)
        below = place.floor().long()
        one = x.index_select(axis, below)
        if any(each % 1 for each in row):
            share = (place - below).to(x.dtype).reshape([-1] + [1] * (x.ndim - axis - 1))
            other = x.index_select(axis, (below + 1).clamp(max=x.shape[axis] - 1))
            one = one * (1 - share) + other * share
        x = one
    return x


def _goal(node: Node) -> tuple[list[float], tuple[int, ...]]:
    """By how much every axis grows, as ONNX computes places with it, and the sizes after."""
    before = node.sizes()
    rank = len(before)
    axes = [node.within(axis, rank) for axis in node.given.get("axes", range(rank))]
    scales, after = [1.0] * rank, list(before)
    sizes = node.integers(3) if node.has(3) else []
    if sizes:
        for axis, size in zip(axes, sizes, strict=True):
            after[axis], scales[axis] = size, size / before[axis]
    else:
        listed = node.constant(2).tolist() if node.has(2) else []
        for axis, scale in zip(axes, listed, strict=True):
            after[axis], scales[axis] = int(np.floor(np.float32(before[axis]) * np.float32(scale))), scale
    return scales, tuple(after)


def _places(node: Node, size: int, goal: int, scale: float) -> np.ndarray:
    """Where each element of an axis is read, in float32 as a runtime does (Resize of the ONNX specification)."""
    given, pixels = node.given, np.arange(goal, dtype=np.float32)
    transform = given.get("coordinate_transformation_mode", "half_pixel")
    if size == goal and scale == 1:
        return pixels
    if transform == "asymmetric":
        places = pixels / np.float32(scale)
    elif transform == "align_corners" and goal > 1:
        places = pixels * np.float32((size - 1) / (goal - 1))
    elif transform == "half_pixel" or (transform == "pytorch_half_pixel" and goal > 1):
        places = (pixels + np.float32(0.5)) / np.float32(scale) - np.float32(0.5)
    elif transform in ("align_corners", "pytorch_half_pixel"):
        places = pixels * 0
    else:
        raise NoLayer(f"coordinate_transformation_mode {transform}")
    if given.get("mode", "nearest") == "nearest":
        places = ROUNDINGS[given.get("nearest_mode", "round_prefer_floor")](places)
    return np.asarray(places.clip(0, size - 1), np.float32)


Places = Callable[[int, int, float], np.ndarray]


def _forms(mode: str, spatial: int) -> list[tuple[str, bool | None, Places]]:
    """torch's forms of a mode: name, align_corners, and the places that they read for sizes alone."""
    if mode == "nearest":
        return [("nearest", None, _below), ("nearest-exact", None, _next)]
    return [(LINEAR[spatial], False, _centers), (LINEAR[spatial], True, _corners)]


def _below(size: int, goal: int, scale: float) -> np.ndarray:
    """aten/src/ATen/native/UpSample.h, nearest_neighbor_compute_source_index."""
    ratio = np.float32(size) / np.float32(goal)
    return np.minimum(np.floor(np.arange(goal, dtype=np.float32) * ratio), size - 1)


def _next(size: int, goal: int, scale: float) -> np.ndarray:
    """aten/src/ATen/native/UpSample.h, nearest_neighbor_exact_compute_source_index."""
    ratio = np.float32(size) / np.float32(goal)
    return np.minimum(np.floor((np.arange(goal, dtype=np.float32) + np.float32(0.5)) * ratio), size - 1)


def _centers(size: int, goal: int, scale: float) -> np.ndarray:
    """aten/src/ATen/native/UpSample.h, area_pixel_compute_source_index."""
    ratio = np.float32(size) / np.float32(goal)
    return ((np.arange(goal, dtype=np.float32) + np.float32(0.5)) * ratio - np.float32(0.5)).clip(0, size - 1)


def _corners(size: int, goal: int, scale: float) -> np.ndarray:
    """The same with align_corners."""
    ratio = np.float32(size - 1) / np.float32(goal - 1) if goal > 1 else np.float32(0)
    return np.arange(goal, dtype=np.float32) * ratio


def _cubic(node: Node, scales: list[float], after: tuple[int, ...]) -> Call:
    """nn.Upsample, of images and with torch's own numbers alone."""
    given, before = node.given, node.sizes()
    transform = given.get("coordinate_transformation_mode", "half_pixel")
    exact = [size * scale == goal for size, scale, goal in zip(before, scales, after, strict=True)]
    if len(before) != 4 or before[:2] != after[:2] or not all(exact) or given.get("exclude_outside", 0):
        raise NoLayer(f"mode cubic from {before} to {after}")
    if abs(given.get("cubic_coeff_a", CUBIC) - CUBIC) > 1e-6:
        raise NoLayer(f"cubic_coeff_a {given['cubic_coeff_a']:g}")
    if transform not in ("half_pixel", "pytorch_half_pixel", "align_corners") or min(after[2:]) < 2:
        raise NoLayer(f"mode cubic, {transform}")
    return node.layer(nn.Upsample(after[2:], mode="bicubic", align_corners=transform == "align_corners"))
