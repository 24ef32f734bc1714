"""The plots of a report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from runtime_bench import units
from runtime_bench.report.entries import ShownEntry, told
from runtime_bench.report.marks import (
    ACCENT,
    FAINT,
    GREY,
    INK,
    MUTED,
    PAPER,
    SOFT,
    SYMBOLS,
    Lines,
    Mark,
    axis,
    bars,
    interval,
    line,
    logarithmic,
    points,
    rows,
    tensor,
    upright,
)
from runtime_bench.results import Entry, Layer, Peaks
from runtime_bench.stats import histogram
from runtime_bench.ways import APART, BACK_TO_BACK
from runtime_bench.why import sections

ROW, LOW_ROW, EDGES, CLOUD = 34, 28, 80, 420  # pixels: of a row, around all rows, and of a plot without rows
RIDGE, BINS = 0.8, 90  # of a histogram: its height in rows, and its resolution
FASTEST, SLOWEST = 0.9, 1.5  # shares of the median between which samples are told apart, at most
BESIDE = {"showlegend": True}  # the page's script puts it beside or below


@dataclass(frozen=True)
class Figure:
    """A plot. name: unique in the report; says: what is to be seen; height in pixels."""

    name: str
    says: str
    height: int
    data: list[Mark]
    layout: Mark


def speedups(entries: Sequence[ShownEntry]) -> Figure | None:
    """The speedup of every compressed entry with its interval, in every way of measuring, and its MACs ratio."""
    shown = [each for each in entries if each.standard is not None and each.row.speedups]
    if not shown:
        return None
    ways = [way for way in (*APART, BACK_TO_BACK) if any(way in each.row.speedups for each in shown)]
    symbols = dict(zip(reversed(ways), ("circle", "diamond", "square"), strict=False))
    promised = [each.row.macs_ratio for each in shown]
    data = []
    for way in ways:
        group = [(place, each.row) for place, each in enumerate(shown) if way in each.row.speedups]
        found = [row.speedups[way] for _, row in group]
        values = [each.ratio for each in found]
        name = "speedup, with its 95% interval" if len(ways) == 1 else f"speedup {way}"
        words = [(f"{way}: {row.said(way)}",) for _, row in group]
        marker = {"size": 9, "color": ACCENT, "symbol": symbols[way]}
        marks = points(name, values, [place for place, _ in group], words, **marker)
        data.append(marks | {"error_x": interval(values, [each.interval for each in found], ACCENT, 3)})
    tick = {"symbol": "line-ns", "size": 16, "line": {"width": 2, "color": MUTED}}
    places, words = range(len(shown)), [(f"MACs ratio {units.ratio(value)}",) for value in promised]
    data.append(points("MACs ratio", promised, places, words, **tick))
    every = [each for row in shown for each in row.row.speedups.values()]
    ends = [1.0, *(end for each in every for end in (each.ratio, *each.interval)), *filter(None, promised)]
    first = [next(iter(each.row.speedups[way] for way in ways if way in each.row.speedups)).ratio for each in shown]
    layout = rows([each.label for each in shown], [units.ratio(value) for value in first])
    layout |= {"xaxis": logarithmic(min(ends), max(ends), "x"), "shapes": [upright(1.0)]}
    if len(ways) > 1:
        layout |= BESIDE
    says = "How many times as fast as the standard, and how many times fewer multiply-accumulates."
    if len(ways) > 1:
        says += f" To the right: {ways[0]}."
    return Figure("speedups", says, EDGES + ROW * len(shown), data, layout)


def distributions(entries: Sequence[ShownEntry]) -> Figure | None:
    """How the samples of every entry lie around their median, and the median."""
    shown = [(each, each.entry.summary) for each in entries if each.entry.summary is not None]
    if not shown:
        return None
    slowest = min(SLOWEST, max(1.2, *(summary.p90_ns / summary.p50_ns for _, summary in shown)))
    edges = np.linspace(FASTEST, slowest, BINS + 1)
    data: list[Mark] = []
    for place, (each, _) in enumerate(shown):
        counts = histogram(each.entry.bursts, edges)
        base = place + RIDGE / 2
        heights = np.repeat(base - RIDGE * counts / counts.max(), 2)
        colour, fill = (GREY, FAINT) if each.standard is None else (ACCENT, SOFT)
        x, y = [FASTEST, *np.repeat(edges, 2)[1:-1], slowest], [base, *heights, base]
        data.append(line(x, y, colour, fill="toself", fillcolor=fill))
    summaries = [summary for _, summary in shown]
    words = [
        tuple(f"{name} {units.milliseconds(getattr(summary, f'{name}_ns'))}" for name in ("p50", "p90", "p99"))
        for summary in summaries
    ]
    places = range(len(shown))
    tick = {"symbol": "line-ns", "size": RIDGE * ROW, "line": {"width": 1.5, "color": INK}}
    data.append(points("p50", [1.0] * len(shown), places, words, **tick))
    foot = [place + RIDGE / 2 for place in places]
    ratios = [min(slowest, summary.p90_ns / summary.p50_ns) for summary in summaries]
    data.append(points("p90", ratios, foot, words, symbol="circle", size=6, color=INK))
    layout = rows([each.label for each, _ in shown], [units.milliseconds(summary.p50_ns) for summary in summaries])
    layout |= {"xaxis": axis() | {"range": [FASTEST, slowest], "tickformat": ".0%"}}
    says = "How the samples lie around their median, which is to the right; what is beyond the edge is counted there."
    return Figure("distributions", says, EDGES + ROW * len(shown), data, layout)


def trades(entries: Sequence[ShownEntry]) -> tuple[Figure, ...]:
    """Quality against latency, for every metric that entries are judged by."""
    shown = [each for each in entries if not each.entry.emulated and each.entry.summary and each.entry.quality]
    metrics = dict.fromkeys(each.entry.quality[0].metric for each in shown)
    groups = ([each for each in shown if each.entry.quality[0].metric == metric] for metric in metrics)
    return tuple(_trade(group, f"trade-{number}" if number else "trade") for number, group in enumerate(groups))


def _trade(shown: Sequence[ShownEntry], name: str) -> Figure:
    """By the latency that an app has, where all were measured so."""
    judged = shown[0].entry.quality[0]
    way = next(way for way in (*APART, BACK_TO_BACK) if all(way in each.entry.timings for each in shown))
    kinds = list(dict.fromkeys(_kind(each) for each in shown))
    known = {id(each.entry) for each in shown}
    data: list[Mark] = []
    for each in shown:
        if each.standard is not None and id(each.standard) in known:
            x, y = zip(_cost_and_worth(each.standard, way), _cost_and_worth(each.entry, way), strict=True)
            data.append(line(x, y, FAINT))
    for standard in (True, False):
        for kind, symbol in zip(kinds, SYMBOLS * len(kinds), strict=False):
            group = [each for each in shown if _kind(each) == kind and (each.standard is None) is standard]
            if group:
                data.append(_cloud(group, way, kind, symbol, GREY if standard else ACCENT))
    latencies = [_cost_and_worth(each.entry, way)[0] for each in shown]
    cost = logarithmic(min(latencies), max(latencies), " ms", f"p50 latency, {way}")
    unit = {"share": "%", "dB": " dB"}.get(judged.unit, "")
    layout = BESIDE | {"xaxis": cost, "yaxis": axis(unit, units.metric(judged.metric))}
    up = "Up" if judged.higher_is_better else "Down"
    says = f"{up} and to the left is better. Bars are 95% intervals; lines lead from a standard to what was made of it."
    return Figure(name, says, CLOUD, data, layout)


def memory(entries: Sequence[ShownEntry]) -> Figure | None:
    """Resident memory of the worker: what each step added."""
    shown = [(each, each.entry.memory) for each in entries if each.entry.memory is not None and each.entry.memory.peak]
    if not shown:
        return None
    told = any(memory.bare is not None for _, memory in shown)
    steps = (
        ("the process", "bare", FAINT),
        ("the runtime" if told else "the process and the runtime", "before_load", GREY),
        ("the model", "after_load", ACCENT),
        ("its inferences, at the peak", "peak", SOFT),
    )
    data = []
    starts = [0.0] * len(shown)  # in megabytes
    for name, moment, colour in steps:
        moments = [(getattr(found, moment) or 0) / 1e6 for _, found in shown]
        lengths = [max(0.0, end - start) for start, end in zip(starts, moments, strict=True)]
        if any(lengths):
            words = [(f"{name}: {length:.2f} MB",) for length in lengths]
            data.append(bars(name, starts, lengths, range(len(shown)), words, colour))
        starts = [start + length for start, length in zip(starts, lengths, strict=True)]
    layout = rows([each.label for each, _ in shown]) | {"xaxis": axis(" MB")}
    return Figure("memory", "Resident memory, by what added to it.", EDGES + LOW_ROW * len(shown), data, layout)


def instructions(entries: Sequence[ShownEntry]) -> Figure | None:
    """What emulated entries execute in an inference."""
    shown = [(each, each.entry.counts) for each in entries if each.entry.counts is not None]
    if not shown:
        return None
    data = []
    for name, standard, colour in (("standard", True, GREY), ("compressed", False, ACCENT)):
        group = [
            (place, counts.instructions)
            for place, (each, counts) in enumerate(shown)
            if (each.standard is None) is standard
        ]
        if group:
            words = [(f"{count:,} instructions",) for _, count in group]
            lengths = [count / 1e6 for _, count in group]
            data.append(bars(name, [0.0] * len(group), lengths, [place for place, _ in group], words, colour))
    layout = rows([each.label for each, _ in shown]) | {"xaxis": axis(" M")}
    says = "Instructions of one inference, in millions, on an emulated CPU: not a latency."
    return Figure("instructions", says, EDGES + LOW_ROW * len(shown), data, layout)


def layers(number: int, shown: ShownEntry) -> Figure:
    """Where a profiled entry's time goes, beside its standard's where that has a profile too. number: of the figure."""
    entry, standard = shown.entry, shown.standard
    assert entry.profile is not None
    beside = standard is not None and standard.profile is not None
    if beside and standard is not None:
        parts = [(part.output, part.standard, part.compressed) for part in sections(standard, entry)]
    else:
        parts = [(layer.output, (), (layer,)) for layer in entry.profile.layers]
    cost, unit = _cost(entry)
    found: dict[str, list[tuple[float, float, float, Lines]]] = {}
    for place, (_, ours, theirs) in enumerate(parts):
        for shift, group in ((-0.2, ours), (0.2, theirs)) if beside else ((0.0, theirs),):
            start = 0.0
            for layer in group:
                kind = "standard" if group is ours else _form(layer)
                found.setdefault(kind, []).append((start, cost(layer), place + shift, _layer(layer, cost, unit)))
                start += cost(layer)
    colours = {"standard": GREY, "pointwise": ACCENT, "depthwise": SOFT, "other": FAINT}
    data = []
    for kind, colour in colours.items():
        if kind in found:
            starts, lengths, places, words = zip(*found[kind], strict=True)
            data.append(bars(kind, starts, lengths, places, words, colour, 0.38 if beside else 0.7))
    layout = rows([tensor(output) for output, _, _ in parts]) | {"xaxis": axis(f" {unit}")}
    says = shown.label
    if beside and standard is not None:
        says += f", beside {standard.model.name}: the layers that lead to each tensor that both have"
    return Figure(f"layers-{number}", says, EDGES + LOW_ROW * len(parts), data, layout)


def roofline(number: int, peaks: Peaks, entries: Sequence[ShownEntry]) -> Figure | None:
    """MACs a second of every layer against its MACs a byte, under what the device reaches. number: of the figure.

    Williams, Waterman and Patterson, Roofline: an insightful visual performance model, CACM 2009.
    """
    found: dict[tuple[bool, str], list[tuple[ShownEntry, Layer]]] = {}
    for each in entries:
        for layer in each.entry.profile.layers if each.entry.profile is not None and not each.entry.emulated else ():
            if layer.macs > 0 and layer.bytes > 0 and layer.cost > 0:
                found.setdefault((each.standard is not None, _precision(layer)), []).append((each, layer))
    if not found:
        return None
    intensities = [layer.macs / layer.bytes for group in found.values() for _, layer in group]
    speeds = [layer.macs / layer.cost for group in found.values() for _, layer in group]
    roofs = {name: peak / 1e9 for name, peak in sorted(peaks.macs_per_second.items())}
    slope = peaks.bytes_per_second / 1e9
    data: list[Mark] = []
    for (name, roof), dash in zip(roofs.items(), ("solid", "dash", "dot", "dashdot"), strict=False):
        edge = roof / slope
        x = [min(*intensities, edge) / 2, edge, max(*intensities, edge) * 2]
        stroke = {"width": 1.5, "color": MUTED, "dash": dash}
        data.append(line(x, [x[0] * slope, roof, roof], MUTED, f"peak, {name}", line=stroke))
    kinds = sorted({kind for _, kind in found})
    for (compressed, kind), group in sorted(found.items(), key=lambda each: each[0]):
        marker = {"symbol": SYMBOLS[kinds.index(kind) % len(SYMBOLS)], "color": ACCENT if compressed else GREY}
        words = [(each.label, *_layer(layer, *_cost(each.entry))) for each, layer in group]
        name = f"{'compressed' if compressed else 'standard'}, {kind}"
        x, y = ([value(layer) for _, layer in group] for value in (_intensity, _speed))
        data.append(points(name, x, y, words, size=8, line={"width": 1, "color": PAPER}, **marker))
    layout = BESIDE | {
        "xaxis": logarithmic(min(intensities), max(intensities), title="MACs a byte"),
        "yaxis": logarithmic(min(speeds), max([*speeds, *roofs.values()]), title="GMAC/s"),
    }
    says = (
        "Layers under what the device reaches: below the slope its memory decides, below the flat roof its arithmetic."
    )
    return Figure(f"roofline-{number}", says, CLOUD, data, layout)


def _cloud(group: Sequence[ShownEntry], way: str, kind: str, symbol: str, colour: str) -> Mark:
    names = list(dict.fromkeys(each.entry.model.name for each in group))
    name = ", ".join(filter(None, (names[0] if len(names) == 1 else f"{len(names)} models", kind)))
    x, y = zip(*(_cost_and_worth(each.entry, way) for each in group), strict=True)
    latencies, qualities = [], []
    for each, latency in zip(group, x, strict=True):
        entry, found = each.entry, each.entry.timings[way].intervals
        latencies.append((latency, latency) if found is None else _scaled(found.p50_ns, 1e-6))
        judged = entry.quality[0]
        qualities.append(_scaled(judged.interval or (judged.value, judged.value), _scale(entry)))
    words = [
        (each.label, f"p50 {way} {latency:.3f} ms", f"{units.metrics([each.entry])} {units.quality(each.entry)}")
        for each, latency in zip(group, x, strict=True)
    ]
    return points(name, x, y, words, size=10, symbol=symbol, color=colour) | {
        "error_x": interval(x, latencies, colour, 1),
        "error_y": interval(y, qualities, colour, 1),
    }


def _cost_and_worth(entry: Entry, way: str) -> tuple[float, float]:
    """p50 in milliseconds, measured in that way, and what it is judged by, in percent if that is a share."""
    return entry.timings[way].summary.p50_ns / 1e6, _scale(entry) * entry.quality[0].value


def _scale(entry: Entry) -> float:
    return 100 if entry.quality[0].unit == "share" else 1


def _scaled(bounds: tuple[float, float], factor: float) -> tuple[float, float]:
    return factor * bounds[0], factor * bounds[1]


def _kind(shown: ShownEntry) -> str:
    """What tells it from others besides its model."""
    return told({name: value for name, value in shown.parts.items() if name != "model"})


def _cost(entry: Entry) -> tuple[Callable[[Layer], float], str]:
    """What a layer costs, and the unit."""
    scale, unit = (1e6, "M instructions") if entry.emulated else (1e3, "µs")
    return lambda layer: layer.cost / scale, unit


def _intensity(layer: Layer) -> float:
    return layer.macs / layer.bytes


def _speed(layer: Layer) -> float:
    return layer.macs / layer.cost


def _precision(layer: Layer) -> str:
    """That of the peak that it is compared with."""
    return "int8" if layer.dtype == "int8" else "fp32"


def _form(layer: Layer) -> str:
    return layer.form if layer.form in ("pointwise", "depthwise") else "other"


def _layer(layer: Layer, cost: Callable[[Layer], float], unit: str) -> Lines:
    """A layer in a few lines."""
    lines = (
        " + ".join(layer.operators),
        f"up to {layer.output}",
        f"{cost(layer):.4g} {unit}",
        f"{layer.macs:,} MACs, {layer.bytes:,} bytes",
        f"{layer.channels[0]} to {layer.channels[1]} channels" if layer.channels else "",
        layer.kernel or "",
        ", ".join(layer.flags),
    )
    return tuple(filter(None, lines))
