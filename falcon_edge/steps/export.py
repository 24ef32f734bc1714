"""export: a bundle's network as files for the runtimes, each proved against the one before, with golden outputs."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from converters import onnx_graph
from converters.agreement import differences
from converters.errors import ConversionError, ParityError
from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.ort import convert_to_ort
from converters.parity import Parity, check_onnx, check_same, measure
from converters.quantization.qdq import as_signed, as_unsigned, write_qdq
from converters.quantization.quantize import Quantized
from converters.quantization.spec import TensorQuantization
from converters.runtimes import host_saturates, run_onnx, run_tflite
from converters.tflite.emit import emit_tflite, write_rounded
from falcon_edge.bundle import (
    EXPORTS,
    GOLDEN,
    Bundle,
    Draft,
    Export,
    Golden,
    IntegerValue,
    LayerLosses,
    Manifest,
    MeasuredParity,
    Precision,
    Quantization,
    Target,
    Tolerance,
    edit_bundle,
)
from falcon_edge.data import Dataset, open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.notices import notice
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.advise import advise, measured_speed
from falcon_edge.steps.quantize import Int8, Quantizer
from falcon_edge.steps.subject import network_of

# What can be exported. ONNX Runtime computes float16 in float32 on a CPU, so that only TFLite has a use for it.
FORMS: tuple[tuple[Target, Precision], ...] = (
    ("onnx", "fp32"),
    ("ort", "fp32"),
    ("tflite", "fp32"),
    ("tflite", "fp16"),
    ("onnx", "int8"),
    ("ort", "int8"),
    ("tflite", "int8"),
)
# What a device may differ from this host's runtime: other kernels add up in another order.
FLOAT_TOLERANCE, HALF_TOLERANCE = Tolerance(rtol=1e-4), Tolerance(rtol=1e-2)
# float16 costs a trained network 45 dB and more: below this, every channel of the weights is looked at by itself.
LOW_HALF_DB = 40.0
INT8_STEPS = 2
# Two networks that lose as much against a third are no further than this from one another: twice what they lose.
EQUALLY_RIGHT_DB = 6.0
SATURATING_NOTE = (
    "exported on a CPU that cuts off sums of uint8 x int8 (x86 without VNNI): its figures and golden outputs are those "
    "of its twin with int8 activations"
)


def export(
    path: Path,
    targets: Sequence[str],
    precisions: Sequence[str] = ("fp32",),
    *,
    int8: Int8 | None = None,
    dynamic_batch: bool = False,
    strict: bool = False,
    trust_code: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Add the files of `targets` in `precisions` to a bundle, each proved against the one before.

    fp32 is compared with torch, .ort and .tflite with the .onnx of their precision, fp16 with the fp32 .onnx whose
    constants are rounded; int8 needs `int8`, and both runtimes get one quantization: int8 files of a former one are
    taken out, unless they are made anew. dynamic_batch leaves the batch of .onnx files free. What is doubtful of a file
    is a notice and stands in its `warnings`; strict refuses it. trust_code: see falcon_edge.steps.trust.

    Nothing is written if anything fails. Raises ParityError (converters) where answers differ by more than is allowed,
    BelowAsked where int8 loses more top-1 than `int8.max_drop`, BadInput for a bundle that cannot be opened or
    combinations that do not exist, ConversionError for a network that cannot be exported.
    """
    forms = _chosen(targets, precisions)
    if any(precision == "int8" for _, precision in forms) and int8 is None:
        raise BadInput("int8 needs images to calibrate with: --data DATA")
    with (
        edit_bundle(path) as draft,
        tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder,
        _naming(path, folder),
    ):
        images = int8 if any(precision == "int8" for _, precision in forms) else None
        data, class_map = (None, None) if images is None else (images.data, images.class_map)
        bundle = draft.former
        assert bundle is not None  # as it is changed
        dataset = None if data is None else open_dataset(data)
        subject, dataset = network_of(bundle, dataset, class_map, trust_code=trust_code)
        samples = golden_samples(bundle)
        exporter = _Exporter(subject.network, draft, samples, Path(folder), int8, dataset, dynamic_batch, strict)
        del subject  # its network is held until its graph is there
        for index, (target, precision) in enumerate(forms):
            progress(index, len(forms), f"exporting {target} {precision}")
            exporter.export(target, precision)
    assert draft.manifest is not None
    made = {export.file for export in draft.manifest.exports}
    for lost in (export.file for export in bundle.manifest.exports if export.file not in made):
        notice(f"{path}: {lost} was taken out, for it was of another quantization")
    done = ", ".join(f"{target} {precision}" for target, precision in forms)
    progress(len(forms), len(forms), f"exported {done}")
    return draft.manifest


def _chosen(targets: Sequence[str], precisions: Sequence[str]) -> list[tuple[Target, Precision]]:
    """The forms that were asked for. Raises BadInput for a word that is none, or a precision without a form."""
    for word, given, place in (("target", targets, 0), ("precision", precisions, 1)):
        known = dict.fromkeys(form[place] for form in FORMS)
        unknown = [name for name in given if name not in known]
        if unknown:
            raise BadInput(f"{unknown[0]}: no such {word}; there are {', '.join(known)}")
    forms = [form for form in FORMS if form[0] in targets and form[1] in precisions]
    for precision in precisions:
        if all(form[1] != precision for form in forms):
            having = ", ".join(form[0] for form in FORMS if form[1] == precision)
            raise BadInput(f"{precision} is for the target {having}")
    return forms


class _Exporter:
    """One export: files are made in a temporary folder, proved, and put into the draft of the bundle."""

    def __init__(
        self,
        network: torch.nn.Module,
        draft: Draft,
        samples: np.ndarray,
        folder: Path,
        int8: Int8 | None,
        dataset: Dataset | None,
        dynamic_batch: bool,
        strict: bool,
    ):
        assert draft.manifest is not None
        self.draft, self.samples, self.folder = draft, samples, folder
        self.int8, self.dataset, self.dynamic_batch, self.strict = int8, dataset, dynamic_batch, strict
        self.manifest: Manifest = draft.manifest
        self._network: torch.nn.Module | None = network  # until the float graph is made of it
        self._float: tuple[Path, Parity, tuple[str, ...]] | None = None
        self._integer: tuple[Path, Quantized, Quantizer] | None = None
        self._integer_top1 = 0.0

    def export(self, target: Target, precision: Precision) -> None:
        """Make, prove and add one file."""
        makes = {"fp32": self._export_float, "fp16": self._export_half, "int8": self._export_int8}
        makes[precision](target, precision)
        self.draft.manifest = self.manifest

    def _export_float(self, target: Target, precision: Precision) -> None:
        source, parity, notes = self._float_onnx()
        against = "torch"
        file = self.folder / f"model.{precision}.{target}"
        if target == "ort":
            self._convert_to_ort(source, file)
            parity, against = check_same(source, self.samples, file), source.name
        elif target == "tflite":
            emit_tflite(source, file, card=self._card())
            parity, against = check_same(source, self.samples, file), source.name
        outputs = self._answers(file, self.samples)
        self._add(file, target, precision, parity, against, notes, FLOAT_TOLERANCE, outputs)

    def _export_half(self, target: Target, precision: Precision) -> None:
        source, _, notes = self._float_onnx()
        file, rounded = self.folder / f"model.{precision}.{target}", self.folder / "model.fp32.rounded.onnx"
        for by_channel in (False, True):
            emit_tflite(source, file, card=self._card(), half=True, by_channel=by_channel)
            outputs = self._answers(file, self.samples)
            loss = measure(self._float_answers, outputs)
            if loss.snr_db >= LOW_HALF_DB:
                break
        left = write_rounded(source, rounded, by_channel=by_channel)
        notes += tuple(f"{name} stays float32, for float16 cannot hold it" for name in left)
        parity = check_same(rounded, self.samples, file)
        low = f"{file.name} differs from {source.name} (SNR {loss.snr_db:.0f} dB): float16 loses much of this network"
        warnings = () if loss.snr_db >= LOW_HALF_DB else (low,)
        self._add(file, target, precision, parity, rounded.name, notes, HALF_TOLERANCE, outputs, warnings)

    def _float_onnx(self) -> tuple[Path, Parity, tuple[str, ...]]:
        """model.fp32.onnx, from which all others are made."""
        if self._float is None:
            network, self._network = self._network, None
            assert network is not None
            path = self.folder / "model.fp32.onnx"
            written = export_onnx(
                network,
                torch.from_numpy(self.samples[:1]),
                path,
                input_name=self.manifest.input.name,
                output_name=self.manifest.outputs[0].name,
                dynamic_batch=self.dynamic_batch,
                card=self._card(),
            )
            self._float = path, check_onnx(network, self.samples, path), written.notes
            del network
            self._check_count(describe(path).macs)
        return self._float

    @cached_property
    def _float_answers(self) -> np.ndarray:
        """What model.fp32.onnx makes of the golden inputs."""
        return self._answers(self._float_onnx()[0], self.samples)

    def _check_count(self, macs: int) -> None:
        """What runs is what counts: the manifest has the exported graph's MACs, should the network's differ."""
        if macs != self.manifest.macs:
            counted = f"{macs:,} MACs in the exported graph, {self.manifest.macs:,} in the network"
            notice(f"{self.manifest.name}: {counted}; the bundle now tells of the graph's")
            self.manifest = self.manifest.model_copy(update={"macs": macs})

    def _export_int8(self, target: Target, precision: Precision) -> None:
        source, quantized, quantizer = self._int8_onnx()
        about, options = self.manifest.quantization, quantizer.options
        assert about is not None
        file = self.folder / f"model.{precision}.{target}"
        if target == "ort":
            self._convert_to_ort(source, file)
        elif target == "tflite":
            spec, card = quantized.spec, self._card(about)
            emit_tflite(quantized.model, file, card=card, quantization=spec, integer_io=options.integer_io)
        reference = self._answers(source, self._int8_inputs("onnx", about, options))
        outputs = self._answers(file, self._int8_inputs(target, about, options))
        notes: tuple[str, ...] = ()
        exact, real = real_outputs(reference, about.output), real_outputs(outputs, about.output)
        if target != "tflite" and options.activations == "uint8" and host_saturates():
            notes = (SATURATING_NOTE,)
            if target == "ort":  # it has no twin, so that it is held against what the .onnx itself answers here
                outputs, inputs = reference, self._int8_inputs("onnx", about, options)
                exact = real_outputs(run_onnx(source, inputs, exact=False)[0], about.output)
        loss = measure(self._float_answers, exact)
        parity = loss if target == "onnx" else measure(exact, real)
        warnings: tuple[str, ...] = ()
        if target != "onnx" and parity.snr_db < loss.snr_db:
            problem = (
                f"{file.name} differs from {source.name} (SNR {parity.snr_db:.1f} dB) by more than int8 does from "
                f"float32 ({loss.snr_db:.1f} dB)"
            )
            if target == "ort":
                raise ParityError(problem)
            found = differences(quantized.model, quantized.spec, self.samples)
            problem += f": {found[0]}" if found else ": only what stays in float differs"
            wrong = any(each.steps > INT8_STEPS for each in found)
            if wrong and parity.snr_db < loss.snr_db - EQUALLY_RIGHT_DB:
                raise ParityError(problem)
            warnings = (problem,)
        largest = float(np.abs(exact).max())
        tolerance = (
            Tolerance(max_lsb=INT8_STEPS)
            if options.integer_io
            else Tolerance(rtol=INT8_STEPS * about.output.scale / largest if largest > 0 else 0.0)
        )
        against = "model.fp32.onnx" if target == "onnx" else source.name
        self._add(file, target, precision, parity, against, notes, tolerance, outputs, warnings)
        if target != "ort":
            self._advise(file, target, quantized, quantizer)

    def _int8_onnx(self) -> tuple[Path, Quantized, Quantizer]:
        """model.int8.onnx and the quantization behind it, which the others share."""
        if self._integer is None:
            assert self.int8 is not None
            assert self.dataset is not None
            source = self._float_onnx()[0]
            _ = self._float_answers  # now, as long as no graph is held
            quantizer = Quantizer(self.int8, self.dataset, source, self.manifest.input)
            quantized, about = quantizer.quantize()
            if about != self.manifest.quantization:
                self._drop_int8()
            lost = quantizer.losses(quantized)
            for text in lost.warnings:
                self._warn(f"int8: {text}")
            self._integer_top1 = quantizer.top1(write_qdq(quantized.model, quantized.spec))
            quantizer.check_top1("model.int8.onnx", self._integer_top1)
            decibels = {name: None if np.isinf(each) else round(each, 2) for name, each in lost.layers.items()}
            losses = LayerLosses(snr_db=decibels, warnings=lost.warnings)
            self.manifest = self.manifest.model_copy(update={"quantization": about, "layer_losses": losses})
            path = self.folder / "model.int8.onnx"
            options = self.int8
            model = write_qdq(
                quantized.model, quantized.spec, activations=options.activations, quantized_io=options.integer_io
            )
            onnx_graph.embed_card(model, self._card(about))
            onnx_graph.save(model, path)
            self._integer = path, quantized, quantizer
        return self._integer

    def _drop_int8(self) -> None:
        """Take the int8 files of a former quantization out of the bundle, for its manifest tells of one."""
        former = {made.file for made in self.manifest.exports if made.precision == "int8"}
        golden, vectors = self.manifest.golden, []
        for file in former:
            for name in (file, f"{file}.operators.config"):
                (self.draft.path / name).unlink(missing_ok=True)
        for vector in golden.vectors:
            for file in former & vector.outputs.keys():
                (self.draft.path / vector.outputs[file]).unlink()
            outputs = {file: output for file, output in vector.outputs.items() if file not in former}
            vectors.append(vector.model_copy(update={"outputs": outputs}))
        tolerances = {file: tolerance for file, tolerance in golden.tolerances.items() if file not in former}
        self.manifest = self.manifest.model_copy(
            update={
                "exports": tuple(made for made in self.manifest.exports if made.file not in former),
                "golden": Golden(vectors=tuple(vectors), tolerances=tolerances),
                "advice": (),
            }
        )

    def _int8_inputs(self, target: Target, about: Quantization, options: Int8) -> np.ndarray:
        """The golden inputs in the type of an int8 file's input."""
        if not options.integer_io:
            return self.samples
        stored = TensorQuantization(about.input.scale, about.input.zero_point).quantize(self.samples)
        return stored if target == "tflite" or options.activations == "int8" else as_unsigned(stored)

    def _advise(self, file: Path, target: Target, quantized: Quantized, quantizer: Quantizer) -> None:
        fp32 = self._float_onnx()[0]
        if target == "onnx":
            top1 = self._integer_top1
        else:
            plain, fp32 = self.folder / "float-io.tflite", fp32.with_suffix(".tflite")
            emit_tflite(quantized.model, plain, quantization=quantized.spec)
            top1 = quantizer.top1(plain)
            quantizer.check_top1(file.name, top1)
            if quantizer.options.measure and not fp32.exists():
                emit_tflite(fp32.with_suffix(".onnx"), fp32)
        advice = advise(
            file,
            samples=quantizer.validation_images,
            top1_float=quantizer.float_top1,
            top1=top1,
            wanted=quantizer.options.keep_accuracy,
            speed=measured_speed(fp32, file) if quantizer.options.measure else None,
        )
        others = (given for given in self.manifest.advice if given.file != advice.file)
        listed = tuple(sorted((*others, advice), key=lambda given: given.file))
        self.manifest = self.manifest.model_copy(update={"advice": listed})

    def _warn(self, text: str) -> None:
        if self.strict:
            raise ParityError(f"{text} (refused, for it is to be strict)")
        notice(text)

    def _loss(self, outputs: np.ndarray) -> MeasuredParity:
        """How far a file's outputs, whatever their type, are from those of float32."""
        about, fp32 = self.manifest.quantization, self._float_onnx()[0]
        real = outputs if outputs.dtype == np.float32 or about is None else real_outputs(outputs, about.output)
        return _measured(measure(self._float_answers, real), fp32.name)

    def _convert_to_ort(self, source: Path, file: Path) -> None:
        made = convert_to_ort(source, file)
        self.draft.write(f"{EXPORTS}/{file.name}.operators.config", made.config.encode())

    def _card(self, quantization: Quantization | None = None) -> dict[str, Any]:
        return self.manifest.card(quantization).model_dump(mode="json")

    def _answers(self, file: Path, inputs: np.ndarray) -> np.ndarray:
        return run_tflite(file, inputs) if file.suffix == ".tflite" else run_onnx(file, inputs)[0]

    def _add(
        self,
        file: Path,
        target: Target,
        precision: Precision,
        parity: Parity,
        against: str,
        notes: tuple[str, ...],
        tolerance: Tolerance,
        outputs: np.ndarray,
        warnings: tuple[str, ...] = (),
    ) -> None:
        """Put a file and its golden outputs into the bundle, in the place of an earlier one of its name."""
        name = f"{EXPORTS}/{file.name}"
        for warning in warnings:
            self._warn(warning)
        self.draft.write(name, file.read_bytes())
        vectors = []
        for index, vector in enumerate(self.manifest.golden.vectors):
            golden = f"{GOLDEN}/{index:02d}.{file.name}.output.bin"
            self.draft.write(golden, np.ascontiguousarray(outputs[index]).tobytes())
            vectors.append(vector.model_copy(update={"outputs": vector.outputs | {name: golden}}))
        source = file if target != "ort" else self.folder / f"model.{precision}.onnx"
        made = Export(
            file=name,
            target=target,
            precision=precision,
            parity=_measured(parity, against),
            loss=None if precision == "fp32" else self._loss(outputs),
            macs=describe(source).macs,
            notes=notes,
            warnings=warnings,
        )
        others = (export for export in self.manifest.exports if export.file != name)
        tolerances = self.manifest.golden.tolerances | {name: tolerance}
        self.manifest = self.manifest.model_copy(
            update={
                "exports": tuple(sorted((*others, made), key=lambda export: export.file)),
                "golden": Golden(vectors=tuple(vectors), tolerances=tolerances),
            }
        )


def _measured(parity: Parity, against: str) -> MeasuredParity:
    return MeasuredParity(
        against=against,
        samples=parity.samples,
        max_abs=parity.max_abs,
        max_relative=parity.max_relative,
        snr_db=None if np.isinf(parity.snr_db) else parity.snr_db,
    )


def real_outputs(outputs: np.ndarray, meaning: IntegerValue) -> np.ndarray:
    """float32 of a file's outputs, which may be int8 or uint8."""
    if outputs.dtype == np.float32:
        return outputs
    signed = outputs if outputs.dtype == np.int8 else as_signed(outputs)
    return TensorQuantization(meaning.scale, meaning.zero_point).dequantize(signed)


@contextmanager
def _naming(path: Path, folder: str) -> Iterator[None]:
    """Let errors name the bundle in the place of the temporary folder."""
    try:
        yield
    except (ConversionError, ParityError) as error:
        error.args = (f"{path}: {str(error).replace(f'{folder}/', '')}",)
        raise


def golden_samples(bundle: Bundle) -> np.ndarray:
    """The golden inputs of a bundle: float32 (N, C, H, W). Raises BadInput if it has none, or of another size."""
    shape = bundle.manifest.input.shape
    try:
        vectors = [
            np.fromfile(bundle.file(vector.input), "<f4").reshape(shape) for vector in bundle.manifest.golden.vectors
        ]
        return np.stack(vectors).astype(np.float32)
    except ValueError as error:
        raise BadInput(f"{bundle.path}: its golden inputs are not {shape}; make the bundle again") from error
