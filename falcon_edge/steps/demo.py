"""demo: the whole flow on the shipped network and sample."""

import shutil
from importlib import resources
from pathlib import Path

from falcon_edge.bundle import bundle_path, check_place
from falcon_edge.data.formats import SAMPLE
from falcon_edge.errors import BadInput
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.bench import bench
from falcon_edge.steps.compress import compress
from falcon_edge.steps.export import export
from falcon_edge.steps.subject import Choice
from falcon_edge.training.fit import Recipe
from runtime_bench.bench import Protocol
from runtime_bench.results import Results, save

RECIPE = Recipe(epochs=8, learning_rate=0.05, batch_size=64, weight_decay=1e-4)
PROTOCOL = Protocol(seconds=2.0)


def demo(folder: Path, *, progress: Progress = silent) -> Results:
    """Compress the shipped network at rank 1, fine-tune it on the sample, export both, and measure them.

    Writes standard.falcon, falcon.falcon and results.json to `folder`.
    """
    standard, compressed = copy_sample_network(folder / "standard"), bundle_path(folder / "falcon")
    compress(Choice(str(standard)), compressed, data=SAMPLE, rank=1, recipe=RECIPE, progress=progress)
    for bundle in (standard, compressed):
        export(bundle, ("onnx", "tflite"), progress=progress)
    results = bench((standard, compressed), PROTOCOL, data=SAMPLE, progress=progress)
    save(results, folder / "results.json")
    return results


def copy_sample_network(path: Path) -> Path:
    """The shipped standard network as a bundle at `path`, whose earlier contents are replaced."""
    path = bundle_path(path)
    check_place(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            shutil.rmtree(path)
        shipped = resources.files("falcon_edge.data") / "sample" / "vgg8.falcon"
        with resources.as_file(shipped) as source:
            shutil.copytree(source, path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror})") from error
    return path
