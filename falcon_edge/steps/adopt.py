"""adopt: weights that were tuned elsewhere come back, as a model that knows which standard network it was made from."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from torch import nn

from falcon_edge.data import ClassMap, Dataset
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.forms.form import FormConv2d, Replacement, Sizes, why_not
from falcon_edge.falcon.forward import full_precision
from falcon_edge.falcon.narrow import check_plan
from falcon_edge.falcon.plan import Plan, make_plan
from falcon_edge.manifest import Manifest, Parent, Step
from falcon_edge.models.weight_files import read_held
from falcon_edge.models.weights import largest_file, load_weights
from falcon_edge.network import Network
from falcon_edge.place import hold
from falcon_edge.steps.compress import refuse_own_place
from falcon_edge.steps.goals import read_plan
from falcon_edge.steps.judging import MetricChoice
from falcon_edge.steps.opening import Choice, answer, open_with_data
from falcon_edge.steps.quality import measured_quality
from falcon_edge.steps.tuning import met
from falcon_edge.steps.writing import identity, write_network

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

    plan: which layers have which form; without one the names and shapes in the file say so. Its parent is `network`,
    whose module stays as it is. Its quality is measured on the test split, if there is one. Raises BadInput for a
    network that is compressed itself, and for weights that do not fit.
    """
    weights = Path(weights)
    if network.compressed:
        raise BadInput(f"{network}: is compressed already; give the standard network that it came from")
    held = _shapes(weights, network.module)
    replaced = _replaced(network.module, weights, held, weights_key) if plan is None else plan.replaced
    reasons = {} if plan is None else {layer.name: layer.reason for layer in plan.layers}
    if plan is not None:
        check_plan(network.module, network.input.shape, plan)
    made = make_plan(
        network.module,
        network.input.shape,
        replaced,
        reasons=reasons or dict.fromkeys(replaced, AS_WEIGHTS_SAY),
        coupled=() if plan is None else plan.coupled,
    )
    module = surgery.apply(network.module, replaced, removed=made.removed, fit=False)
    _make_biases(module, replaced, held)
    load_weights(module, weights, weights_key)
    answer(f"{network} with {weights}", module, network.input.shape)
    adopted = replace(network, module=module.eval(), plan=made if made.compresses else network.plan)
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


def _shapes(weights: Path, module: nn.Module) -> list[dict[str, Sizes]]:
    """Shapes of the tensors in each dictionary of a file of weights, by name with the dictionary's place before it."""
    return [
        {".".join(filter(None, (held.place, name))): (*tensor.shape,) for name, tensor in held.tensors.items()}
        for held in read_held(weights, largest_file(module))
    ]


def _replaced(
    module: nn.Module, weights: Path, held: Sequence[Mapping[str, Sizes]], key: str | None
) -> dict[str, Replacement]:
    """Which layers have which form by what is `held` in a file of weights, whatever prefix its wrappers gave them.

    key: of the weights, where the file holds several. Raises BadInput where those that are left disagree.
    """
    layers = [name for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d) and not why_not(layer)]
    found: list[dict[str, Replacement]] = []
    for shapes in held:
        chosen = {name: shape for name, shape in shapes.items() if key is None or name.startswith(f"{key}.")}
        forms = _forms(chosen)
        replaced = {}
        for name in layers:
            candidates = {form for path, form in forms.items() if f".{path}".endswith(f".{name}")}
            if len(candidates) == 1:
                replaced[name] = candidates.pop()
        if replaced and replaced not in found:
            found.append(replaced)
    if len(found) > 1:
        raise BadInput(f"{weights}: holds weights of several ranks; say by `plan` or `weights_key` which are meant")
    return found[0] if found else {}


def _forms(shapes: Mapping[str, Sizes]) -> dict[str, Replacement]:
    """The module paths in a dictionary of weights whose names and shapes are those of a form."""
    below: dict[str, dict[str, Sizes]] = defaultdict(dict)
    for name, shape in shapes.items():
        parts = name.split(".")
        for depth in (2, 3):  # reduce.weight, pointwise.0.weight
            if len(parts) > depth:
                below[".".join(parts[:-depth])][".".join(parts[-depth:])] = shape
    found = {}
    for path, weights in below.items():
        sizes = ((form.name, form.sizes_of(weights)) for form in FORMS.values())
        known = [Replacement(name, each) for name, each in sizes if each is not None]
        if known:
            found[path] = known[0]
    return found


def _make_biases(module: nn.Module, replaced: Collection[str], held: Sequence[Collection[str]]) -> None:
    """Make the biases that layers got where there were none, by a data-aware fit or by matched moments."""
    given = {f".{name}" for names in held for name in names}
    for name in replaced:
        layer = cast(FormConv2d, module.get_submodule(name))
        bias = f".{name}.{next(iter(layer.last()))}.bias"
        if any(each.endswith(bias) for each in given):
            layer.make_bias()
