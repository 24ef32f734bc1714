"""Training from labels, fine-tuning from labels and a teacher (knowledge distillation), or from the teacher alone.

The weights that a run began with are a candidate, too: it never ends with a network that is worse on the validation
split.
"""

import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from falcon_edge.errors import BadInput
from falcon_edge.progress import Progress, Result, silent
from falcon_edge.training.aims import Aim, Labels, Likeness
from falcon_edge.training.batches import Batches
from falcon_edge.training.checkpoint import fingerprint_of, read_state, whole, write_state
from falcon_edge.training.curves import Curves
from falcon_edge.training.history import DIVIDE, Attempt, Epoch, History
from falcon_edge.training.images import Images
from falcon_edge.training.loop import Loop, NotFinite
from falcon_edge.training.recipe import Recipe
from falcon_edge.training.running import HERE, Running
from falcon_edge.training.team import team


def fit(
    model: nn.Module,
    train: Images,
    validation: Images,
    recipe: Recipe,
    *,
    teacher: nn.Module | None = None,
    alone: bool = False,
    seen: bool = False,
    checkpoint: Path | None = None,
    running: Running = HERE,
    progress: Progress = silent,
) -> History:
    """Train `model` in place and leave it in eval mode with the best weights on the validation split, first or last.

    It stays on the device that it is on. alone: learn from the teacher alone, whose outputs may be of any form; labels
    are not asked for. seen: the validation images are trained on, too, and so is the teacher: how well it does on them
    is no goal.

    With `checkpoint`, the state after every epoch is kept there, and a killed run goes on from its last epoch to the
    very bytes that an unbroken one gives; the file is the caller's to remove once the result is safe. Raises BadInput
    for a network whose outputs are not finite to begin with or where nothing can be trained, if training diverges at a
    rate that was given, or if the checkpoint is damaged or of another run.
    """
    run = _Run(model, teacher, alone, seen, train, validation, recipe, running.workers)
    begun = run.team.told(checkpoint is not None and checkpoint.exists())
    state = run.resume(checkpoint) if checkpoint is not None and begun else run.begin()
    history = state.history
    _lay_out(run.model, torch.channels_last)
    with Curves(running.curves if run.team.leads else None) as curves:
        if history.attempts:
            curves.write(history)  # it may have been killed before they were
        while recipe.epochs and not state.finished:
            if state.between:
                run.restart(state)
            attempt = history.attempts[-1]
            number = len(attempt.epochs) + 1
            run.epoch(state, number, progress)
            if attempt.diverged and not recipe.find_rate:
                if checkpoint is not None and run.team.leads:
                    checkpoint.unlink(missing_ok=True)  # it would lead here again, and be in the way of another rate
                raise BadInput(f"training diverged in epoch {number}: lower the learning rate")
            if number == recipe.epochs or (recipe.find_rate and history.hopeless(recipe.epochs)):
                run.conclude(state)
            if checkpoint is not None and run.team.leads:
                run.save(checkpoint, state)
            curves.write(history)
            run.tell(state, number, progress)
    model.load_state_dict(state.kept)
    _lay_out(model, torch.contiguous_format)
    model.eval()
    if teacher is not None:
        _lay_out(teacher, torch.contiguous_format)
    return history


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

    def __init__(
        self,
        model: nn.Module,
        teacher: nn.Module | None,
        alone: bool,
        seen: bool,
        train: Images,
        validation: Images,
        recipe: Recipe,
        workers: int,
    ):
        self.team = team()
        if recipe.batch_size % self.team.size:
            raise BadInput(
                f"a batch size of {recipe.batch_size} cannot be divided among {self.team.size} processes alike"
            )
        if len(train) < self.team.size:
            raise BadInput(f"{len(train)} training images are too few for {self.team.size} processes")
        self.model = model
        self.train, self.validation, self.recipe, self.teacher, self.seen = train, validation, recipe, teacher, seen
        if teacher is not None:
            _lay_out(teacher.eval(), torch.channels_last)
        self.batches = Batches(train, recipe, self.team, workers)
        self.steps_per_epoch = self.batches.steps
        self.steps = self.steps_per_epoch * recipe.epochs
        self.start = copy.deepcopy(model.state_dict())
        self.aim: Aim
        if alone:
            assert teacher is not None
            self.aim = Likeness(teacher)
        else:
            with torch.no_grad():
                classes = model.eval()(next(validation.batches(1))[0]).shape[1]
            self.aim = Labels(
                *(train.labels, classes, teacher),
                temperature=recipe.temperature,
                weight=recipe.distillation,
                smoothing=recipe.label_smoothing,
            )
        self.loop = self._loop(recipe.learning_rate)
        self.fingerprint = fingerprint_of(recipe, (model, teacher), (train, validation))

    def begin(self) -> _State:
        """The state before the first epoch."""
        figure, loss = self.aim.judged(self.model, self.validation)
        history = History(Epoch(0, None, loss, figure), images=len(self.validation), metric=self.aim.metric)
        if self.recipe.find_rate and not self.seen:
            history.goal = self.aim.goal(self.validation)
        return _State(history, self.start, self.start)

    def restart(self, state: _State) -> None:
        """The next attempt, from the starting weights."""
        done = len(state.history.attempts)
        state.history.attempts.append(Attempt(self.recipe.learning_rate / DIVIDE**done))
        state.best, state.between = self.start, False
        self.model.load_state_dict(self.start)
        self.loop = self._loop(state.history.attempts[-1].learning_rate)

    def epoch(self, state: _State, number: int, progress: Progress) -> None:
        """One epoch of the attempt under way, and what came of it."""
        attempt = state.history.attempts[-1]
        loss: float | None = None
        figure: float | None = None
        validation_loss: float | None = None
        best = state.history.figure_of(attempt)
        try:
            loss = self._train(state.history, number, progress)
            figure, validation_loss = self.aim.judged(self.loop.outcome, self.validation)
        except NotFinite:
            pass
        attempt.epochs.append(Epoch(number, loss, validation_loss, figure))
        if figure is not None and figure > best:
            attempt.best, state.best = number, copy.deepcopy(self.loop.outcome.state_dict())

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
        if epoch.loss is None or epoch.figure is None:
            said = "diverged"
        else:
            said = f"loss {epoch.loss:.4f}, validation {history.words} {100 * epoch.figure:.2f}%"
        progress(done, total, Result(f"{self._place(history, number)}: {said}"))
        if state.between and not state.finished:
            rate, figure = history.attempts[-1].learning_rate, history.figure_of(history.attempts[-1])
            before = 100 * (history.start.figure or 0)
            text = (
                f"learning rate {rate:g}: {history.words} from {before:.2f}% to {100 * figure:.2f}%; "
                f"trying {rate / DIVIDE:g}"
            )
            progress(done, total, Result(text))

    def _place(self, history: History, number: int) -> str:
        again = f" at learning rate {history.attempts[-1].learning_rate:g}" if len(history.attempts) > 1 else ""
        return f"epoch {number}/{self.recipe.epochs}{again}"

    def _train(self, history: History, number: int, progress: Progress) -> float:
        """One pass over the training images in an order that seed and epoch alone decide; the mean loss."""
        self.aim.prepare(self.train, self.recipe, progress)
        before = (len(history.attempts) - 1) * self.steps
        place = self._place(history, number)

        def tell(index: int) -> None:
            if index % 20 == 0:
                progress(before + (number - 1) * self.steps_per_epoch + index, before + self.steps, place)

        return self.loop.epoch(number, self.batches.epoch(number), tell)

    def _loop(self, rate: float) -> Loop:
        return Loop(self.model, replace(self.recipe, learning_rate=rate), self.steps_per_epoch, self.aim.loss)

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
            "loop": self.loop.state(),
        }
        write_state(path, held)

    def resume(self, path: Path) -> _State:
        """The state after the last whole epoch."""
        held = read_state(path, self.fingerprint, self.team)
        with whole(path):
            self.model.load_state_dict(held["model"])
            history = History.restored(held["history"], len(self.validation), self.aim.metric)
            self.loop = self._loop(history.attempts[-1].learning_rate)
            self.loop.load(held["loop"])
            return _State(history, held["kept_model"], held["best_model"], held["between"], held["finished"])


def _lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    """Channels last is what convolutions on a CPU are fastest in; torch's stubs do not know this form of `to`."""
    model.to(memory_format=memory_format)  # type: ignore[call-overload]
