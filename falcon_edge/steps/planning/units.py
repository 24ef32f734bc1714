"""Small models of single layers, and whole networks under plans, exported to be timed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import nn

from converters.formats import Source, format_for
from converters.onnx_export import export_onnx
from converters.passes.rewrites import rewritten
from converters.passes.rewrites.rules import RECORDED, Rules
from converters.quantization.quantize import Quantized, quantize
from falcon_edge.falcon.forms import FORMS, KEEP
from falcon_edge.falcon.forms.form import FormConv2d, PaddingMode, Replacement
from falcon_edge.falcon.observe import Place
from falcon_edge.steps.quantize import for_both_runtimes
from falcon_edge.times import Reference, Unit

CHAIN, SHORT_MACS = 4, 8_000_000  # so many copies of a unit with fewer MACs
INPUTS, OUTPUTS = 4, 8  # channels of what stands before a unit, and behind it
CALIBRATION = 2  # inputs


class Small(NamedTuple):
    """A unit to be timed: so many copies of it in a row."""

    unit: Unit
    copies: int


def unit_of(conv: nn.Conv2d | FormConv2d, place: Place, replacement: Replacement | None) -> Unit:
    """The unit of a convolution that stands at a place, in a form or kept."""
    form, sizes = (KEEP, ()) if replacement is None else replacement
    summed = replacement is not None and len(_module(_geometry(conv), replacement).last()) > 1
    return Unit(
        form=form,
        sizes=sizes,
        channels=(conv.in_channels, conv.out_channels),
        kernel=cast(tuple[int, int], conv.kernel_size),
        stride=cast(tuple[int, int], conv.stride),
        padding=cast("tuple[int, int] | str", conv.padding),
        padding_mode=conv.padding_mode,
        dilation=cast(tuple[int, int], conv.dilation),
        groups=conv.groups,
        height=place.height,
        width=place.width,
        of_image=place.of_image,
        clamped=place.clamped or not summed,
    )


def small(unit: Unit) -> Small:
    """How a unit is timed: one that keeps its input's shape and is short in a chain."""
    channels, size = unit.channels, (unit.height, unit.width)
    with torch.device("meta"):
        given, layer = torch.zeros(1, channels[0], *size), _layer(unit)
        made = layer(given)
    macs = sum(each.weight.numel() for each in layer.modules() if isinstance(each, nn.Conv2d)) * size[0] * size[1]
    chained = made.shape == given.shape and not unit.of_image and macs < SHORT_MACS
    return Small(unit, CHAIN if chained else 1)


def reference_module(of: Reference) -> tuple[nn.Module, tuple[int, int, int]]:
    """The small model without a unit, and the shape of its input."""
    return _between(of, ())


def small_module(of: Small) -> tuple[nn.Module, tuple[int, int, int]]:
    """The small model of a unit, and the shape of its input."""
    return _between(of.unit.reference, [_layer(of.unit) for _ in range(of.copies)])


def export(
    module: nn.Module,
    shape: tuple[int, int, int],
    suffix: str,
    precision: str,
    path: Path,
    *,
    outputs: Sequence[str] = ("output",),
    rules: Rules = RECORDED,
    simplify: bool = False,
) -> Path:
    """Write a module as `export` does; int8 is calibrated on noise, for a layer takes the same time whatever it holds.

    rules: of rewrites of int8 files. simplify: what a small model has no need of, and takes seconds. Returns `path`
    with the format's suffix.
    """
    form, graph = format_for(suffix), path.with_suffix(".float.onnx")
    target = path.with_suffix(suffix)
    export_onnx(module, torch.zeros(1, *shape), graph, output_names=outputs, simplify=simplify)
    if precision == "fp32":
        form.write(Source(graph), target)
    else:
        write_int8(quantized(graph, shape, rules), target, rules)
    graph.unlink()
    return target


def quantized(graph: Path, shape: tuple[int, int, int], rules: Rules) -> Quantized:
    """A float graph in int8, calibrated on noise; factors are multiplied back as `rules` want it."""
    noise = np.random.default_rng(0).standard_normal((CALIBRATION, *shape)).astype(np.float32)
    return for_both_runtimes(lambda kept: quantize(graph, noise, kept=kept, rules=rules))


def write_int8(done: Quantized, target: Path, rules: Rules) -> Path:
    """Write a quantized graph, which stays as it is, rewritten as `rules` want it; returns `target`."""
    form = format_for(target.suffix)
    with rewritten(done.model, done.spec, form.runtime, rules) as found:
        form.write(Source(found.model, found.spec), target)
    return target


def _between(of: Reference, layers: Any) -> tuple[nn.Module, tuple[int, int, int]]:
    """Layers between one that makes their input of few channels, and one that reads a single pixel of their output."""
    torch.manual_seed(0)
    head = () if of.of_image else (nn.Conv2d(INPUTS, of.channels, 1), nn.ReLU())
    body = nn.Sequential(*head, *layers)
    shape = (of.channels if of.of_image else INPUTS, of.height, of.width)
    with torch.no_grad():
        _, channels, *size = body(torch.zeros(1, *shape)).shape
    tail = nn.Conv2d(channels, OUTPUTS, 1, stride=tuple(size))
    return nn.Sequential(body, tail, nn.Flatten()).eval(), shape


def _layer(unit: Unit) -> nn.Module:
    conv = nn.Conv2d(
        *unit.channels,
        unit.kernel,
        unit.stride,
        unit.padding,
        unit.dilation,
        unit.groups,
        padding_mode=cast(PaddingMode, unit.padding_mode),
    )
    layer = conv if unit.form == KEEP else FORMS[unit.form].module(conv, unit.sizes)
    return nn.Sequential(layer, nn.ReLU()) if unit.clamped else layer


def _geometry(conv: nn.Conv2d | FormConv2d) -> nn.Conv2d:
    """A convolution of the same geometry, without weights."""
    if isinstance(conv, nn.Conv2d):
        return conv
    with torch.device("meta"):
        return nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            conv.dilation,
            conv.groups,
            padding_mode=conv.padding_mode,
        )


def _module(conv: nn.Conv2d, replacement: Replacement) -> FormConv2d:
    with torch.device("meta"):
        return FORMS[replacement.form].module(conv, replacement.sizes)
