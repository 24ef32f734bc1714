"""A small U-Net on shapes: trained, compressed by FALCON, fine-tuned by a loop of its own, and kept as bundles.

    python examples/shapes.py shapes
    python examples/segmentation.py shapes/masks.npz OUTPUT [--epochs 24] [--tune 20] [--ranks 1 2]

Writes OUTPUT/standard.falcon, OUTPUT/rank1.falcon and OUTPUT/rank2.falcon. Its metric is `mean_iou`.
"""

import numpy as np
import torch
from networks import UNet
from shared import Data, asked, compressed_and_tuned, fitted, packed, turned
from torch import Tensor, nn
from torch.nn import functional

METRIC = "segmentation:mean_iou"


def loss(network: nn.Module, images: Tensor, masks: Tensor, teacher: nn.Module | None) -> Tensor:
    """Cross entropy of every pixel; with a teacher, half of it by the teacher's scores."""
    scores = network(images)
    found = functional.cross_entropy(scores, masks.long())
    if teacher is None:
        return found
    with torch.no_grad():
        wanted = functional.softmax(teacher(images) / 2, 1)
    return (found + 4 * functional.cross_entropy(scores / 2, wanted)) / 2


def mean_iou(scores: np.ndarray, masks: np.ndarray) -> float:
    """Mean over the kinds that there are: pixels that are rightly of it, of those that are or are taken for it."""
    kinds = scores.shape[1]
    table = np.bincount((kinds * masks.astype(int) + scores.argmax(1)).ravel(), minlength=kinds**2)
    table = table.reshape(kinds, kinds)
    right, either = table.diagonal(), table.sum(0) + table.sum(1) - table.diagonal()
    return float((right[either > 0] / either[either > 0]).mean())


mean_iou.unit = "share"


def main() -> None:
    """The command line."""
    options = asked(__doc__, epochs=24, tune=20, ranks=[1, 2])
    data, standard = Data.of(options.data), options.output / "standard"
    network = fitted(UNet(data.classes), data, loss, epochs=options.epochs, rate=0.05, varied=turned)
    packed("networks:UNet", network, data, standard, METRIC)
    for rank in options.ranks:
        output, loop = options.output / f"rank{rank}", {"epochs": options.tune, "rate": 0.05, "varied": turned}
        compressed_and_tuned(standard, rank, data, loss, output, METRIC, **loop)


if __name__ == "__main__":
    main()
