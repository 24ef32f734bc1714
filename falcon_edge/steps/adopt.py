"""adopt: weights that were tuned elsewhere come back, as a model that knows which standard network it was made from."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from torch import nn

from falcon_edge.data import ClassMap, Dataset
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.layers import FalconConv2d, why_not
from falcon_edge.falcon.observe import full_precision
from falcon_edge.falcon.plan import Plan, make_plan
from falcon_edge.manifest import Manifest, Parent, Step
from falcon_edge.models.weight_files import read_held
from falcon_edge.models.weights import largest_file, load_weights
from falcon_edge.network import Network
from falcon_edge.place import hold
from falcon_edge.steps.compress import read_plan, refuse_own_place
from falcon_edge.steps.judging import MetricChoice, measured_quality
from falcon_edge.steps.opening import Choice, answer, open_with_data
from falcon_edge.steps.tuning import met
from falcon_edge.steps.writing import identity, write_network

# How a FALCON layer calls what it has one of a branch: see falcon_edge.falcon.layers.
BRANCH = re.compile(r"(.+)\.pointwise\.\d+\.weight")
AS_WEIGHTS_SAY = "as the weights say"


@full_precision()
def adopt(
    network: Network,
    weights: str | Path,
    *,
    plan: Plan | None = None,
    weights_key: str | None = None,
    dataset: Dataset | None = None,
    metric: MetricChoice = None,
) -> Network:
    """The network with weights of a file, which are of it (tuned) or of what a plan makes of it (compressed and tuned).

    plan: which layers are FALCON; without one the names in the file say so. Its parent is `network`, whose module stays
    as it is. Its quality is measured on the test split, if there is one. Raises BadInput for a network that is
    compressed itself, and for weights that do not fit.
    """
    weights = Path(weights)
    if network.compressed:
        raise BadInput(f"{network}: is compressed already; give the standard network that it came from")
    held = _names(weights, network.module)
    ranks = _ranks(network.module, weights, held, weights_key) if plan is None else plan.replaced
    reasons = {} if plan is None else {layer.name: layer.reason for layer in plan.layers}
    made = make_plan(
        network.module, network.input.shape, ranks, reasons=reasons or dict.fromkeys(ranks, AS_WEIGHTS_SAY)
    )
    module = surgery.apply(network.module, ranks, fit=False)
    _make_biases(module, ranks, held)
    load_weights(module, weights, weights_key)
    answer(f"{network} with {weights}", module, network.input.shape)
    adopted = replace(network, module=module.eval(), plan=made if ranks else network.plan)
    options: dict[str, Any] = {"weights": weights.name, **met(dataset)}
    options |= {} if weights_key is None else {"weights_key": weights_key}
    quality = (
        ()
        if dataset is None or dataset.test is None
        else measured_quality(adopted, dataset, "test", dataset.test, metric, reference=network)
    )
    step = Step(verb="adopt", options=options, data=None if dataset is None else dataset.name)
    parent = network.as_parent or Parent(name=network.name, identity=identity(network.module))
    return adopted.after(step, parent=parent, quality=quality, training=None)


def adopt_bundle(
    choice: Choice,
    weights: Path,
    output: Path,
    *,
    plan_file: Path | None = None,
    weights_key: str | None = None,
    data: str | Dataset | None = None,
    class_map: ClassMap | None = None,
    metric: MetricChoice = None,
    force: bool = False,
) -> Manifest:
    """Write what `adopt` makes of a standard network as a bundle at `output`; its golden inputs are the standard's."""
    refuse_own_place(choice, output)
    with hold(output, force=force) as place:
        plan = None if plan_file is None else read_plan(plan_file)
        network, dataset = open_with_data(choice, data, class_map)
        adopted = adopt(network, weights, plan=plan, weights_key=weights_key, dataset=dataset, metric=metric)
        return write_network(place, adopted, dataset)


def _names(weights: Path, module: nn.Module) -> list[list[str]]:
    """The names of the tensors in each dictionary of a file of weights, with its place before them."""
    return [
        [".".join(filter(None, (held.place, name))) for name in held.tensors]
        for held in read_held(weights, largest_file(module))
    ]


def _ranks(module: nn.Module, weights: Path, held: Sequence[Sequence[str]], key: str | None) -> dict[str, int]:
    """The ranks of FALCON layers by the names `held` in a file of weights, whatever prefix its wrappers gave them.

    key: of the weights, where the file holds several. Raises BadInput where those that are left disagree.
    """
    layers = [name for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d) and not why_not(layer)]
    found: list[dict[str, int]] = []
    for names in held:
        chosen = (name for name in names if key is None or name.startswith(f"{key}."))
        branches = Counter(match[1] for match in map(BRANCH.fullmatch, chosen) if match is not None)
        ranks = {}
        for name in layers:
            counts = {count for layer, count in branches.items() if f".{layer}".endswith(f".{name}")}
            if len(counts) == 1:
                ranks[name] = counts.pop()
        if ranks and ranks not in found:
            found.append(ranks)
    if len(found) > 1:
        raise BadInput(f"{weights}: holds weights of several ranks; say by `plan` or `weights_key` which are meant")
    return found[0] if found else {}


def _make_biases(module: nn.Module, ranks: Collection[str], held: Sequence[Sequence[str]]) -> None:
    """Make the biases that FALCON layers got where there were none, by a data-aware fit or by matched moments."""
    given = {f".{name}" for names in held for name in names}
    for name in ranks:
        first = cast(nn.Conv2d, cast(FalconConv2d, module.get_submodule(name)).depthwise[0])
        if first.bias is None and any(each.endswith(f".{name}.depthwise.0.bias") for each in given):
            first.bias = nn.Parameter(first.weight.new_zeros(first.out_channels))
