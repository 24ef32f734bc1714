"""Boxes (x0, y0, x1, y1) of a detector: how they overlap, and how good they are as a whole."""

import numpy as np
import torch
from torch import Tensor

SAME, OVERLAP, LEAST = 0.5, 0.5, 0.02  # of a box to be right, of two to be one, and the lowest score that counts
Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def generalised_overlap(one: Tensor, other: Tensor) -> Tensor:
    """(n,) of boxes (n, 4) that lie beside each other (Rezatofighi and others, 2019)."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    either = (one[:, 2:] - one[:, :2]).prod(1) + (other[:, 2:] - other[:, :2]).prod(1) - shared
    around = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).prod(1)
    return shared / either - (around - either) / around


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
