"""What answers are worth: by a metric, or without targets by how true they are to another network's.

Without torch, so that model files can be judged where there is none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from falcon_edge.data import Split
from falcon_edge.data.dataset import IGNORED
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Output
from falcon_edge.metrics import METRICS, Metric, Outputs, OwnFunction, Quality, fidelity, metric_named
from falcon_edge.models.user_code import imported
from falcon_edge.preprocessing import InputSpec, to_mask

MetricChoice = str | OwnFunction | None


@dataclass(frozen=True)
class Judge:
    """How answers to some images are judged.

    outputs: of the network. metric: None where there are no targets, so that fidelity is what there is.
    """

    outputs: tuple[Output, ...]
    metric: Metric | None
    targets: np.ndarray | None = field(default=None, repr=False)

    @property
    def only_classes(self) -> bool:
        """Whether the classes of the first output are all that is asked for."""
        return self.metric is not None and self.metric.only_classes

    @property
    def with_classes(self) -> tuple[str, ...]:
        """The outputs whose highest value is a decision."""
        return tuple(each.name for each in self.outputs if each.kind != "values" and each.shape[0] > 1)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the qualities that it finds."""
        if self.metric is not None:
            return (self.metric.name,)
        found = []
        for each in self.outputs:
            found += [f"snr:{each.name}", *([f"same:{each.name}"] if each.name in self.with_classes else [])]
        return tuple(found)

    def kept(self, found: Outputs) -> Outputs:
        """What has to be kept of outputs (N, ...): all of them, or the classes of the first one."""
        if not self.only_classes:
            return found
        name, first = next(iter(found.items()))
        return {name: first.argmax(axis=1).astype(np.uint16 if first.shape[1] <= 1 << 16 else np.int64)}

    def collected(self, batches: Iterable[Outputs]) -> Outputs:
        """What has to be kept of the outputs for all images, batch by batch."""
        rows = [self.kept(batch) for batch in batches]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def judged(self, found: Outputs, reference: Outputs | None = None) -> tuple[Quality, ...]:
        """The qualities of what was kept; without a metric beside what the `reference` answers. Raises BadInput."""
        if self.metric is not None:
            assert self.targets is not None
            return (self.metric.quality(found, self.targets),)
        assert reference is not None
        return fidelity(reference, found, self.with_classes)


def judge_for(split: Split, spec: InputSpec, outputs: tuple[Output, ...], metric: MetricChoice, *, where: str) -> Judge:
    """How answers to a split's images are judged: by `metric`, else by what its targets are for.

    Raises BadInput, naming `where` they come from, for targets that no metric here is for.
    """
    targets = _targets(split, spec, where)
    if metric is not None:
        chosen = metric_named(metric, _own)
        if targets is None:
            raise BadInput(f"{where}: has no targets, which {chosen.name} needs; leave `metric` out")
        chosen.check((len(targets), *outputs[0].shape), targets)
        return Judge(outputs, chosen, targets)
    if targets is None:
        return Judge(outputs, None)
    kinds = {("classes", "classes"): "top1", ("masks", "map"): "miou"}
    name = kinds.get((split.kind or "", outputs[0].kind))
    if name is None:
        first = outputs[0]
        raise BadInput(
            f"{where}: its targets are {targets.dtype} {targets.shape}, the network's output {first.name} is "
            f"{first.shape} for each image; say by `metric` how they are judged: {', '.join(METRICS)} or "
            "module:function"
        )
    METRICS[name].check((len(targets), *outputs[0].shape), targets)
    return Judge(outputs, METRICS[name], targets)


def _targets(split: Split, spec: InputSpec, where: str) -> np.ndarray | None:
    """The targets as one array; masks moved as the images are."""
    if split.targets is None:
        return None
    if split.kind != "masks":
        return split.all_targets()
    try:
        return np.stack([to_mask(np.asarray(split.targets[index]), spec, IGNORED) for index in range(len(split))])
    except ValueError as error:
        raise BadInput(f"{where}: {error}") from error


def _own(source: str) -> OwnFunction:
    module, _, name = source.partition(":")
    found: OwnFunction = imported(module, name, f"{', '.join(METRICS)} or module:function")
    return found


def named(outputs: Sequence[Output], found: Sequence[np.ndarray]) -> Mapping[str, np.ndarray]:
    """Outputs by their names."""
    return {output.name: values for output, values in zip(outputs, found, strict=True)}
