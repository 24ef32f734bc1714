"""A training loop of a user's own, and where falcon-edge stands in it: before and after.

The loop knows nothing of falcon-edge: it takes a torch module and gives a torch module back.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import falcon_edge

Loss = Callable[[nn.Module, Tensor, Tensor, nn.Module | None], Tensor]
Varied = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
MEAN, STD, BATCH = 0.5, 0.25, 32


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


def asked(description: str, *, epochs: int, tune: int) -> argparse.Namespace:
    """What the command line of an example says."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--tune", type=int, default=tune)
    parser.add_argument("--ranks", type=int, nargs="*", default=[1, 2])
    return parser.parse_args()


def fitted(
    network: nn.Module,
    data: Data,
    loss: Loss,
    *,
    epochs: int,
    rate: float,
    file: Path,
    teacher: nn.Module | None = None,
    varied: Varied | None = None,
) -> Path:
    """Train a network (SGD with momentum, one cycle), and keep its weights in a file; goes on after an interruption."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        network.load_state_dict(torch.load(file, weights_only=True))
        return file
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.SGD(weights, rate, momentum=0.9, nesterov=True, weight_decay=1e-4)
    steps = epochs * (len(data.images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, max(1, steps), pct_start=0.2)
    state, first = file.with_suffix(".state"), 0
    if state.exists():
        kept = torch.load(state, weights_only=False)
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
        schedule.load_state_dict(kept["schedule"])
        random, first = kept["random"], kept["epoch"]
    for epoch in range(first, epochs):
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
        print(f"{file.stem}: epoch {epoch + 1}/{epochs}: loss {total / (len(order) // BATCH):.4f}, "
              f"{time.monotonic() - started:.0f} s", flush=True)  # fmt: skip
        kept = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "random": random}
        torch.save(kept | {"schedule": schedule.state_dict(), "epoch": epoch + 1}, state)
    torch.save(network.eval().state_dict(), file)
    state.unlink(missing_ok=True)
    return file


def packed(source: str, weights: Path, data: Data, output: Path, metric: Any = None) -> None:
    """The trained network as a bundle: what everything is compared with."""
    choice = falcon_edge.Choice(
        source, weights=weights, input_shape=(3, *data.images.shape[1:3]), mean=(MEAN,) * 3, std=(STD,) * 3
    )
    falcon_edge.pack_bundle(choice, output, data=str(data.path), metric=metric, force=True)


def compressed_and_tuned(
    standard: Path, rank: int, data: Data, loss: Loss, output: Path, metric: Any = None, **options: Any
) -> None:
    """Compress the standard network, tune what comes out, with the standard one as the teacher, and keep it.

    options: of the loop.
    """
    dataset = falcon_edge.open_dataset(data.path)
    network = falcon_edge.open_network(falcon_edge.Choice(f"{standard}.falcon"))
    compressed = falcon_edge.compress(network, dataset, rank=rank, metric=metric)
    print(f"{output.name}, not tuned: {compressed.quality[0].metric} {compressed.quality[0].value:.4f}", flush=True)
    file = output.with_suffix(".pt")
    fitted(compressed.module, data, loss, file=file, teacher=network.module, **options)
    said = {name: options[name] for name in ("epochs", "rate")}
    tuned = falcon_edge.tuned(compressed, dataset, options=said, metric=metric)
    falcon_edge.save(tuned, output, dataset, force=True)
    print(f"{output.name}, tuned: {tuned.quality[0].metric} {tuned.quality[0].value:.4f}", flush=True)
