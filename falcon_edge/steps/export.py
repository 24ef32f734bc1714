"""export: a bundle's network as files for the runtimes, each proved against the one before, with golden outputs."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from converters.agreement import differences
from converters.errors import ConversionError, ParityError
from converters.formats import FORMATS, ONNX, Format, Source
from converters.head import cut_to, refuse_choosing
from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.parity import Parity, check_cut, check_same, measure_all, run, usual
from converters.passes.rewrites import rewritten
from converters.quantization.qdq import as_signed, as_unsigned, write_qdq
from converters.quantization.quantize import Quantized
from converters.quantization.spec import TensorQuantization
from converters.runtimes import host_saturates
from converters.torch_parity import check_onnx
from falcon_edge.bundle import Bundle, edit_bundle
from falcon_edge.data import Dataset, open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import full_precision
from falcon_edge.manifest import LayerLosses, Manifest, Precision, Quantization, Rewrites
from falcon_edge.metrics import Quality
from falcon_edge.notices import notice
from falcon_edge.outputs import described, flattened
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.advise import advise, measured_speed
from falcon_edge.steps.ledger import Ledger, Made
from falcon_edge.steps.opening import network_of
from falcon_edge.steps.quantize import Int8, Quantizer
from falcon_edge.steps.timed_rewrites import timed_rules
from falcon_edge.steps.tolerances import FLOAT_RTOL, HALF_RTOL, INT8_STEPS, float_tolerances, int8_tolerances

# What can be exported.
FORMS: tuple[tuple[Format, Precision], ...] = tuple(
    (form, precision) for precision in get_args(Precision) for form in FORMATS if precision in form.precisions
)
# float16 costs a trained network 45 dB and more: below this, every channel of the weights is looked at by itself.
LOW_HALF_DB = 40.0
# Two networks that lose as much against a third are no further than this from one another: twice what they lose.
EQUALLY_RIGHT_DB = 6.0
SATURATING_NOTE = (
    "exported on a CPU that cuts off sums of uint8 x int8 (x86 without VNNI): its figures and golden outputs are those "
    "of its twin with int8 activations"
)


@full_precision()
def export_bundle(
    path: str | Path,
    targets: Sequence[str],
    precisions: Sequence[str] = ("fp32",),
    *,
    int8: Int8 | None = None,
    head_only: Sequence[str] = (),
    dynamic_batch: bool = False,
    strict: bool = False,
    trust_code: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Add the files of `targets` in `precisions` to a bundle, each proved against the one before.

    fp32 is compared with torch, .ort and .tflite with the .onnx of their precision, fp16 with the fp32 .onnx whose
    constants are rounded; int8 needs `int8`, and both runtimes get one quantization: int8 files of a former one are
    taken out, unless they are made anew. head_only: nodes that all files of the bundle end with, from now on, which
    leaves decoding to the application. dynamic_batch leaves the batch of .onnx files free. What is doubtful of a file
    is a notice and stands in its `warnings`; strict refuses it. trust_code: see falcon_edge.steps.trust.

    Nothing is written if anything fails. Raises ParityError (converters) where answers differ by more than is allowed,
    BelowAsked where int8 loses more than `int8.max_drop`, BadInput for a bundle that cannot be opened or
    combinations that do not exist, ConversionError for a network that cannot be exported.
    """
    path = Path(path)
    forms = _chosen(targets, precisions)
    if any(precision == "int8" for _, precision in forms) and int8 is None:
        raise BadInput("int8 needs images to calibrate with: give `data`")
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
        network, dataset = network_of(bundle, dataset, class_map, trust_code=trust_code)
        if images is not None and images.times is not None:
            rules = timed_rules(Path(images.times), network, images.device, images.rules)
            int8 = images = replace(images, rules=rules)
        samples, ledger = golden_samples(bundle), Ledger(draft, strict=strict)
        ends = tuple(head_only) or tuple(output.node for output in bundle.manifest.head if output.node is not None)
        exporter = _Exporter(network.module, ledger, samples, Path(folder), int8, dataset, dynamic_batch, ends)
        del network  # its module is held until its graph is there
        for index, (form, precision) in enumerate(forms):
            progress(index, len(forms), f"exporting {form.name} {precision}")
            exporter.export(form, precision)
    made = {export.file for export in ledger.manifest.exports}
    for lost in (export.file for export in bundle.manifest.exports if export.file not in made):
        notice(f"{path}: {lost} was taken out, for it was of another quantization")
    done = ", ".join(f"{form.name} {precision}" for form, precision in forms)
    progress(len(forms), len(forms), f"exported {done}")
    return ledger.manifest


def _chosen(targets: Sequence[str], precisions: Sequence[str]) -> list[tuple[Format, Precision]]:
    """The forms that were asked for. Raises BadInput for a word that is none, or a precision without a form."""
    for word, given, known in (
        ("target", targets, [form.name for form in FORMATS]),
        ("precision", precisions, get_args(Precision)),
    ):
        unknown = [name for name in given if name not in known]
        if unknown:
            raise BadInput(f"{unknown[0]}: no such {word}; there are {', '.join(known)}")
    chosen = [(form, precision) for form, precision in FORMS if form.name in targets and precision in precisions]
    for wanted in precisions:
        if all(precision != wanted for _, precision in chosen):
            having = ", ".join(form.name for form, precision in FORMS if precision == wanted)
            raise BadInput(f"{wanted} is for the target {having}")
    return chosen


class _Exporter:
    """One export: files are made in a temporary folder, proved, and entered in the ledger of the bundle."""

    def __init__(
        self,
        module: torch.nn.Module,
        ledger: Ledger,
        samples: np.ndarray,
        folder: Path,
        int8: Int8 | None,
        dataset: Dataset | None,
        dynamic_batch: bool,
        ends: Sequence[str],
    ):
        self.ledger, self.samples, self.folder = ledger, samples, folder
        self.int8, self.dataset, self.dynamic_batch = int8, dataset, dynamic_batch
        self.outputs, self.ends = ledger.manifest.outputs, ends
        self._module: torch.nn.Module | None = flattened(module, self.outputs)  # until the float graph is made of it
        self._float: tuple[Path, Sequence[Parity], tuple[str, ...]] | None = None
        self._integer: _Integer | None = None

    def export(self, form: Format, precision: Precision) -> None:
        """Make, prove and add one file."""
        makes = {"fp32": self._export_float, "fp16": self._export_half, "int8": self._export_int8}
        makes[precision](form, precision)

    def _export_float(self, form: Format, precision: Precision) -> None:
        source, parity, notes = self._float_onnx()
        file, against, beside = self._file(form, precision), "torch", None
        if form is not ONNX:
            beside = form.write(Source(source, card=self.ledger.card()), file)
            parity, against = check_same(source, self.samples, file), source.name
        self.ledger.add(
            Made(
                file=file,
                target=form.name,
                precision=precision,
                parity=parity,
                against=against,
                macs=describe(self._described(form, precision)).macs,
                tolerances=float_tolerances(self.outputs, self._float_answers, FLOAT_RTOL),
                outputs=run(form, file, self.samples),
                layout=form.layout,
                notes=notes,
                beside=beside,
            )
        )

    def _export_half(self, form: Format, precision: Precision) -> None:
        source, _, notes = self._float_onnx()
        file, rounded = self._file(form, precision), self.folder / f"model.fp32.rounded{ONNX.suffix}"
        for by_channel in (False, True):
            beside = form.write(Source(source, card=self.ledger.card(), half=True, by_channel=by_channel), file)
            outputs = run(form, file, self.samples)
            loss = measure_all(self._float_answers, usual(outputs, form.layout))
            lowest = min(each.snr_db for each in loss)
            if lowest >= LOW_HALF_DB:
                break
        left = form.write_rounded(source, rounded, by_channel=by_channel)
        notes += tuple(f"{name} stays float32, for float16 cannot hold it" for name in left)
        low = f"{file.name} differs from {source.name} (SNR {lowest:.0f} dB): float16 loses much of this network"
        self.ledger.add(
            Made(
                file=file,
                target=form.name,
                precision=precision,
                parity=check_same(rounded, self.samples, file),
                against=rounded.name,
                macs=describe(file).macs,
                tolerances=float_tolerances(self.outputs, self._float_answers, HALF_RTOL),
                outputs=outputs,
                layout=form.layout,
                loss=loss,
                lost_against=source.name,
                notes=notes,
                warnings=() if lowest >= LOW_HALF_DB else (low,),
                beside=beside,
            )
        )

    def _export_int8(self, form: Format, precision: Precision) -> None:
        made = self._int8_onnx()
        about, options, source, fp32 = made.about, made.quantizer.options, made.path, self._float_onnx()[0]
        file, beside = self._file(form, precision), None
        if form is not ONNX:
            beside = made.write(form, file, self.ledger)
        given = made.inputs(ONNX, self.samples)
        reference = run(ONNX, source, given)
        outputs = reference if form is ONNX else run(form, file, made.inputs(form, self.samples))
        notes: tuple[str, ...] = ()
        exact, real = self._real(reference, about), self._real(usual(outputs, form.layout), about)
        if form.unsigned and options.activations == "uint8" and host_saturates():
            notes = (SATURATING_NOTE,)
            if form.source != form.suffix:  # no twin, so that it is held against what the .onnx itself answers here
                outputs, exact = reference, self._real(run(ONNX, source, given, exact=False), about)
        loss = measure_all(self._float_answers, exact)
        parity = loss if form is ONNX else measure_all(exact, real)
        # The output that differs most, beside what int8 loses of it.
        one, other = min(zip(parity, loss, strict=True), key=lambda both: _beyond(*both))
        warnings = () if form is ONNX or _beyond(one, other) >= 0 else (self._differing(form, file, one, other),)
        self.ledger.add(
            Made(
                file=file,
                target=form.name,
                precision=precision,
                parity=parity,
                against=(fp32 if form is ONNX else source).name,
                macs=describe(self._described(form, precision)).macs,
                tolerances=int8_tolerances(self.outputs, exact, loss, about, integer_io=options.integer_io),
                outputs=outputs,
                layout=form.layout,
                loss=measure_all(self._float_answers, self._real(usual(outputs, form.layout), about)),
                lost_against=fp32.name,
                notes=notes,
                warnings=warnings,
                beside=beside,
                rewrites=made.rewrites.get(form.runtime),
            )
        )
        if form.source == form.suffix:  # else it answers as its source does
            self._advise(form, file)

    def _differing(self, form: Format, file: Path, parity: Parity, loss: Parity) -> str:
        """What makes an int8 file differ from the .onnx by more than int8 loses. Raises ParityError if it is wrong."""
        made = self._int8_onnx()
        problem = (
            f"{file.name} differs from {made.path.name} (SNR {parity.snr_db:.1f} dB) by more than int8 does from "
            f"float32 ({loss.snr_db:.1f} dB)"
        )
        if form.source == ONNX.suffix:  # the same kernels
            raise ParityError(problem)
        found = differences(made.quantized.model, made.quantized.spec, self.samples)
        problem += f": {found[0]}" if found else ": only what stays in float differs"
        # Operators that are a step or two apart may make many of these; nothing else excuses what is far apart.
        explained = bool(found) and all(each.steps <= INT8_STEPS for each in found)
        if not explained and parity.snr_db < loss.snr_db - EQUALLY_RIGHT_DB:
            raise ParityError(problem)
        return problem

    def _real(self, found: Sequence[np.ndarray], about: Quantization) -> list[np.ndarray]:
        """float32 of outputs that may be int8 or uint8."""
        return [real_output(values, about, output.name) for output, values in zip(self.outputs, found, strict=True)]

    def _float_onnx(self) -> tuple[Path, Sequence[Parity], tuple[str, ...]]:
        """model.fp32.onnx, from which all others are made."""
        if self._float is None:
            module, self._module, manifest = self._module, None, self.ledger.manifest
            assert module is not None
            path = self._file(ONNX, "fp32") if not self.ends else self.folder / f"whole{ONNX.suffix}"
            written = export_onnx(
                module,
                torch.from_numpy(self.samples[:1]),
                path,
                input_name=manifest.input.name,
                output_names=[output.name for output in self.outputs],
                dynamic_batch=self.dynamic_batch,
                card=self.ledger.card(),
            )
            if not self.ends:
                refuse_choosing(path)
            parity: Sequence[Parity] = check_onnx(module, self.samples, path)
            if self.ends:
                path, parity = self._cut(path)
            self._float = path, parity, written.notes
            del module
            self.ledger.count(describe(path).macs)
        return self._float

    def _cut(self, whole: Path) -> tuple[Path, Sequence[Parity]]:
        """model.fp32.onnx that ends with the chosen nodes, found equal to what these give within the whole network."""
        path = self._file(ONNX, "fp32")
        values = cut_to(whole, self.ends, path)
        shapes = ((value.name, tuple(map(int, value.shape[1:]))) for value in describe(path).outputs)
        self.outputs = described(shapes, values)
        self.ledger.end_with(self.outputs)
        cut_to(whole, self.ends, path, card=self.ledger.card())
        return path, check_cut(whole, values, self.samples, path)

    @cached_property
    def _float_answers(self) -> list[np.ndarray]:
        """What model.fp32.onnx makes of the golden inputs."""
        return run(ONNX, self._float_onnx()[0], self.samples)

    def _int8_onnx(self) -> "_Integer":
        """model.int8.onnx and the quantization behind it, which the others share."""
        if self._integer is None:
            assert self.int8 is not None
            assert self.dataset is not None
            source = self._float_onnx()[0]
            _ = self._float_answers  # now, as long as no graph is held
            quantizer = Quantizer(self.int8, self.dataset, source, self.ledger.manifest, self.outputs)
            quantized, about = quantizer.quantize()
            self.ledger.quantize(about)
            lost = quantizer.losses(quantized)
            decibels = {name: None if np.isinf(each) else round(each, 2) for name, each in lost.layers.items()}
            self.ledger.lose(LayerLosses(snr_db=decibels, warnings=lost.warnings))
            quality = quantizer.quality(write_qdq(quantized.model, quantized.spec))
            path = self._file(ONNX, "int8")
            quantizer.check_quality(path.name, quality)
            self._integer = _Integer(path, quantized, about, quantizer, quality)
            self._integer.write(ONNX, path, self.ledger)
        return self._integer

    def _advise(self, form: Format, file: Path) -> None:
        made = self._int8_onnx()
        quantizer, quality, fp32 = made.quantizer, made.quality, self._file(form, "fp32")
        if form is not ONNX:
            plain = self.folder / f"float-io{form.suffix}"
            made.write(form, plain)
            quality = quantizer.quality(plain)
            quantizer.check_quality(file.name, quality)
            if quantizer.options.measure and not fp32.exists():
                form.write(Source(self._float_onnx()[0]), fp32)
        self.ledger.advise(
            advise(
                file,
                quality_float=quantizer.float_quality,
                quality=quality,
                wanted=quantizer.options.keep_accuracy,
                speed=measured_speed(fp32, file) if quantizer.options.measure else None,
            )
        )

    def _file(self, form: Format, precision: str) -> Path:
        return self.folder / f"model.{precision}{form.suffix}"

    def _described(self, form: Format, precision: str) -> Path:
        """The file that can be looked into: itself, or what it was made from."""
        return self.folder / f"model.{precision}{form.source}"


@dataclass(frozen=True)
class _Integer:
    """model.int8.onnx, and what all int8 files are made from. rewrites: by runtime, those of its files."""

    path: Path
    quantized: Quantized
    about: Quantization
    quantizer: Quantizer
    quality: Quality | None
    rewrites: dict[str, Rewrites] = field(default_factory=dict)

    def write(self, form: Format, path: Path, ledger: Ledger | None = None) -> dict[str, bytes]:
        """Write a file in the form that its runtime is fastest with; returns what belongs beside it, by name.

        Without a ledger it has no card, and input and outputs in float.
        """
        options, made = self.quantizer.options, self.quantized
        with rewritten(made.model, made.spec, form.runtime, options.rules) as found:
            applied = made.multiplied + found.applied
            if applied.nodes:
                told = Rewrites(nodes=dict(applied.nodes), macs=applied.macs, parameters=applied.parameters)
                self.rewrites[form.runtime] = told
            source = Source(
                found.model,
                found.spec,
                None if ledger is None else ledger.card(self.about, self.rewrites.get(form.runtime)),
                integer_io=ledger is not None and options.integer_io,
                activations=options.activations,
            )
            return form.write(source, path)

    def inputs(self, form: Format, samples: np.ndarray) -> np.ndarray:
        """Float inputs in the type of the file's input."""
        options, meaning = self.quantizer.options, self.about.input
        if not options.integer_io:
            return samples
        stored = TensorQuantization(meaning.scale, meaning.zero_point).quantize(samples)
        return as_unsigned(stored) if form.unsigned and options.activations == "uint8" else stored


def _beyond(parity: Parity, loss: Parity) -> float:
    """How many dB two int8 files of one network are nearer to each other than to float32."""
    if np.isinf(parity.snr_db):
        return float(parity.snr_db)
    return float(parity.snr_db - loss.snr_db)


def real_output(values: np.ndarray, about: Quantization, name: str) -> np.ndarray:
    """float32 of an output that may be int8 or uint8; one that no scale is known of as it is."""
    meaning = about.outputs.get(name)
    if values.dtype not in (np.int8, np.uint8) or meaning is None:
        return values
    signed = values if values.dtype == np.int8 else as_signed(values)
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
