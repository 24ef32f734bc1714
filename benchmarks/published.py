"""What the published recipe makes of a trained network, beside ours: the same layers, images and epochs.

    python benchmarks/published.py standard.falcon --data FASHION_MNIST --file published.csv [--rank 1] [--seeds 0 1 2]
    python benchmarks/published.py --file published.csv               # the table alone

Theirs begins with factors that AdamW finds from torch's own initialisation (fit.py), without the bias and without the
statistics of batch normalisation, and is tuned as the paper trains (its section 4.1, both rates that it names), from
labels alone. Ours begins with the closed form and learns from the standard network, too. Geometry is the layers' own in
both: the published code has no padding of its own. Rows are appended to --file, so that an interrupted run goes on;
differences are from ours, seed by seed, their interval Student's (95%).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from fit import published_recipe
from rows import append, mean, read
from torch import nn

from falcon_edge.data import Dataset, open_dataset
from falcon_edge.network import Network
from falcon_edge.steps.compress import compress
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.quality import measured_quality
from falcon_edge.training.fit import fit
from falcon_edge.training.images import Images
from falcon_edge.training.recipe import PRESETS, Recipe, recipe_of

COLUMNS = "network", "rank", "way", "seed", "epochs", "untuned", "top1"
OURS = "ours"
WAYS = OURS, "published, 0.1", "published, 0.01", "published start, our tuning"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("standard", nargs="?", type=Path)
    parser.add_argument("--data")
    parser.add_argument("--file", type=Path, default=Path("published.csv"))
    parser.add_argument("--rank", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    if options.standard is not None:
        network, data = open_network(Choice(str(options.standard))), open_dataset(options.data)
        done = {(row["network"], row["rank"], row["way"], row["seed"]) for row in read(options.file)}
        for seed in options.seeds:
            for way in WAYS:
                if (network.name, str(options.rank), way, str(seed)) not in done:
                    untuned, top1 = made(network, data, options.rank, way, options.epochs, seed)
                    own = {"network": network.name, "rank": options.rank, "way": way, "seed": seed}
                    append(options.file, COLUMNS, {**own, "epochs": options.epochs, "untuned": untuned, "top1": top1})
    table(read(options.file))


def made(network: Network, data: Dataset, rank: int, way: str, epochs: int, seed: int) -> tuple[float, float]:
    """Top-1 on the test images before tuning and after it."""
    start, _, rate = way.partition(", ")
    ours = Recipe(epochs=epochs, learning_rate=0.02, batch_size=64, seed=seed)
    theirs = PRESETS["paper"] | {"epochs": epochs, "seed": seed}
    compressed = compress(network, replace(data, test=None), rank=rank)
    if start != OURS:
        begin_as_published(network, compressed, seed)
    untuned = top1(compressed, data)
    learns = start != "published"
    recipe = ours if learns else recipe_of(theirs | {"learning_rate": float(rate)})
    training, validation = (Images(split, network.input) for split in data.train_and_val())
    fit(compressed.module, training, validation, recipe, teacher=network.module if learns else None)
    return untuned, top1(compressed, data)


def begin_as_published(network: Network, compressed: Network, seed: int) -> None:
    """The published factors in the place of the closed form, in a compressed network."""
    torch.manual_seed(seed)
    assert compressed.plan is not None
    for name in compressed.plan.replaced:
        layer, kernel = compressed.module.get_submodule(name), network.module.get_submodule(name).weight.detach()
        found = published_recipe(kernel, layer.rank)
        with torch.no_grad():
            for part, factors in zip((layer.pointwise, layer.depthwise), found, strict=True):
                for conv, factor in zip(part, factors, strict=True):
                    conv.weight.copy_(factor.reshape(conv.weight.shape))
                    if conv.bias is not None:
                        conv.bias.zero_()
    for module in compressed.module.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()


def top1(network: Network, data: Dataset) -> float:
    """On the test images."""
    (quality,) = measured_quality(network, data, "test", data.require("test"), None)
    return float(quality.value)


def table(rows: list[dict[str, str]]) -> None:
    """A row a way: means over seeds, and the difference from ours."""
    print("| network | rank | | epochs | seeds | untuned | tuned | beside ours |\n|---|---|---|---|---|---|---|---|")
    for network, rank in dict.fromkeys((row["network"], row["rank"]) for row in rows):
        own = [row for row in rows if (row["network"], row["rank"]) == (network, rank)]
        ours = {row["seed"]: float(row["top1"]) for row in own if row["way"] == OURS}
        for way in dict.fromkeys(row["way"] for row in own):
            each = [row for row in own if row["way"] == way]
            before, after = (np.mean([float(row[name]) for row in each]) for name in ("untuned", "top1"))
            apart = [100 * (float(row["top1"]) - ours[row["seed"]]) for row in each if row["seed"] in ours]
            said = mean(apart, "+.2f") if way != OURS and apart else ""
            row = network, rank, way, each[0]["epochs"], len(each), f"{100 * before:.2f}", f"{100 * after:.2f}", said
            print(f"| {' | '.join(map(str, row))} |")


if __name__ == "__main__":
    main()
