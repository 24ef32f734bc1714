"""Passes over an ONNX graph: each takes a model and returns it changed, and serves every network."""

from onnx import ModelProto

from converters.passes.current_form import current_form
from converters.passes.drop_expand import drop_expand
from converters.passes.drop_identity import drop_identity
from converters.passes.fix_ceil_mode import fix_ceil_mode
from converters.passes.fold_batchnorm import fold_batchnorm
from converters.passes.fold_constants import fold_constants
from converters.passes.fold_pad import fold_pad
from converters.passes.mean_as_pool import mean_as_pool
from converters.passes.route_channels import route_channels


def tidy(model: ModelProto) -> ModelProto:
    """The passes after which a graph holds nothing that could be computed, folded or left out; changed in place."""
    changes = (
        *(
            current_form,
            drop_identity,
            fix_ceil_mode,
            fold_constants,
            mean_as_pool,
            fold_batchnorm,
            fold_pad,
            drop_expand,
        ),
        route_channels,
    )
    for change in changes:
        model = change(model)
    return model
