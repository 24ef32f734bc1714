"""The headline of a report in words: how much faster, how much smaller, how accurate, and how sure that is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from runtime_bench import units
from runtime_bench.compare import Speedup
from runtime_bench.report.entries import ShownEntry
from runtime_bench.results import Entry, Quality
from runtime_bench.ways import APART, BACK_TO_BACK


@dataclass(frozen=True)
class Fact:
    """A figure and what must be said beside it. low and high: of the figure, over all that it is about."""

    name: str
    figure: str
    says: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Headline:
    """What was found in one place."""

    place: str
    says: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class _Pair:
    shown: ShownEntry
    entry: Entry
    standard: Entry


def headlines(entries: Sequence[ShownEntry]) -> tuple[Headline, ...]:
    """One for every place, in their order."""
    places = dict.fromkeys(each.place for each in entries)
    return tuple(_headline(place, [each for each in entries if each.place == place]) for place in places)


def _headline(place: str, entries: Sequence[ShownEntry]) -> Headline:
    pairs = [
        _Pair(each, each.entry, each.standard)
        for each in entries
        if each.standard is not None and each.entry.failure is None
    ]
    facts = (
        *_speeds(pairs),
        _instructions(pairs),
        _size(pairs),
        *_quality(pairs, entries),
        certainty([each.entry for each in entries]),
    )
    return Headline(place, _says(pairs, entries), tuple(fact for fact in facts if fact is not None))


def _says(pairs: Sequence[_Pair], entries: Sequence[ShownEntry]) -> str:
    rows = [pair.shown.row for pair in pairs]
    names, standards = (
        list(dict.fromkeys(entry.model.name for entry in entries))
        for entries in ([pair.entry for pair in pairs], [pair.standard for pair in pairs])
    )
    who, are = (names[0], "is") if len(names) == 1 else (f"{len(names)} models", "are")
    standard = standards[0] if len(standards) == 1 else "their standards"
    # What a user feels comes first, and never stands alone.
    ways = [way for way in (*APART, BACK_TO_BACK) if any(way in row.speedups for row in rows)]
    if ways:
        first, *others = [[row.speedups[way] for row in rows if way in row.speedups] for way in ways]
        said = _compared(first, f"{who} {are}", standard, f" {ways[0]}" if others else "")
        return "; ".join([said, *(f"{_briefly(found)} {way}" for found, way in zip(others, ways[1:], strict=True))])
    ratios = [row.instructions_ratio for row in rows if row.instructions_ratio is not None]
    if ratios:
        return f"{standard} executes {_times(ratios)} times the instructions of {who}, emulated"
    measured = [each for each in entries if each.entry.summary is not None or each.entry.counts is not None]
    if not measured:
        return "Nothing could be measured"
    return f"{units.count(len(measured), 'model file')} measured, without a standard to compare with"


def _compared(found: Sequence[Speedup], who: str, standard: str, way: str) -> str:
    """How fast `who` is (with its verb) beside `standard`, in words."""
    faster, slower = _sides(found)
    if faster == len(found):
        return f"{who} {_times([each.ratio for each in found])} times as fast as {standard}{way}"
    if slower == len(found):
        longer = _times([1 / each.ratio for each in found])
        return f"{who} slower than {standard}{way}: an inference takes {longer} times as long"
    if faster == slower == 0:
        return f"No difference in speed between {who.rpartition(' ')[0]} and {standard} could be shown{way}"
    unclear = len(found) - faster - slower
    rest = f", slower in {slower}" if slower else ""
    rest += f", and no difference could be shown in {unclear}" if unclear else ""
    return f"{who} faster than {standard} in {faster} of {len(found)} comparisons{way}{rest}"


def _briefly(found: Sequence[Speedup]) -> str:
    """The same behind what has been said of another way of measuring."""
    faster, slower = _sides(found)
    if faster == len(found):
        return f"{_times([each.ratio for each in found])} times"
    if slower == len(found):
        return f"{_times([1 / each.ratio for each in found])} times as long"
    return "no difference" if faster == slower == 0 else f"faster in {faster} of {len(found)}, slower in {slower}"


def _sides(found: Sequence[Speedup]) -> tuple[int, int]:
    """How many are faster for sure, and how many slower."""
    bounds = [each.interval for each in found]
    return sum(low > 1 for low, _ in bounds), sum(high < 1 for _, high in bounds)


def _speeds(pairs: Sequence[_Pair]) -> Iterator[Fact]:
    """One for every way of measuring."""
    rows = [pair.shown.row for pair in pairs]
    ways = [way for way in (*APART, BACK_TO_BACK) if any(way in row.speedups for row in rows)]
    for way in ways:
        known = [(row, row.speedups[way]) for row in rows if way in row.speedups]
        says = _intervals([each.interval for _, each in known], "{:.2f}")
        promised = [row.macs_ratio for row, each in known if each.realised_share is not None and row.macs_ratio]
        shares = [each.realised_share for _, each in known if each.realised_share is not None]
        if shares:
            fewer, became = units.span(promised, "{:.2f}x"), units.span(shares, "{:.0%}")
            says += f"; {fewer} fewer MACs, of which {became} became speed"
        if way in APART:
            says = f"{units.way([row.entry for row, _ in known], way)}; {says}"
        name = "Speedup" if ways == [BACK_TO_BACK] else f"Speedup {way}"
        yield _fact(name, [each.ratio for _, each in known], "{:.2f}x", says)


def _instructions(pairs: Sequence[_Pair]) -> Fact | None:
    rows = [pair.shown.row for pair in pairs]
    ratios = [row.instructions_ratio for row in rows if row.instructions_ratio is not None]
    if not ratios:
        return None
    return _fact("Fewer instructions", ratios, "{:.2f}x", "counted on an emulated CPU: no latency, and no speedup")


def _size(pairs: Sequence[_Pair]) -> Fact | None:
    sizes = [(pair.entry.model.bytes, pair.standard.model.bytes) for pair in pairs if pair.entry.model.bytes]
    if not sizes:
        return None
    ours, theirs = (units.span([size / 1e6 for size in each], "{:.2f} MB") for each in zip(*sizes, strict=True))
    return _fact("Smaller file", [other / own for own, other in sizes], "{:.2f}x", f"{ours}; the standard {theirs}")


def _quality(pairs: Sequence[_Pair], entries: Sequence[ShownEntry]) -> Iterator[Fact]:
    """One for every metric that entries are judged by."""
    measured = [pair.entry for pair in pairs] or [each.entry for each in entries]
    judged = [entry.quality[0] for entry in measured if entry.quality]
    if not judged:
        yield Fact("Quality", "not measured", "no images were given")
    for metric in dict.fromkeys(each.metric for each in judged):
        both = [
            (pair.entry.quality[0], pair.standard.quality[0])
            for pair in pairs
            if pair.entry.quality and pair.standard.quality
            if {pair.entry.quality[0].metric, pair.standard.quality[0].metric} == {metric}
        ]
        yield _judged(metric, [each for each in judged if each.metric == metric], both)


def _judged(metric: str, found: Sequence[Quality], both: Sequence[tuple[Quality, Quality]]) -> Fact:
    unit = found[0].unit
    scale, digits, ends = (100, "{:.2f}%", "{:.1f}%") if unit == "share" else (1, "{:.4g}", "{:.3g}")
    if unit == "dB":
        digits, ends = "{:.2f} dB", "{:.1f} dB"
    intervals = [each.interval for each in found if each.interval is not None]
    says = [_intervals([(scale * low, scale * high) for low, high in intervals], ends)] if intervals else []
    if both:
        pairs = [(ours, theirs, ours.interval, theirs.interval) for ours, theirs in both]
        worse = sum(
            mine is not None and its is not None and (mine[1] < its[0] if ours.higher_is_better else its[1] < mine[0])
            for ours, _, mine, its in pairs
        )
        overlap = "and the intervals overlap" if not worse else "and the intervals do not overlap"
        overlap += f" in {worse} of {len(both)}" if 0 < worse < len(both) else ""
        says.append(f"the standard {units.span([scale * theirs.value for _, theirs in both], digits)}, {overlap}")
    says.append(", ".join(dict.fromkeys(f"{each.samples:,} images of {each.data}" for each in found)))
    title = units.metric(metric)
    return _fact(title[0].upper() + title[1:], [scale * each.value for each in found], digits, "; ".join(says))


def certainty(entries: Sequence[Entry]) -> Fact:
    """How many files were measured how often, and what makes which of them doubtful."""
    working = [entry for entry in entries if entry.failure is None]
    summaries = [entry.summary for entry in working if entry.summary is not None]
    doubtful = sum(bool(entry.flags) for entry in working)
    if any(entry.emulated for entry in working):
        figure, says = "emulated", "counts of one inference"
    elif not summaries:
        figure, says = "nothing measured", ""
    else:
        figure = f"{doubtful} of {len(working)} doubtful" if doubtful else "no doubts"
        says = f"{units.span([summary.count for summary in summaries], '{:,}')} samples a file, by "
        processes = [len({burst.process for burst in entry.bursts}) for entry in working]
        says += f"{units.span(processes, '{}')} fresh {'process' if max(processes) == 1 else 'processes'} each"
    flags = dict.fromkeys(flag.flag for entry in working for flag in entry.flags)
    failed = len(entries) - len(working)
    parts = (says, f"flagged: {', '.join(flags)}" if flags else "", f"{failed} failed" if failed else "")
    return Fact("Certainty", figure, "; ".join(filter(None, parts)))


def _times(ratios: Sequence[float]) -> str:
    return units.span(ratios, "{:.1f}" if max(ratios) >= 2 else "{:.2f}")


def _fact(name: str, values: Sequence[float], form: str, says: str) -> Fact:
    return Fact(name, units.span(values, form), says, min(values), max(values))


def _intervals(bounds: Iterable[tuple[float, float]], form: str) -> str:
    """The one interval, or what all of them lie within."""
    lows, highs = zip(*bounds, strict=True)
    return f"95% interval{'' if len(lows) == 1 else 's within'} {form.format(min(lows))} to {form.format(max(highs))}"
