"""Which form takes each convolution's place, at which size, cost and error: decided before anything is changed."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, model_validator
from torch import nn

from falcon_edge.documents import Upgrades
from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.falcon import evbmf
from falcon_edge.falcon.coupling import Group, Side
from falcon_edge.falcon.cutting import cut, joined
from falcon_edge.falcon.forms import FALCON, FORMS, KEEP, form_named
from falcon_edge.falcon.forms.form import Form, FormConv2d, Replacement, Sizes, error_at
from falcon_edge.falcon.observe import Observed, observe
from falcon_edge.falcon.patches import PatchStatistics

AS_THE_PLAN_SAYS = "as the plan says"
NARROWER = "channels were removed"
EVBMF = "evbmf"  # in the place of a rank
LANES = 16  # channels that kernels work on at once; 8 on ARM


class LayerPlan(BaseModel):
    """What happens to one convolution, and why. Costs are per image; `error` is the fit's relative squared error.

    sizes: one for each dimension of the form; none of one that is kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    form: str
    sizes: tuple[int, ...]
    reason: str
    kernel: tuple[int, ...]
    parameters: int
    macs: int
    planned_parameters: int
    planned_macs: int
    error: float | None = None

    @model_validator(mode="after")
    def _sizes_are_the_forms(self) -> "LayerPlan":
        if self.form != KEEP and self.form not in FORMS:
            raise ValueError(f"{self.name}: {self.form} is no form; there are {KEEP}, {', '.join(FORMS)}")
        dimensions = FORMS[self.form].dimensions if self.form in FORMS else ()
        if len(self.sizes) != len(dimensions) or min(self.sizes, default=1) < 1:
            words = f"{len(dimensions)} sizes of at least 1 ({', '.join(dimensions)})" if dimensions else "no sizes"
            raise ValueError(f"{self.name}: {self.form} has {words}")
        return self

    @property
    def replacement(self) -> Replacement | None:
        """What stands in its place; None where it is kept."""
        return None if self.form == KEEP else Replacement(self.form, self.sizes)

    @property
    def size(self) -> str:
        """Its sizes in words, as `rank 2`; nothing where it is kept."""
        return FORMS[self.form].describe(self.sizes) if self.form in FORMS else ""


def _version_2(document: dict[str, Any]) -> dict[str, Any]:
    """Of version 1, which knew FALCON alone."""

    def layer(given: dict[str, Any]) -> dict[str, Any]:
        others = {key: value for key, value in given.items() if key not in ("action", "rank")}
        if (given["action"] == "falcon") != (given.get("rank") is not None):
            raise ValueError(f"{given.get('name')}: a rank belongs to 'falcon', and to nothing else")
        return {**others, "form": given["action"], "sizes": [] if given.get("rank") is None else [given["rank"]]}

    return {**document, "schema_version": 2, "layers": [layer(each) for each in document["layers"]]}


class CoupledSide(BaseModel):
    """Where coupled channels are: the inputs or outputs of a module, and the numbers of those that are removed there.

    times: a channel is as many inputs behind one another, as of a linear layer that reads a flattened map. name: of a
    parameter or buffer of its own, its path; its only end is its outputs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    end: Literal["outputs", "inputs"]
    removed: tuple[NonNegativeInt, ...]
    times: PositiveInt = 1

    @model_validator(mode="after")
    def _in_order(self) -> "CoupledSide":
        if list(self.removed) != sorted(set(self.removed)):
            raise ValueError(f"{self.name}: the channels that are removed are listed in order, each once")
        return self


class Coupled(BaseModel):
    """Channels that stand and fall together, of which `planned_channels` stay, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: PositiveInt
    planned_channels: PositiveInt
    reason: str
    sides: tuple[CoupledSide, ...]

    @model_validator(mode="after")
    def _numbers_agree(self) -> "Coupled":
        gone = self.channels - self.planned_channels
        if gone < 0 or any(len(side.removed) % gone if gone else side.removed for side in self.sides):
            raise ValueError(f"of {self.channels} channels {self.planned_channels} stay, and its sides say otherwise")
        return self

    @property
    def gone(self) -> dict[Side, list[int]]:
        """Where on each side channels are removed."""
        return {
            Side(side.name, side.end): [one * side.times + each for one in side.removed for each in range(side.times)]
            for side in self.sides
            if side.removed
        }

    @classmethod
    def of(cls, group: Group, removed: Sequence[int], reason: str) -> "Coupled":
        """A group without some of its channels."""
        sides = []
        for (name, end), places in group.removed(removed).items():
            times = group.times(Side(name, end))
            sides.append(
                CoupledSide(name=name, end=end, removed=tuple(one // times for one in places[::times]), times=times)
            )
        left = group.channels - len(removed)
        return cls(channels=group.channels, planned_channels=left, reason=reason, sides=tuple(sides))


class Plan(BaseModel):
    """For every convolution of a network: keep it, or a form and its sizes. Totals are of the whole network.

    coupled: of a narrower network, channels that are removed, before anything else is done; kernels, parameters and
    MACs of layers are still those of the whole network, planned ones of the narrower.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    UPGRADES: ClassVar[Upgrades] = {1: _version_2}

    schema_version: Literal[2] = 2
    input_shape: tuple[int, int, int]
    layers: tuple[LayerPlan, ...]
    parameters: int
    macs: int
    planned_parameters: int
    planned_macs: int
    coupled: tuple[Coupled, ...] = ()

    @property
    def removed(self) -> dict[Side, tuple[int, ...]]:
        """The channels that are removed, by the sides of modules."""
        return joined(each.gone for each in self.coupled)

    @property
    def compresses(self) -> bool:
        """Whether it changes anything."""
        return bool(self.replaced or self.removed)

    @property
    def replaced(self) -> dict[str, Replacement]:
        """What stands in the place of every layer that is replaced, by module path."""
        return {layer.name: layer.replacement for layer in self.layers if layer.replacement is not None}


def uniform_plan(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    rank: int,
    *,
    form: str = "falcon",
    cap: bool = False,
    statistics: Mapping[str, PatchStatistics] | None = None,
) -> Plan:
    """Every layer that is replaced by default in one form at the same rank, clamped at each layer's lossless one.

    A form of several dimensions has this size in each. cap: and at the largest rank with which it has fewer MACs than
    the convolution (but at least 1). Raises BadInput for a rank < 1, one that clamps in every layer, or a network
    without a layer to replace.
    """
    made = form_named(form)
    if rank < 1:
        raise BadInput(f"rank {rank}: {made.title} needs a rank of at least 1")
    observed = observe(model, input_shape)
    convs, reasons = _replaced_by_default(model, observed, made)
    replaced: dict[str, Replacement] = {}
    for name, conv in convs.items():
        lossless = made.lossless(conv.weight)
        sizes = wanted = tuple(min(rank, most) for most in lossless)
        if cap and made.macs(conv, sizes, observed.uses[name]) >= observed.macs(name):
            saving = (tuple(min(lower, most) for most in lossless) for lower in reversed(range(1, rank)))
            sizes = next(
                (each for each in saving if made.macs(conv, each, observed.uses[name]) < observed.macs(name)),
                (1,) * len(lossless),
            )
        replaced[name] = Replacement(form, sizes)
        if max(sizes) == rank:
            reasons[name] = "uniform rank"
        elif sizes == wanted:
            reasons[name] = f"clamped from rank {rank} to the lossless rank"
        else:
            reasons[name] = f"capped from rank {rank} to the largest that saves MACs"
    largest = max(max(made.lossless(conv.weight)) for conv in convs.values())
    if rank > largest:
        raise BadInput(f"rank {rank} is above the lossless rank of every layer (at most {largest}): choose a lower one")
    return _plan(model, input_shape, observed, replaced, reasons, statistics)


def evbmf_plan(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    *,
    form: str = "tucker2",
    statistics: Mapping[str, PatchStatistics] | None = None,
) -> Plan:
    """Every layer that is replaced by default in one form, at the sizes at which its kernel stands out of noise.

    See `evbmf.rank`; 1 where nothing does. Raises BadInput for a form whose sizes are no ranks of unfolded kernels, or
    a network without a layer to replace.
    """
    made = form_named(form)
    observed = observe(model, input_shape)
    convs, reasons = _replaced_by_default(model, observed, made)
    replaced: dict[str, Replacement] = {}
    for name, conv in convs.items():
        found = tuple(map(evbmf.rank, made.unfoldings(conv.weight)))
        if not found:
            raise BadInput(f"`rank` {EVBMF}: is not for {made.title}, which unfolds no kernel; use tucker2")
        sizes = zip(found, made.lossless(conv.weight), strict=True)
        replaced[name] = Replacement(form, tuple(max(1, min(each, most)) for each, most in sizes))
        reasons[name] = f"EVBMF finds {made.describe(found)}"
    return _plan(model, input_shape, observed, replaced, reasons, statistics)


class _Offer(NamedTuple):
    sizes: Sizes
    macs: int
    error: float


def share_plan(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    share: float,
    *,
    form: str = "falcon",
    statistics: Mapping[str, PatchStatistics] | None = None,
) -> Plan:
    """One form in every layer that is replaced by default, so that the network has at most a share of its MACs.

    Each layer is allowed the same share of its own, the largest with which the network keeps its share, and gets the
    sizes of the smallest error within; what is left goes where it lessens the error most. Sizes that count channels are
    multiples of LANES, or powers of two below. Raises BadInput as `uniform_plan` and for a share outside 0..1,
    BelowAsked where the smallest sizes have more.
    """
    made = form_named(form)
    check_share(share)
    observed = observe(model, input_shape)
    convs, reasons = _replaced_by_default(model, observed, made)
    offers = {name: _offers(made, conv, observed, name) for name, conv in convs.items()}
    shares = sorted({offer.macs / observed.macs(name) for name, each in offers.items() for offer in each})
    total = observed.total
    kept = total - sum(observed.macs(name) for name in convs)

    def chosen(allowed: float) -> dict[str, _Offer]:
        found = {}
        for name, each in offers.items():
            fitting = [offer for offer in each if offer.macs <= allowed * observed.macs(name)] or [each[0]]
            found[name] = min(fitting, key=lambda offer: (offer.error, offer.macs))
        return found

    def macs(allowed: float) -> int:
        return kept + sum(offer.macs for offer in chosen(allowed).values())

    reached = bisect_right(shares, share * total, key=macs)
    if reached == 0:
        least = 100 * macs(shares[0]) / total
        raise BelowAsked(f"{form} at its smallest leaves {least:.3g}% of the MACs, not {100 * share:.3g}%")
    even = shares[reached - 1]
    filled = _filled(chosen(even), offers, int(share * total) - kept)
    replaced = {name: Replacement(form, offer.sizes) for name, offer in filled.items()}
    reasons |= {name: f"{100 * filled[name].macs / observed.macs(name):.3g}% of its MACs" for name in replaced}
    return _plan(model, input_shape, observed, replaced, reasons, statistics)


def check_share(share: float, of: str = "the MACs") -> None:
    """Raise BadInput for what is no share to come down to."""
    if not 0 < share < 1:
        raise BadInput(f"a share of {share:g} of {of}: give one between 0 and 1")


def _filled(chosen: dict[str, _Offer], offers: Mapping[str, list[_Offer]], budget: int) -> dict[str, _Offer]:
    """What is left of a budget of MACs given to one layer after the other, where it lessens the error most for each."""
    chosen = dict(chosen)
    while True:
        left = budget - sum(offer.macs for offer in chosen.values())
        steps = [
            ((now.error - offer.error) / (offer.macs - now.macs), name, offer)
            for name, now in chosen.items()
            for offer in offers[name]
            if now.macs < offer.macs <= now.macs + left and offer.error < now.error
        ]
        if not steps:
            return chosen
        _, name, offer = max(steps)
        chosen[name] = offer


def _offers(form: Form, conv: nn.Conv2d, observed: Observed, name: str) -> list[_Offer]:
    """The sizes to choose from, the cheapest first."""
    errors = form.errors(conv.weight)
    found = [
        _Offer(sizes, form.macs(conv, sizes, observed.uses[name]), error_at(errors, sizes))
        for sizes in sizes_of(form, conv)
    ]
    return sorted(found, key=lambda offer: (offer.macs, offer.error))


def sizes_of(form: Form, conv: nn.Conv2d) -> list[Sizes]:
    """All sizes of a form that are worth a look: every rank, and numbers of channels that kernels like."""
    limit = form.lossless(conv.weight)
    return [*product(*(sizes_up_to(most, LANES) if form.counts_channels else range(1, most + 1) for most in limit))]


def sizes_up_to(most: int, lanes: int) -> list[int]:
    """1, 2, 4 ... below `lanes`, then its multiples, and the largest."""
    below = [1 << power for power in range(lanes.bit_length()) if 1 << power < min(lanes, most)]
    return sorted({*below, *range(lanes, most, lanes), most})


def _replaced_by_default(
    model: nn.Module, observed: Observed, form: Form
) -> tuple[dict[str, nn.Conv2d], dict[str, str]]:
    """The convolutions that a form replaces by default, and of all others why they are kept."""
    chosen = default_layers(model, observed, form)
    reasons = {name: reason for name, reason in chosen.items() if reason is not None}
    convs = {name: _conv(model, name) for name, reason in chosen.items() if reason is None}
    if not convs:
        found = Counter(reasons.values()).most_common() or [("there is none", 1)]
        kept = "; ".join(reason if count == 1 else f"{reason} ({count} times)" for reason, count in found)
        raise BadInput(f"this network has no convolution that {form.title} makes cheaper; nothing to compress: {kept}")
    return convs, reasons


def make_plan(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    replaced: Mapping[str, Replacement],
    *,
    reasons: Mapping[str, str] | None = None,
    statistics: Mapping[str, PatchStatistics] | None = None,
    coupled: Sequence[Coupled] = (),
    errors: Mapping[str, float] | None = None,
) -> Plan:
    """The plan in which exactly the layers of `replaced` get their forms, once the channels of `coupled` are removed.

    statistics: of the narrower network. errors: of fits, where they are known, by layer. Raises BadInput for layers or
    channels that cannot.
    """
    reasons, observed = reasons or {}, observe(model, input_shape)
    if not coupled:
        return _plan(model, input_shape, observed, replaced, reasons, statistics, errors)
    whole = _plan(model, input_shape, observed, {}, reasons)
    narrowed = cut(model, joined(each.gone for each in coupled))
    made = _plan(narrowed, input_shape, observe(narrowed, input_shape), replaced, reasons, statistics, errors)
    originals = {layer.name: layer for layer in whole.layers}
    layers = []
    for layer in made.layers:
        original = originals[layer.name]
        before = {"kernel": original.kernel, "parameters": original.parameters, "macs": original.macs}
        if layer.form == KEEP and layer.name not in reasons:
            before["reason"] = NARROWER if layer.kernel != original.kernel else AS_THE_PLAN_SAYS
        layers.append(layer.model_copy(update=before))
    totals = {"layers": tuple(layers), "parameters": whole.parameters, "macs": whole.macs, "coupled": tuple(coupled)}
    return made.model_copy(update=totals)


def _plan(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    observed: Observed,
    replaced: Mapping[str, Replacement],
    reasons: Mapping[str, str],
    statistics: Mapping[str, PatchStatistics] | None = None,
    errors: Mapping[str, float] | None = None,
) -> Plan:
    """The plan of a network whose layers were observed; see `make_plan`."""
    statistics, errors = statistics or {}, errors or {}
    unknown = [name for name in replaced if name not in observed.uses]
    if unknown:
        raise BadInput(f"the plan names {unknown[0]}, which is no convolution that the input reaches")
    layers = []
    for name, use in observed.uses.items():
        conv = _conv(model, name)
        parameters = sum(parameter.numel() for parameter in conv.parameters())
        macs = observed.macs(name)
        kept = LayerPlan(
            name=name,
            form=KEEP,
            sizes=(),
            reason=reasons.get(name, AS_THE_PLAN_SAYS),
            kernel=(*conv.weight.shape,),
            parameters=parameters,
            macs=macs,
            planned_parameters=parameters,
            planned_macs=macs,
        )
        if name not in replaced:
            layers.append(kept)
            continue
        form = form_named(replaced[name].form)
        impossible = form.why_not(conv) or observed.bound.get(name)
        if impossible is not None:
            raise BadInput(f"the plan replaces {name}, but {impossible}")
        sizes, reason = _within(form, conv, name, replaced[name].sizes, kept.reason)
        changed = {
            "form": form.name,
            "sizes": sizes,
            "reason": reason,
            "planned_parameters": form.parameters(conv, sizes, conv.bias is not None or name in statistics),
            "planned_macs": form.macs(conv, sizes, use),
            "error": errors[name] if name in errors else form.fit(conv.weight, sizes, statistics.get(name)).error,
        }
        layers.append(kept.model_copy(update=changed))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Plan(
        input_shape=input_shape,
        layers=tuple(layers),
        parameters=parameters,
        macs=observed.total,
        planned_parameters=parameters + sum(layer.planned_parameters - layer.parameters for layer in layers),
        planned_macs=observed.total + sum(layer.planned_macs - layer.macs for layer in layers),
    )


def _within(form: Form, conv: nn.Conv2d, name: str, sizes: Sizes, reason: str) -> tuple[Sizes, str]:
    """Sizes that a kernel has: those above its lossless ones are clamped, and the reason says so."""
    limit = form.lossless(conv.weight)
    if len(sizes) != len(limit) or min(sizes) < 1:
        said = form.describe(sizes) if len(sizes) == len(limit) else f"{len(sizes)} sizes"
        raise BadInput(
            f"the plan gives {name} {said}: {form.title} needs {' and '.join(form.dimensions)} of at least 1"
        )
    clamped = tuple(min(size, most) for size, most in zip(sizes, limit, strict=True))
    if clamped == sizes:
        return sizes, reason
    return clamped, f"clamped from {form.describe(sizes)} to the lossless {' and '.join(form.dimensions)}"


def default_layers(model: nn.Module, observed: Observed, form: Form = FALCON) -> dict[str, str | None]:
    """For every convolution None if a form replaces it by default, else the reason why it is kept.

    Whatever the form, they are the layers of FALCON, so that forms are compared on the same: a network may name its own
    in `falcon_layers` (those of the paper do); elsewhere every convolution whose rank-1 FALCON form has fewer MACs.
    """
    own = own_layers(model)
    chosen: dict[str, str | None] = {}
    for name, use in observed.uses.items():
        conv = _conv(model, name)
        reason = FALCON.why_not(conv) or form.why_not(conv) or observed.bound.get(name)
        if reason is None and own is not None:
            reason = None if name in own else "the published network keeps it"
        elif reason is None and FALCON.macs(conv, (1,), use) >= observed.macs(name):
            reason = "FALCON would not save MACs"
        chosen[name] = form.unwise(conv) if reason is None else reason
    return chosen


def own_layers(model: nn.Module) -> tuple[str, ...] | None:
    """The layers that a network names in `falcon_layers`; None where it leaves that to us.

    Raises BadInput for what are no names of its modules.
    """
    own: object = getattr(model, "falcon_layers", None)
    if own is None:
        return None
    if not isinstance(own, list | tuple | set | frozenset):
        raise BadInput(
            f"the network's falcon_layers is of type {type(own).__name__}: make it a tuple of names of its layers"
        )
    known = {name for name, _ in model.named_modules(remove_duplicate=False)}
    unknown = next((name for name in own if name not in known), None)
    if unknown is not None:
        raise BadInput(f"the network's falcon_layers has {unknown}, which is none of its layers")
    return tuple(own)


def largest_saving_rank(model: nn.Module, plan: Plan) -> int:
    """The largest rank that, in every layer of a model that `plan` replaces, gives fewer MACs; 0: none does."""
    observed = observe(model, plan.input_shape)
    replaced = {name: (form_named(each.form), _conv(model, name)) for name, each in plan.replaced.items()}
    limits = {name: form.lossless(conv.weight) for name, (form, conv) in replaced.items()}
    kept = plan.macs - sum(observed.macs(name) for name in replaced)

    def total(rank: int) -> int:
        sizes = {name: tuple(min(rank, most) for most in limit) for name, limit in limits.items()}
        return kept + sum(form.macs(conv, sizes[name], observed.uses[name]) for name, (form, conv) in replaced.items())

    ranks = range(1, max((max(limit) for limit in limits.values()), default=0) + 1)
    return max((rank for rank in ranks if total(rank) < plan.macs), default=0)


def _conv(model: nn.Module, name: str) -> nn.Conv2d:
    module = model.get_submodule(name)
    if isinstance(module, nn.Conv2d):
        return module
    raise BadInput(f"{name} is {'already in another form' if isinstance(module, FormConv2d) else 'no convolution'}")
