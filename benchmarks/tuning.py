"""What makes the same minutes of fine-tuning give more: ways to start and to train, each beside the recipe as it is.

    python benchmarks/tuning.py standard.falcon --data FASHION_MNIST --file tuning.csv [--seeds 0 1 2] [--only ema swa]
    python benchmarks/tuning.py --file tuning.csv                # the table alone

FALCON at rank 1, or the plan of --plan, fitted and tuned on --images of the training images with the original as the
teacher, judged on all test images. Rows are appended to --file, so that an interrupted run goes on. Differences are
from the same seeds' base; their interval is Student's (95%).
"""

import argparse
import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from rows import append, mean, read
from torch import Tensor, nn

import falcon_edge.training.fit as fitting
from falcon_edge.data import Dataset, open_dataset, spread
from falcon_edge.documents import read_document
from falcon_edge.falcon.plan import Plan, uniform_plan
from falcon_edge.falcon.statistics import reestimate_batchnorm
from falcon_edge.network import Network
from falcon_edge.steps.compress import Init, compress
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.training.distillation import features, matching
from falcon_edge.training.loop import Loop
from falcon_edge.training.recipe import Recipe

COLUMNS = "network", "plan", "way", "seed", "epochs", "images", "top1", "seconds"
LAST, BATCHES = 0.25, 16  # of the epochs that are averaged; of images for statistics
STARTS: dict[str, Init] = {"whitened": "whitened", "sequential": "sequential"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("standard", nargs="?", type=Path)
    parser.add_argument("--data")
    parser.add_argument("--plan", type=Path)
    parser.add_argument("--file", type=Path, default=Path("tuning.csv"))
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=(BASE, *STARTS, *LOOPS))
    options = parser.parse_args()
    if options.standard is not None:
        network, data = open_network(Choice(str(options.standard))), open_dataset(options.data)
        data = dataclasses.replace(data, train=data.train.subset(spread(len(data.train), options.images)))
        recipe = Recipe(epochs=options.epochs, learning_rate=options.lr, batch_size=64)
        name = "falcon-1" if options.plan is None else options.plan.stem
        plan = None if options.plan is None else read_document(options.plan, Plan)
        done = {(row["network"], row["plan"], row["way"], int(row["seed"])) for row in read(options.file)}
        for seed in options.seeds:
            for way in options.only or (BASE, *STARTS, *LOOPS):
                if (network.name, name, way, seed) in done:
                    continue
                began = time.monotonic()
                top1 = tuned(network, data, plan, way, dataclasses.replace(recipe, seed=seed))
                row: dict[str, object] = {
                    "network": network.name,
                    "plan": name,
                    "way": way,
                    "seed": seed,
                    "epochs": recipe.epochs,
                }
                append(
                    options.file, COLUMNS, {**row, "images": options.images, "top1": top1, "seconds": elapsed(began)}
                )
    table(read(options.file))


def tuned(network: Network, data: Dataset, plan: Plan | None, way: str, recipe: Recipe) -> float:
    """Top-1 on the test images of a network that was fitted and tuned in one way."""
    plan = uniform_plan(network.module, network.input.shape, 1) if plan is None else plan
    loop = LOOPS.get(way, Loop)
    Way.network = network
    with patch.object(fitting, "Loop", loop):
        made = compress(network, data, plan=plan, recipe=recipe, init=STARTS.get(way, "svd"))
    return float(made.quality[0].value)


class Way(Loop):
    """A loop that knows which network its module is made from."""

    network: Network


class Averaged(Way):
    """What is judged and kept is an exponential mean of the weights, over about a tenth of all steps at the end."""

    def __init__(self, module: nn.Module, *others: Any):
        super().__init__(module, *others)
        self.mean = copy.deepcopy(module.state_dict())
        self.own = copy.deepcopy(module.state_dict())
        self.done = 0
        self.optimiser.register_step_post_hook(lambda *_: self.gather())

    def gather(self) -> None:
        """The mean of what is there and of the weights of this step."""
        self.done += 1
        share = max(1 / self.done, 10 / (self.descent.epochs * self.steps))
        for name, values in self.module.state_dict().items():
            if values.is_floating_point():
                self.mean[name].lerp_(values, share)

    def epoch(self, number: int, batches: Iterable[tuple[Tensor, Any]], tell: Callable[[int], None]) -> float:
        """See Loop."""
        self.module.load_state_dict(self.own)
        loss = super().epoch(number, batches, tell)
        self.own = copy.deepcopy(self.module.state_dict())
        self.module.load_state_dict(self.mean)
        return loss


class Stochastic(Way):
    """Izmailov et al., 2018: the last quarter of the epochs at a tenth of the rate; their mean, statistics anew."""

    def __init__(self, module: nn.Module, *others: Any):
        super().__init__(module, *others)
        self.own = copy.deepcopy(module.state_dict())
        self.kept: list[dict[str, Tensor]] = []
        self.begins = math.ceil(self.descent.epochs * (1 - LAST))
        self.optimiser.register_step_pre_hook(lambda *_: self.turn())
        self.number = 1
        self.done = 0

    def turn(self) -> None:
        """The rate of this step: a cosine's, and at least the last one."""
        for group in self.optimiser.param_groups:
            rate = self.descent.pace(self.done, self.begins * self.steps).rate if self.number <= self.begins else 0.0
            group["lr"] = max(rate, 0.1 * self.descent.learning_rate)
        self.done += 1

    def epoch(self, number: int, batches: Iterable[tuple[Tensor, Any]], tell: Callable[[int], None]) -> float:
        """See Loop."""
        self.number = number
        self.module.load_state_dict(self.own)
        seen: list[Tensor] = []

        def watched() -> Iterable[tuple[Tensor, Any]]:
            for inputs, beside in batches:
                if len(seen) < BATCHES:
                    seen.append(inputs)
                yield inputs, beside

        loss = super().epoch(number, watched(), tell)
        self.own = copy.deepcopy(self.module.state_dict())
        if number > self.begins:
            self.kept.append(self.own)
            mean = {
                name: torch.stack([each[name] for each in self.kept]).mean(0) if values.is_floating_point() else values
                for name, values in self.own.items()
            }
            self.module.load_state_dict(mean)
            reestimate_batchnorm(self.module, iter(seen))
        return loss


class OneCycle(Way):
    """Smith and Topin, 2018: rising for 0.3 of the steps, from a 25th; the momentum the other way, 0.95 to 0.85."""

    def __init__(self, module: nn.Module, *others: Any):
        super().__init__(module, *others)
        steps = self.descent.epochs * self.steps
        optimiser = torch.optim.SGD(self.parameters, self.descent.learning_rate, momentum=0.9)
        plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.descent.learning_rate, total_steps=steps + 1)
        self.course: list[dict[str, float]] = []
        for _ in range(steps):
            (group,) = optimiser.param_groups
            self.course.append({"lr": group["lr"], "momentum": group["momentum"]})
            optimiser.step()
            plan.step()
        self.left = iter(self.course)
        self.optimiser.register_step_pre_hook(lambda *_: self.move())

    def move(self) -> None:
        """Rate and momentum of this step."""
        now = next(self.left)
        for group in self.optimiser.param_groups:
            group.update(now)


class Nesterov(Way):
    """Nesterov's momentum."""

    def __init__(self, module: nn.Module, *others: Any):
        super().__init__(module, *others)
        for group in self.optimiser.param_groups:
            group["nesterov"] = True


class Both(OneCycle, Nesterov):
    """One cycle, with Nesterov's momentum."""


class Spared(Way):
    """No weight decay on biases, batch normalisation and depthwise kernels."""

    def __init__(self, module: nn.Module, *others: Any):
        super().__init__(module, *others)
        descent = self.descent
        depthwise = [
            layer.weight
            for layer in module.modules()
            if isinstance(layer, nn.Conv2d) and layer.groups == layer.out_channels
        ]
        spared = [each for each in self.parameters if each.ndim == 1 or any(each is kernel for kernel in depthwise)]
        others_ = [each for each in self.parameters if not any(each is one for one in spared)]
        self.optimiser = torch.optim.SGD(
            [{"params": others_}, {"params": spared, "weight_decay": 0.0}],
            descent.learning_rate,
            momentum=descent.momentum,
            weight_decay=descent.weight_decay,
        )


class Adam(Way):
    """AdamW at a 25th of the rate."""

    def __init__(self, module: nn.Module, *others: Any):
        super().__init__(module, *others)
        self.descent = dataclasses.replace(self.descent, learning_rate=self.descent.learning_rate / 25)
        self.optimiser = torch.optim.AdamW(self.parameters, self.descent.learning_rate, weight_decay=0.01)


class Matched(Way):
    """The outputs of layers like the original's: in the first epoch, these alone (reconstruction before the end)."""

    whole = False

    def epoch(self, number: int, batches: Iterable[tuple[Tensor, Any]], tell: Callable[[int], None]) -> float:
        """See Loop."""
        teacher, names = self.network.module.eval(), self.names()
        before = self.loss

        def loss(inputs: Tensor, beside: Any) -> Tensor:
            with torch.no_grad(), features(teacher, names) as wanted:
                teacher(inputs)
            with features(self.module, names) as found:
                total = before(inputs, beside)
            alike = matching(found, wanted)
            return total + 0.5 * alike if self.whole else alike + 0 * total

        if number == 1 or self.whole:
            self.loss = loss
        try:
            return super().epoch(number, batches, tell)
        finally:
            self.loss = before

    def names(self) -> list[str]:
        """Batch normalisation that both have, at the same shape."""
        own = dict(self.module.named_modules())
        return [
            name
            for name, layer in self.network.module.named_modules()
            if isinstance(layer, nn.BatchNorm2d) and name in own and own[name].num_features == layer.num_features
        ]


class Features(Matched):
    """The outputs of layers like the original's, all along."""

    whole = True


BASE = "base"
LOOPS: dict[str, type[Loop]] = {
    "ema": Averaged,
    "swa": Stochastic,
    "onecycle": OneCycle,
    "nesterov": Nesterov,
    "onecycle-nesterov": Both,
    "spared": Spared,
    "adamw": Adam,
    "reconstructed": Matched,
    "features": Features,
}


def elapsed(began: float) -> float:
    return round(time.monotonic() - began, 1)


def table(rows: list[dict[str, str]]) -> None:
    """Means over seeds, and the difference from the base, with its interval, in points."""
    for network, plan in dict.fromkeys((row["network"], row["plan"]) for row in rows):
        own = [row for row in rows if (row["network"], row["plan"]) == (network, plan)]
        base = {row["seed"]: row for row in own if row["way"] == BASE}
        print(f"\n| {network}, {plan} | seeds | top-1 | beside the base | time |\n|---|---|---|---|---|")
        for way in dict.fromkeys(row["way"] for row in own):
            made = [row for row in own if row["way"] == way and row["seed"] in base]
            ahead = [100 * (float(row["top1"]) - float(base[row["seed"]]["top1"])) for row in made]
            times = np.median([float(row["seconds"]) / float(base[row["seed"]]["seconds"]) for row in made])
            top1 = 100 * np.mean([float(row["top1"]) for row in made])
            print(f"| {way} | {len(made)} | {top1:.2f}% | {mean(ahead, '+.2f')} | {times:.2f} |")


if __name__ == "__main__":
    main()
