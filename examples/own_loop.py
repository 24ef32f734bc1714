"""A classifier in a loop of its own, compressed by FALCON, and tuned by that loop with the original as the teacher.

    python examples/own_loop.py DATA OUTPUT [--epochs 4] [--tune 3] [--rank 1]

DATA is a data set of images with classes, such as the folder of Fashion-MNIST. Writes OUTPUT/standard.falcon and
OUTPUT/small.falcon, which `falcon-edge export`, `bench` and `compare` take.
"""

import numpy as np
import torch
from shared import asked
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import falcon_edge as fe


def network(channels: int, classes: int) -> nn.Sequential:
    """Four convolutions; nobody else needs to be able to import this."""
    layers: list[nn.Module] = []
    for given, made, stride in ((channels, 16, 1), (16, 32, 2), (32, 64, 2), (64, 64, 1)):
        layers += [nn.Conv2d(given, made, 3, stride, 1, bias=False), nn.BatchNorm2d(made), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


def loader(split: fe.Split, *, shuffle: bool = False) -> DataLoader:
    """Pixels in 0..1, which is what a bundle takes them to be unless it is told a mean and a standard deviation."""
    x = torch.from_numpy(np.asarray(split.images)).permute(0, 3, 1, 2).float() / 255
    return DataLoader(TensorDataset(x, torch.from_numpy(split.labels)), batch_size=64, shuffle=shuffle)


def train(module: nn.Module, batches: DataLoader, epochs: int, rate: float, teacher: nn.Module | None = None) -> None:
    """The loop: any optimiser, device or trainer of yours stands here."""
    optimiser = torch.optim.SGD(module.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, max(1, epochs * len(batches)))
    for x, y in (batch for _ in range(epochs) for batch in batches):
        answers = module.train()(x)
        loss = cross_entropy(answers, y)
        if teacher is not None:
            with torch.no_grad():
                wanted = teacher(x)
            loss = loss + fe.distillation(answers, wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    fe.reestimate_batchnorm(module, batches)  # averages of all batches, not of the last ones


@torch.no_grad()
def top1(module: nn.Module, batches: DataLoader) -> float:
    """The share of right answers."""
    return float(torch.cat([module.eval()(x).argmax(1) == y for x, y in batches]).float().mean())


def main() -> None:
    """The command line."""
    options = asked(__doc__, epochs=4, tune=3, rank=1)
    torch.manual_seed(0)
    data = fe.open_dataset(options.data)
    batches, test = loader(data.require("train"), shuffle=True), loader(data.require("test"))
    model = network(data.channels, len(data.class_names))
    train(model, batches, options.epochs, rate=0.1)
    net = fe.from_module(model, next(iter(test))[0], labels=data.class_names)
    small = fe.compress(net, fe.from_batches(batches, split="train", limit=2048), rank=options.rank)
    print(f"top-1: standard {top1(net.module, test):.4f}, compressed {top1(small.module, test):.4f}", end=", ")
    train(small.module, batches, options.tune, rate=0.05, teacher=net.module)
    print(f"tuned {top1(small.module, test):.4f}")
    fe.save(net, options.output / "standard", data)
    fe.save(fe.tuned(small, options={"epochs": options.tune}), options.output / "small", data)


if __name__ == "__main__":
    main()
