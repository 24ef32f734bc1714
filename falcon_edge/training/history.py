"""What a run came to, epoch by epoch, and what follows: when an attempt ends, which one is kept, whether one is next.

An attempt is one run at one learning rate from the starting weights. Where the rate was left to be found, the recipe's
own comes first and is kept where it serves; each further attempt has a quarter of the rate of the one before.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import Field
from scipy.stats import binomtest

from falcon_edge.documents import VERSION, Document, Upgrades
from falcon_edge.metrics.quality import LEVEL, Quality

TOP1, LIKENESS = "top1", "likeness"  # figures by which epochs are judged: see `aims`
DIVIDE, MOST_ATTEMPTS = 4.0, 5
ENOUGH = 0.98  # of the way from where it began to its teacher, or to 1
HALF = 0.5  # of that figure: below it, which a dead network may be, a lower rate that brings no more is not the last
BETTER = 0.97  # an attempt that gains at least this share of what a lower rate gains is kept: it came first
EXPLODED = 10.0  # times the validation loss that it began with, after any epoch
FELL = 0.5  # without a teacher: of the validation loss that it began with


def _from_version_1(line: dict[str, Any]) -> dict[str, Any]:
    """Version 1 told top-1 alone, and not of how many images."""
    top1 = line.pop("validation_top1")
    told = {"metric": TOP1, "value": top1, "interval": None, "samples": 0, "unit": "share"}
    return line | {"quality": None if top1 is None else told, VERSION: 2}


class Line(Document):
    """A line of a bundle's training.jsonl: one epoch of one attempt, in the order in which they ran."""

    UPGRADES: ClassVar[Upgrades] = {1: _from_version_1}

    schema_version: Literal[2] = 2
    attempt: int = Field(description="from 1; 0: the network as it began")
    epoch: int = Field(description="from 1; 0: the network as it began")
    learning_rate: float | None = Field(description="the largest of the attempt")
    loss: float | None = Field(description="mean over the steps; null where it was not finite any more")
    validation_loss: float | None = Field(description="cross entropy, or 1 - likeness")
    quality: Quality | None = Field(
        description="on the validation images: top1, or likeness where the teacher alone is learned from; samples 0: "
        "their number is not known"
    )
    kept: bool = Field(description="whether these weights are those of the bundle")


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to; number 0 is the network as it began.

    loss: mean over the training steps (null for number 0, or where it was not finite any more); validation loss
    (cross entropy, or 1 - likeness) and figure (top-1 or likeness) on the validation split, null where the network had
    diverged.
    """

    number: int
    loss: float | None
    validation_loss: float | None
    figure: float | None


@dataclass
class Attempt:
    """The epochs at one (peak) learning rate, and the best of them: the earliest; 0: none was better than the start."""

    learning_rate: float
    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0

    @property
    def diverged(self) -> bool:
        """Whether its loss or outputs were not finite any more."""
        return bool(self.epochs) and self.epochs[-1].figure is None


@dataclass
class History:
    """Every attempt, and which was kept.

    start: the network as it began; goal: the figure of its teacher on the validation split, if it has one; images: how
    many that has; metric: what the figure is.
    """

    start: Epoch
    goal: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    kept: int = 0
    images: int = 0
    metric: str = TOP1

    @classmethod
    def restored(cls, saved: Mapping[str, Any], images: int, metric: str) -> "History":
        """A history of what `asdict` made of it."""
        attempts = [
            Attempt(made["learning_rate"], [Epoch(**epoch) for epoch in made["epochs"]], made["best"])
            for made in saved["attempts"]
        ]
        return cls(Epoch(**saved["start"]), saved["goal"], attempts, saved["kept"], images, metric)

    @property
    def words(self) -> str:
        """The figure's name, to be read."""
        return "top-1" if self.metric == TOP1 else self.metric

    @property
    def epochs(self) -> list[Epoch]:
        """Those of the attempt that was kept."""
        return self.attempts[self.kept].epochs if self.attempts else []

    @property
    def best(self) -> int:
        """The epoch whose weights were kept; 0: those that it began with."""
        return self.attempts[self.kept].best if self.attempts else 0

    @property
    def learning_rate(self) -> float | None:
        """That of the attempt that was kept."""
        return self.attempts[self.kept].learning_rate if self.attempts else None

    @property
    def figure(self) -> float:
        """The validation figure of the weights that were kept."""
        return self.figure_of(self.attempts[self.kept]) if self.attempts else self._figure(self.start)

    def figure_of(self, attempt: Attempt, epochs: int | None = None) -> float:
        """The best validation figure of the start and the first `epochs` (all) of an attempt."""
        return max(self._figure(epoch) for epoch in (self.start, *attempt.epochs[:epochs]))

    def hopeless(self, epochs: int) -> bool:
        """Whether the last attempt need not be finished: after half of its `epochs` it is no better than what is there.

        That is the start for the first attempt, else the attempt that is kept, when it was as far.
        """
        last = self.attempts[-1]
        if last.diverged:
            return True
        done = len(last.epochs)
        if not max(2, epochs / 2) <= done < epochs:  # one epoch, part of it warm-up, says little
            return False
        rival = self._figure(self.start) if len(self.attempts) == 1 else self.figure_of(self.attempts[self.kept], done)
        return self.figure_of(last) <= rival

    def keep_better(self) -> bool:
        """Whether the last attempt is the one to keep from now on; `kept` follows."""
        start, last = self._figure(self.start), self.figure_of(self.attempts[-1])
        better = BETTER * (last - start) > self.figure - start
        if better:
            self.kept = len(self.attempts) - 1
        return better

    def serves(self) -> bool:
        """Whether no other learning rate needs to be tried after the attempts so far."""
        start, last = self._figure(self.start), self.attempts[-1]
        goal = 1.0 if self.goal is None else self.goal
        if len(self.attempts) == MOST_ATTEMPTS or self.figure - start >= ENOUGH * (goal - start):
            return True
        if len(self.attempts) == 1:
            return self.goal is None and bool(self.best) and self._fell(last)
        if self._exploded(last):
            return False  # it says nothing of rates that are lower still
        best_before = max(self.figure_of(attempt) for attempt in self.attempts[:-1])
        return bool(self.best) and self.figure >= HALF * goal and self.figure_of(last) <= best_before

    def lines(self) -> bytes:
        """The bundle's training.jsonl."""
        runs: list[tuple[int, float | None, list[Epoch]]] = [(0, None, [self.start])]
        runs += [(number, made.learning_rate, made.epochs) for number, made in enumerate(self.attempts, 1)]
        kept = (self.kept + 1, self.best) if self.best else (0, 0)
        lines = [
            Line(
                attempt=attempt,
                epoch=epoch.number,
                learning_rate=rate,
                loss=epoch.loss,
                validation_loss=epoch.validation_loss,
                quality=self._quality(epoch),
                kept=(attempt, epoch.number) == kept,
            )
            for attempt, rate, epochs in runs
            for epoch in epochs
        ]
        return "".join(f"{line.model_dump_json()}\n" for line in lines).encode()

    def _quality(self, epoch: Epoch) -> Quality | None:
        if epoch.figure is None:
            return None
        interval = None
        if self.images and self.metric == TOP1:
            right = binomtest(round(epoch.figure * self.images), self.images)
            found = right.proportion_ci(LEVEL, "wilson")
            interval = (float(found.low), float(found.high))
        return Quality(self.metric, epoch.figure, interval, self.images, unit="share")

    def _exploded(self, attempt: Attempt) -> bool:
        losses = [epoch.validation_loss for epoch in attempt.epochs]
        return any(loss is None or loss > EXPLODED * (self.start.validation_loss or 1.0) for loss in losses)

    def _fell(self, attempt: Attempt) -> bool:
        before, after = self.start.validation_loss, attempt.epochs[attempt.best - 1].validation_loss
        return before is not None and after is not None and after <= FELL * before

    @staticmethod
    def _figure(epoch: Epoch) -> float:
        return -math.inf if epoch.figure is None else epoch.figure
