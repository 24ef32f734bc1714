"""A torch module as one self-contained ONNX file."""

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from onnx import ModelProto
from torch import Tensor, nn
from torch.onnx import TrainingMode

from converters import onnx_graph
from converters.errors import ConversionError
from converters.passes import tidy
from converters.passes.current_form import current_form
from converters.response_norm import response_norm_as_node
from converters.silence import STDOUT, silenced
from converters.simplify import simplify as run_simplifier


@dataclass(frozen=True)
class OnnxExport:
    """What was written, and what the user should know about it."""

    path: Path
    notes: tuple[str, ...]


def export_onnx(
    model: nn.Module,
    sample: Tensor,
    path: Path,
    *,
    input_name: str = "input",
    output_names: Sequence[str] = ("logits",),
    dynamic_batch: bool = False,
    card: dict[str, Any] | None = None,
    simplify: bool = True,
    keep_batchnorm: bool = False,
) -> OnnxExport:
    """Write `model` in eval mode as ONNX (opset 17), batch normalisation folded, for inputs like `sample` (1, C, H, W).

    It gives a tensor, or a row of them, under `output_names`. The batch is 1, or free with `dynamic_batch`. `card` goes
    into the metadata as JSON under "falcon_edge.card". keep_batchnorm: as it is in the model, for a file that is to
    become a network again, and not simplified either. The model is left as it was; the same model gives the same
    bytes. Raises ConversionError if torch cannot export it, or it is larger than an ONNX file can be.
    """
    weights = (*model.parameters(), *model.buffers())
    onnx_graph.refuse_large(sum(weight.numel() * weight.element_size() for weight in weights), "the network")
    traced = _trace(model, sample, input_name, output_names, dynamic_batch, keep_batchnorm)
    exported = current_form(traced) if keep_batchnorm else tidy(traced)
    notes: tuple[str, ...] = ()
    if simplify and not keep_batchnorm:
        result = run_simplifier(exported)
        exported = tidy(result.model)
        notes = () if result.problem is None else (f"not simplified: {result.problem}",)
    exported.ir_version = min(exported.ir_version, onnx_graph.IR_VERSION)
    exported.producer_name, exported.producer_version, exported.doc_string = "falcon-edge", "", ""
    for node in exported.graph.node:
        node.doc_string = ""
    onnx_graph.embed_card(exported, card)
    onnx_graph.save(exported, path)
    return OnnxExport(path, notes)


def _trace(
    model: nn.Module,
    sample: Tensor,
    input_name: str,
    output_names: Sequence[str],
    dynamic_batch: bool,
    keep_batchnorm: bool,
) -> ModelProto:
    """torch's own exporter, silenced; every module's mode is put back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    # Numbers are what torch calls its own values, and it refuses them.
    names = {name: f"named.{name}" if name.isdecimal() else name for name in (input_name, *output_names)}
    axes = {name: {0: "batch"} for name in names.values()} if dynamic_batch else None
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    traced = _Sink()
    try:
        with (
            response_norm_as_node(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            silenced(STDOUT),
        ):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (sample,),
                traced,  # type: ignore[arg-type]  # what torch says of it is too narrow
                dynamo=False,
                # In eval mode all the same: what it says is that nothing is folded into convolutions.
                training=TrainingMode.PRESERVE if keep_batchnorm else TrainingMode.EVAL,
                opset_version=onnx_graph.OPSET,
                input_names=[names[input_name]],
                output_names=[names[name] for name in output_names],
                dynamic_axes=axes,
            )
    except Exception as error:  # torch raises nearly anything for a module that it cannot trace
        raise ConversionError(f"torch cannot export this network: {onnx_graph.first_line(error)}") from error
    finally:
        logger.setLevel(level)
        for module, training in modes.items():
            module.training = training
    made = onnx_graph.parse(traced.taken(), "what torch exported")
    _rename(made, {stood_in: name for name, stood_in in names.items() if stood_in != name})
    return made


def _rename(model: ModelProto, names: Mapping[str, str]) -> None:
    """Give values other names; what has such a name itself gets a longer one."""
    if not names:
        return
    changes = {name: f"{name}.own" for name in names.values()} | dict(names)
    onnx_graph.rename_values(model.graph, changes)


class _Sink(io.RawIOBase):
    """A file in memory that keeps the bytes that it is given, uncopied: a traced network is as large as the network."""

    data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data = self.data + data if self.data else data
        return len(data)

    def taken(self) -> bytes:
        """The bytes, which it then holds no longer."""
        data, self.data = self.data, b""
        return data
