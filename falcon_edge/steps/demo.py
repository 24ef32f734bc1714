"""demo: the whole flow on the shipped network and sample."""

import shutil
from importlib import resources
from pathlib import Path

from falcon_edge.bundle import bundle_path, create_bundle, open_bundle
from falcon_edge.data.formats import SAMPLE
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.bench import bench
from falcon_edge.steps.compress import compress
from falcon_edge.steps.export import export
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.subject import Choice
from falcon_edge.training.fit import Recipe
from runtime_bench.bench import Protocol
from runtime_bench.devices.names import device_named
from runtime_bench.report import page
from runtime_bench.report.contents import contents
from runtime_bench.results import Results, save, write

RECIPE = Recipe(epochs=16, learning_rate=0.05, batch_size=64, weight_decay=1e-4, crop_padding=1)
PROTOCOL = Protocol(seconds=2.0, processes=3, warm_up_seconds=0.3)


def demo(folder: Path, *, device: str = "local", progress: Progress = silent) -> Results:
    """Compress the shipped network at rank 1, fine-tune it, export both in fp32 and int8, measure and profile them.

    Writes standard.falcon, falcon.falcon, results.json and report.html to `folder`. On an emulated device every layer
    would take minutes, so that none is looked at.
    """
    where = device_named(device)
    standard, compressed = copy_sample_network(folder / "standard"), bundle_path(folder / "falcon")
    compress(Choice(str(standard)), compressed, data=SAMPLE, rank=1, recipe=RECIPE, progress=progress)
    for bundle in (standard, compressed):
        export(bundle, ("onnx", "tflite"), ("fp32", "int8"), int8=Int8(SAMPLE), progress=progress)
    results = bench(
        (standard, compressed), PROTOCOL, device=where, data=SAMPLE, profile=not where.emulated, progress=progress
    )
    save(results, folder / "results.json")
    write(page.html(contents([results])).encode(), folder / "report.html")
    return results


def copy_sample_network(path: Path) -> Path:
    """The shipped standard network as a bundle at `path`, under that name; an earlier bundle there is replaced."""
    path = bundle_path(path)
    shipped = resources.files("falcon_edge.data") / "sample" / "vgg8.falcon"
    with create_bundle(path) as draft, resources.as_file(shipped) as source:
        shutil.copytree(source, draft.path, dirs_exist_ok=True)
        draft.manifest = open_bundle(source).manifest.model_copy(update={"name": path.stem})
    return path
