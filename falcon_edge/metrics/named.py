"""The metrics that are known by name. Outputs are as torch gives them: (N, classes), dense ones (N, C, H, W)."""

import math

import numpy as np

from falcon_edge.data.dataset import IGNORED
from falcon_edge.metrics.metric import PerImage

PEAK = 1.0  # of targets that are images: 8-bit ones are divided by 255
TINY = 1e-10


def top(k: int, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N,) whether the class is among the k highest of (N, classes); of equal ones the first is higher."""
    labels = _integers(targets)
    if _are_classes(outputs) and k == 1:
        if outputs.size != labels.size or labels.ndim != 1:
            raise ValueError(f"targets {outputs.shape} are asked for, these are {targets.shape}")
        return np.asarray(outputs.reshape(-1) == labels)
    if outputs.ndim < 2:
        raise ValueError(f"outputs (N, classes) are asked for, these are {outputs.shape}")
    scores = outputs.reshape(len(outputs), -1)
    if outputs.ndim > 2 and scores.shape[1] != outputs.shape[1]:
        raise ValueError(f"outputs (N, classes) are asked for, these are {outputs.shape}")
    if labels.ndim != 1:
        raise ValueError(f"targets (N,) are asked for, these are {targets.shape}")
    _within(labels, scores.shape[1])
    own = scores[np.arange(len(scores)), labels][:, None]
    before = np.arange(scores.shape[1]) < labels[:, None]
    ahead = (scores > own) | ((scores == own) & before)
    found: np.ndarray = (ahead.sum(axis=1) < k) & np.isfinite(own[:, 0])
    return found


def pixel_parts(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N, 2): pixels of the right class, and pixels that have one, of maps (N, C, H, W) and masks (N, H, W)."""
    found, masks = _decided(outputs, targets)
    asked = masks != IGNORED
    right = (found == masks) & asked
    return np.stack([right.sum(axis=(1, 2)), asked.sum(axis=(1, 2))], axis=1).astype(np.float64)


def overlap_parts(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N, 2, C): for every class the pixels in both map and mask, and those in either."""
    found, masks = _decided(outputs, targets)
    asked = masks != IGNORED
    both, either = [], []
    for number in range(1 + max(int(found.max(initial=0)), int(masks[asked].max(initial=0)))):
        one, other = (found == number) & asked, (masks == number) & asked
        both.append((one & other).sum(axis=(1, 2)))
        either.append((one | other).sum(axis=(1, 2)))
    return np.stack([np.stack(both, axis=1), np.stack(either, axis=1)], axis=1).astype(np.float64)


def mean_overlap(total: np.ndarray, count: int) -> float:
    """Mean over the classes that occur of intersection over union, pixels of all images together (PASCAL VOC 2012)."""
    both, either = total
    occurs = either > 0
    return float(np.mean(both[occurs] / either[occurs])) if occurs.any() else math.nan


def ratio(total: np.ndarray, count: int) -> float:
    """The first sum over the second."""
    return float(total[0] / total[1]) if total[1] else math.nan


def signal_to_noise(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N, 1): 10 log10(1 / mean squared difference) of each image, in dB, at most 100; images are 0..1."""
    squares = np.square(_differences(outputs, targets)).mean(axis=1)
    return 10 * np.log10(PEAK**2 / np.maximum(squares, TINY))[:, None]


def absolute(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N, 1): the mean absolute difference of each image."""
    return np.abs(_differences(outputs, targets)).mean(axis=1)[:, None]


def _differences(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    if outputs.shape != targets.shape and outputs.shape[:1] + outputs.shape[2:] != targets.shape:
        raise ValueError(f"targets are {targets.shape}, outputs {outputs.shape}: they must be alike")
    shared = targets.reshape(len(targets), -1)
    if outputs.size != targets.size:
        raise ValueError(f"targets are {targets.shape}, outputs {outputs.shape}: they must be alike")
    scale = 255.0 if targets.dtype == np.uint8 else 1.0
    return np.asarray(outputs.reshape(len(outputs), -1).astype(np.float64) - shared.astype(np.float64) / scale)


def _decided(outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class of every pixel (N, H, W) by the highest of (N, C, H, W), or given as such, and the masks."""
    if _are_classes(outputs):
        masks = _integers(targets)
        if masks.shape != outputs.shape:
            raise ValueError(f"masks are {masks.shape}, maps {outputs.shape}: height and width must be the same")
        return outputs, masks
    if outputs.ndim != 4 or outputs.shape[1] < 2:
        raise ValueError(f"outputs (N, classes, H, W) of at least two classes are asked for, these are {outputs.shape}")
    masks = _integers(targets)
    if masks.shape != (len(outputs), *outputs.shape[2:]):
        raise ValueError(f"masks are {masks.shape}, maps {outputs.shape}: height and width must be the same")
    _within(masks[masks != IGNORED], outputs.shape[1])
    return outputs.argmax(axis=1), masks


def _are_classes(outputs: np.ndarray) -> bool:
    return outputs.dtype.kind in "iu"


def _integers(targets: np.ndarray) -> np.ndarray:
    if targets.dtype.kind not in "iu":
        raise ValueError(f"targets are classes, whole numbers, and these are {targets.dtype}")
    return targets.astype(np.int64)


def _within(labels: np.ndarray, classes: int) -> None:
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"targets have classes {labels.min()} to {labels.max()}, the model has 0 to {classes - 1}")


METRICS = {
    metric.name: metric
    for metric in (
        PerImage("top1", lambda outputs, targets: top(1, outputs, targets), "share", only_classes=True),
        PerImage("top5", lambda outputs, targets: top(5, outputs, targets), "share"),
        PerImage("miou", overlap_parts, "share", mean_overlap, only_classes=True),
        PerImage("pixel-accuracy", pixel_parts, "share", ratio, only_classes=True),
        PerImage("psnr", signal_to_noise, "dB"),
        PerImage("mae", absolute, "", higher_is_better=False),
    )
}
