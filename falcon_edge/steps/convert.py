"""convert: an .onnx as a file for another runtime, with the proofs of a bundle, and without one."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from converters.errors import ParityError
from converters.formats import FORMATS, format_for
from converters.parity import measure_all, run, usual
from converters.runtimes import onnx_session, run_onnx
from falcon_edge.bundle import open_bundle
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Export, MeasuredParity
from falcon_edge.progress import Progress, silent
from falcon_edge.steps import graphs
from falcon_edge.steps.export import export_bundle, golden_samples
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8

NAME = "converted"
RELATIVE, DECIBELS = 1e-4, 90.0  # as float32 is held to everywhere


def convert(
    source: Path,
    output: Path,
    *,
    precision: str = "fp32",
    int8: Int8 | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Export:
    """Write an .onnx (opsets 7 to 21) as `output`, whose suffix says the format; what was measured of the new file.

    float32 is found equal to what ONNX Runtime makes of `source` itself; what else there is to be found equal is as in
    `export_bundle`, and int8 needs `int8`. mean, std: what pixels in
    0..1 are brought to, for the file's metadata and for images to calibrate with. Raises BadInput for what is no such
    file, or an output that is there already (unless `force`), and as `export_bundle` does; nothing is written then.
    """
    if source.suffix != graphs.SUFFIX:
        raise BadInput(f"{source}: not an {graphs.SUFFIX} file, which is what is converted")
    if output.suffix not in (form.suffix for form in FORMATS):
        known = ", ".join(form.suffix for form in FORMATS)
        raise BadInput(f"{output}: the suffix says the format, and there are {known}")
    if output.exists() and (not force or not output.is_file()):
        raise BadInput(f"{output}: is there already; choose another name, or `force`")
    if not output.parent.is_dir():
        raise BadInput(f"{output}: there is no folder {output.parent}")
    form = format_for(output.suffix)
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        bundle = Path(folder, f"{NAME}.falcon")
        pack_bundle(Choice(str(source), mean=mean, std=std), bundle, data=None if int8 is None else int8.data)
        manifest = export_bundle(bundle, (form.name,), (precision,), int8=int8, progress=progress)
        (made,) = (export for export in manifest.exports if export.target == form.name)
        if precision == "fp32":
            made = made.model_copy(update={"parity": _proved(source, bundle, bundle / made.file, made)})
        part = output.with_name(f".{output.name}.part")
        try:
            shutil.copyfile(bundle / made.file, part)
            os.replace(part, output)
        except OSError as error:
            raise BadInput(f"{output}: cannot be written ({error.strerror})") from error
        finally:
            part.unlink(missing_ok=True)
    return made


def _proved(source: Path, bundle: Path, file: Path, made: Export) -> tuple[MeasuredParity, ...]:
    """A float32 file held against the .onnx that it was made of, on the golden inputs, each as that one takes them."""
    samples = golden_samples(open_bundle(bundle))
    given = onnx_session(source).get_inputs()[0].shape
    own = samples if tuple(given[1:]) == samples.shape[1:] else np.ascontiguousarray(samples.transpose(0, 2, 3, 1))
    form = format_for(file.suffix)
    found = measure_all(run_onnx(source, own), usual(run(form, file, samples), form.layout))
    for output, parity in zip(made.parity, found, strict=True):
        if not parity.within(RELATIVE, DECIBELS):
            raise ParityError(f"{file.name} differs from {source} in {output.output}: SNR {parity.snr_db:.1f} dB")
    return tuple(
        MeasuredParity(
            output=earlier.output,
            against=source.name,
            samples=len(samples),
            max_abs=parity.max_abs,
            max_relative=parity.max_relative,
            snr_db=None if np.isinf(parity.snr_db) else parity.snr_db,
        )
        for earlier, parity in zip(made.parity, found, strict=True)
    )
