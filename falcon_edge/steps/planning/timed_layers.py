"""The layers of a network that are timed, as it is and narrower, and the units that stand in their place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon.cutting import cut, joined
from falcon_edge.falcon.forms import FALCON, FORMS
from falcon_edge.falcon.forms.form import Form, Replacement, Sizes
from falcon_edge.falcon.narrow import Narrower, check_plan
from falcon_edge.falcon.observe import Observed, Outline, observe, outlined
from falcon_edge.falcon.plan import LANES, Coupled, Plan, default_layers
from falcon_edge.network import Network
from falcon_edge.steps.planning.units import unit_of
from falcon_edge.times import TimedNetwork, Unit

RANKS = (1, 2, 3)
SHARES = (0.06, 0.125, 0.25, 0.5)  # of a layer's MACs
MIDDLE = (0.5, 0.25)  # of a network's parameters: between the standard network and FALCON in every layer
Replaced = Mapping[str, Replacement]


class Layers:
    """The convolutions of a standard network that forms replace by default: these are timed, all else is the rest."""

    def __init__(self, network: Network, coupled: Sequence[Coupled] = ()):
        """coupled: of a narrower network, what is removed. Raises BadInput for a network that is compressed already."""
        if network.compressed:
            raise BadInput(f"{network}: is compressed already; times are of standard networks and their plans")
        removed = joined(each.gone for each in coupled)
        self.network, self.coupled = network, tuple(coupled)
        self.module = cut(network.module, removed) if removed else network.module
        self.shape = network.input.shape
        self.observed: Observed = observe(self.module, self.shape)
        self.outline: Outline = outlined(self.module, self.shape)
        chosen = default_layers(self.module, self.observed)
        self.convs = {name: self.module.get_submodule(name) for name, reason in chosen.items() if reason is None}
        self.weights = {name: _count(self.module.get_submodule(name)) for name in self.observed.uses}
        self.parameters = _count(self.module)
        if not self.convs:
            raise BadInput(f"{network}: has no convolution that a form makes cheaper")

    def units_of(self, replaced: Replaced) -> Iterator[tuple[str, Unit]]:
        """Every call of a layer, by name, with its unit. Raises BadInput for a plan that replaces another layer."""
        other = next((name for name in replaced if name not in self.convs), None)
        if other is not None:
            raise BadInput(f"the plan replaces {other}, which no form replaces by default: it is not timed by itself")
        for name in self.convs:
            for unit in self.units_at(name, replaced.get(name)):
                yield name, unit

    def units_at(self, name: str, replacement: Replacement | None) -> Iterator[Unit]:
        """Every call of a layer, in a form or kept."""
        for place in self.outline.places:
            if place.name == name:
                yield unit_of(self.conv(name), place, replacement)

    def units(self, plans: Sequence[Plan] | None = None) -> list[Unit]:
        """What is timed: of plans of these layers, or of every form; those of the anchors too."""
        chosen = [*self._all_forms()] if plans is None else [plan.replaced for plan in plans]
        return list(dict.fromkeys(unit for each in (*chosen, *self.anchors()) for _, unit in self.units_of(each)))

    def anchors(self) -> list[dict[str, Replacement]]:
        """Networks between the standard one and FALCON of rank 1, the layers with the most weights replaced first."""
        falcon = {name: Replacement(FALCON.name, (1,)) for name in self.convs}
        saved = {name: self._saved(name, falcon[name]) for name in self.convs}
        order = sorted(self.convs, key=lambda name: -saved[name])
        found: list[dict[str, Replacement]] = [{}]
        for share in MIDDLE:
            left, replaced = self.parameters, {}
            for name in order:
                if left <= share * self.parameters:
                    break
                replaced[name] = falcon[name]
                left -= saved[name]
            found.append(replaced)
        found.append(falcon)
        return [each for number, each in enumerate(found) if each not in found[:number]]

    def can_become(self, replaced: Replaced) -> bool:
        """Whether these are layers of it, and forms and sizes that they have."""
        for name, (form, sizes) in replaced.items():
            if name not in self.convs or form not in FORMS or FORMS[form].why_not(self.conv(name)) is not None:
                return False
            limit = FORMS[form].lossless(self.conv(name).weight)
            if len(sizes) != len(limit) or not all(1 <= size <= most for size, most in zip(sizes, limit, strict=True)):
                return False
        return True

    def parameters_of(self, replaced: Replaced) -> int:
        """Of the network with these forms."""
        return self.parameters - sum(self._saved(name, each) for name, each in replaced.items())

    def parameters_at(self, name: str, replacement: Replacement | None) -> int:
        """Of one layer."""
        own = self.weights[name]
        return own if replacement is None else own - self._saved(name, replacement)

    def _saved(self, name: str, replacement: Replacement) -> int:
        conv, form = self.conv(name), FORMS[replacement.form]
        return self.weights[name] - form.parameters(conv, replacement.sizes, conv.bias is not None)

    def _all_forms(self) -> Iterator[dict[str, Replacement]]:
        """Plans that have every form of every layer at the sizes that are timed by default."""
        yield {}
        for form in FORMS.values():
            each = {
                name: [Replacement(form.name, sizes) for sizes in timed_sizes(form, self.conv(name))]
                for name in self.convs
                if form.why_not(self.conv(name)) is None
            }
            for number in range(max(map(len, each.values()), default=0)):
                yield {name: found[number] for name, found in each.items() if number < len(found)}

    def conv(self, name: str) -> nn.Conv2d:
        """A layer."""
        conv = self.convs[name]
        assert isinstance(conv, nn.Conv2d)
        return conv


def replaced_in(whole: TimedNetwork) -> dict[str, Replacement]:
    """The forms that stood in a network that was timed as a whole."""
    return {name: Replacement(*given) for name, given in whole.replaced.items()}


def timed_sizes(form: Form, conv: nn.Conv2d) -> list[Sizes]:
    """The sizes of a form that are timed by default, for any weights: ranks, or channels at shares of the weights."""
    limit, own = form.lossless(conv.weight), conv.weight.numel()

    def weights(sizes: Sizes) -> int:
        return sum(part.weights for part in form.parts(conv.weight, sizes))

    if not form.counts_channels:
        found = [tuple(min(rank, most) for most in limit) for rank in RANKS]
        return list(dict.fromkeys(sizes for sizes in found if weights(sizes) < own)) or [found[0]]
    scaled = sorted({tuple(_lanes(most * step // max(limit)) for most in limit) for step in range(1, max(limit) + 1)})
    chosen = [[sizes for sizes in scaled if weights(sizes) <= share * own] or scaled[:1] for share in SHARES]
    return list(dict.fromkeys(each[-1] for each in chosen if weights(each[-1]) < own))


def _lanes(size: int) -> int:
    """The largest number of channels within `size` that kernels like: a multiple of LANES, or a power of two below."""
    return size // LANES * LANES or 1 << max(size, 1).bit_length() - 1


@dataclass(frozen=True)
class Version:
    """A standard network, or a narrower one, and what is timed of it."""

    layers: Layers
    units: tuple[Unit, ...]
    width: float | None = None


def versions_of(network: Network, plans: Sequence[Plan], widths: Sequence[float]) -> list[Version]:
    """The network as it is and narrower ones: with the layers of plans, or with every form at each of some widths."""
    layers = Layers(network)
    if not plans:
        found = [Version(layers, tuple(layers.units()))]
        narrower = Narrower(network.module, network.input.shape) if widths else None
        for width in widths:
            assert narrower is not None
            thinner = Layers(network, narrower.even(width).coupled)
            found.append(Version(thinner, tuple(thinner.units()), width))
        return found
    by_channels: dict[tuple[Coupled, ...], list[Plan]] = {(): []}
    for plan in plans:
        check_plan(layers.module, layers.shape, plan)
        by_channels.setdefault(plan.coupled if plan.removed else (), []).append(plan)
    found = []
    for coupled, each in by_channels.items():
        own = Layers(network, coupled) if coupled else layers
        found.append(Version(own, tuple(own.units(each))))
    return found


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
