"""A network written as a bundle: weights, plan, golden inputs, manifest."""

import hashlib
import importlib.metadata
import platform
from pathlib import Path

import numpy as np
from torch import nn

from falcon_edge.bundle import PLAN, TRAINING, WEIGHTS, write_bundle
from falcon_edge.data import Dataset
from falcon_edge.documents import canonical_json
from falcon_edge.falcon.cost import Cost, cost
from falcon_edge.falcon.forward import full_precision
from falcon_edge.falcon.plan import Plan, make_plan
from falcon_edge.manifest import Golden, Lineage, Manifest
from falcon_edge.network import Network
from falcon_edge.notices import notice
from falcon_edge.place import Place, hold
from falcon_edge.steps import graphs
from falcon_edge.steps.golden import golden_inputs
from falcon_edge.steps.trust import record

TOOLS = ("torch", "numpy", "onnx", "onnxruntime", "onnxsim", "ai-edge-litert", "safetensors")


def save(network: Network, path: str | Path, dataset: Dataset | None = None, *, force: bool = False) -> Manifest:
    """Write a network in memory as a bundle at `path`, with `force` in the place of an earlier one: `write_network`."""
    with hold(Path(path), force=force) as place:
        return write_network(place, network, dataset)


@full_precision()
def write_network(place: Place, network: Network, dataset: Dataset | None) -> Manifest:
    """Write a network as a bundle at a place that is held, with golden inputs from the data; returns its manifest."""
    spec = network.input
    plan = network.plan or make_plan(network.module, spec.shape, {})
    weights = weights_bytes(network.module)
    total = cost(network.module, spec.shape)
    _check_counts(network.name, plan, total)
    vectors, files = golden_inputs(spec, dataset, network.images)
    with write_bundle(place) as draft:
        draft.write(WEIGHTS, weights)
        draft.write(PLAN, canonical_json(plan))
        if network.training is not None:
            draft.write(TRAINING, network.training)
        for name, data in files.items():
            draft.write(name, data)
        if network.architecture.source == graphs.SOURCE:
            samples = [np.frombuffer(files[each.input], "<f4").reshape(spec.shape) for each in vectors]
            graphs.write_graph(network, np.stack(samples).astype(np.float32), draft.path / graphs.FILE)
        draft.manifest = Manifest(
            name=place.path.stem,
            architecture=network.architecture,
            input=spec,
            labels=network.labels,
            outputs=network.outputs,
            lineage=Lineage(
                identity=hashlib.sha256(weights).hexdigest(),
                role="compressed" if plan.compresses else "standard",
                parent=network.parent,
                steps=network.steps,
            ),
            parameters=total.parameters,
            macs=total.macs,
            quality=network.quality,
            golden=Golden(vectors=vectors),
            tools=tool_versions(),
        )
    record(draft.manifest)
    return draft.manifest


def _check_counts(name: str, plan: Plan, total: Cost) -> None:
    """Say where the plan, by its formulas, and the network, run as it is, come to other counts."""
    if (plan.planned_macs, plan.planned_parameters) != (total.macs, total.parameters):
        notice(
            f"{name}: its plan counts {plan.planned_macs:,} MACs and {plan.planned_parameters:,} parameters, the "
            f"network has {total.macs:,} and {total.parameters:,}; the bundle tells of the network's"
        )
    if total.unused:
        notice(
            f"{name}: no answer depends on {total.unused:,} of its {total.parameters:,} parameters; exported files "
            "leave them out"
        )


def identity(module: nn.Module) -> str:
    """What a lineage knows a network by: the SHA-256 of its weights."""
    return hashlib.sha256(weights_bytes(module)).hexdigest()


def weights_bytes(network: nn.Module) -> bytes:
    """The state dict in safetensors' format: the same weights give the same bytes."""
    from safetensors.torch import save

    tensors = ((name, tensor.detach().to("cpu", copy=True)) for name, tensor in network.state_dict().items())
    return save({name: tensor.contiguous() for name, tensor in tensors})


def tool_versions() -> dict[str, str]:
    """Versions of what made a bundle; a package that is not installed is left out."""
    versions = {"python": platform.python_version()}
    for package in ("falcon-edge", *TOOLS):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
