"""What a run learns from, and the figure by which its epochs are judged."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from falcon_edge.errors import BadInput
from falcon_edge.outputs import named
from falcon_edge.progress import Progress
from falcon_edge.training.augmentation import mirror
from falcon_edge.training.distillation import distillation, matching
from falcon_edge.training.history import LIKENESS, TOP1
from falcon_edge.training.images import Images
from falcon_edge.training.loop import NotFinite
from falcon_edge.training.recipe import Recipe
from falcon_edge.training.team import team

BATCH = 500
MOST_ANSWERS = 1 << 26  # numbers of a teacher that are kept: 256 MB
LEAST = float(np.finfo(np.float32).tiny)  # where an output is all zeros


class Drawn(NamedTuple):
    """Which training images a batch of inputs was made of.

    images, mirrored: (B,), their places, and which are mirrored. others: (B,), the places of those that are mixed into
    them (mixup), which leave a share of the first.
    """

    images: Tensor
    mirrored: Tensor
    others: Tensor | None = None
    share: float = 1.0


class Aim(Protocol):
    """A loss, and a figure: a share, of which more is better."""

    @property
    def metric(self) -> str:
        """The figure's name."""

    def goal(self, images: Images) -> float | None:
        """The figure of the teacher, where there is one."""

    def prepare(self, images: Images, recipe: Recipe, progress: Progress) -> None:
        """Before each epoch on the training images: find out what need not be found out in every step."""

    def loss(self, model: nn.Module, inputs: Tensor, drawn: Drawn) -> Tensor:
        """Of training images, as inputs, for a network in training mode."""

    def judged(self, model: nn.Module, images: Images) -> tuple[float, float]:
        """(figure, loss) of a network; leaves it in eval mode. Raises NotFinite for outputs that are not finite."""


class Labels:
    """Cross entropy of labels, with a teacher (1 - w) CE + w T^2 KL(teacher || student), and top-1 accuracy.

    smoothing: the share of every label that is spread over all classes (Szegedy et al., arXiv 1512.00567, section 7).
    Of mixed images it is the mixed loss (Zhang et al., arXiv 1710.09412, section 2).
    """

    metric = TOP1

    def __init__(
        self,
        labels: Tensor,
        classes: int,
        teacher: nn.Module | None,
        *,
        temperature: float,
        weight: float,
        smoothing: float = 0.0,
    ):
        self.labels, self.classes, self.teacher = labels, classes, teacher
        self.temperature, self.weight, self.smoothing = temperature, weight, smoothing
        # What the teacher answers to the training images, as they are and mirrored: (1 or 2, images, classes).
        self._known: Tensor | None = None

    def goal(self, images: Images) -> float | None:
        """See Aim."""
        return None if self.teacher is None else accuracy(self.teacher, images)

    def prepare(self, images: Images, recipe: Recipe, progress: Progress) -> None:
        """Ask the teacher about all training images, if that is less work than to ask it in every step."""
        if self.teacher is None or self.weight == 0 or self._known is not None:
            return
        kinds = (False, True) if recipe.flip else (False,)
        answers = len(kinds) * len(images) * self.classes
        changed = recipe.crop_padding or recipe.cutout or recipe.mixup
        if changed or recipe.epochs <= len(kinds) or answers > MOST_ANSWERS:
            return
        known = []
        for done, mirrored in enumerate(kinds):
            progress(done, len(kinds), "what the original answers")
            known.append(_answers(self.teacher, images, recipe.batch_size, mirrored=mirrored))
        self._known = torch.stack(known)

    def loss(self, model: nn.Module, inputs: Tensor, drawn: Drawn) -> Tensor:
        """See Aim."""
        logits = logits_of(model(inputs), self.classes)
        loss = self._cross_entropy(logits, drawn.images)
        if drawn.others is not None:
            loss = drawn.share * loss + (1 - drawn.share) * self._cross_entropy(logits, drawn.others)
        if self.teacher is None or self.weight == 0:
            return loss
        if self._known is not None:
            target = self._known[drawn.mirrored.long(), drawn.images]
        else:
            with torch.no_grad():
                target = self.teacher(inputs)
        return (1 - self.weight) * loss + self.weight * distillation(logits, target, self.temperature)

    def _cross_entropy(self, logits: Tensor, images: Tensor) -> Tensor:
        return functional.cross_entropy(logits, self.labels[images], label_smoothing=self.smoothing)

    def judged(self, model: nn.Module, images: Images) -> tuple[float, float]:
        """See Aim."""
        return evaluate(model, images)


class Likeness:
    """The squared difference of each output from the teacher's, as a share of the teacher's own squares; their mean.

    Needs no labels, and suits outputs of any form. The figure, likeness, is what that leaves of 1.
    """

    metric = LIKENESS

    def __init__(self, teacher: nn.Module):
        self.teacher = teacher

    def goal(self, images: Images) -> float | None:
        """See Aim."""
        return 1.0

    def prepare(self, images: Images, recipe: Recipe, progress: Progress) -> None:
        """See Aim: outputs of any form may be too large to keep."""

    def loss(self, model: nn.Module, inputs: Tensor, drawn: Drawn) -> Tensor:
        """See Aim."""
        with torch.no_grad():
            wanted = _real(self.teacher(inputs))
        return matching(_alike(model(inputs), wanted), wanted)

    @torch.no_grad()
    def judged(self, model: nn.Module, images: Images) -> tuple[float, float]:
        """See Aim."""
        model.eval()
        squares: dict[str, float] = {}
        differences: dict[str, float] = {}
        for inputs in images.unlabelled(BATCH):
            wanted = _real(self.teacher(inputs))
            found = _alike(model(inputs), wanted)
            for name, values in wanted.items():
                if not torch.isfinite(found[name]).all():
                    raise NotFinite("the network's outputs are not finite")
                squares[name] = squares.get(name, 0.0) + float(values.double().square().sum())
                difference = (found[name].double() - values.double()).square().sum()
                differences[name] = differences.get(name, 0.0) + float(difference)
        lost = float(np.mean([differences[name] / max(squares[name], LEAST) for name in squares]))
        return 1 - lost, lost


def accuracy(model: nn.Module, images: Images, batch_size: int = BATCH) -> float:
    """Top-1 accuracy in 0..1; leaves the model in eval mode. Raises NotFinite (BadInput) for outputs that are not."""
    return evaluate(model, images, batch_size)[0]


@torch.no_grad()
def evaluate(model: nn.Module, images: Images, batch_size: int = BATCH) -> tuple[float, float]:
    """Top-1 accuracy in 0..1 and mean cross entropy; as `accuracy`."""
    model.eval()
    correct, loss, strange = 0, 0.0, 0
    for inputs, labels in images.batches(batch_size, team=team()):
        logits = model(inputs)
        if not torch.isfinite(logits).all():
            strange = 1
            break
        correct += int((logits.argmax(1) == labels).sum())
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    right, lost, wrong = team().total(correct, loss, strange)  # all learn of it, or the others would wait for ever
    if wrong:
        raise NotFinite("the network's outputs are not finite")
    return right / len(images), lost / len(images)


@torch.no_grad()
def _answers(teacher: nn.Module, images: Images, batch_size: int, *, mirrored: bool) -> Tensor:
    """(images, classes), in batches as they are trained on."""
    found = []
    for start in range(0, len(images), batch_size):
        pixels = images.pixels(np.arange(start, min(start + batch_size, len(images))))
        found.append(teacher(images.inputs(np.ascontiguousarray(mirror(pixels)) if mirrored else pixels)))
    return torch.cat(found)


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


def _real(answer: Any) -> dict[str, Tensor]:
    """The outputs of real numbers, by name. Raises BadInput where there is none: from whole ones nothing is learned."""
    found = {name: tensor for name, tensor in named(answer).items() if tensor.is_floating_point()}
    if not found:
        raise BadInput(
            "its outputs are whole numbers, from which nothing can be learned; give it the scores as outputs"
        )
    return found


def _alike(answer: Any, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of a student's outputs that its teacher has. Raises BadInput where it lacks one, as in training mode."""
    found = named(answer)
    for name, values in wanted.items():
        if name not in found or found[name].shape != values.shape:
            raise BadInput(f"in training mode the network gives no output {name} of shape {tuple(values.shape)}")
    return {name: found[name] for name in wanted}
