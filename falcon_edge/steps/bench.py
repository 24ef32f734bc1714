"""bench: exported files of bundles, or bare model files, measured on a device."""

import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from onnx import ModelProto

from converters import onnx_graph
from converters.description import Description, Value
from converters.formats import ONNX, format_for, source_of
from converters.inspect import SUFFIXES
from converters.inspect_apart import describe_apart
from converters.quantization.arm_rounding import with_arm_rounding
from converters.quantization.twin import probe, signed_twin
from falcon_edge.bundle import Bundle, is_bundle, open_bundle
from falcon_edge.data import ClassMap, Dataset
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Export, Lineage, Output, Quantization
from falcon_edge.notices import notice
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.cards import read_card
from falcon_edge.steps.evaluations import Evaluations
from falcon_edge.steps.judging import MetricChoice
from falcon_edge.steps.profile import empty_models, graphs, peak_models
from runtime_bench.bench import Candidate, Evaluation, Protocol
from runtime_bench.bench import bench as measure
from runtime_bench.calibration import Calibration
from runtime_bench.devices.device import CountingDevice, Device
from runtime_bench.devices.names import opened
from runtime_bench.errors import DeviceError
from runtime_bench.estimates import check_cpu, with_estimates
from runtime_bench.golden import GoldenVector, Tolerance
from runtime_bench.interrupts import released
from runtime_bench.outputs import Meaning
from runtime_bench.profile import add_profiles
from runtime_bench.results import Entry, Results
from runtime_bench.runtimes import RUNTIMES, runtime_for, runtime_named, runtimes_for

EMULATED_SAMPLES = 200


@dataclass(frozen=True)
class Selection:
    """Which files of bundles are measured; empty: whatever the runtimes can load. Raises BenchInputError."""

    runtimes: Sequence[str] = ()
    targets: Sequence[str] = ()
    precisions: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "runtimes", tuple(runtime_named(name).name for name in self.runtimes))

    def takes(self, candidate: Candidate) -> bool:
        """Whether a file is one of them."""
        return self._takes(candidate.runtime, candidate.target, candidate.precision)

    def takes_entry(self, entry: Entry) -> bool:
        """Whether an entry of results is of one of them; what was never loaded is of the runtime for such files."""
        wanted = [runtime for runtime in RUNTIMES if not self.runtimes or runtime.name in self.runtimes]
        loads = (runtime.name for runtime in wanted if f".{entry.model.target}" in runtime.suffixes)
        runtime = next(loads, "") if entry.runtime is None else entry.runtime.name
        return self._takes(runtime, entry.model.target, entry.model.precision)

    def runtimes_of(self, path: Path) -> tuple[str, ...]:
        """What a file is to be run on. Raises BenchInputError where no runtime loads it."""
        return tuple(runtime.name for runtime in runtimes_for(path.suffix, self.runtimes))

    def _takes(self, *values: str) -> bool:
        wanted = self.runtimes, self.targets, self.precisions
        return all(not names or value in names for names, value in zip(wanted, values, strict=True))


@dataclass(frozen=True)
class BenchRequest:
    """What is measured of models, and how.

    data: quality on its test split (`samples` images spread over it; by default all, EMULATED_SAMPLES on an emulated
    device), its classes made those of each model by name or by `class_map`. metric: what it is measured by, else what
    the targets are for; without targets it is fidelity to the standard network. earlier: results of which what they
    have of a file is taken over. profile: the time of every layer and the device's peak, too. calibration: of the
    emulated CPU, whose milliseconds are estimated by it.
    """

    protocol: Protocol = field(default_factory=Protocol)
    selection: Selection = Selection()  # it is frozen
    data: str | Dataset | None = None
    class_map: ClassMap | None = None
    metric: MetricChoice = None
    samples: int | None = None
    earlier: Results | None = None
    profile: bool = False
    calibration: Calibration | None = None


def bench(
    paths: Sequence[str | Path], request: BenchRequest, *, device: str | Device = "local", progress: Progress = silent
) -> Results:
    """Measure every selected file of the bundles, and every bare file; see `bench_groups`."""
    return bench_groups([list(map(Path, paths))], request, device=device, progress=progress)[0]


def bench_groups(
    groups: Sequence[Sequence[Path]],
    request: BenchRequest,
    *,
    device: str | Device = "local",
    progress: Progress = silent,
) -> tuple[Results, list[tuple[Entry, ...]]]:
    """Measure the files of several groups in turns; the results, and the entries of each group.

    Raises BadInput for a file or bundle that cannot be used, or a calibration of another device; a model that fails
    while it is measured is an entry of the results.
    """
    protocol, samples = request.protocol, request.samples
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as scratch, opened(device) as chosen:
        if request.calibration is not None:
            _check_calibration(request.calibration, chosen)
        if chosen.emulated and samples is None:
            samples = EMULATED_SAMPLES
        folder = Path(scratch)
        with released():  # so far nothing was measured that could be lost
            evaluations = (
                None
                if request.data is None
                else Evaluations(request.data, request.class_map, request.metric, samples, folder)
            )
            found: list[tuple[Candidate, Path | None]] = []
            ends = [0]
            for paths in groups:
                for path in paths:
                    found += _candidates(path, request.selection, evaluations)
                ends.append(len(found))
            if evaluations is not None:
                evaluations.check()
            on_arm = chosen.environment().is_arm
            candidates = [
                _with_twins(candidate, source, folder / f"twins-{number}", on_arm=on_arm)
                for number, (candidate, source) in enumerate(found)
            ]
        results = measure(
            candidates,
            chosen,
            protocol,
            probe=_probe(folder),
            earlier=request.earlier,
            progress=progress,
            notice=notice,
        )
        if request.profile and not results.interrupted:
            try:
                with released():
                    known, peaks, empty = graphs(candidates), [], []
                    if not chosen.emulated:
                        peaks, empty = peak_models(candidates, folder), empty_models(candidates, folder)
            except KeyboardInterrupt:
                results = results.model_copy(update={"interrupted": True})
            else:
                results = add_profiles(results, candidates, known, chosen, protocol, peaks, empty, progress=progress)
    if request.calibration is not None:
        results = with_estimates(results, request.calibration)
    several = len(protocol.threads)
    return results, [results.entries[several * start : several * stop] for start, stop in pairwise(ends)]


def _check_calibration(calibration: Calibration, device: Device) -> None:
    """Before time is spent on counting."""
    if not isinstance(device, CountingDevice):
        raise BadInput(
            f"{device.name} is measured, not estimated: `calibration` is for the device arm64:{calibration.cpu}"
        )
    check_cpu(calibration, device.name.partition(":")[2])
    lacking = device.lacks_cycles()
    if lacking is not None:
        raise DeviceError(f"no time can be estimated: {'; '.join(lacking)}")


def _candidates(
    path: Path, selection: Selection, evaluations: "Evaluations | None"
) -> list[tuple[Candidate, Path | None]]:
    """The selected files of a bundle, or a bare file, each with the .onnx that its twin is made from."""
    if not is_bundle(path):
        candidate = _of_file(path, evaluations)
        found = [replace(candidate, runtime=runtime) for runtime in selection.runtimes_of(path)]
        return [(each, _twin_source(each, in_bundle=False)) for each in found if selection.takes(each)]
    found = [candidate for candidate in _of_bundle(path, selection, evaluations) if selection.takes(candidate)]
    sources = [_twin_source(candidate, in_bundle=True) for candidate in found]
    # A bundle may come from anywhere, too: no runtime sees a file that was not checked.
    files = dict.fromkeys([*(candidate.path for candidate in found), *filter(None, sources)])
    readable = [file for file in files if file.suffix.lower() in SUFFIXES]
    operators = {file: about.counts for file, about in zip(readable, describe_apart(readable), strict=True)}
    known = (replace(candidate, operators=operators.get(candidate.path)) for candidate in found)
    return list(zip(known, sources, strict=True))


def _probe(folder: Path) -> Candidate:
    """A model file that devices with saturating kernels answer wrongly."""
    model, image, output = probe()
    path, vector = folder / "probe.onnx", GoldenVector(folder / "probe.input.bin", folder / "probe.output.bin")
    onnx_graph.save(model, path)
    image.tofile(vector.input)
    output.tofile(vector.output)
    exact = (Tolerance(rtol=0.0),)
    runtime = runtime_for(path.suffix).name
    return Candidate(path, runtime, path.stem, ONNX.name, "int8", golden=(vector,), tolerances=exact)


def _twin_source(candidate: Candidate, in_bundle: bool) -> Path | None:
    """The graph that an int8 file's twin is made from: itself, or what it was made from, beside it in its bundle."""
    form = format_for(candidate.path.suffix)
    if candidate.precision != "int8" or not form.unsigned or not runtime_named(candidate.runtime).saturates:
        return None
    source = source_of(candidate.path)
    return source if source == candidate.path or (in_bundle and source.is_file()) else None


def _with_twins(candidate: Candidate, source: Path | None, folder: Path, *, on_arm: bool) -> Candidate:
    """The candidate with its int8-activation twin, where it has uint8 activations.

    on_arm: it will run on an ARM CPU, which rounds additions otherwise than where the golden outputs were made.
    """
    if source is None:
        return candidate
    model = onnx_graph.load(source)
    twin = signed_twin(model)
    rounded = with_arm_rounding(twin or model) if on_arm else None
    folder.mkdir()
    return replace(candidate, twin=_saved(twin, folder / "twin.onnx"), rounded=_saved(rounded, folder / "rounded.onnx"))


def _saved(model: ModelProto | None, path: Path) -> Path | None:
    """Where a model was written, if there is one."""
    if model is None:
        return None
    onnx_graph.save(model, path)
    return path


def _of_bundle(path: Path, selection: Selection, evaluations: Evaluations | None) -> list[Candidate]:
    bundle = open_bundle(path)
    manifest = bundle.manifest
    if not manifest.exports:
        raise BadInput(f"{path}: has no exported files; run falcon-edge export {shlex.quote(str(path))} first")
    floats = [bundle.file(export.file) for export in manifest.exports if export.precision == "fp32"]
    onnx = next((file for file in floats if file.suffix.lower() == ONNX.suffix), None)
    evaluation = None
    if evaluations is not None:
        if manifest.lineage.role == "standard" and onnx is not None:
            evaluations.standard(manifest.lineage.identity, onnx)
        evaluation = evaluations.evaluation(
            manifest.input,
            manifest.labels,
            manifest.given,
            bundle.path,
            _identities(manifest.lineage),
            onnx or next(iter(floats), None),
        )
    return [
        _exported(bundle, export, runtime, evaluation)
        for export in manifest.exports
        for runtime in selection.runtimes_of(bundle.file(export.file))
    ]


def _identities(lineage: Lineage) -> tuple[str, ...]:
    return (lineage.identity, *([] if lineage.parent is None else [lineage.parent.identity]))


def _exported(bundle: Bundle, export: Export, runtime: str, evaluation: Evaluation | None) -> Candidate:
    manifest = bundle.manifest
    path, lineage = bundle.file(export.file), manifest.lineage
    return Candidate(
        path=path,
        runtime=runtime,
        name=manifest.name,
        target=export.target,
        precision=export.precision,
        role=lineage.role,
        identity=lineage.identity,
        parent=None if lineage.parent is None else lineage.parent.identity,
        parameters=manifest.parameters,
        macs=manifest.macs,
        rewrites=() if export.rewrites is None else tuple(sorted(export.rewrites.nodes)),
        outputs=_meanings(manifest.given, manifest.quantization),
        golden=tuple(
            GoldenVector(bundle.file(vector.input), bundle.file(vector.outputs[export.file]))
            for vector in manifest.golden.vectors
            if export.file in vector.outputs
        ),
        tolerances=tuple(
            Tolerance(**each.model_dump(include={"output", "rtol", "max_lsb", "differing", "classes"}))
            for each in manifest.golden.of(export.file, runtime)
        ),
        evaluation=evaluation,
        mixed=manifest.quantization is not None and bool(manifest.quantization.kept or manifest.quantization.islands),
    )


def _meanings(outputs: Sequence[Output], quantization: Quantization | None) -> tuple[Meaning, ...]:
    known = {} if quantization is None else quantization.outputs
    return tuple(
        Meaning(output.name, known[output.name].scale, known[output.name].zero_point)
        if output.name in known
        else Meaning(output.name)
        for output in outputs
    )


def _of_file(path: Path, evaluations: Evaluations | None) -> Candidate:
    """A bare file: what its card says, where it has one."""
    (description,) = describe_apart([path])
    if len(description.inputs) != 1:
        names = ", ".join(each.name for each in description.inputs)
        raise BadInput(f"{path}: has {len(description.inputs)} inputs ({names}); one image is what is measured")
    _refuse_free(path, description.inputs[0])
    card, precision = read_card(path, description), _precision(description)
    lineage = None if card is None else card.lineage
    evaluation = None
    if evaluations is not None:
        if card is None:
            raise BadInput(
                f"{path}: carries no card that says how images become its input: pack it as a bundle, or measure it "
                "without `data`"
            )
        is_float = precision == "fp32"
        if card.lineage.role == "standard" and is_float and path.suffix.lower() == ONNX.suffix:
            evaluations.standard(card.lineage.identity, path)
        evaluation = evaluations.evaluation(
            card.input, card.labels, card.outputs, path, _identities(card.lineage), path if is_float else None
        )
    return Candidate(
        path=path,
        runtime=runtime_for(path.suffix).name,
        name=path.stem if card is None else card.name,
        target=description.format,
        precision=precision,
        role=None if lineage is None else lineage.role,
        identity=None if lineage is None else lineage.identity,
        parent=None if lineage is None or lineage.parent is None else lineage.parent.identity,
        parameters=description.parameters,
        macs=description.macs,
        operators=description.counts,
        rewrites=description.rewrites,
        outputs=() if card is None else _meanings(card.outputs, card.quantization),
        evaluation=evaluation,
    )


def _refuse_free(path: Path, image: Value) -> None:
    """Raise BadInput for an input whose size is not known."""
    if image.free:
        tool = ", or give it one by python -m onnxruntime.tools.make_dynamic_shape_fixed"
        raise BadInput(
            f"{path}: its input {image.name} is free in dimension {' and '.join(image.free)}, and what is measured has "
            f"one size: export it with that{tool if path.suffix.lower() == ONNX.suffix else ''}"
        )


def _precision(description: Description) -> str:
    kinds = {operator.dtype for operator in description.operators if operator.macs}
    for kind, precision in (("int8", "int8"), ("float16", "fp16")):
        if kind in kinds:
            return precision
    return "fp32"
