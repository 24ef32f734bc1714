"""The files of a study: exported, and measured in turns with one another."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from converters.errors import ConversionError, ParityError
from falcon_edge.bundle import open_bundle
from falcon_edge.data import Dataset, open_dataset
from falcon_edge.documents import read_document
from falcon_edge.errors import BadInput, FalconEdgeError
from falcon_edge.progress import Progress, Within, silent
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.study.cells import Cell, cells_of, longest_trained
from falcon_edge.steps.study.columns import FILES
from falcon_edge.steps.study.document import Study
from falcon_edge.steps.study.making import cell_bundle, records_of
from falcon_edge.steps.study.run import STUDY
from falcon_edge.steps.study.table import RESULTS, write_table
from runtime_bench.bench import Protocol
from runtime_bench.devices.device import Device
from runtime_bench.interrupts import held
from runtime_bench.results import Entry, Results, load, save
from runtime_bench.resume import differences


def read_folder(folder: Path) -> tuple[Study, tuple[Cell, ...]]:
    """The study of a folder, and its cells. Raises BadInput where there is none."""
    if not (folder / STUDY).exists():
        raise BadInput(f"{folder}: holds no study; falcon-edge study STUDY.toml -o DIR makes one")
    study = read_document(folder / STUDY, Study)
    return study, cells_of(study)


def measure_study(
    folder: Path,
    protocol: Protocol,
    *,
    data: str | None = None,
    device: str | Device = "local",
    samples: int | None = None,
    progress: Progress = silent,
) -> tuple[Results, tuple[str, ...]]:
    """Export a cell of each structure in all four forms, measure them, and write results.json and study.csv.

    Returns the results, and a line for every cell that cannot be exported. data: in the place of the study's, which
    int8 is calibrated with and accuracy measured on. What results.json has already of the same measurement is taken
    over, also of a cell whose bundle is gone. Raises BadInput where nothing is made yet.
    """
    study, cells = read_folder(folder)
    chosen = longest_trained(record.cell for record in records_of(folder, cells).values() if record.made is not None)
    if not chosen:
        raise BadInput(f"{folder}: no cell of it is made yet")
    dataset = open_dataset(data or study.data)
    paths, failed = [], dict[str, str]()
    for cell in chosen:
        path = cell_bundle(folder, cell.name)
        try:
            _export(path, dataset, Within(progress, cell.name))
            paths.append(path)
        except (FalconEdgeError, ConversionError, ParityError) as error:
            failed[cell.name] = f"{cell.name}: {error}"
    if not paths:
        raise BadInput(next(iter(failed.values())))
    earlier = load(folder / RESULTS) if (folder / RESULTS).exists() else None
    request = BenchRequest(protocol, data=dataset, samples=samples, earlier=earlier)
    with held():  # an interrupted measurement is written as well
        results = bench(paths, request, device=device, progress=progress)
        kept = () if earlier is None else _kept(results, earlier, [*failed])
        results = results.model_copy(update={"entries": (*results.entries, *kept)})
        save(results, folder / RESULTS)
        write_table(folder, cells)
    known = {entry.model.name for entry in kept}
    return results, tuple(line for name, line in failed.items() if name not in known)


def _kept(results: Results, earlier: Results, names: Sequence[str]) -> tuple[Entry, ...]:
    """What an earlier run of the same measurement has of cells that are no longer there to be measured."""
    if [*differences(str(results.options.get("device")), earlier, results.options, results.before)]:
        return ()
    return tuple(entry for entry in earlier.entries if entry.model.name in names)


def _export(path: Path, dataset: Dataset, progress: Progress) -> None:
    """A bundle's files in all four forms, where they are not there yet."""
    if len(open_bundle(path).manifest.exports) < len(FILES):
        int8 = Int8(replace(dataset, test=None), accept_loss=True)
        export_bundle(path, ("onnx", "tflite"), ("fp32", "int8"), int8=int8, progress=progress)
