"""What a network in memory is worth on labelled images."""

from falcon_edge.data import Dataset
from falcon_edge.manifest import MeasuredAccuracy
from falcon_edge.network import Network
from falcon_edge.training.fit import accuracy
from falcon_edge.training.images import Images


def measured_accuracy(network: Network, dataset: Dataset) -> tuple[MeasuredAccuracy, ...]:
    """Top-1 on the test split, if there is one."""
    if dataset.test is None:
        return ()
    top1 = accuracy(network.module, Images(dataset.test, network.input))
    return (MeasuredAccuracy(data=dataset.name, split="test", samples=len(dataset.test), top1=top1),)
