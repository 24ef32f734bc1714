"""An .onnx as a file for another runtime, with a bundle's proofs and without one; or as a bundle with its files."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from converters.errors import ConversionError, ParityError
from converters.formats import FORMATS, ONNX, format_for
from converters.onnx_graph import write_atomically
from converters.parity import Parity, check_same
from converters.runtimes import onnx_session
from falcon_edge.bundle import open_bundle
from falcon_edge.errors import BadInput, FalconEdgeError
from falcon_edge.manifest import Export, Manifest
from falcon_edge.place import SUFFIX, hold, swap
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
    if output.exists() and source.exists() and output.samefile(source):
        raise BadInput(f"{output}: is the file that is converted; choose another name")
    if output.exists() and (not force or not output.is_file()):
        raise BadInput(f"{output}: is there already; choose another name, or `force`")
    if not output.parent.is_dir():
        raise BadInput(f"{output}: there is no folder {output.parent}")
    form = format_for(output.suffix)
    with _packed(Choice(str(source), mean=mean, std=std), NAME, int8) as bundle:
        manifest = export_bundle(bundle, (form.name,), (precision,), int8=int8, progress=progress)
        (made,) = (export for export in manifest.exports if export.target == form.name)
        file = bundle / made.file
        if precision == "fp32":
            found = _proved(source, golden_samples(open_bundle(bundle)), file)
            made = made.model_copy(update={"parity": measured(manifest.given, found, source.name)})
        write_atomically(output, file.read_bytes())
    return made


def export_file(
    source: Path,
    output: Path,
    targets: Sequence[str],
    precisions: Sequence[str] = ("fp32",),
    *,
    int8: Int8 | None = None,
    force: bool = False,
    **options: Any,
) -> Manifest:
    """Write an .onnx as a bundle at `output`, with its files in it: what `pack_bundle` and then `export_bundle` make.

    options: of `export_bundle`. force: an earlier bundle there is replaced. Nothing is written if anything fails.
    """
    with hold(output, force=force) as place, _packed(Choice(str(source)), place.path.stem, int8) as bundle:
        manifest = export_bundle(bundle, targets, precisions, int8=int8, **options)
        try:
            shutil.copytree(bundle, place.part)
            swap(place.part, place.path)
        except OSError as error:
            raise BadInput(f"{place.path}: cannot be written ({error.strerror or 'is the disk full?'})") from error
        finally:
            shutil.rmtree(place.part, ignore_errors=True)
    return manifest


@contextmanager
def _packed(choice: Choice, name: str, int8: Int8 | None) -> Iterator[Path]:
    """A bundle of an .onnx, there for the block; errors name the file in its place."""
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        bundle = Path(folder, f"{name}{SUFFIX}")
        data, classes = (None, None) if int8 is None else (int8.data, int8.class_map)
        try:
            pack_bundle(choice, bundle, data=data, class_map=classes)
            yield bundle
        except (FalconEdgeError, ConversionError, ParityError) as error:
            error.args = (str(error).replace(str(bundle), choice.model),)
            raise


def _proved(source: Path, samples: np.ndarray, file: Path) -> tuple[Parity, ...]:
    """A float32 file held against the .onnx that it was made of, on samples (N, C, H, W), as that one takes them."""
    given = onnx_session(source).get_inputs()[0].shape
    own = samples if tuple(given[1:]) == samples.shape[1:] else np.ascontiguousarray(samples.transpose(0, 2, 3, 1))
    return check_same(source, samples, file, own=own)
