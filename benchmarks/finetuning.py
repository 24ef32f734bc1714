"""What fine-tuning gains where no learning rate is given, beside three that are, on ten small networks.

    python benchmarks/finetuning.py --data FASHION_MNIST [--file finetuning.jsonl]

Five with batch norm and five without. Each is trained on 3,000 images, compressed at rank 1 and fine-tuned for three
epochs as `compress` does it. 1,000 other images choose the epoch (and the rate, where none is given); top-1 is that of
5,000 test images. Rows are appended to --file, so that an interrupted run goes on.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from falcon_edge.cli.compress import OWN
from falcon_edge.data import open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.plan import uniform_plan
from falcon_edge.falcon.statistics import reestimate_batchnorm
from falcon_edge.models.vgg import vgg8
from falcon_edge.preprocessing import InputSpec
from falcon_edge.training.aims import accuracy
from falcon_edge.training.fit import fit
from falcon_edge.training.images import Images
from falcon_edge.training.recipe import recipe_of

SPEC = InputSpec(shape=(1, 28, 28), mean=(0.286,), std=(0.353,))
RATES = (0.05, 0.01, 0.002)
RECIPE = recipe_of(OWN | {"epochs": 3})
CLASSES = 10


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2)


def head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]


def nothing(channels: int) -> nn.Module:
    return nn.Identity()


def groups(channels: int) -> nn.Module:
    return nn.GroupNorm(4, channels)


class LayerNorm(nn.LayerNorm):
    """Over the channels of every pixel."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Residual(nn.Module):
    """x + f(x) with two convolutions."""

    def __init__(self, channels: int, norm: Callable[[int], nn.Module]):
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, channels), norm(channels), nn.ReLU(), conv(channels, channels), norm(channels)
        )

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return functional.relu(x + self.body(x))


class Branches(nn.Module):
    """3x3 beside 5x5."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.small, self.large = conv(inputs, outputs // 2), conv(inputs, outputs // 2, 5)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return functional.relu(self.norm(torch.cat([self.small(x), self.large(x)], 1)))


def chain(norm: Callable[[int], nn.Module], activation: Callable[[], nn.Module], *more: nn.Module) -> nn.Module:
    layers: list[nn.Module] = []
    before = 1
    for channels, stride in ((16, 2), (24, 1), (32, 2), (32, 1)):
        layers += [conv(before, channels, 3, stride), norm(channels), activation()]
        before = channels
    return nn.Sequential(*layers, *more, *head(32))


def residual(norm: Callable[[int], nn.Module]) -> nn.Module:
    ends = (conv(1, 16, 3, 2), norm(16), nn.ReLU()), (conv(16, 32, 3, 2), norm(32), nn.ReLU())
    return nn.Sequential(*ends[0], Residual(16, norm), *ends[1], Residual(32, norm), *head(32))


def branches() -> nn.Module:
    stem = conv(1, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU()
    return nn.Sequential(*stem, Branches(16, 24), nn.MaxPool2d(2), Branches(24, 32), *head(32))


def lenet() -> nn.Module:
    body = conv(1, 16, 5, 2), nn.Tanh(), conv(16, 32, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten()
    return nn.Sequential(*body, nn.Linear(32 * 49, 64), nn.Tanh(), nn.Dropout(0.2), nn.Linear(64, CLASSES))


NETWORKS: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "VGG8 at a quarter of its width": ("batch norm", lambda: vgg8(width=0.25)),
    "residual": ("batch norm", lambda: residual(nn.BatchNorm2d)),
    "3x3 beside 5x5": ("batch norm", branches),
    "SiLU": ("batch norm", lambda: chain(nn.BatchNorm2d, nn.SiLU)),
    "leaky ReLU, dropout": ("batch norm", lambda: chain(nn.BatchNorm2d, nn.LeakyReLU, nn.Dropout(0.2))),
    "plain": ("none", lambda: chain(nothing, nn.ReLU)),
    "residual without": ("none", lambda: residual(nothing)),
    "LeNet, tanh": ("none", lenet),
    "group norm": ("group norm", lambda: chain(groups, nn.ReLU)),
    "layer norm, GELU": ("layer norm", lambda: chain(LayerNorm, nn.GELU)),
}


@dataclass(frozen=True)
class Data:
    """The three parts of the data."""

    train: Images
    validation: Images
    test: Images


def read(folder: Path) -> Data:
    dataset = open_dataset(folder)
    train, test = dataset.require("train"), dataset.require("test")
    order = np.random.default_rng(0).permutation(len(train))
    splits = train.subset(order[:3000]), train.subset(order[3000:4000]), test.subset(np.arange(5000))
    return Data(*(Images(split, SPEC) for split in splits))


def trained(make: Callable[[], nn.Module], images: Images) -> nn.Module:
    """The standard network: Adam, five epochs, which trains all ten."""
    torch.manual_seed(0)
    random, network = np.random.default_rng(0), make()
    epochs, size = 5, 50
    optimiser = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, epochs * len(images) // size)
    for _ in range(epochs):
        for chosen in random.permutation(len(images)).reshape(-1, size):
            loss = functional.cross_entropy(network(images.inputs(images.pixels(chosen))), images.labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def rows(name: str, data: Data, done: set[tuple[str, float | None]], rates: tuple[float | None, ...]):
    if all((name, rate) in done for rate in rates):
        return
    teacher = trained(NETWORKS[name][1], data.train)
    for rate in rates:
        if (name, rate) in done:
            continue
        network = surgery.apply(teacher, uniform_plan(teacher, SPEC.shape, 1).replaced)
        reestimate_batchnorm(network, (inputs for inputs, _ in data.train.batches(256)))
        before = accuracy(network, data.test)
        recipe = replace(RECIPE, find_rate=True) if rate is None else replace(RECIPE, learning_rate=rate)
        found, after, epochs = rate, None, 0
        try:
            history = fit(network, data.train, data.validation, recipe, teacher=teacher)
            found, after = history.learning_rate, accuracy(network, data.test)
            epochs = sum(len(attempt.epochs) for attempt in history.attempts)
        except BadInput:  # diverged
            pass
        yield {
            "network": name,
            "rate": rate,
            "found": found,
            "standard": accuracy(teacher, data.test),
            "before": before,
            "after": after,
            "epochs": epochs,
        }


def print_table(made: list[dict]) -> None:
    heads = [f"at {rate:g}" for rate in RATES]
    print(f"| network | norm | standard | rank 1 | {' | '.join(heads)} | no rate given | found | epochs | share |")
    print(f"|{'---|' * (8 + len(RATES))}")
    for name, (norm, _) in NETWORKS.items():
        found = {row["rate"]: row for row in made if row["network"] == name}
        if not {None, *RATES} <= found.keys():
            continue
        own = found[None]
        gains = [found[rate]["after"] - own["before"] for rate in RATES if found[rate]["after"] is not None]
        cells = ["diverged" if found[rate]["after"] is None else percent(found[rate]["after"]) for rate in RATES]
        share = 100 * (own["after"] - own["before"]) / max(gains)
        figures = [percent(own["standard"]), percent(own["before"]), *cells, percent(own["after"])]
        print(f"| {name} | {norm} | {' | '.join(figures)} | {own['found']:g} | {own['epochs']} | {share:.0f}% |")


def percent(share: float) -> str:
    return f"{100 * share:.2f}%"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="Fashion-MNIST, the four official files")
    parser.add_argument("--file", type=Path, default=Path("finetuning.jsonl"))
    parser.add_argument("--networks", nargs="+", default=[*NETWORKS], choices=NETWORKS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    made = [json.loads(line) for line in options.file.read_text().splitlines()] if options.file.exists() else []
    data = read(options.data)
    for name in options.networks:
        for row in rows(name, data, {(row["network"], row["rate"]) for row in made}, (None, *RATES)):
            made.append(row)
            with options.file.open("a") as file:
                file.write(json.dumps(row) + "\n")
    print_table(made)


if __name__ == "__main__":
    main()
