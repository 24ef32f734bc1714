"""An .onnx as a file for another runtime, with a bundle's proofs and without one; or as a bundle with its files."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from converters.errors import ConversionError, ParityError
from converters.formats import FORMATS, ONNX, Format, format_for
from converters.onnx_graph import OnnxGraph, load, write_atomically
from converters.parity import Parity, channels_first, check_same, measure_all, run, usual
from converters.runtimes import onnx_session, run_onnx
from falcon_edge.bundle import edit_bundle, open_bundle
from falcon_edge.errors import BadInput, FalconEdgeError
from falcon_edge.manifest import Export, Manifest
from falcon_edge.notices import calling, in_their_names, notice
from falcon_edge.place import SUFFIX, hold, swap
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.export import export_bundle, golden_samples
from falcon_edge.steps.graphs import maps_last
from falcon_edge.steps.ledger import measured
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8
from runtime_bench.files import check_outputs


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
    `force`), and as `export_bundle` does, BenchInputError where nothing can be written; nothing is written then.
    """
    if source.suffix.lower() != ONNX.suffix:
        raise BadInput(f"{source}: not an {ONNX.suffix} file, which is what is converted")
    if output.suffix.lower() not in (form.suffix for form in FORMATS):
        known = ", ".join(form.suffix for form in FORMATS)
        raise BadInput(f"{output}: the suffix says the format, and there are {known}")
    if output.exists() and source.exists() and output.samefile(source):
        raise BadInput(f"{output}: is the file that is converted; choose another name")
    if output.exists() and (not force or not output.is_file()):
        raise BadInput(f"{output}: is there already; choose another name, or `force`")
    if not output.parent.is_dir():
        raise BadInput(f"{output}: there is no folder {output.parent}")
    check_outputs([output])
    form = format_for(output.suffix)
    names = _names(source, output, form, precision)
    with _packed(Choice(str(source), mean=mean, std=std), source.stem, int8, names) as bundle:
        _keep_names(bundle, source)
        manifest = export_bundle(bundle, (form.name,), (precision,), int8=int8, progress=progress)
        (made,) = (export for export in manifest.exports if export.target == form.name)
        file, samples = bundle / made.file, golden_samples(open_bundle(bundle))
        found = measured(manifest.given, _compared(source, samples, file, precision), source.name)
        if precision == "fp32":
            changes = {"parity": found}
        else:
            parity = (each.model_copy(update={"against": in_their_names(each.against)}) for each in made.parity)
            changes = {"parity": tuple(parity), "loss": found}
        write_atomically(output, file.read_bytes())
    return made.model_copy(update={"file": output.name, **changes})


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


def _names(source: Path, output: Path, form: Format, precision: str) -> dict[str, str]:
    """What a bundle's files are called where there is no bundle."""
    return {
        f"model.int8{ONNX.suffix}": f"{source.name} in int8",
        f"model.fp32.rounded{ONNX.suffix}": f"{source.name} rounded to float16",
        f"model.fp32{ONNX.suffix}": source.name,
        f"model.{precision}{form.suffix}": output.name,
        str(source): str(source),
    }


def _keep_names(bundle: Path, source: Path) -> None:
    """Let the files of a bundle that was packed have the names of the .onnx for its input and outputs."""
    graph = OnnxGraph(load(source))
    with edit_bundle(bundle) as draft:
        manifest = draft.manifest
        assert manifest is not None  # of what is changed
        pairs = zip(manifest.outputs, graph.outputs, strict=True)
        outputs = tuple(output.model_copy(update={"name": value.name}) for output, value in pairs)
        image = manifest.input.model_copy(update={"name": graph.inputs[0].name})
        draft.manifest = manifest.model_copy(update={"input": image, "outputs": outputs})


@contextmanager
def _packed(choice: Choice, name: str, int8: Int8 | None, names: Mapping[str, str] | None = None) -> Iterator[Path]:
    """A bundle of an .onnx, there for the block; what is said names the file in its place, and others by `names`."""
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        bundle = Path(folder, f"{name}{SUFFIX}")
        data, classes = (None, None) if int8 is None else (int8.data, int8.class_map)
        with calling({str(bundle): choice.model, **(names or {})}):
            try:
                pack_bundle(choice, bundle, data=data, class_map=classes)
                yield bundle
            except (FalconEdgeError, ConversionError, ParityError) as error:
                error.args = (in_their_names(str(error)),)
                raise


def _compared(source: Path, samples: np.ndarray, file: Path, precision: str) -> tuple[Parity, ...]:
    """A file against the .onnx that it was made of, on samples (N, C, H, W), as that one takes them; float32 proved."""
    given = onnx_session(source).get_inputs()[0].shape
    form = format_for(file.suffix)
    own: np.ndarray = samples
    last: tuple[bool, ...] = ()
    if tuple(given[1:]) != samples.shape[1:]:
        own, last = np.ascontiguousarray(samples.transpose(0, 2, 3, 1)), maps_last(source)
        if form.layout == "NCHW":
            notice(f"{file.name}: takes images with their channels first, (1, C, H, W); {source.name} has them last")
    if precision == "fp32":
        return check_same(source, samples, file, own=own, last=last)
    return measure_all(channels_first(run_onnx(source, own), last), usual(run(form, file, samples), form.layout))
