"""A model of timm in the pieces of timm's own training script: loader, loss, optimiser, schedule, averaged weights.

python examples/timm_loop.py DATA OUTPUT [--model resnet10t] [--size 32] [--epochs 4] [--tune 3] [--rank 1]
"""

from typing import Any

import timm
import torch
from own_loop import top1
from shared import Pictures, asked
from timm.data import create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3
from torch import nn

import falcon_edge as fe

MEAN = STD = (0.5, 0.5, 0.5)


def loader(split: fe.Split, size: int, training: bool) -> Any:
    """timm's, without what is for CUDA."""
    plain = {"use_prefetcher": False, "num_workers": 0, "persistent_workers": False, "device": torch.device("cpu")}
    looks = {"mean": MEAN, "std": STD, "crop_pct": 1.0, "scale": (0.7, 1.0), "color_jitter": None}
    return create_loader(Pictures(split), size, batch_size=64, is_training=training, **looks, **plain)


def train(model: nn.Module, batches: Any, epochs: int, rate: float, teacher: nn.Module | None = None) -> None:
    """As timm's train.py does it; the averaged weights are what the model has in the end."""
    optimiser = create_optimizer_v2(model, "adamw", lr=rate, weight_decay=0.02)
    steps = {"step_on_epochs": False, "updates_per_epoch": len(batches)}
    schedule, _ = create_scheduler_v2(optimiser, "cosine", num_epochs=epochs, **steps)
    criterion, average = LabelSmoothingCrossEntropy(), ModelEmaV3(model, decay=0.99)
    for number, (x, y) in enumerate(batch for _ in range(epochs) for batch in batches):
        answers = model.train()(x)
        loss = criterion(answers, y)
        if teacher is not None:
            with torch.no_grad():
                wanted = teacher(x)
            loss = loss + fe.distillation(answers, wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        average.update(model, number)
        schedule.step_update(number + 1)
    model.load_state_dict(average.module.state_dict())


def main() -> None:
    """The command line."""
    options = asked(__doc__, model="resnet10t", size=32, epochs=4, tune=3, rank=1)
    torch.manual_seed(0)
    data = fe.open_dataset(options.data)
    batches, test = (loader(data.require(name), options.size, name == "train") for name in ("train", "test"))
    model = timm.create_model(options.model, num_classes=len(data.class_names))
    train(model, batches, options.epochs, 2e-3)
    net = fe.from_module(model, next(iter(test))[0], labels=data.class_names, mean=MEAN, std=STD)
    small = fe.compress(net, fe.from_batches(batches, split="train", limit=2048), rank=options.rank)
    print(f"top-1: standard {top1(net.module, test):.4f}, compressed {top1(small.module, test):.4f}", end=", ")
    train(small.module, batches, options.tune, 1e-3, teacher=net.module)
    print(f"tuned {top1(small.module, test):.4f}")
    fe.save(net, options.output / "standard")
    fe.save(fe.tuned(small, options={"epochs": options.tune}), options.output / "small")


if __name__ == "__main__":
    main()
