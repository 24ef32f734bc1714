"""Exact rewrites: a quantized graph in a form that a runtime computes faster, with the same integers in every value.

They come behind the quantization, which all files share: what they add moves values, pads with zeros or writes the same
weights elsewhere, and has the scales of what it was made from. Each is one file, and asks the rules wherever it could
be applied. What multiplies factors back (multiplied_back) changes what is quantized, and so comes before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from onnx import ModelProto

from converters.lending import lent
from converters.passes.rewrites.column_blocks import column_blocks
from converters.passes.rewrites.editing import Editing, Rewrite
from converters.passes.rewrites.float_maximum import float_maximum
from converters.passes.rewrites.padded_channels import padded_channels
from converters.passes.rewrites.rules import Applied, Place, Rules
from converters.passes.rewrites.space_to_depth import space_to_depth
from converters.quantization.spec import QuantizationSpec

__all__ = ["REWRITES", "Applied", "Place", "Rewrite", "Rewritten", "Rules", "rewritten"]

# In this order: of a stem with a stride and few channels the first is the better one.
REWRITES: tuple[Rewrite, ...] = (space_to_depth, column_blocks, padded_channels, float_maximum)


@dataclass(frozen=True)
class Rewritten:
    """A graph to be written, its quantization, and which rewrites were applied."""

    model: ModelProto
    spec: QuantizationSpec
    applied: Applied


@contextmanager
def rewritten(model: ModelProto, spec: QuantizationSpec, runtime: str, rules: Rules) -> Iterator[Rewritten]:
    """A quantized graph as `rules` want it for a runtime; `model` stays as it is, and lends its weights meanwhile."""
    applied = Applied()
    with lent(model) as changed:
        for rewrite in REWRITES:
            editing = Editing(changed, spec, runtime, rules)
            rewrite(editing)
            spec, done = editing.finish()
            applied += done
        yield Rewritten(changed, spec, applied)
