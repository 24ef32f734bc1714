"""Metrics of outputs of any form: ours by name, and those of users."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from falcon_edge.errors import BadInput
from falcon_edge.metrics.quality import OWN_RESAMPLES, Quality, Unit, over_images, share

PART = 1 << 24  # numbers that are computed with at a time
Outputs = Mapping[str, np.ndarray]
Figure = Callable[[np.ndarray], float]  # numbers of images -> what they come to
OwnFunction = Any  # (outputs, targets) -> a number, or an object with the two parts of it: see Own


class Metric(Protocol):
    """What says how good outputs are."""

    @property
    def name(self) -> str:
        """As a user gives it."""

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better."""

    @property
    def unit(self) -> Unit:
        """What it is counted in."""

    @property
    def only_classes(self) -> bool:
        """Whether it asks for the classes of the first output alone: these may come as whole numbers (N, ...)."""

    def check(self, shape: tuple[int, ...], targets: np.ndarray) -> None:
        """Raise BadInput, naming the metric, for targets that do not go with a first output of this shape (N, ...)."""

    def quality(self, outputs: Outputs, targets: np.ndarray) -> Quality:
        """The figure on images: outputs by name, (N, ...) each, and targets (N, ...).

        Raises BadInput, naming the metric, for outputs or targets that it cannot take.
        """

    def figure(self, outputs: Outputs, targets: np.ndarray) -> Figure:
        """The figure of some of the images, for intervals over images. Raises BadInput as `quality`."""


@dataclass(frozen=True)
class PerImage:
    """A metric of the first output that is made of what each image adds.

    only_classes: see Metric. parts: (outputs (N, ...), targets (N, ...)) -> (N, K), or ValueError for what it cannot
    take; together: the sum of the parts (K,) of so many images -> the figure. Without it the figure is the mean of
    single parts: a share where the unit is one.
    """

    name: str
    parts: Callable[[np.ndarray, np.ndarray], np.ndarray]
    unit: Unit
    together: Callable[[np.ndarray, int], float] | None = None
    higher_is_better: bool = True
    only_classes: bool = False

    def quality(self, outputs: Outputs, targets: np.ndarray) -> Quality:
        """See Metric.quality."""
        parts = self._of_images(outputs, targets)
        if self.together is None and parts.dtype == bool:
            value, interval = share(parts)
            return self._quality(value, interval, len(targets))
        figure = self._figure(parts)
        value = _finite(self.name, figure(np.arange(len(targets))))
        return self._quality(value, over_images(figure, len(targets)), len(targets))

    def figure(self, outputs: Outputs, targets: np.ndarray) -> Figure:
        """See Metric.figure."""
        return self._figure(self._of_images(outputs, targets))

    def _figure(self, parts: np.ndarray) -> Figure:
        together = self.together or _mean
        return lambda images: together(parts[images].sum(axis=0), len(images))

    def _of_images(self, outputs: Outputs, targets: np.ndarray) -> np.ndarray:
        """What each image adds."""
        name, first = next(iter(outputs.items()))
        if len(first) != len(targets) or not len(targets):
            raise BadInput(f"{self.name}: {name} has {len(first)} images, the targets {len(targets)}")
        try:
            return self._parts(first, targets)
        except ValueError as error:
            raise BadInput(f"{self.name}: {error}") from error

    def check(self, shape: tuple[int, ...], targets: np.ndarray) -> None:
        """See Metric.check: whatever outputs are, all that can be wrong is wrong of zeros, too."""
        try:
            self._parts(np.broadcast_to(np.float32(0), shape), targets)
        except ValueError as error:
            raise BadInput(f"{self.name}: {error}") from error

    def _parts(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Of some images at a time: in float64 all of them may be many times as large."""
        size = max(1, PART // max(1, outputs[0].size))
        pieces = (slice(start, start + size) for start in range(0, len(outputs), size))
        return _joined([self.parts(outputs[piece], targets[piece]) for piece in pieces])

    def _quality(self, value: float, interval: tuple[float, float] | None, samples: int) -> Quality:
        return Quality(self.name, value, interval, samples, self.higher_is_better, self.unit)


@dataclass(frozen=True)
class Own:
    """A user's function over arrays: (outputs, targets) -> a number; several outputs come as a dict by name.

    Its interval needs it for hundreds of choices of the images. Where most of the work is for each image alone, it can
    be two functions: per_image(outputs, targets) -> what each of N images adds, N objects; and the function itself, of
    a list of so many of these.
    """

    name: str
    function: Callable[..., float]
    higher_is_better: bool = True
    unit: Unit = ""
    only_classes: bool = False
    per_image: Callable[..., Sequence[Any]] | None = None

    def check(self, shape: tuple[int, ...], targets: np.ndarray) -> None:
        """Nothing: what a user's function takes only its call tells."""

    def quality(self, outputs: Outputs, targets: np.ndarray) -> Quality:
        """See Metric.quality. The interval is by bootstrap, for which the function is called again and again."""
        figure = self.figure(outputs, targets)
        value = _finite(self.name, figure(np.arange(len(targets))))
        interval = over_images(figure, len(targets), OWN_RESAMPLES)
        return Quality(self.name, value, interval, len(targets), self.higher_is_better, self.unit)

    def figure(self, outputs: Outputs, targets: np.ndarray) -> Figure:
        """See Metric.figure."""
        for name, output in outputs.items():
            if len(output) != len(targets) or not len(targets):
                raise BadInput(f"{self.name}: {name} has {len(output)} images, the targets {len(targets)}")

        parts: Sequence[Any] | None = None
        if self.per_image is not None:
            parts = self._called(self.per_image, _alone(outputs), targets)
            if not isinstance(parts, Sequence | np.ndarray) or len(parts) != len(targets):
                raise BadInput(f"{self.name}: per_image gives something else than a part for each of the images")

        def figure(images: np.ndarray) -> float:
            if parts is not None:
                return self._number(self._called(self.function, [parts[image] for image in images]))
            chosen = {name: output[images] for name, output in outputs.items()}
            return self._number(self._called(self.function, _alone(chosen), targets[images]))

        return figure

    def _called(self, function: Callable[..., Any], *given: Any) -> Any:
        try:
            return function(*given)
        except (Exception, SystemExit) as error:  # a user's code may raise anything
            text = " ".join(str(error).split()) or "no message"
            raise BadInput(f"{self.name}: the metric raised {type(error).__name__}: {text}") from error

    def _number(self, found: Any) -> float:
        try:
            return float(found)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{self.name}: the metric gives a {type(found).__name__}, not a number") from error


def _alone(outputs: Outputs) -> np.ndarray | Outputs:
    """The only output there is, or all of them by name."""
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Parts of all images; those of more classes in the one than in the other with zeros for these."""
    if parts[0].ndim < 3:
        return np.concatenate(parts)
    most = max(part.shape[2] for part in parts)
    widened = [np.pad(part, ((0, 0), (0, 0), (0, most - part.shape[2]))) for part in parts]
    return np.concatenate(widened)


def _mean(total: np.ndarray, count: int) -> float:
    return float(total.reshape(-1)[0] / count)


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise BadInput(f"{name}: the metric's value is {value}, not a finite number")
    return value
