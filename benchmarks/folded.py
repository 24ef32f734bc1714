"""What it costs that a file has its batch normalisation in its weights, and labels withheld: top-1 of 2,000 images.

    python benchmarks/folded.py [--ranks 1 2 3] [--epochs 0]

The shipped network, exported, and read as a file without source. Compressed: as fitted, with the moments of its layers
matched, and beside it the network whose normalisation is estimated anew. With --epochs the file is also tuned at rank
2, from labels and from the original's answers alone.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from falcon_edge.data import Dataset, Split
from falcon_edge.data.formats import SAMPLE
from falcon_edge.falcon import surgery
from falcon_edge.network import Network
from falcon_edge.steps.compress import compress, plan_compression
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.goals import Goal
from falcon_edge.steps.opening import Choice, open_with_data
from falcon_edge.steps.quality import measured_quality
from falcon_edge.steps.shipped import copy_sample_network
from falcon_edge.training.recipe import Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = copy_sample_network(Path(folder, "standard"))
        export_bundle(bundle, ("onnx",))
        apart, data = open_with_data(Choice(str(bundle)), SAMPLE)
        spec = apart.input
        file = Choice(str(bundle / "exports" / "model.fp32.onnx"), mean=spec.mean, std=spec.std)
        folded = open_with_data(file, SAMPLE)[0]
    assert data is not None
    print("| rank | fit | as fitted | moments matched | apart, estimated anew |")
    print("|---|---|---|---|---|")
    for rank in options.ranks:
        for init in ("svd", "whitened"):
            figures = (top1(network, data) for network in compressed(folded, apart, data, rank, init))
            print(f"| {rank} | `{init}` | {' | '.join(f'{100 * figure:.1f}%' for figure in figures)} |", flush=True)
    if options.epochs:
        recipe = Recipe(epochs=options.epochs, learning_rate=0.05, batch_size=64, find_rate=True)
        for name, given in (("labels", data), ("none", unlabelled(data))):
            tuned = compress(folded, given, rank=2, init="whitened", recipe=recipe)
            print(f"{name}, {options.epochs} epochs at rank 2: {100 * top1(tuned, data):.2f}%", flush=True)


def compressed(folded: Network, apart: Network, data: Dataset, rank: int, init: str) -> Iterator[Network]:
    """The file as it is fitted, and with its moments matched; the network with its normalisation estimated anew."""
    plan, statistics = plan_compression(folded, data, Goal(rank), init=init)
    yield replace(folded, module=surgery.apply(folded.module, plan.replaced, statistics=statistics), plan=plan)
    yield compress(folded, data, rank=rank, init=init)
    yield compress(apart, data, rank=rank, init=init)


def unlabelled(data: Dataset) -> Dataset:
    """The images alone."""
    splits = {name: None if split is None else Split(split.images) for name, split in data.splits.items()}
    return replace(data, class_names=(), **splits)


def top1(network: Network, data: Dataset) -> float:
    """On all test images."""
    assert data.test is not None
    return measured_quality(network, data, "test", data.test, "top1")[0].value


if __name__ == "__main__":
    main()
