"""Training from labels, and fine-tuning from labels and a teacher (knowledge distillation)."""

import copy
import hashlib
import json
import math
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from falcon_edge.errors import BadInput
from falcon_edge.progress import Progress, silent
from falcon_edge.training.augmentation import augment
from falcon_edge.training.images import Images


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with momentum, a linear warm-up and a cosine decay to zero.

    warm_up: share of all steps in which the learning rate rises; weight_decay: on every parameter.
    temperature, distillation: T and w of (1 - w) CE + w T^2 KL(teacher || student), both softened by T
    (Hinton et al., 2015); they count only where there is a teacher.
    """

    epochs: int
    learning_rate: float = 0.1
    batch_size: int = 128
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warm_up: float = 0.1
    temperature: float = 4.0
    distillation: float = 0.9
    flip: bool = True
    crop_padding: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch_size < 2 or not 0 < self.learning_rate < math.inf:
            raise BadInput("training needs epochs >= 0, a batch size >= 2 and a learning rate > 0")
        if not (0 <= self.distillation <= 1 and 0 < self.temperature < math.inf and 0 <= self.warm_up < 1):
            raise BadInput("distillation weight lies in 0..1, temperature above 0, warm-up in 0..1")
        if not (0 <= self.momentum < 1 and 0 <= self.weight_decay < math.inf and self.crop_padding >= 0):
            raise BadInput("momentum lies in 0..1, weight decay and crop padding are at least 0")
        if not 0 <= self.seed < 2**32:
            raise BadInput("a seed lies in 0..4294967295")

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of one step (from 0) of `steps` in all."""
        rising = self.warm_up * steps
        if step < rising:
            return self.learning_rate * (step + 1) / (rising + 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to: mean training loss, top-1 on the validation split in 0..1."""

    number: int
    loss: float
    validation_top1: float


@dataclass
class History:
    """Every epoch, and the one whose weights were kept (the earliest of the best; None: no epochs)."""

    epochs: list[Epoch] = field(default_factory=list)
    best: int | None = None


def fit(
    model: nn.Module,
    train: Images,
    validation: Images,
    recipe: Recipe,
    *,
    teacher: nn.Module | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> History:
    """Train `model` in place and leave it in eval mode with the weights of its best validation epoch.

    With `checkpoint`, the state after every epoch is kept there, and a killed run goes on from its last epoch to the
    very bytes that an unbroken one gives; the file is the caller's to remove once the result is safe. Raises BadInput
    if loss or outputs are no longer finite, or if the checkpoint is damaged or of another run.
    """
    run = _Run(model, teacher, train, validation, recipe)
    history = History()
    best_weights = copy.deepcopy(model.state_dict())
    if checkpoint is not None and checkpoint.exists():
        best_weights = run.resume(checkpoint, history)
    _lay_out(model, torch.channels_last)
    for number in range(len(history.epochs) + 1, recipe.epochs + 1):
        loss = run.epoch(number, progress)
        top1 = accuracy(model, validation)
        history.epochs.append(Epoch(number, loss, top1))
        best = history.epochs[history.best - 1].validation_top1 if history.best else -1.0
        if top1 > best:
            history.best, best_weights = number, copy.deepcopy(model.state_dict())
        if checkpoint is not None:
            run.save(checkpoint, history, best_weights)
        text = f"epoch {number}/{recipe.epochs}: loss {loss:.4f}, validation top-1 {100 * top1:.2f}%"
        progress(number * run.steps_per_epoch, run.steps, text)
    model.load_state_dict(best_weights)
    _lay_out(model, torch.contiguous_format)
    model.eval()
    if teacher is not None:
        _lay_out(teacher, torch.contiguous_format)
    return history


@torch.no_grad()
def accuracy(model: nn.Module, images: Images, batch_size: int = 500) -> float:
    """Top-1 accuracy in 0..1; leaves the model in eval mode. Raises BadInput for outputs that are not finite."""
    model.eval()
    correct = 0
    for inputs, labels in images.batches(batch_size):
        logits = model(inputs)
        if not torch.isfinite(logits).all():
            raise BadInput("the network's outputs are not finite; if it was just trained, lower the learning rate")
        correct += int((logits.argmax(1) == labels).sum())
    return correct / len(images)


class _Run:
    """The state of one training run: optimiser, step count, fingerprint."""

    def __init__(self, model: nn.Module, teacher: nn.Module | None, train: Images, validation: Images, recipe: Recipe):
        self.model, self.train, self.recipe = model, train, recipe
        self.teacher = teacher
        if teacher is not None:
            _lay_out(teacher.eval(), torch.channels_last)
        self.steps_per_epoch = max(1, len(train) // recipe.batch_size)
        self.steps = self.steps_per_epoch * recipe.epochs
        self.optimiser = torch.optim.SGD(
            [parameter for parameter in model.parameters() if parameter.requires_grad],
            recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self.fingerprint = self._fingerprint(validation)

    def epoch(self, number: int, progress: Progress) -> float:
        """One pass over the training images in an order that seed and epoch alone decide; the mean loss."""
        recipe = self.recipe
        random = np.random.default_rng((recipe.seed, number))
        torch.manual_seed(recipe.seed * 1_000_003 + number)
        order = random.permutation(len(self.train))
        self.model.train()
        total = 0.0
        for index in range(self.steps_per_epoch):
            step = (number - 1) * self.steps_per_epoch + index
            chosen = order[index * recipe.batch_size : (index + 1) * recipe.batch_size]
            pixels = augment(self.train.pixels(chosen), random, flip=recipe.flip, crop_padding=recipe.crop_padding)
            for group in self.optimiser.param_groups:
                group["lr"] = recipe.rate(step, self.steps)
            loss = self._loss(self.train.inputs(pixels), self.train.labels[chosen])
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            total += float(loss.detach())
            if not math.isfinite(total):
                raise BadInput(f"training diverged in epoch {number}: lower the learning rate")
            if index % 20 == 0:
                progress(step, self.steps, f"epoch {number}/{recipe.epochs}")
        return total / self.steps_per_epoch

    def _loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        logits = self.model(inputs)
        loss = functional.cross_entropy(logits, labels)
        if self.teacher is None or self.recipe.distillation == 0:
            return loss
        with torch.no_grad():
            target = self.teacher(inputs)
        temperature, weight = self.recipe.temperature, self.recipe.distillation
        divergence = functional.kl_div(
            functional.log_softmax(logits / temperature, 1),
            functional.log_softmax(target / temperature, 1),
            log_target=True,
            reduction="batchmean",
        )
        return (1 - weight) * loss + weight * temperature**2 * divergence

    def save(self, path: Path, history: History, best_weights: dict[str, Tensor]) -> None:
        state = {
            "fingerprint": self.fingerprint,
            "epochs": [asdict(epoch) for epoch in history.epochs],
            "best": history.best,
            "model": self.model.state_dict(),
            "best_model": best_weights,
            "optimiser": self.optimiser.state_dict(),
        }
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.save(state, part)
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
        except (OSError, RuntimeError) as error:
            raise BadInput(f"{path}: cannot be written ({' '.join(str(error).split())})") from error

    def resume(self, path: Path, history: History) -> dict[str, Tensor]:
        """Load the state after the last whole epoch; returns the best weights so far."""
        advice = "remove it to start over"
        try:
            with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums
                damaged = archive.testzip()
                if damaged is not None:
                    raise zipfile.BadZipFile(damaged)
            state: dict[str, Any] = torch.load(path, weights_only=True)
            same = state["fingerprint"] == self.fingerprint
            if same:
                self.model.load_state_dict(state["model"])
                self.optimiser.load_state_dict(state["optimiser"])
                history.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
                history.best = state["best"]
                best_weights = state["best_model"]
        except Exception as error:
            raise BadInput(f"{path}: not a whole training checkpoint; {advice}") from error
        if not same:
            raise BadInput(f"{path}: belongs to a run with another network, data or recipe; {advice}")
        return best_weights

    def _fingerprint(self, validation: Images) -> str:
        """What must be equal for a run to go on: recipe, starting weights, teacher, images."""
        digest = hashlib.sha256(json.dumps(asdict(self.recipe), sort_keys=True).encode())
        for network in (self.model, self.teacher):
            state = {} if network is None else network.state_dict()
            for name, tensor in state.items():
                digest.update(f"{name} {tuple(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        for images in (self.train, validation):
            digest.update(images.digest().encode())
        return digest.hexdigest()


def _lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    """Channels last is what convolutions on a CPU are fastest in; torch's stubs do not know this form of `to`."""
    model.to(memory_format=memory_format)  # type: ignore[call-overload]
