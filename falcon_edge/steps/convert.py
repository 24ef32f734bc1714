"""convert: an .onnx as a file for another runtime, with the proofs of a bundle, and without one."""

import tempfile
from pathlib import Path

import numpy as np

from converters.formats import FORMATS, ONNX, format_for
from converters.onnx_graph import write_atomically
from converters.parity import Parity, check_same
from converters.runtimes import onnx_session
from falcon_edge.bundle import open_bundle
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Export
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.export import export_bundle, golden_samples
from falcon_edge.steps.ledger import measured
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8

NAME = "converted"


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
    `export_bundle`, and int8 needs `int8`. mean, std: what pixels in 0..1 are brought to, for the file's metadata and
    for images to calibrate with. Raises BadInput for what is no such file, or an output that is there already (unless
    `force`), and as `export_bundle` does; nothing is written then.
    """
    if source.suffix != ONNX.suffix:
        raise BadInput(f"{source}: not an {ONNX.suffix} file, which is what is converted")
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
        file = bundle / made.file
        if precision == "fp32":
            found = _proved(source, golden_samples(open_bundle(bundle)), file)
            made = made.model_copy(update={"parity": measured(manifest.given, found, source.name)})
        write_atomically(output, file.read_bytes())
    return made


def _proved(source: Path, samples: np.ndarray, file: Path) -> tuple[Parity, ...]:
    """A float32 file held against the .onnx that it was made of, on samples (N, C, H, W), as that one takes them."""
    given = onnx_session(source).get_inputs()[0].shape
    own = samples if tuple(given[1:]) == samples.shape[1:] else np.ascontiguousarray(samples.transpose(0, 2, 3, 1))
    return check_same(source, samples, file, own=own)
