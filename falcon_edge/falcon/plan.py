"""Which layer is replaced, at which rank, at what cost and error: decided before anything is changed."""

from collections import Counter
from collections.abc import Collection, Mapping
from math import prod
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon import gep
from falcon_edge.falcon.gep import PatchStatistics
from falcon_edge.falcon.layers import FalconConv2d, why_not
from falcon_edge.falcon.observe import Observed, Use, observe


class LayerPlan(BaseModel):
    """What happens to one convolution, and why. Costs are per image; `error` is the fit's relative squared error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    action: Literal["keep", "falcon"]
    rank: int | None = Field(default=None, ge=1)
    reason: str
    kernel: tuple[int, ...]
    parameters: int
    macs: int
    planned_parameters: int
    planned_macs: int
    error: float | None = None

    @model_validator(mode="after")
    def _rank_belongs_to_falcon(self) -> "LayerPlan":
        if (self.action == "falcon") != (self.rank is not None):
            raise ValueError(f"{self.name}: a rank belongs to 'falcon', and to nothing else")
        return self


class Plan(BaseModel):
    """For every convolution of a network: keep it, or FALCON at rank k. Totals are of the whole network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    input_shape: tuple[int, int, int]
    layers: tuple[LayerPlan, ...]
    parameters: int
    macs: int
    planned_parameters: int
    planned_macs: int

    @property
    def replaced(self) -> dict[str, int]:
        """Rank of every layer that becomes FALCON, by module path."""
        return {layer.name: layer.rank for layer in self.layers if layer.rank is not None}


def uniform_plan(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    rank: int,
    *,
    cap: bool = False,
    statistics: Mapping[str, PatchStatistics] | None = None,
) -> Plan:
    """Every layer that is replaced by default at the same rank, clamped at each layer's lossless rank.

    cap: and at the largest rank with which it has fewer MACs than the convolution (but at least 1). Raises BadInput for
    a rank < 1, one that clamps in every layer, or a network without a layer to replace.
    """
    if rank < 1:
        raise BadInput(f"rank {rank}: FALCON needs a rank of at least 1")
    observed = observe(model, input_shape)
    chosen = default_layers(model, observed)
    ranks: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for name, why_kept in chosen.items():
        if why_kept is not None:
            reasons[name] = why_kept
            continue
        conv = _conv(model, name)
        lossless = gep.lossless_rank(conv.weight)
        saving = max(1, (observed.macs(name) - 1) // falcon_macs(conv, 1, observed.uses[name]))
        ranks[name] = min(rank, lossless, saving) if cap else min(rank, lossless)
        if rank <= ranks[name]:
            reasons[name] = "uniform rank"
        elif ranks[name] == lossless:
            reasons[name] = f"clamped from rank {rank} to the lossless rank"
        else:
            reasons[name] = f"capped from rank {rank} to the largest that saves MACs"
    if not ranks:
        found = Counter(chosen.values()).most_common() or [("there is none", 1)]
        kept = "; ".join(str(reason) if count == 1 else f"{reason} ({count} times)" for reason, count in found)
        raise BadInput(f"this network has no convolution that FALCON makes cheaper; nothing to compress: {kept}")
    largest = max(gep.lossless_rank(_conv(model, name).weight) for name in ranks)
    if rank > largest:
        raise BadInput(f"rank {rank} is above the lossless rank of every layer (at most {largest}): choose a lower one")
    return _plan(model, input_shape, observed, ranks, reasons, statistics or {})


def make_plan(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    ranks: Mapping[str, int],
    *,
    reasons: Mapping[str, str] | None = None,
    statistics: Mapping[str, PatchStatistics] | None = None,
) -> Plan:
    """The plan in which exactly the layers of `ranks` become FALCON. Raises BadInput for layers that cannot."""
    return _plan(model, input_shape, observe(model, input_shape), ranks, reasons or {}, statistics or {})


def _plan(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    observed: Observed,
    ranks: Mapping[str, int],
    reasons: Mapping[str, str],
    statistics: Mapping[str, PatchStatistics],
) -> Plan:
    unknown = [name for name in ranks if name not in observed.uses]
    if unknown:
        raise BadInput(f"the plan names {unknown[0]}, which is no convolution that the input reaches")
    layers = []
    for name, use in observed.uses.items():
        conv = _conv(model, name)
        parameters = sum(parameter.numel() for parameter in conv.parameters())
        macs = observed.macs(name)
        planned_parameters, planned_macs, error, rank = parameters, macs, None, ranks.get(name)
        reason = reasons.get(name, "as the plan says")
        if rank is not None:
            impossible = _why_not(conv, name, observed)
            if impossible is not None:
                raise BadInput(f"the plan replaces {name}, but {impossible}")
            limit = gep.lossless_rank(conv.weight)
            if rank > limit:
                rank, reason = limit, f"clamped from rank {rank} to the lossless rank"
            elif rank < 1:
                raise BadInput(f"the plan gives {name} rank {rank}: FALCON needs a rank of at least 1")
            planned_parameters = falcon_parameters(conv, rank, conv.bias is not None or name in statistics)
            planned_macs = falcon_macs(conv, rank, use)
            error = gep.fit(conv.weight, rank, statistics.get(name)).relative_error
        layers.append(
            LayerPlan(
                name=name,
                action="keep" if rank is None else "falcon",
                rank=rank,
                reason=reason,
                kernel=(*conv.weight.shape,),
                parameters=parameters,
                macs=macs,
                planned_parameters=planned_parameters,
                planned_macs=planned_macs,
                error=error,
            )
        )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    macs = sum(one.macs for one in observed.executed)
    return Plan(
        input_shape=input_shape,
        layers=tuple(layers),
        parameters=parameters,
        macs=macs,
        planned_parameters=parameters + sum(layer.planned_parameters - layer.parameters for layer in layers),
        planned_macs=macs + sum(layer.planned_macs - layer.macs for layer in layers),
    )


def default_layers(model: nn.Module, observed: Observed) -> dict[str, str | None]:
    """For every convolution None if it is replaced by default, else the reason why it is kept.

    A network may name its own in `falcon_layers` (those of the paper do); elsewhere every convolution is replaced whose
    rank-1 FALCON form has fewer MACs.
    """
    own: Collection[str] | None = getattr(model, "falcon_layers", None)
    chosen: dict[str, str | None] = {}
    for name, use in observed.uses.items():
        conv = _conv(model, name)
        reason = _why_not(conv, name, observed)
        if reason is None and own is not None:
            reason = None if name in own else "the published network keeps it"
        elif reason is None and falcon_macs(conv, 1, use) >= observed.macs(name):
            reason = "FALCON would not save MACs"
        chosen[name] = reason
    return chosen


def largest_saving_rank(plan: Plan) -> int:
    """The largest rank that, for every layer that `plan` replaces, gives a network with fewer MACs; 0: none does."""
    replaced = [layer for layer in plan.layers if layer.rank is not None]
    kept = plan.macs - sum(layer.macs for layer in replaced)
    ranks = range(1, max((min(layer.kernel[1], prod(layer.kernel[2:])) for layer in replaced), default=0) + 1)

    def total(rank: int) -> int:
        return kept + sum(_macs_at(layer, rank) for layer in replaced)

    return max((rank for rank in ranks if total(rank) < plan.macs), default=0)


def _macs_at(layer: LayerPlan, rank: int) -> int:
    assert layer.rank is not None
    lossless = min(layer.kernel[1], prod(layer.kernel[2:]))
    return layer.planned_macs // layer.rank * min(rank, lossless)


def falcon_macs(conv: nn.Conv2d, rank: int, use: Use) -> int:
    """k (H W (M / groups) N + H' W' kh kw N): the pointwise part runs at the input's resolution."""
    count, channels, height, width = conv.weight.shape
    return rank * count * (use.inputs * channels + use.outputs * height * width)


def falcon_parameters(conv: nn.Conv2d, rank: int, biased: bool) -> int:
    """k ((M / groups) N + kh kw N), and N of the bias (a data-aware fit makes one where there was none)."""
    count, channels, height, width = conv.weight.shape
    return rank * count * (channels + height * width) + (count if biased else 0)


def _why_not(conv: nn.Conv2d, name: str, observed: Observed) -> str | None:
    """Why a convolution cannot be taken out of its network, or None."""
    return why_not(conv) or observed.bound.get(name)


def _conv(model: nn.Module, name: str) -> nn.Conv2d:
    module = model.get_submodule(name)
    if isinstance(module, nn.Conv2d):
        return module
    kind = "already a FALCON convolution" if isinstance(module, FalconConv2d) else "no convolution"
    raise BadInput(f"{name} is {kind}")
