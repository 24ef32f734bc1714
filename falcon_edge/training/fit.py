"""Training from labels, and fine-tuning from labels and a teacher (knowledge distillation).

The weights that a run began with are a candidate, too: it never ends with a network that is worse on the validation
split.
"""

import copy
import hashlib
import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from falcon_edge.errors import BadInput
from falcon_edge.progress import Progress, Result, silent
from falcon_edge.training.augmentation import augment
from falcon_edge.training.distillation import distillation
from falcon_edge.training.history import DIVIDE, Attempt, Epoch, History
from falcon_edge.training.images import Images

# Of all parameters together. Runs that go well never come near it (docs/method.md): it takes the edge off an explosion.
LARGEST_GRADIENT = 200.0


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with momentum, a linear warm-up and a cosine decay to zero.

    warm_up: share of all steps in which the learning rate rises; weight_decay: on every parameter.
    temperature, distillation: T and w of (1 - w) CE + w T^2 KL(teacher || student), both softened by T
    (Hinton et al., 2015); they count only where there is a teacher.
    find_rate: learning_rate is the first to be tried; where it does not serve, lower ones follow (see `history`).
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
    find_rate: bool = False

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


class NotFinite(BadInput):
    """Loss or outputs are not finite."""


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
    """Train `model` in place and leave it in eval mode with the best weights on the validation split, first or last.

    With `checkpoint`, the state after every epoch is kept there, and a killed run goes on from its last epoch to the
    very bytes that an unbroken one gives; the file is the caller's to remove once the result is safe. Raises BadInput
    for a network whose outputs are not finite to begin with or where nothing can be trained, if training diverges at a
    rate that was given, or if the checkpoint is damaged or of another run.
    """
    run = _Run(model, teacher, train, validation, recipe)
    state = run.begin() if checkpoint is None or not checkpoint.exists() else run.resume(checkpoint)
    history = state.history
    _lay_out(model, torch.channels_last)
    while recipe.epochs and not state.finished:
        if state.between:
            run.restart(state)
        attempt = history.attempts[-1]
        number = len(attempt.epochs) + 1
        run.epoch(state, number, progress)
        if attempt.diverged and not recipe.find_rate:
            if checkpoint is not None:
                checkpoint.unlink(missing_ok=True)  # it would lead here again, and be in the way of another rate
            raise BadInput(f"training diverged in epoch {number}: lower the learning rate")
        if number == recipe.epochs or (recipe.find_rate and history.hopeless(recipe.epochs)):
            run.conclude(state)
        if checkpoint is not None:
            run.save(checkpoint, state)
        run.tell(state, number, progress)
    model.load_state_dict(state.kept)
    _lay_out(model, torch.contiguous_format)
    model.eval()
    if teacher is not None:
        _lay_out(teacher, torch.contiguous_format)
    return history


def accuracy(model: nn.Module, images: Images, batch_size: int = 500) -> float:
    """Top-1 accuracy in 0..1; leaves the model in eval mode. Raises NotFinite (BadInput) for outputs that are not."""
    return evaluate(model, images, batch_size)[0]


@torch.no_grad()
def evaluate(model: nn.Module, images: Images, batch_size: int = 500) -> tuple[float, float]:
    """Top-1 accuracy in 0..1 and mean cross entropy; as `accuracy`."""
    model.eval()
    correct, loss = 0, 0.0
    for inputs, labels in images.batches(batch_size):
        logits = model(inputs)
        if not torch.isfinite(logits).all():
            raise NotFinite("the network's outputs are not finite")
        correct += int((logits.argmax(1) == labels).sum())
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    return correct / len(images), loss / len(images)


def logits_of(output: Any, classes: int) -> Tensor:
    """What a network in training mode answers: the first tensor (images, classes) of what may be a tuple or a mapping.

    Inception, GoogLeNet and others add the outputs of auxiliary heads, which have no part in what is trained here.
    Raises BadInput if there is none.
    """
    for tensor in _tensors(output):
        if tensor.ndim == 2 and tensor.shape[1] == classes:
            return tensor
    raise BadInput(f"in training mode the network gives no output of shape (images, {classes})")


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        yield from _tensors(list(output.values()))
    elif isinstance(output, tuple | list):
        for part in output:
            yield from _tensors(part)


@dataclass
class _State:
    """Where a run is: the weights kept so far, those of the attempt under way, and whether one is under way."""

    history: History
    kept: dict[str, Tensor]
    best: dict[str, Tensor]
    between: bool = True
    finished: bool = False


class _Run:
    """One training run: network, optimiser, step count, fingerprint."""

    def __init__(self, model: nn.Module, teacher: nn.Module | None, train: Images, validation: Images, recipe: Recipe):
        self.model, self.train, self.validation, self.recipe = model, train, validation, recipe
        self.teacher = teacher
        if teacher is not None:
            _lay_out(teacher.eval(), torch.channels_last)
        self.steps_per_epoch = max(1, len(train) // recipe.batch_size)
        self.steps = self.steps_per_epoch * recipe.epochs
        self.start = copy.deepcopy(model.state_dict())
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not self.parameters:
            raise BadInput("nothing of this network can be trained: all its parameters are frozen")
        self.optimiser = self._optimiser()
        with torch.no_grad():
            self.classes = model.eval()(next(validation.batches(1))[0]).shape[1]
        self.fingerprint = self._fingerprint(validation)

    def begin(self) -> _State:
        """The state before the first epoch."""
        top1, loss = evaluate(self.model, self.validation)
        history = History(Epoch(0, None, loss, top1), images=len(self.validation))
        if self.recipe.find_rate and self.teacher is not None:
            history.goal = accuracy(self.teacher, self.validation)
        return _State(history, self.start, self.start)

    def restart(self, state: _State) -> None:
        """The next attempt, from the starting weights."""
        done = len(state.history.attempts)
        state.history.attempts.append(Attempt(self.recipe.learning_rate / DIVIDE**done))
        state.best, state.between = self.start, False
        self.model.load_state_dict(self.start)
        self.optimiser = self._optimiser()

    def epoch(self, state: _State, number: int, progress: Progress) -> None:
        """One epoch of the attempt under way, and what came of it."""
        attempt = state.history.attempts[-1]
        loss: float | None = None
        top1: float | None = None
        validation_loss: float | None = None
        best = state.history.top1_of(attempt)
        try:
            loss = self._train(state.history, number, progress)
            top1, validation_loss = evaluate(self.model, self.validation)
        except NotFinite:
            pass
        attempt.epochs.append(Epoch(number, loss, validation_loss, top1))
        if top1 is not None and top1 > best:
            attempt.best, state.best = number, copy.deepcopy(self.model.state_dict())

    def conclude(self, state: _State) -> None:
        """The attempt has ended: keep it if it is better, and see whether another one follows."""
        history = state.history
        if len(history.attempts) == 1 or history.keep_better():
            state.kept = state.best
        state.between = True
        state.finished = not self.recipe.find_rate or history.serves()

    def tell(self, state: _State, number: int, progress: Progress) -> None:
        """Say what came of the epoch, and of the attempt if it has ended and another one follows."""
        history = state.history
        epoch, tried = history.attempts[-1].epochs[-1], len(history.attempts)
        done, total = ((tried - 1) * self.steps + number * self.steps_per_epoch, tried * self.steps)
        if epoch.loss is None or epoch.validation_top1 is None:
            said = "diverged"
        else:
            said = f"loss {epoch.loss:.4f}, validation top-1 {100 * epoch.validation_top1:.2f}%"
        progress(done, total, Result(f"{self._place(history, number)}: {said}"))
        if state.between and not state.finished:
            rate, top1 = history.attempts[-1].learning_rate, history.top1_of(history.attempts[-1])
            before = 100 * (history.start.validation_top1 or 0)
            text = f"learning rate {rate:g}: top-1 from {before:.2f}% to {100 * top1:.2f}%; trying {rate / DIVIDE:g}"
            progress(done, total, Result(text))

    def _place(self, history: History, number: int) -> str:
        again = f" at learning rate {history.attempts[-1].learning_rate:g}" if len(history.attempts) > 1 else ""
        return f"epoch {number}/{self.recipe.epochs}{again}"

    def _train(self, history: History, number: int, progress: Progress) -> float:
        """One pass over the training images in an order that seed and epoch alone decide; the mean loss."""
        recipe = replace(self.recipe, learning_rate=history.attempts[-1].learning_rate)
        random = np.random.default_rng((recipe.seed, number))
        torch.manual_seed(recipe.seed * 1_000_003 + number)
        order = random.permutation(len(self.train))
        self.model.train()
        total, before = 0.0, (len(history.attempts) - 1) * self.steps
        for index in range(self.steps_per_epoch):
            step = (number - 1) * self.steps_per_epoch + index
            chosen = order[index * recipe.batch_size : (index + 1) * recipe.batch_size]
            pixels = augment(self.train.pixels(chosen), random, flip=recipe.flip, crop_padding=recipe.crop_padding)
            for group in self.optimiser.param_groups:
                group["lr"] = recipe.rate(step, self.steps)
            loss = self._loss(self.train.inputs(pixels), self.train.labels[chosen])
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters, LARGEST_GRADIENT)
            self.optimiser.step()
            total += float(loss.detach())
            if not math.isfinite(total):
                raise NotFinite("the loss is not finite")
            if index % 20 == 0:
                progress(before + step, before + self.steps, self._place(history, number))
        return total / self.steps_per_epoch

    def _loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        logits = logits_of(self.model(inputs), self.classes)
        loss = functional.cross_entropy(logits, labels)
        if self.teacher is None or self.recipe.distillation == 0:
            return loss
        with torch.no_grad():
            target = self.teacher(inputs)
        weight = self.recipe.distillation
        return (1 - weight) * loss + weight * distillation(logits, target, self.recipe.temperature)

    def _optimiser(self) -> torch.optim.SGD:
        recipe = self.recipe
        return torch.optim.SGD(
            self.parameters, recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )

    def save(self, path: Path, state: _State) -> None:
        """Write the state after an epoch."""
        held = {
            "fingerprint": self.fingerprint,
            "history": asdict(state.history),
            "between": state.between,
            "finished": state.finished,
            "model": self.model.state_dict(),
            "kept_model": state.kept,
            "best_model": state.best,
            "optimiser": self.optimiser.state_dict(),
        }
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.save(held, part)
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
        except (OSError, RuntimeError) as error:
            raise BadInput(f"{path}: cannot be written ({' '.join(str(error).split())})") from error

    def resume(self, path: Path) -> _State:
        """The state after the last whole epoch."""
        advice = "remove it to start over"
        try:
            with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums
                damaged = archive.testzip()
                if damaged is not None:
                    raise zipfile.BadZipFile(damaged)
            held: dict[str, Any] = torch.load(path, weights_only=True)
            same = held["fingerprint"] == self.fingerprint
            if same:
                self.model.load_state_dict(held["model"])
                self.optimiser.load_state_dict(held["optimiser"])
                history = History(
                    Epoch(**held["history"]["start"]),
                    held["history"]["goal"],
                    [
                        Attempt(made["learning_rate"], [Epoch(**epoch) for epoch in made["epochs"]], made["best"])
                        for made in held["history"]["attempts"]
                    ],
                    held["history"]["kept"],
                    len(self.validation),
                )
                state = _State(history, held["kept_model"], held["best_model"], held["between"], held["finished"])
        except Exception as error:
            raise BadInput(f"{path}: not a whole training checkpoint; {advice}") from error
        if not same:
            raise BadInput(f"{path}: belongs to a run with another network, data or recipe; {advice}")
        return state

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
