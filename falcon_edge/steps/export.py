"""export: a bundle's network as files for the runtimes, each proved against the one before, with golden outputs."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import torch

from converters.errors import ConversionError, ParityError
from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.parity import Parity, check_onnx, check_tflite
from converters.runtimes import run_onnx, run_tflite
from converters.tflite.emit import emit_tflite
from falcon_edge.bundle import (
    EXPORTS,
    GOLDEN,
    Bundle,
    Draft,
    Export,
    Golden,
    Manifest,
    MeasuredParity,
    Target,
    Tolerance,
    edit_bundle,
    open_bundle,
)
from falcon_edge.errors import BadInput
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.subject import Choice, Subject, open_subject

# What a device may differ from this host's runtime: other kernels add up in another order.
FLOAT_TOLERANCE = Tolerance(rtol=1e-4)
TARGETS = ("onnx", "tflite")


def export(path: Path, targets: Sequence[str], *, progress: Progress = silent) -> Manifest:
    """Add the fp32 files of `targets` to a bundle, after parity with torch was found; nothing is written otherwise.

    Raises ParityError (converters) below 90 dB or above 1e-4 of the largest output, BadInput for a bundle that cannot
    be opened, ConversionError for a network that cannot be exported.
    """
    unknown = [target for target in targets if target not in TARGETS]
    if unknown:
        raise BadInput(f"the target {unknown[0]} cannot be exported yet; there are {' and '.join(TARGETS)}")
    bundle = open_bundle(path)
    subject = open_subject(Choice(str(path)))
    samples = golden_samples(bundle)
    with (
        edit_bundle(path) as draft,
        tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder,
        _naming(path, folder),
    ):
        assert draft.manifest is not None
        onnx_path = Path(folder, "model.fp32.onnx")
        progress(0, len(targets), "exporting to ONNX")
        notes, parity = _onnx(subject, draft.manifest, samples, onnx_path)
        for index, target in enumerate(targets):
            progress(index, len(targets), f"checking {target}")
            if target == "onnx":
                file, outputs, against = onnx_path, run_onnx(onnx_path, samples)[0], "torch"
            else:
                file, against = Path(folder, "model.fp32.tflite"), "onnx"
                emit_tflite(onnx_path, file, card=draft.manifest.card.model_dump(mode="json"))
                parity = check_tflite(onnx_path, samples, file)
                outputs = run_tflite(file, samples)
            _add(draft, file, target, parity, against, notes, outputs)
    progress(len(targets), len(targets), f"exported to {', '.join(targets)}")
    return draft.manifest


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


def _onnx(subject: Subject, manifest: Manifest, samples: np.ndarray, path: Path) -> tuple[tuple[str, ...], Parity]:
    written = export_onnx(
        subject.network,
        torch.from_numpy(samples[:1]),
        path,
        input_name=manifest.input.name,
        output_name=manifest.outputs[0].name,
        card=manifest.card.model_dump(mode="json"),
    )
    return written.notes, check_onnx(subject.network, samples, path)


def _add(
    draft: Draft,
    file: Path,
    target: str,
    parity: Parity,
    against: str,
    notes: tuple[str, ...],
    outputs: np.ndarray,
) -> None:
    """Put an exported file and its golden outputs into the bundle, in the place of an earlier export of the target."""
    manifest = draft.manifest
    assert manifest is not None
    name = f"{EXPORTS}/{file.name}"
    draft.write(name, file.read_bytes())
    vectors = []
    for index, vector in enumerate(manifest.golden.vectors):
        golden = f"{GOLDEN}/{index:02d}.{file.name}.output.bin"
        draft.write(golden, np.ascontiguousarray(outputs[index]).tobytes())
        vectors.append(vector.model_copy(update={"outputs": vector.outputs | {name: golden}}))
    made = Export(
        file=name,
        target=cast(Target, target),
        precision="fp32",
        parity=MeasuredParity(
            against=against,
            samples=parity.samples,
            max_abs=parity.max_abs,
            max_relative=parity.max_relative,
            snr_db=None if np.isinf(parity.snr_db) else parity.snr_db,
        ),
        macs=describe(file).macs,
        notes=notes,
    )
    others = (export for export in manifest.exports if export.file != name)
    draft.manifest = manifest.model_copy(
        update={
            "exports": tuple(sorted((*others, made), key=lambda export: export.file)),
            "golden": Golden(vectors=tuple(vectors), tolerances=manifest.golden.tolerances | {name: FLOAT_TOLERANCE}),
        }
    )
