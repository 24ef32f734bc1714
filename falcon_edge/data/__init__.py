"""Data sets of labelled images: IDX, CIFAR, SVHN, image folders, .npz, and the small sample that ships with us."""

from falcon_edge.data.classes import ClassMap
from falcon_edge.data.dataset import Dataset, Split, channel_statistics, from_batches, from_pairs, spread
from falcon_edge.data.formats import open_dataset

__all__ = [
    "ClassMap", "Dataset", "Split", "channel_statistics", "from_batches", "from_pairs", "open_dataset", "spread",
]  # fmt: skip
