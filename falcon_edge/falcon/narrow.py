"""Networks made narrower: which channels go, and what reads the others fitted anew. The form `narrow`."""

import copy
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.falcon.coupling import Group, Side, couple
from falcon_edge.falcon.cutting import Removed, cut, joined, masked
from falcon_edge.falcon.forward import Shape, evaluating, fed, forward, on_reading, tensors_in, zeros_for
from falcon_edge.falcon.observe import Observed, observe
from falcon_edge.falcon.patches import PatchStatistics
from falcon_edge.falcon.plan import LANES, Coupled, Plan, check_share, make_plan, sizes_up_to
from falcon_edge.falcon.readers import Pairs, Reader, ranked, readers_of, refitted, unseen
from falcon_edge.falcon.statistics import Moments, collected

NARROW = "narrow"
CLOSE = 1e-3  # of the largest number of an answer


def removable(model: nn.Module, input_shape: Shape) -> tuple[Group, ...]:
    """The groups of a network's channels (see `couple`), proven: without some of them it runs, and answers as it would
    if nothing read them. A group where it does not is bound, with the reason.
    """
    groups = couple(model, input_shape)
    free = [group for group in groups if group.free]
    if _differs(model, input_shape, free) is None:
        return groups
    reasons = {id(group): _differs(model, input_shape, [group]) for group in free}
    found = tuple(Group(group.positions, reason) if (reason := reasons.get(id(group))) else group for group in groups)
    left = [group for group in found if group.free]
    reason = _differs(model, input_shape, left)
    return found if reason is None else tuple(Group(group.positions, group.reason or reason) for group in found)


def _differs(model: nn.Module, input_shape: Shape, groups: Sequence[Group]) -> str | None:
    """What goes wrong when every third channel of groups is removed."""
    removed = joined(group.removed(range(0, group.channels - 1, 3)) for group in groups)
    image = torch.randn(zeros_for(model, input_shape).shape, generator=torch.Generator().manual_seed(0))
    image = image.to(zeros_for(model, input_shape))
    try:
        found = _numbers(forward(cut(model, removed), image.clone()))  # code may change its input in place
    except Exception as error:  # whatever a forward pass that was written for its number of channels may raise
        words = " ".join(str(error).split()) or type(error).__name__
        return f"the network's code counts on its number of channels ({words[:120]})"
    wanted = _numbers(forward(masked(model, removed), image))
    if found.shape == wanted.shape and bool(((found - wanted).abs() <= CLOSE * wanted.abs().max()).all()):
        return None
    return "without it the network's code does something else"


def _numbers(answer: Any) -> Tensor:
    return torch.cat([tensor.double().flatten() for tensor in tensors_in(answer)])


@torch.no_grad()
def reader_statistics(
    model: nn.Module, readers: Mapping[str, Reader], batches: Iterable[Any]
) -> dict[str, PatchStatistics]:
    """Statistics of what modules read, in the units of their readers, over batches (B, C, H, W)."""
    moments = {}
    for name, reader in readers.items():
        groups, _, units, taps = reader.kernel.shape
        moments[name] = Moments(groups, units, taps, reader.seen, reader.kernel.device)
    return collected(model, moments, batches)


@dataclass(frozen=True)
class Narrowing:
    """Channels that are removed, and by reader the least-squares error that this leaves in its outputs, relative."""

    coupled: tuple[Coupled, ...]
    errors: dict[str, float]

    @property
    def removed(self) -> dict[Side, tuple[int, ...]]:
        """The channels that are removed, by the sides of modules."""
        return joined(each.gone for each in self.coupled)


class Narrower:
    """How a network can be made narrower: which channels can go, in which order, and what it then costs.

    Which channels stay is decided by what reads them: the least-squares error of its outputs on batches (B, C, H, W),
    or without any by the norms of weights. lanes: numbers of channels are multiples of it, or powers of two below.
    """

    def __init__(
        self, model: nn.Module, input_shape: Shape, *, lanes: int = LANES, batches: Iterable[Any] | None = None
    ):
        """Raises BadInput for a network without channels to remove."""
        self._groups = removable(model, input_shape)
        self._free = [group for group in self._groups if group.free]
        if not self._free:
            reasons = dict.fromkeys(
                group.reason for group in self._groups if group.reason is not None and writes(group)
            )
            raise BadInput(f"this network has no channels that can be removed: {'; '.join(map(str, reasons))}")
        self.readers = readers_of(model, self._groups)
        if batches is None:
            seen = unseen(model, self._groups, self.readers)
        else:
            statistics = reader_statistics(model, self.readers, batches)
            seen = {name: self.readers[name].covariances(each) for name, each in statistics.items()}
        self._rankings = [ranked(self.readers, group, seen) for group in self._free]
        self._costs = _Costs(model, observe(model, input_shape), self._groups)
        self._steps = [sizes_up_to(group.channels, lanes) for group in self._free]

    def even(self, width: float) -> Narrowing:
        """Of every group at most this share of its channels, and the smallest number where that is none."""
        return self._narrowing(self._even(width))

    def within(self, share: float) -> Narrowing:
        """At most this share of the MACs: evenly at first, what is left goes where it lessens the error most.

        Raises BadInput for a share outside 0..1, BelowAsked for one below what the smallest widths give.
        """
        check_share(share)
        budget = int(share * self._costs.total)
        shares = sorted(
            {size / group.channels for group, sizes in zip(self._free, self._steps, strict=True) for size in sizes}
        )
        reached = bisect_right(shares, budget, key=lambda width: self._costs.of(self._free, self._even(width)))
        if reached == 0:
            least = 100 * self._costs.of(self._free, self._even(0)) / self._costs.total
            raise BelowAsked(f"{NARROW} at its smallest leaves {least:.3g}% of the MACs, not {100 * share:.3g}%")
        return self._narrowing(self._filled(self._even(shares[reached - 1]), budget))

    def _even(self, width: float) -> list[int]:
        return [
            max((size for size in sizes if size <= width * group.channels), default=sizes[0])
            for group, sizes in zip(self._free, self._steps, strict=True)
        ]

    def _filled(self, counts: list[int], budget: int) -> list[int]:
        """What is left of a budget of MACs given to one group after the other."""
        found = list(counts)
        while True:
            now, offers = self._costs.of(self._free, found), []
            for index, (sizes, ranking) in enumerate(zip(self._steps, self._rankings, strict=True)):
                larger = next((size for size in sizes if size > found[index]), None)
                if larger is not None:
                    more = self._costs.of(self._free, [*found[:index], larger, *found[index + 1 :]]) - now
                    gain = ranking.errors[found[index]] - ranking.errors[larger]
                    if now + more <= budget and gain > 0:
                        offers.append((gain / max(more, 1), index, larger))
            if not offers:
                return found
            _, index, larger = max(offers)
            found[index] = larger

    def _narrowing(self, counts: Sequence[int]) -> Narrowing:
        coupled = [
            Coupled.of(group, ranking.order[count:], f"{100 * count / group.channels:.3g}% of its channels")
            for group, ranking, count in zip(self._free, self._rankings, counts, strict=True)
        ]
        others = [group for group in self._groups if group not in self._free]
        kept = [Coupled.of(group, (), group.reason or "it is the only channel") for group in others]
        errors: dict[str, float] = {}
        for ranking, count in zip(self._rankings, counts, strict=True):
            for name, each in ranking.of_readers.items():
                errors[name] = errors.get(name, 0.0) + max(0.0, each[count])
        return Narrowing((*coupled, *(each for each in kept if each.sides)), errors)


def narrow_plan(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    share: float,
    *,
    lanes: int = LANES,
    batches: Iterable[Any] | None = None,
) -> Plan:
    """Fewer channels everywhere, so that a network has at most a share of its MACs; see `Narrower`."""
    check_share(share)
    narrower = Narrower(model, input_shape, lanes=lanes, batches=batches)
    return make_plan(model, input_shape, {}, coupled=narrower.within(share).coupled)


def check_plan(model: nn.Module, input_shape: Shape, plan: Plan) -> None:
    """Raise BadInput for a plan that says something twice, or removes channels of a network otherwise than as a whole,
    wherever they are.
    """
    layers = Counter(layer.name for layer in plan.layers)
    channels = Counter((side, one) for each in plan.coupled for side, gone in each.gone.items() for one in gone)
    twice = next((name for name, count in layers.items() if count > 1), None)
    if twice is not None:
        raise BadInput(f"the plan has {twice} twice")
    again = next((each for each, count in channels.items() if count > 1), None)
    if again is not None:
        raise BadInput(f"the plan removes channel {again[1]} of the {again[0].end} of {again[0].name} twice")
    removed = plan.removed
    if not removed:
        return
    modules = dict(model.named_modules())
    for layer in plan.layers:
        shape = getattr(getattr(modules.get(layer.name), "weight", None), "shape", layer.kernel)
        if tuple(shape) != layer.kernel:
            raise BadInput(
                f"the plan is of another network: {layer.name} has a kernel {layer.kernel} there, not {tuple(shape)}"
            )
    for group in couple(model, input_shape):
        gone: dict[Side, set[int]] = {}
        for side, positions in group.positions.items():
            places = {*removed.get(side, ())}
            gone[side] = {channel for channel, each in enumerate(positions) if not places.isdisjoint(each)}
            if any(not places.issuperset(positions[channel]) for channel in gone[side]):
                raise BadInput(f"the plan removes parts of channels from the {side.end} of {side.name}")
        first, *others = gone
        other = next((side for side in others if gone[side] != gone[first]), None)
        if other is not None:
            raise BadInput(
                f"the plan removes other channels from the {first.end} of {first.name} than from the {other.end} of "
                f"{other.name}, where they are too"
            )
        if gone[first] and group.reason is not None:
            raise BadInput(f"the plan removes channels from the {first.end} of {first.name}, but {group.reason}")


def writes(group: Group) -> bool:
    """Whether a layer of the network writes its channels."""
    return any(side.end == "outputs" for side in group.positions)


class _Costs:
    """MACs of a network whose groups are of other sizes, without making it."""

    def __init__(self, model: nn.Module, observed: Observed, groups: Sequence[Group]):
        self.total = observed.total
        modules = dict(model.named_modules())
        self.macs, self.sides = dict[str, int](), dict[str, list[tuple[Side, int]]]()
        for side in dict.fromkeys(side for group in groups for side in group.positions):
            if side.name in modules and (macs := observed.macs(side.name)):
                size = sum(len(places) for group in groups for places in group.positions.get(side, ()))
                self.macs[side.name] = macs
                self.sides.setdefault(side.name, []).append((side, size))

    def of(self, groups: Sequence[Group], counts: Sequence[int]) -> int:
        """MACs with so many channels of each group."""
        gone: dict[Side, int] = {}
        for group, count in zip(groups, counts, strict=True):
            for side, positions in group.positions.items():
                gone[side] = gone.get(side, 0) + (group.channels - count) * len(positions[0])
        left = {name: [(size - gone.get(side, 0), size) for side, size in self.sides[name]] for name in self.macs}
        return self.total + sum(
            self.macs[name] * prod(now for now, _ in sizes) // prod(size for _, size in sizes) - self.macs[name]
            for name, sizes in left.items()
        )


@torch.no_grad()
def refit(
    model: nn.Module,
    input_shape: Shape,
    removed: Removed,
    batches: Callable[[], Iterable[Any]],
    *,
    sequential: bool = False,
) -> nn.Module:
    """A copy of a network that answers with little change once channels are cut out of it.

    What reads them reads the others instead, as is best by least squares on inputs (B, C, H, W); biases make up for
    means where there are any. batches: a loader; it is read once, or with `sequential` anew for every layer, each of
    which then makes up for those before it, too.
    """
    found = readers_of(model, couple(model, input_shape))
    readers = {name: reader for name, reader in found.items() if removed.get(Side(name, "inputs"))}
    changed = copy.deepcopy(model)
    for names in [[name] for name in readers] if sequential else [list(readers)]:
        pairs = {name: Pairs(readers[name]) for name in names}
        _read_both(model, changed if sequential else model, pairs, batches())
        for name, each in pairs.items():
            gone = set(removed[Side(name, "inputs")])
            readers[name].load(changed.get_submodule(name), *refitted(readers[name], gone, each))
    return changed


def _read_both(model: nn.Module, changed: nn.Module, pairs: Mapping[str, Pairs], batches: Iterable[Any]) -> None:
    """What readers read in two networks, taken in; in one that is both, once."""
    inputs: dict[str, list[Tensor]] = {name: [] for name in pairs}  # of every call that was not met yet

    def first(name: str, x: Tensor) -> None:
        if changed is model:
            pairs[name].add(x, x)
        else:
            inputs[name].append(x)

    def second(name: str, x: Tensor) -> None:
        pairs[name].add(inputs[name].pop(0), x)

    def hooks(module: nn.Module, take: Callable[[str, Tensor], None]) -> list[RemovableHandle]:
        return [on_reading(module.get_submodule(name), partial(take, name)) for name in pairs]

    placed = hooks(model, first) + ([] if changed is model else hooks(changed, second))
    try:
        with evaluating(model), evaluating(changed):
            for batch in fed(model, batches):
                for module in (model,) if changed is model else (model, changed):
                    module(batch.clone())
    finally:
        for hook in placed:
            hook.remove()
