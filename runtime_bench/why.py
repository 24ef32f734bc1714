"""Why isn't it faster? What holds a profiled model back, in words, with an estimate of what its removal would gain.

Of an emulated device instructions are known instead of times, and the best of its layers stands for its peak.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from runtime_bench.results import Entry, Layer, Peaks

SMALLEST_GAIN = 0.01  # of the time of an inference: less is not worth a line
WORTH_REPLACING = 1.5  # times fewer MACs
BOUNDLESS = 1e30  # bytes in a second
Paces = dict[tuple[str, str], float]  # by form and precision


@dataclass(frozen=True)
class Hindrance:
    """Something that holds a model back. gain: the share of an inference's time (or instructions) that it costs."""

    kind: str
    gain: float
    layers: int
    says: str


@dataclass(frozen=True)
class ColdCost:
    """What an inference takes longer than back to back, in nanoseconds.

    way: paced or cold. whole: as measured so, in the process that was profiled; the others are where it goes. call: the
    runtime's call, found by another model; memory: `weights` bytes of weights, at the pace at which a large array is
    copied; operators: what else `layers` take longer, which run so many different `kernels`.
    """

    way: str
    whole: float
    call: float
    memory: float
    operators: float
    weights: int
    layers: int
    kernels: int

    @property
    def explained(self) -> float:
        """The parts together, as a share of the whole."""
        return (self.call + self.memory + self.operators) / self.whole

    @property
    def says(self) -> str:
        """In words."""
        of_memory = f"{self.memory / 1e3:.0f} us that {self.weights / 1e6:.2f} MB of weights come from memory"
        kinds = f"{self.layers} layers of {self.kernels} kinds"
        return (
            f"{self.way} it takes {self.whole / 1e3:.0f} us longer than back to back: {self.call / 1e3:.0f} us the "
            f"runtime's call, {of_memory}, {self.operators / 1e3:.0f} us {kinds}; together "
            f"{_percent(self.explained)} of it"
        )


@dataclass(frozen=True)
class Section:
    """The layers of two models that lead from one tensor, which both have, to the next one."""

    output: str
    standard: tuple[Layer, ...]
    compressed: tuple[Layer, ...]

    @property
    def speedup(self) -> float | None:
        """Time of the standard layers over that of the compressed ones."""
        fast = sum(layer.cost for layer in self.compressed)
        return sum(layer.cost for layer in self.standard) / fast if fast > 0 else None

    @property
    def macs_ratio(self) -> float | None:
        """MACs of the standard layers over those of the compressed ones."""
        few = sum(layer.macs for layer in self.compressed)
        return sum(layer.macs for layer in self.standard) / few if few else None

    def bound(self, paces: Paces) -> float | None:
        """The speedup if every compressed layer ran as fast as the best one of its form: what its kernels allow."""
        least = sum(_at_pace(layer, paces) for layer in self.compressed)
        return sum(layer.cost for layer in self.standard) / least if least > 0 else None


def paces_of(entries: Sequence[Entry]) -> Paces:
    """The best of the profiled layers of each form and precision: its MACs for each unit of its cost."""
    found: Paces = {}
    for entry in entries:
        for layer in () if entry.profile is None else entry.profile.layers:
            if layer.form is not None and layer.macs and layer.cost > 0:
                key = layer.form, _precision(layer)
                found[key] = max(found.get(key, 0.0), layer.macs / layer.cost)
    return found


def _at_pace(layer: Layer, paces: Paces) -> float:
    """What a layer costs at the pace of its form; what has none, or computes nothing, is as fast as it is."""
    pace = paces.get((layer.form or "", _precision(layer)))
    return layer.cost if pace is None or not layer.macs else layer.macs / pace


def sections(standard: Entry, compressed: Entry) -> tuple[Section, ...]:
    """The layers of both side by side; one section of everything where they have no tensor in common.

    Both need a profile.
    """
    assert standard.profile is not None
    assert compressed.profile is not None
    one, other = standard.profile.layers, compressed.profile.layers
    places = {layer.output: number for number, layer in enumerate(other)}
    found, start, begin = [], 0, 0
    for number, layer in enumerate(one):
        place = places.get(layer.output, -1)
        last = number + 1 == len(one)
        if last:
            place = len(other) - 1
        if place >= begin:
            found.append(Section(layer.output, one[start : number + 1], other[begin : place + 1]))
            start, begin = number + 1, place + 1
        elif last:  # the compressed model ended with an earlier tensor
            found[-1] = Section(found[-1].output, (*found[-1].standard, *one[start:]), found[-1].compressed)
    return tuple(found)


def counted_peaks(entries: Sequence[Entry]) -> Peaks | None:
    """For layers with instructions instead of nanoseconds: the best of them by precision, and no bound of memory."""
    best: dict[str, float] = {}
    for entry in entries:
        for layer in () if entry.profile is None else entry.profile.layers:
            if layer.counts is not None and layer.cost > 0:
                precision = _precision(layer)
                best[precision] = max(best.get(precision, 0.0), 1e9 * layer.macs / layer.cost)
    known = {precision: value for precision, value in best.items() if value > 0}
    return Peaks(macs_per_second=known, bytes_per_second=BOUNDLESS) if known else None


def cold_cost(entry: Entry, peaks: Peaks) -> ColdCost | None:
    """Why a profiled entry is slower paced, or cold; None where that was not measured, or it is not."""
    profile = entry.profile
    if profile is None or profile.apart is None or profile.call is None or not profile.longer_ns:
        return None
    if any(layer.cold_ns is None for layer in profile.layers):
        return None
    longer = sum((layer.cold_ns or 0.0) - layer.cost for layer in profile.layers)
    weights = sum(layer.weights or 0 for layer in profile.layers)
    memory = min(1e9 * weights / peaks.bytes_per_second, max(0.0, longer))
    return ColdCost(
        way=profile.apart,
        whole=profile.longer_ns,
        call=max(0.0, profile.call.cold_ns - profile.call.ns),
        memory=memory,
        operators=longer - memory,
        weights=weights,
        layers=len(profile.layers),
        kernels=len({(layer.kernel, layer.form, layer.dtype) for layer in profile.layers}),
    )


def attainable_ns(layer: Layer, peaks: Peaks) -> float:
    """What a layer would take at the device's peak, or at its memory's: whichever is longer.

    The roofline model (Williams, Waterman and Patterson, CACM 2009).
    """
    return 1e9 * max(layer.macs / _peak(layer, peaks), layer.bytes / peaks.bytes_per_second)


def peak_share(layers: Sequence[Layer], peaks: Peaks) -> float:
    """MACs a second of some layers, as a share of the device's peak in their precision."""
    taken = sum(layer.cost for layer in layers)
    return 1e9 * sum(layer.macs / _peak(layer, peaks) for layer in layers) / taken if taken > 0 else 0.0


def hindrances(entry: Entry, peaks: Peaks, standard: Entry | None = None) -> tuple[Hindrance, ...]:
    """What holds a profiled entry back, the most costly first.

    A layer is counted once, under the first of the kinds below that it is of. With the profile of its `standard`, what
    a kept convolution would gain by FALCON is estimated from those that were replaced.
    """
    assert entry.profile is not None
    layers = entry.profile.layers
    rest = max(0.0, entry.profile.remainder_ns or entry.profile.remainder_instructions or 0.0)
    of_what, peak = ("instructions", "the best layer's pace") if entry.emulated else ("time", "the device's peak")
    total = sum(layer.cost for layer in layers) + rest
    if total <= 0:
        return ()
    found: list[Hindrance] = []
    left = list(layers)
    replaced = _gain_of_replacing(standard, entry)

    def consider(kind: str, takes: Callable[[Layer], bool], gain: Callable[[Layer], float], says: str) -> None:
        chosen = [layer for layer in left if takes(layer)]
        left[:] = [layer for layer in left if not takes(layer)]
        gained = sum(max(0.0, gain(layer)) for layer in chosen)
        if chosen and gained >= SMALLEST_GAIN * total:
            count = "1 layer takes" if len(chosen) == 1 else f"{len(chosen)} layers take"
            text = f"{count} {_percent(sum(layer.cost for layer in chosen) / total)} of the {of_what}"
            macs = sum(layer.macs for layer in chosen)
            if macs:
                text += f" for {_percent(macs / sum(layer.macs for layer in layers))} of the MACs"
                text += f", at {_percent(peak_share(chosen, peaks))} of {peak}"
            found.append(Hindrance(kind, gained / total, len(chosen), f"{text}; {says}"))

    def beyond(layer: Layer) -> float:
        return layer.cost - attainable_ns(layer, peaks)

    def flagged(flag: str) -> Callable[[Layer], bool]:
        return lambda layer: flag in layer.flags

    def formed(*forms: str) -> Callable[[Layer], bool]:
        return lambda layer: layer.form in forms

    consider("layout", flagged("transpose"), lambda layer: layer.cost, "data is moved, and nothing computed")
    ratio = peaks.macs_per_second.get("fp32", 0.0) / peaks.macs_per_second.get("int8", float("inf"))
    consider(
        "float islands",
        flagged("float-island"),
        lambda layer: layer.cost * (1 - min(1.0, ratio)),
        "float between int8: quantize it, or use operators that have an int8 form",
    )
    consider("fallback", flagged("fallback"), beyond, "left by the delegate to slower kernels")
    consider(
        "odd channels",
        flagged("odd-channels"),
        lambda layer: layer.cost * layer.idle_lanes,
        "kernels compute 8 (float) or 16 (int8) channels at a time: round the numbers of channels up to that",
    )
    consider("depthwise", formed("depthwise"), beyond, "there is little to compute for every byte read")
    consider("pointwise", formed("pointwise"), beyond, "matrix products too small for the device's peak")
    consider(
        "few channels",
        lambda layer: layer.form == "standard" and _falcon_ratio(layer) < WORTH_REPLACING,
        beyond,
        "so few input channels that FALCON saves nothing there, nor do kernels reach their peak",
    )
    consider(
        "kept convolutions",
        formed("standard"),
        lambda layer: layer.cost * (1 - 1 / _falcon_ratio(layer) if replaced is None else replaced),
        "FALCON can replace these" + ("" if replaced is None else ", as it did others, if accuracy allows"),
    )
    consider("grouped convolutions", formed("grouped"), beyond, "kernels for groups are slow")
    consider("matrix products", formed("dense", "transposed"), beyond, "each weight is read once: memory decides")
    consider("other operators", lambda layer: True, beyond, "pooling, additions and the like")
    if rest >= SMALLEST_GAIN * total:
        says = f"{_percent(rest / total)} of the {of_what} in no layer: the call, its input and output"
        found.append(Hindrance("overhead", rest / total, 0, says))
    return tuple(sorted(found, key=lambda hindrance: -hindrance.gain))


def _gain_of_replacing(standard: Entry | None, entry: Entry) -> float | None:
    """The share of their time that the replaced convolutions saved, or None where none is known."""
    if standard is None or standard.profile is None or standard is entry:
        return None
    replaced = [
        section
        for section in sections(standard, entry)
        if any(layer.form == "standard" for layer in section.standard)
        and any(layer.form == "depthwise" for layer in section.compressed)
    ]
    before = sum(layer.cost for section in replaced for layer in section.standard)
    after = sum(layer.cost for section in replaced for layer in section.compressed)
    return max(0.0, 1 - after / before) if before > 0 else None


def _falcon_ratio(layer: Layer) -> float:
    """MACs of a standard convolution over those of FALCON at rank 1: D^2 M / (M + D^2) without a stride (Table 2)."""
    inputs = layer.channels[0] if layer.channels else 1
    window = layer.macs / (prod(layer.shape) * inputs)
    return window * inputs / (inputs + window)


def _peak(layer: Layer, peaks: Peaks) -> float:
    """MACs a second that the device reaches in the layer's precision; the most of any where that was not measured."""
    known = peaks.macs_per_second
    return known.get(_precision(layer), max(known.values()))


def _precision(layer: Layer) -> str:
    return "int8" if layer.dtype == "int8" else "fp32"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.1f}%"
