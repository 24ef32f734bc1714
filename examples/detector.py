"""A one-stage detector of shapes: trained, compressed by FALCON, fine-tuned by a loop of its own, kept as bundles.

    python examples/shapes.py shapes
    python examples/detector.py shapes/boxes.npz OUTPUT [--epochs 40] [--tune 15] [--ranks 1 2]

It looks at 8 x 8 places and gives for each a box (x0, y0, x1, y1 in pixels) and a score of every kind: (N, 64, 4) and
(N, 64, kinds). Its metric is `mean_average_precision`: `bench ... --metric detector:mean_average_precision`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from own_loop import Data, asked, compressed_and_tuned, fitted, packed
from torch import Tensor, nn
from torch.nn import functional

STRIDE, PLACES = 8, 8
SAME, OVERLAP, LEAST = 0.5, 0.5, 0.02  # of a box to be right, of two to be one, and the lowest score that counts
METRIC = "detector:mean_average_precision"
Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Detector(nn.Module):
    """Convolutions down to a grid, two heads, and the decoding of boxes."""

    def __init__(self, kinds: int):
        super().__init__()
        layers: list[nn.Module] = []
        widths = (3, 16), (16, 32), (32, 64), (64, 64), (64, 128), (128, 128), (128, 128)
        for (given, made), stride in zip(widths, (2, 1, 2, 1, 2, 1, 1), strict=True):
            layers += [nn.Conv2d(given, made, 3, stride, 1, bias=False), nn.BatchNorm2d(made), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.scores = nn.Sequential(nn.Conv2d(128, 128, 3, 1, 1), nn.ReLU(), nn.Conv2d(128, kinds, 1))
        self.boxes = nn.Sequential(nn.Conv2d(128, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 4, 1))
        steps = torch.arange(PLACES) + 0.5
        grid = torch.stack([steps.repeat(PLACES), steps.repeat_interleave(PLACES)], 1) * STRIDE
        self.register_buffer("grid", grid[None], persistent=False)
        with torch.no_grad():
            last = list(self.scores.parameters())[-1]
            last.fill_(-3.0)  # at first hardly anything is anywhere

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, 64, kinds), and boxes (N, 64, 4) as shifts of the centre and logarithms of sizes."""
        features = self.body(x)
        scores, boxes = (head(features).flatten(2).transpose(1, 2) for head in (self.scores, self.boxes))
        return scores, boxes

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Boxes in pixels, and scores in 0..1."""
        scores, boxes = self.raw(x)
        return {"boxes": decoded(boxes, self.grid), "scores": torch.sigmoid(scores)}


def decoded(boxes: Tensor, grid: Tensor) -> Tensor:
    """x0, y0, x1, y1 of shifts of the centre (in strides) and logarithms of sizes."""
    centre, half = grid + boxes[..., :2] * STRIDE, torch.exp(boxes[..., 2:]) * STRIDE / 2
    return torch.cat([centre - half, centre + half], -1)


def detector(num_classes: int = 4) -> Detector:
    """The network, for `falcon-edge pack detector:detector`."""
    return Detector(num_classes)


def loss(network: Any, images: Tensor, boxes: Tensor, teacher: Any) -> Tensor:
    """Focal loss of scores and generalised overlap of boxes, each at the place in which a shape has its centre.

    Lin and others, Focal loss for dense object detection (2017); Rezatofighi and others, Generalized intersection over
    union (2019). With a teacher, what its heads give is wanted as well.
    """
    scores, given = network.raw(images)
    wanted, place, there = (
        torch.zeros_like(scores),
        (boxes[..., 1:3] + boxes[..., 3:5]) / 2 // STRIDE,
        boxes[..., 0] >= 0,
    )
    number, shape = there.nonzero(as_tuple=True)
    at = (place[number, shape, 1] * PLACES + place[number, shape, 0]).long()
    wanted[number, at, boxes[number, shape, 0].long()] = 1
    sure = torch.sigmoid(scores)
    off = torch.where(wanted > 0, 1 - sure, sure)
    classes = (off**2 / 2 * functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")).sum()
    found = decoded(given, network.grid)[number, at]
    total = (classes + 2 * (1 - generalised_overlap(found, boxes[number, shape, 1:])).sum()) / max(1, len(number))
    if teacher is None:
        return total
    with torch.no_grad():
        theirs, shapes = teacher.raw(images)
    likely = torch.sigmoid(theirs)
    alike = functional.binary_cross_entropy_with_logits(scores, likely, reduction="sum") / max(1, len(number))
    near = ((given - shapes).square() * likely.amax(-1, keepdim=True)).sum() / max(1, len(number))
    return total + alike + near


def generalised_overlap(one: Tensor, other: Tensor) -> Tensor:
    """(n,) of boxes (n, 4) that lie beside each other."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    either = (one[:, 2:] - one[:, :2]).prod(1) + (other[:, 2:] - other[:, :2]).prod(1) - shared
    around = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).prod(1)
    return shared / either - (around - either) / around


# -- its metric --


class MeanAveragePrecision:
    """Mean over the kinds of the area under precision by recall, a box being right from an overlap of SAME on.

    Everingham and others, The PASCAL visual object classes challenge (2010), section 4.2, every point of the curve.
    """

    unit = "share"

    def per_image(self, outputs: Mapping[str, np.ndarray], targets: np.ndarray) -> list[Part]:
        """What each image adds: kinds, scores and rightness of the boxes that are left, how many of each kind are."""
        boxes, scores = (np.asarray(outputs[name], np.float64) for name in ("boxes", "scores"))
        return [judged(*row) for row in zip(boxes, scores, targets, strict=True)]

    def together(self, parts: Sequence[Part]) -> float:
        """The figure of so many images."""
        kinds, scores, right = (np.concatenate(column) for column in list(zip(*parts, strict=True))[:3])
        totals = np.sum([part[3] for part in parts], axis=0)
        areas = [area(scores[kinds == kind], right[kinds == kind], totals[kind]) for kind in np.flatnonzero(totals)]
        return float(np.mean(areas))


mean_average_precision = MeanAveragePrecision()


def judged(boxes: np.ndarray, scores: np.ndarray, wanted: np.ndarray) -> Part:
    """The boxes of an image that suppression leaves (greedily, by kind), and which of them are right."""
    kinds, kept, right = [], [], []
    wanted = wanted[wanted[:, 0] >= 0]
    for kind in range(scores.shape[1]):
        order = [place for place in np.argsort(-scores[:, kind], kind="stable") if scores[place, kind] >= LEAST]
        left: list[int] = []
        for place in order:
            if not left or overlaps(boxes[place], boxes[left]).max() < OVERLAP:
                left.append(place)
        free = wanted[wanted[:, 0] == kind, 1:]
        for place in left:
            near = overlaps(boxes[place], free)
            hit = bool(near.size) and near.max() >= SAME
            if hit:
                free = np.delete(free, near.argmax(), axis=0)
            kinds.append(kind)
            kept.append(scores[place, kind])
            right.append(hit)
    counts = np.bincount(wanted[:, 0].astype(int), minlength=scores.shape[1])
    return np.array(kinds, int), np.array(kept), np.array(right, bool), counts


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box with others (n, 4)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1)
    return shared / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - shared)


def area(scores: np.ndarray, right: np.ndarray, total: int) -> float:
    """Under the curve of precision by recall, made to fall nowhere from right to left."""
    right = right[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / total)


def main() -> None:
    """The command line."""
    options = asked(__doc__.splitlines()[0], epochs=40, tune=15)
    data = Data.of(options.data)
    standard = options.output / "standard"
    weights = fitted(
        detector(data.classes), data, loss, epochs=options.epochs, rate=0.02, file=standard.with_suffix(".pt")
    )
    packed("detector:detector", weights, data, standard, METRIC)
    for rank in options.ranks:
        output = options.output / f"rank{rank}"
        compressed_and_tuned(standard, rank, data, loss, output, METRIC, epochs=options.tune, rate=0.01)


if __name__ == "__main__":
    main()
