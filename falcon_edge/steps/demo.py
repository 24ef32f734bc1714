"""demo: the whole flow on the shipped network and sample."""

from contextlib import closing
from importlib import resources
from pathlib import Path

from falcon_edge.data.formats import SAMPLE
from falcon_edge.errors import BadInput
from falcon_edge.place import bundle_path, locked
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.shipped import PLAN, copy_sample_network, is_shipped
from falcon_edge.training.recipe import Recipe
from runtime_bench.bench import Protocol
from runtime_bench.devices.device import Device
from runtime_bench.devices.names import device_named
from runtime_bench.files import check_outputs, write
from runtime_bench.interrupts import held
from runtime_bench.report import page
from runtime_bench.report.contents import contents
from runtime_bench.results import Results, save

RECIPE = Recipe(epochs=14, learning_rate=0.02, batch_size=64, weight_decay=1e-4)
PROTOCOL = Protocol(seconds=1.0, processes=3, warm_up_seconds=0.3, ticks=15)


def demo(folder: Path, *, device: str = "local", progress: Progress = silent) -> Results:
    """Compress the shipped network by its plan, fine-tune it, export both in fp32 and int8, measure and profile them.

    Writes standard.falcon, small.falcon, results.json and report.html to `folder`, in the place of those of an earlier
    demo; bundles of other networks under these names are BadInput. On an emulated device every layer would take
    minutes, so that none is looked at.
    """
    with closing(device_named(device)) as where, locked(folder / "results.json"):
        return _demo(folder, where, progress)


def bundles(folder: Path, *, progress: Progress = silent) -> tuple[Path, Path]:
    """Write standard.falcon and small.falcon to `folder`, exported in fp32 and int8: the demo without measurements.

    Bundles of other networks under these names are BadInput.
    """
    standard, compressed = (bundle_path(folder / name) for name in ("standard", "small"))
    for bundle in (standard, compressed):
        if bundle.exists() and not is_shipped(bundle):
            raise BadInput(f"{bundle}: exists and is not of a demo; choose another folder")
    copy_sample_network(standard, force=True)
    with resources.as_file(PLAN) as plan:
        compress_bundle(
            *(Choice(str(standard)), compressed),
            data=SAMPLE,
            plan_file=plan,
            recipe=RECIPE,
            force=True,
            progress=progress,
        )
    for bundle in (standard, compressed):
        export_bundle(bundle, ("onnx", "tflite"), ("fp32", "int8"), int8=Int8(SAMPLE), progress=progress)
    return standard, compressed


def _demo(folder: Path, where: Device, progress: Progress) -> Results:
    check_outputs([folder / "results.json", folder / "report.html"])
    made = bundles(folder, progress=progress)
    with held():  # an interrupted measurement is written as well
        results = bench(
            made,
            BenchRequest(PROTOCOL, data=SAMPLE, profile=not where.emulated),
            device=where,
            progress=progress,
        )
        save(results, folder / "results.json")
        write(page.html(contents([results])).encode(), folder / "report.html")
        return results
