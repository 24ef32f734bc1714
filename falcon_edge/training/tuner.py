"""Our loop for those who have none: any module, where it is; any loss; batches of any loader."""

import copy
import math
from collections.abc import Callable, Iterable, Sized
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from falcon_edge.batches import each, first_not_finite
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import device_of, evaluating, full_precision
from falcon_edge.progress import Progress, Result, silent
from falcon_edge.training.distillation import distillation
from falcon_edge.training.history import Attempt, Epoch, History
from falcon_edge.training.loop import Descent, Loop, NotFinite, brought

Loss = Callable[[Any, Any], Tensor]
Score = Callable[[Any, Any], float]


@dataclass(frozen=True)
class Tuner(Descent):
    """How a module is tuned: see Descent.

    distillation: w of (1 - w) loss + w (what the teacher teaches), where there is one; temperature: of its logits.
    """

    learning_rate: float = 0.05

    @full_precision()
    def fit(
        self,
        module: nn.Module,
        batches: Iterable[Any],
        loss: Loss | None = None,
        *,
        teacher: nn.Module | None = None,
        distil: Loss | None = None,
        validation: Iterable[Any] | None = None,
        score: Score | None = None,
        steps: int | None = None,
        progress: Progress = silent,
    ) -> History:
        """Train a module in place, on the device that it is on, and leave it in eval mode; what each epoch came to.

        batches: a loader, read anew every epoch: inputs (B, C, H, W), alone or with targets. loss: of (outputs,
        targets). teacher: what distil (outputs, the teacher's outputs) is held against, by default `distillation` of
        logits; from it alone is learned where there is no loss. validation: batches by which the weights of the best
        epoch are kept, or those that it began with: by the highest score (outputs, targets), a mean over its images,
        by default by the lowest loss; without them the last are kept. steps: batches of an epoch, of a loader without
        a length.

        The same seed gives the same bytes on a CPU, for batches that are the same or shuffled by torch's own generator.
        Raises BadInput for a loader that gives no batches, or numbers that are none, and where training diverges, which
        leaves the best weights.
        """
        if loss is None and teacher is None:
            raise BadInput("there is nothing to learn from: give a loss, or a teacher")
        count = _steps(batches, steps)
        lesson = _Lesson(self, device_of(module), loss, teacher, distil)
        judge = _Judge(lesson, validation, score)
        loop = Loop(module, self, count, lesson.loss_of)
        with nullcontext() if teacher is None else evaluating(teacher):
            try:
                history = History(judge.epoch(module, 0, None), metric=judge.metric)
            except NotFinite as error:
                raise BadInput(f"{error}{lesson.cause()}") from error
            history.attempts.append(ran := Attempt(self.learning_rate))
            kept = copy.deepcopy(module.state_dict())
            for number in range(1, self.epochs + 1):
                place, before = f"epoch {number}/{self.epochs}", (number - 1) * count
                tell = partial(_tell, progress, before, self.epochs * count, place)
                try:
                    done = loop.epoch(number, each(batches, place), tell)
                    epoch = judge.epoch(loop.outcome, number, done)
                except BadInput as error:
                    module.load_state_dict(kept)
                    if not isinstance(error, NotFinite):
                        raise
                    cause = lesson.cause()
                    diverged = f"training diverged in epoch {number}: lower the learning rate"
                    raise BadInput(f"{place}, {error}{cause}" if cause else diverged) from error
                if epoch.figure is None or epoch.figure > history.figure:
                    ran.best, kept = number, copy.deepcopy(loop.outcome.state_dict())
                ran.epochs.append(epoch)
                progress(before + count, self.epochs * count, Result(f"{place}: {judge.words(epoch)}"))
        module.load_state_dict(kept)
        module.eval()
        return history


def _tell(progress: Progress, before: int, total: int, place: str, step: int) -> None:
    progress(before + step, total, place)


def _steps(batches: Iterable[Any], steps: int | None) -> int:
    """Batches of an epoch: as many as the loader has. Raises BadInput where it does not say, or has less than asked."""
    try:
        count = len(batches) if isinstance(batches, Sized) else None
    except TypeError:  # torch's own loaders of data without a length
        count = None
    if steps is None and not count:
        raise BadInput("batches: the loader has no length; say how many steps an epoch has")
    if steps is not None and (steps < 1 or (count is not None and steps > count)):
        raise BadInput(f"steps: {steps}; an epoch has at least 1" + ("" if count is None else f", and at most {count}"))
    return steps or count or 0


class _Lesson:
    """What is learned from a batch: by a loss of the targets, by what a teacher answers, or by both."""

    def __init__(
        self, tuner: Tuner, device: torch.device, loss: Loss | None, teacher: nn.Module | None, distil: Loss | None
    ):
        self.tuner, self.device, self.loss, self.teacher = tuner, device, loss, teacher
        self.distil = self._distil if distil is None else distil
        self.given: dict[str, Any] = {}  # to the last loss, beside the module's own outputs

    def loss_of(self, module: nn.Module, inputs: Tensor, targets: Any) -> Tensor:
        """Of a batch on the module's device. Raises BadInput where there are no targets, or it is no number."""
        if self.loss is not None and targets is None:
            raise BadInput("batches: the loader gives no targets, which the loss needs")
        self.given = {"the targets of": targets}
        outputs = module(inputs)
        loss = None if self.loss is None else _number(self.loss(outputs, targets), "the loss")
        if loss is not None and (self.teacher is None or self.tuner.distillation == 0):
            return loss
        assert self.teacher is not None  # as there is something to learn from
        with torch.no_grad():
            answers = self.teacher(inputs.to(device_of(self.teacher)))
        self.given["the teacher's answers to"] = answers
        taught = _number(self.distil(outputs, brought(answers, self.device)), "what is distilled")
        weight = self.tuner.distillation
        return taught if loss is None else (1 - weight) * loss + weight * taught

    def cause(self) -> str:
        """What is not finite in what the last batch was held against, in words that follow others; or nothing."""
        for whose, given in self.given.items():
            for tensor in tree_leaves(given):
                floats = isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.ndim
                strange = first_not_finite(tensor) if floats else None
                if strange is not None:
                    return f", and {whose} image {strange} (from 0) hold NaN or infinity"
        return ""

    def _distil(self, outputs: Any, answers: Any) -> Tensor:
        for whose, each_of in (("module's", outputs), ("teacher's", answers)):
            if not isinstance(each_of, Tensor):
                found = type(each_of).__name__
                raise BadInput(f"the {whose} outputs are a {found}, not logits: give distil to fit, a function of both")
        return distillation(outputs, answers, self.tuner.temperature)


class _Judge:
    """Which epoch is the best, by the batches of a validation loader, if there is one."""

    def __init__(self, lesson: _Lesson, validation: Iterable[Any] | None, score: Score | None):
        if validation is None and score is not None:
            raise BadInput("a score is of validation batches: give them")
        self.lesson, self.validation, self.score = lesson, validation, score
        self.metric = "loss" if score is None else "score"

    @torch.no_grad()
    def epoch(self, module: nn.Module, number: int, loss: float | None) -> Epoch:
        """What an epoch of this mean training loss came to, by what it made. Raises NotFinite."""
        if self.validation is None:
            return Epoch(number, loss, None, None)
        module.eval()
        total, count = 0.0, 0
        for place, batch in enumerate(each(self.validation, "validation")):
            inputs, targets = brought(batch, self.lesson.device)
            self.lesson.given = {"the targets of": targets}
            with self.lesson.tuner.precision(self.lesson.device):
                if self.score is None:
                    found = float(self.lesson.loss_of(module, inputs, targets))
                else:
                    found = _value(self.score(module(inputs), targets))
            if not math.isfinite(found):
                raise NotFinite(f"batch {place} of validation: the {self.metric} is not finite")
            total, count = total + found * len(inputs), count + len(inputs)
        mean = total / max(1, count)
        return Epoch(number, loss, mean, -mean) if self.score is None else Epoch(number, loss, None, mean)

    def words(self, epoch: Epoch) -> str:
        """What an epoch came to."""
        figure = epoch.validation_loss if self.score is None else epoch.figure
        return f"loss {epoch.loss:.4f}" + ("" if figure is None else f", validation {self.metric} {figure:.4f}")


def _number(found: Any, what: str) -> Tensor:
    """Raises BadInput where it is none."""
    if not isinstance(found, Tensor) or found.numel() != 1:
        given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise BadInput(f"{what} is {given}; it must be a single number, as a tensor")
    return found


def _value(score: Any) -> float:
    """Raises BadInput where it is none."""
    try:
        return float(score)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadInput(f"the score is a {type(score).__name__} that is no single number") from error
