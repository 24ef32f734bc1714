"""What the examples share: their command line; of the segmentation and the detector also data, loop and bundles."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import falcon_edge as fe

Loss = Callable[[nn.Module, Tensor, Tensor, nn.Module | None], Tensor]
Varied = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
MEAN, STD, BATCH = 0.5, 0.25, 32


class Pictures(torch.utils.data.Dataset):
    """A split as data sets of timm and torchvision are: pictures of PIL, with a transform that a loader may set."""

    def __init__(self, split: fe.Split):
        self.split, self.transform = split, lambda picture: picture

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        picture = Image.fromarray(np.squeeze(self.split.images[index])).convert("RGB")
        return self.transform(picture), int(self.split.labels[index])


@dataclass(frozen=True)
class Data:
    """The training images of an .npz, uint8 (N, H, W, 3), with what is wanted of them, and the number of classes."""

    path: Path
    images: np.ndarray
    targets: np.ndarray
    classes: int

    @classmethod
    def of(cls, path: Path) -> "Data":
        """Those of a file."""
        with np.load(path) as arrays:
            return cls(path, arrays["x_train"], arrays["y_train"], len(arrays["labels"]))


def asked(text: str, **defaults: Any) -> argparse.Namespace:
    """What the command line of an example says: its data, where its bundles go, and options with their defaults."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    for name, default in defaults.items():
        several = isinstance(default, list)
        kind = int if several else type(default)
        parser.add_argument(f"--{name}", type=kind, nargs="*" if several else None, default=default)
    return parser.parse_args()


def fitted(
    network: nn.Module,
    data: Data,
    loss: Loss,
    *,
    epochs: int,
    rate: float,
    teacher: nn.Module | None = None,
    varied: Varied | None = None,
) -> nn.Module:
    """Train a network in place: SGD with momentum, one cycle."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.SGD(weights, rate, momentum=0.9, nesterov=True, weight_decay=1e-4)
    steps = epochs * (len(data.images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, max(1, steps), pct_start=0.2)
    for epoch in range(epochs):
        started, total = time.monotonic(), 0.0
        network.train()
        order = random.permutation(len(data.images))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            images = (torch.from_numpy(data.images[chosen]).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
            targets = torch.from_numpy(data.targets[chosen])
            images, targets = (images, targets) if varied is None else varied(images, targets)
            found = loss(network, images.contiguous(), targets, teacher)
            optimiser.zero_grad()
            found.backward()
            nn.utils.clip_grad_norm_(weights, 5.0)
            optimiser.step()
            schedule.step()
            total += float(found.detach())
        mean, seconds = total / (len(order) // BATCH), time.monotonic() - started
        print(f"epoch {epoch + 1}/{epochs}: loss {mean:.4f}, {seconds:.0f} s", flush=True)
    return network.eval()


def turned(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Mirrored and turned, all images of a batch and their masks alike."""
    for axis in (-1, -2):
        if torch.rand(()) < 0.5:
            images, masks = images.flip(axis), masks.flip(axis)
    if torch.rand(()) < 0.5:
        images, masks = images.transpose(-1, -2), masks.transpose(-1, -2)
    return images, masks


def packed(source: str, network: nn.Module, data: Data, output: Path, metric: Any = None) -> None:
    """The trained network as a bundle, which builds it by its name: what everything is compared with."""
    weights = output.with_suffix(".pt")
    output.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), weights)
    shape = (3, *data.images.shape[1:3])
    choice = fe.Choice(source, weights=weights, input_shape=shape, mean=(MEAN,) * 3, std=(STD,) * 3)
    fe.pack_bundle(choice, output, data=str(data.path), metric=metric, force=True)


def compressed_and_tuned(
    standard: Path, rank: int, data: Data, loss: Loss, output: Path, metric: Any = None, **options: Any
) -> None:
    """Compress the standard network, tune what comes out, with the standard one as the teacher, and keep it.

    options: of the loop.
    """
    dataset = fe.open_dataset(data.path)
    network = fe.open_network(fe.Choice(f"{standard}.falcon"))
    small = fe.compress(network, dataset, rank=rank, metric=metric)
    print(f"{output.name}, not tuned: {small.quality[0].metric} {small.quality[0].value:.4f}", flush=True)
    fitted(small.module, data, loss, teacher=network.module, **options)
    said = {name: options[name] for name in ("epochs", "rate")}
    tuned = fe.tuned(small, dataset, options=said, metric=metric)
    fe.save(tuned, output, dataset, force=True)
    print(f"{output.name}, tuned: {tuned.quality[0].metric} {tuned.quality[0].value:.4f}", flush=True)
