"""Networks made narrower: which channels go, and what reads the others fitted anew. The form `narrow`."""

import copy
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from falcon_edge.errors import BadInput
from falcon_edge.falcon.coupling import Group, Side, couple
from falcon_edge.falcon.cutting import Removed, cut, joined, masked
from falcon_edge.falcon.observe import Observed, Shape, evaluating, fed, forward, observe, tensors_in, zeros_for
from falcon_edge.falcon.patches import PatchStatistics
from falcon_edge.falcon.plan import LANES, Coupled, Plan, check_share, make_plan, sizes_up_to
from falcon_edge.falcon.readers import Choice, Pairs, Reader, choose, readers_of, refitted, unseen
from falcon_edge.falcon.statistics import Moments, collected

NARROW = "narrow"
CLOSE = 1e-3  # of the largest number of an answer


def removable(model: nn.Module, input_shape: Shape) -> tuple[Group, ...]:
    """The groups of a network's channels (see `couple`), proven: without some of them it runs, and answers as it would
    if nothing read them. A group where it does not is bound, with the reason.
    """
    groups = couple(model, input_shape)
    free = [group for group in groups if group.reason is None and group.channels > 1]
    if _differs(model, input_shape, free) is None:
        return groups
    reasons = {id(group): _differs(model, input_shape, [group]) for group in free}
    found = tuple(Group(group.positions, reason) if (reason := reasons.get(id(group))) else group for group in groups)
    left = [group for group in found if group.reason is None and group.channels > 1]
    reason = _differs(model, input_shape, left)
    return found if reason is None else tuple(Group(group.positions, group.reason or reason) for group in found)


def _differs(model: nn.Module, input_shape: Shape, groups: Sequence[Group]) -> str | None:
    """What goes wrong when every third channel of groups is removed."""
    removed = joined(group.removed(range(0, group.channels - 1, 3)) for group in groups)
    image = torch.randn(zeros_for(model, input_shape).shape, generator=torch.Generator().manual_seed(0))
    image = image.to(zeros_for(model, input_shape))
    try:
        found = _numbers(forward(cut(model, removed), image))
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


def narrow_plan(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    share: float,
    *,
    lanes: int = LANES,
    batches: Iterable[Any] | None = None,
) -> Plan:
    """Fewer channels everywhere, so that a network has at most a share of its MACs.

    Every group of channels that stand and fall together keeps the same share of them, in multiples of `lanes` or powers
    of two below, the largest with which the network keeps its own; what is left goes where it lessens the error most.
    Which channels stay is decided by what reads them: the least-squares error of its outputs on batches (B, C, H, W),
    or without any by the norms of weights. Raises BadInput for a share outside 0..1 or below what the smallest widths
    give, and for a network without channels to remove.
    """
    check_share(share)
    groups = removable(model, input_shape)
    free = [group for group in groups if group.reason is None and group.channels > 1]
    if not free:
        reasons = dict.fromkeys(group.reason for group in groups if group.reason is not None and writes(group))
        raise BadInput(f"this network has no channels that can be removed: {'; '.join(map(str, reasons))}")
    readers = readers_of(model, groups)
    if batches is None:
        seen = unseen(model, groups, readers)
    else:
        statistics = reader_statistics(model, readers, batches)
        seen = {name: readers[name].covariances(each) for name, each in statistics.items()}
    choices = [choose(readers, group, seen) for group in free]
    counts = _counts(_Costs(model, observe(model, input_shape), groups), free, choices, share, lanes)
    coupled = [
        Coupled.of(group, choice.order[count:], f"{100 * count / group.channels:.3g}% of its channels")
        for group, choice, count in zip(free, choices, counts, strict=True)
    ]
    kept = [Coupled.of(group, (), group.reason or "it is the only channel") for group in groups if group not in free]
    return make_plan(model, input_shape, {}, coupled=(*coupled, *(each for each in kept if each.sides)))


def writes(group: Group) -> bool:
    """Whether a layer of the network writes its channels."""
    return any(side.end == "outputs" for side in group.positions)


class _Costs:
    """MACs of a network whose groups are of other sizes, without making it."""

    def __init__(self, model: nn.Module, observed: Observed, groups: Sequence[Group]):
        self.total = sum(one.macs for one in observed.executed)
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


def _counts(costs: _Costs, groups: Sequence[Group], choices: Sequence[Choice], share: float, lanes: int) -> list[int]:
    """How many channels each group keeps."""
    budget = int(share * costs.total)
    steps = [sizes_up_to(group.channels, lanes) for group in groups]
    shares = sorted({size / group.channels for group, sizes in zip(groups, steps, strict=True) for size in sizes})

    def counts(allowed: float) -> list[int]:
        return [
            max((size for size in sizes if size <= allowed * group.channels), default=sizes[0])
            for group, sizes in zip(groups, steps, strict=True)
        ]

    reached = bisect_right(shares, budget, key=lambda allowed: costs.of(groups, counts(allowed)))
    if reached == 0:
        least = 100 * costs.of(groups, counts(0)) / costs.total
        raise BadInput(f"{NARROW} at its smallest leaves {least:.3g}% of the MACs, not {100 * share:.3g}%")
    found = counts(shares[reached - 1])
    while True:
        now, offers = costs.of(groups, found), []
        for index, (sizes, choice) in enumerate(zip(steps, choices, strict=True)):
            larger = next((size for size in sizes if size > found[index]), None)
            if larger is not None:
                more = costs.of(groups, [*found[:index], larger, *found[index + 1 :]]) - now
                gain = choice.errors[found[index]] - choice.errors[larger]
                if now + more <= budget and gain > 0:
                    offers.append((gain / max(more, 1), index, larger))
        if not offers:
            return found
        _, index, larger = max(offers)
        found[index] = larger


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
        return [
            module.get_submodule(name).register_forward_pre_hook(lambda _, args, name=name: take(name, args[0]))
            for name in pairs
        ]

    placed = hooks(model, first) + ([] if changed is model else hooks(changed, second))
    try:
        with evaluating(model), evaluating(changed):
            for batch in fed(model, batches):
                for module in (model,) if changed is model else (model, changed):
                    module(batch)
    finally:
        for hook in placed:
            hook.remove()
