"""A one-stage detector of shapes: trained, compressed by FALCON, fine-tuned by a loop of its own, kept as bundles.

    python examples/shapes.py shapes
    python examples/detector.py shapes/boxes.npz OUTPUT [--epochs 40] [--tune 15] [--ranks 1 2]

It gives for each of 8 x 8 places a box and a score of every kind. `bench ... --metric detector:mean_average_precision`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from boxes import Part, area, generalised_overlap, judged
from networks import PLACES, STRIDE, Detector, decoded
from shared import Data, asked, compressed_and_tuned, fitted, packed
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as entropy

METRIC = "detector:mean_average_precision"


def loss(network: Any, images: Tensor, boxes: Tensor, teacher: Any) -> Tensor:
    """Focal loss of scores (Lin and others, 2017) and overlap of boxes, each at the place that has its shape's centre.

    With a teacher, what its heads give is wanted, too.
    """
    scores, given = network.raw(images)
    wanted, place = torch.zeros_like(scores), (boxes[..., 1:3] + boxes[..., 3:5]) / 2 // STRIDE
    number, shape = (boxes[..., 0] >= 0).nonzero(as_tuple=True)
    at = (place[number, shape, 1] * PLACES + place[number, shape, 0]).long()
    wanted[number, at, boxes[number, shape, 0].long()] = 1
    sure = torch.sigmoid(scores)
    off = torch.where(wanted > 0, 1 - sure, sure)
    classes = (off**2 / 2 * entropy(scores, wanted, reduction="none")).sum()
    found = decoded(given, network.grid)[number, at]
    total = (classes + 2 * (1 - generalised_overlap(found, boxes[number, shape, 1:])).sum()) / max(1, len(number))
    if teacher is None:
        return total
    with torch.no_grad():
        theirs, shapes = teacher.raw(images)
    likely = torch.sigmoid(theirs)
    near = ((given - shapes).square() * likely.amax(-1, keepdim=True)).sum() / max(1, len(number))
    return total + entropy(scores, likely, reduction="sum") / max(1, len(number)) + near


class MeanAveragePrecision:
    """Mean over the kinds of the area under all of precision by recall (Everingham and others, 2010)."""

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


def main() -> None:
    """The command line."""
    options = asked(__doc__, epochs=40, tune=15, ranks=[1, 2])
    data, standard = Data.of(options.data), options.output / "standard"
    network = fitted(Detector(data.classes), data, loss, epochs=options.epochs, rate=0.02)
    packed("networks:Detector", network, data, standard, METRIC)
    for rank in options.ranks:
        output = options.output / f"rank{rank}"
        compressed_and_tuned(standard, rank, data, loss, output, METRIC, epochs=options.tune, rate=0.01)


if __name__ == "__main__":
    main()
