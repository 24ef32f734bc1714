"""How good a network in memory is."""

from collections.abc import Iterable

import torch

from falcon_edge.data import Dataset, Split
from falcon_edge.falcon.forward import device_of
from falcon_edge.manifest import MeasuredQuality
from falcon_edge.metrics import Outputs
from falcon_edge.network import Network
from falcon_edge.outputs import answers
from falcon_edge.steps.judging import MetricChoice, judge_for
from falcon_edge.training.images import Images
from falcon_edge.training.loop import NotFinite

BATCH = 100


def measured_quality(
    network: Network, dataset: Dataset, name: str, split: Split, metric: MetricChoice, reference: Network | None = None
) -> tuple[MeasuredQuality, ...]:
    """How good a network in memory is on a split of that name; without targets beside the `reference`, if any."""
    judge = judge_for(split, network.input, network.outputs, metric, where=str(dataset.source))
    if judge.metric is None and reference is None:
        return ()
    images = Images(split, network.input)
    found = judge.collected(answers_to(network, images))
    beside = None if judge.metric is not None or reference is None else judge.collected(answers_to(reference, images))
    return tuple(
        MeasuredQuality(**vars(quality), data=dataset.name, split=name) for quality in judge.judged(found, beside)
    )


def answers_to(network: Network, images: Images) -> Iterable[Outputs]:
    """The outputs of a network, batch by batch. Raises NotFinite for some that are no numbers."""
    device = device_of(network.module)
    for inputs in images.unlabelled(BATCH):
        found = answers(str(network), network.module.eval(), inputs.to(device))
        if not all(torch.isfinite(tensor).all() for tensor in found.values()):
            raise NotFinite("the network's outputs are not finite")
        yield {name: tensor.cpu().numpy() for name, tensor in found.items()}
