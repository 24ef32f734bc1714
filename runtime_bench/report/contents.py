"""What a report says: a headline in words, and sections of figures and tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from runtime_bench import units
from runtime_bench.environment import Environment
from runtime_bench.report import figures
from runtime_bench.report.entries import ShownEntry, shown_entries
from runtime_bench.report.figures import Figure
from runtime_bench.report.headline import Headline, headlines
from runtime_bench.report.tables import Cell, Column, Table, field, headers, identity, of_entries
from runtime_bench.results import Flag, Peaks, Quality, Results
from runtime_bench.ways import APART, BACK_TO_BACK
from runtime_bench.why import cold_cost, counted_peaks, hindrances, peak_share

Part = TypeVar("Part")

HASH_SIGNS = 12  # of a SHA-256: enough to tell files apart


@dataclass(frozen=True)
class Section:
    """A part of the report under its own heading."""

    name: str
    title: str
    says: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Report:
    """The whole of it. notes: what must be known first."""

    headlines: tuple[Headline, ...]
    notes: tuple[str, ...]
    sections: tuple[Section, ...]


def contents(results: Sequence[Results], *, baseline: str | None = None) -> Report:
    """What these results say. Every entry is set beside what was measured like it, as in `compare`.

    Raises BenchInputError if nothing was measured, or for a baseline that is not there or that of other models.
    """
    found = shown_entries(results, baseline)
    working = [each for each in found if each.entry.failure is None]
    sections = (
        _comparison(working),
        _latency([each for each in working if not each.entry.emulated]),
        _layers(results, [each for each in working if each.entry.profile is not None]),
        _quality(working),
        _memory(working),
        _emulation([each for each in working if each.entry.counts is not None]),
        _validity(found),
        _environment(results),
        _lineage(found),
    )
    # Without a figure and a table a section has nothing to say, but that there are no doubts.
    shown = tuple(each for each in sections if each.figures or each.tables or each.name == "validity")
    return Report(headlines(found), tuple(_notes(results, found)), shown)


def _notes(results: Sequence[Results], found: Sequence[ShownEntry]) -> Iterator[str]:
    if any(result.interrupted for result in results):
        yield "The measurement was interrupted; what was measured until then is here."
    if all(each.standard is None for each in found):
        yield "No standard model was found by lineage. One can be named as the baseline."
    for each in found:
        if each.entry.failure is not None:
            yield f"{each.label} failed ({each.entry.failure.kind}): {each.entry.failure.message}"


def _only_emulated(found: Sequence[ShownEntry]) -> bool:
    """Whether there is no latency among them, since none was taken."""
    return bool(found) and all(each.entry.emulated for each in found)


def _comparison(found: Sequence[ShownEntry]) -> Section:
    columns = (
        Column("parameters", field("model.parameters")),
        Column("MACs", field("model.macs")),
        Column("size", field("model.bytes"), units.megabytes),
        Column(_metrics(found), _judged),
        Column("p50", _p50),
        Column("speedup", _speedup),
        Column("instructions", field("counts.instructions")),
        Column("instructions ratio", lambda each: each.row.instructions_ratio, units.ratio),
        Column("MACs ratio", lambda each: each.row.macs_ratio, units.ratio),
        Column("realised share", lambda each: each.row.realised_share, units.percent),
        *(
            column
            for way in APART
            for column in (
                Column(f"{way} p50", partial(_p50, way=way)),
                Column(f"{way} speedup", partial(_speedup, way=way)),
                Column(f"{way} realised share", partial(_share, way=way), units.percent),
            )
        ),
        Column("doubts", lambda each: ", ".join(flag.flag for flag in each.entry.flags)),
    )
    title = "Speedup against MACs ratio"
    says = (
        "Speedup: the ratio of median latencies, standard over compressed, with its 95% interval by bootstrap over "
        "processes and samples. MACs ratio: what fewer multiply-accumulates promise; realised share: what became of it."
        f"{_ways(found)}"
    )
    if _only_emulated(found):
        title = "Instructions against MACs ratio"
        says = (
            "Instructions ratio: of the instructions that one emulated inference executes, standard over compressed; "
            "it is no speedup. MACs ratio: what fewer multiply-accumulates promise."
        )
    return Section(
        "comparison",
        title,
        says,
        _known(figures.speedups(found)),
        _known(of_entries("Beside the standard", found, columns)),
    )


def _latency(found: Sequence[ShownEntry]) -> Section:
    columns = (
        Column("samples", field("summary.count")),
        Column("min", field("summary.min_ns"), units.milliseconds),
        *map(_quantile, ("p50", "p90", "p95", "p99")),
        *(_quantile(name, way) for way in APART for name in ("p50", "p90")),
        Column("missed ticks", lambda each: each.entry.paced.missed if each.entry.paced is not None else None),
        Column("MHz before, at and after a tick", _clock),
        Column("IQR / p50", _spread, units.percent),
        Column("first inference", field("first_inference_ns"), units.milliseconds),
        Column("load", field("load_ns"), units.milliseconds),
        Column("energy", field("energy_j"), "{:.4f} J".format),
    )
    says = f"One inference at a time: input set, model run, output read.{_ways(found)}"
    if all(each.entry.energy_j is None for each in found):
        says += " Energy was not measured: no sensor."
    return Section(
        "latency",
        "Latency",
        says,
        _known(figures.distributions(found)),
        _known(of_entries("Order statistics, and their 95% intervals", found, columns)),
    )


def _layers(results: Sequence[Results], profiled: Sequence[ShownEntry]) -> Section:
    # A standard's layers are shown beside those of what was made of it.
    beside = {id(each.standard) for each in profiled}
    alone = [each for each in profiled if id(each.entry) not in beside]
    measured = {run: result.peaks for run, result in enumerate(results, start=1) if result.peaks is not None}
    counted = {run: counted_peaks(result.entries) for run, result in enumerate(results, start=1)}
    peaks = {run: peak for run, peak in (counted | measured).items() if peak is not None}
    plots = (
        *(figures.layers(number, each) for number, each in enumerate(alone, start=1)),
        *(
            figures.roofline(run, peak, [each for each in profiled if each.run == run])
            for run, peak in measured.items()
        ),
    )
    says = "A layer is what the runtime executed as one."
    if measured:
        says += " The device's peak is what it reached on large convolutions, and when copying a large array."
    tables = (_hindrances(alone, peaks), _cold_costs(profiled, peaks), _layer_table(profiled, peaks))
    return Section("layers", "Where the time goes", says, _known(*plots), _known(*tables))


def _hindrances(profiled: Sequence[ShownEntry], peaks: Mapping[int, Peaks]) -> Table | None:
    """What holds each model back, the most costly first."""
    rows = []
    for each in profiled:
        if each.run in peaks:
            standard = each.standard if each.standard is not None and each.standard.profile is not None else None
            for found in hindrances(each.entry, peaks[each.run], standard):
                gain = Cell(f"up to {100 * found.gain:.0f}%", found.gain)
                rows.append((*identity(each), Cell(found.kind), gain, Cell(found.says)))
    if not rows:
        return None
    return Table("What holds them back", (*headers(profiled), "what", "share", "why"), tuple(rows))


def _cold_costs(profiled: Sequence[ShownEntry], peaks: Mapping[int, Peaks]) -> Table | None:
    """Why each model takes longer where caches are cold."""
    rows = []
    for each in profiled:
        found = cold_cost(each.entry, peaks[each.run]) if each.run in peaks else None
        if found is not None:
            times = (found.whole, found.call, found.memory, found.operators)
            cells = [Cell(found.way), *(Cell(f"{ns / 1e3:.0f} µs", ns) for ns in times)]
            share = Cell(f"{found.explained:.0%}", found.explained)
            rows.append(
                (*identity(each), *cells, share, Cell(f"{found.layers} of {found.kernels} kinds", found.layers))
            )
    if not rows:
        return None
    titles = ("measured", "longer by", "the call", "weights from memory", "operators", "together", "layers")
    return Table("Why it takes longer than back to back", (*headers(profiled), *titles), tuple(rows))


def _layer_table(profiled: Sequence[ShownEntry], peaks: Mapping[int, Peaks]) -> Table | None:
    rows = []
    for each in profiled:
        assert each.entry.profile is not None
        total = sum(layer.cost for layer in each.entry.profile.layers)
        for number, layer in enumerate(each.entry.profile.layers, start=1):
            words = f"{layer.cost:,.0f} instructions" if each.entry.emulated else f"{layer.cost / 1e3:.1f} µs"
            share = layer.cost / total if total > 0 else None
            of_peak = peak_share([layer], peaks[each.run]) if layer.macs and each.run in peaks else None
            rows.append(
                (
                    *identity(each),
                    Cell(str(number), number),
                    Cell(" + ".join(layer.operators)),
                    Cell(layer.output),
                    Cell("x".join(map(str, layer.shape))),
                    Cell(f"{layer.macs:,}", layer.macs),
                    Cell(f"{layer.bytes:,}", layer.bytes),
                    Cell(words, layer.cost),
                    Cell("" if share is None else f"{share:.1%}", share),
                    Cell(units.percent(of_peak), of_peak),
                    Cell(layer.kernel or ""),
                    Cell(", ".join(layer.flags)),
                )
            )
    if not rows:
        return None
    titles = ("#", "operators", "up to", "shape", "MACs", "bytes", "cost", "share", "of peak", "kernel", "flags")
    return Table("All layers", (*headers(profiled), *titles), tuple(rows), folded=True)


def _quality(found: Sequence[ShownEntry]) -> Section:
    names = dict.fromkeys(each.metric for shown in found for each in shown.entry.quality)
    columns = (
        *(Column(units.metric(name), partial(_by, name)) for name in names),
        Column("images", lambda each: each.entry.quality[0].samples if each.entry.quality else None),
        Column("data", lambda each: each.entry.quality[0].data if each.entry.quality else None),
        Column("golden outputs", _agreement),
        Column("largest difference", _largest_difference, "{:.2g}".format),
    )
    says = (
        "How good the answers to the test images are, one at a time as on a device, with 95% intervals (Wilson's of "
        "shares of images, else by bootstrap over images); and how the golden inputs are answered beside what was "
        "answered when the file was exported."
    )
    tables = _known(of_entries("Quality and agreement", found, columns))
    title = "Quality" if _only_emulated(found) else "Quality against latency"
    return Section("quality", title, says, figures.trades(found), tables)


def _memory(found: Sequence[ShownEntry]) -> Section:
    columns = (
        Column("file", field("model.bytes"), units.megabytes),
        _moment("without the runtime", "bare"),
        _moment("with the runtime", "before_load"),
        _moment("with the model", "after_load"),
        _moment("peak", "peak"),
    )
    tables = _known(of_entries("File and resident memory", found, columns))
    says = "The file's size, and the resident memory of the process that loads and runs it."
    return Section("memory", "Memory and size", says, _known(figures.memory(found)), tables)


def _emulation(emulated: Sequence[ShownEntry]) -> Section:
    counted = ("instructions", "loads", "stores", "bytes_loaded", "bytes_stored")
    names = (*counted, "l1_misses", "l2_misses", "l1_misses_emptied", "l2_misses_emptied")
    columns = (
        Column("CPU", field("counts.cpu")),
        *map(_count, names),
        Column("cycles, estimated", _cycles),
        Column("estimated ms (board, ± error)", _estimate),
        Column("instructions by class", _by_class("classes")),
        Column("MACs by class", _by_class("macs")),
    )
    says = (
        "Emulated: exact for the instructions that were executed, and no latency. Cache misses are those of a model of "
        "the CPU's caches, as the inference before left them and emptied; cycles are an estimate that no real CPU "
        "calibrated. Where milliseconds are estimated, it is by the calibration of a board, ± its largest error for a "
        "file that it had not seen."
    )
    return Section(
        "emulation",
        "Counts of emulated inferences",
        says,
        _known(figures.instructions(emulated)),
        _known(of_entries("Counts", emulated, columns)),
    )


def _validity(found: Sequence[ShownEntry]) -> Section:
    flagged: dict[Flag, list[str]] = {}
    for each in found:
        for flag in each.entry.flags:
            flagged.setdefault(flag, []).append(each.label)
    rows = tuple(
        (
            Cell(flag.flag),
            Cell(flag.reason),
            Cell(f"all {len(labels)}" if len(labels) == len(found) > 1 else "; ".join(labels)),
            Cell(flag.remedy),
        )
        for flag, labels in flagged.items()
    )
    says = "What makes figures doubtful, and what to do about it." if rows else "No figure was flagged as doubtful."
    columns = ("flag", "reason", "of", "remedy")
    return Section("validity", "Validity", says, tables=(Table("Flags", columns, rows),) if rows else ())


def _environment(results: Sequence[Results]) -> Section:
    tables = []
    for run, result in enumerate(results, start=1):
        of = f" of results {run}" if len(results) > 1 else ""
        before, after = _state(result.before), _state(result.after)
        rows = [(Cell(name), Cell(before[name]), Cell(after[name])) for name in before if before[name] or after[name]]
        tables.append(Table(f"The machine{of}", ("", "before", "after"), tuple(rows)))
        options = [(Cell(name), Cell(_option(value))) for name, value in result.options.items() if value is not None]
        options.append((Cell("created"), Cell(result.created)))
        tables.append(Table(f"The protocol{of}", ("option", "value"), tuple(options)))
    says = "The machine before and after the measurement. What it does not tell is left out."
    return Section("environment", "Environment", says, tables=tuple(tables))


def _lineage(found: Sequence[ShownEntry]) -> Section:
    names = {each.entry.model.identity: each.entry.model.name for each in found}
    columns = (
        Column("role", field("model.role")),
        Column(
            "made from", lambda each: names.get(each.entry.model.parent, (each.entry.model.parent or "")[:HASH_SIGNS])
        ),
        Column("weights", lambda each: (each.entry.model.identity or "")[:HASH_SIGNS]),
        Column("file", field("model.file")),
        Column("SHA-256", lambda each: each.entry.model.sha256[:HASH_SIGNS]),
        Column("ran on", _package),
        Column("kernels", field("runtime.kernels")),
    )
    says = "Which weights are in which file, what they were made from, and what executed them."
    return Section("lineage", "Lineage", says, tables=_known(of_entries("Files", found, columns)))


def _ways(found: Sequence[ShownEntry]) -> str:
    """How latency was measured where it was not back to back alone."""
    said = units.ways([each.entry for each in found])
    return f" Without another word latency is back to back; {said}." if said else ""


def _clock(each: ShownEntry) -> str | None:
    paced = each.entry.paced
    return None if paced is None or paced.mhz is None else ", ".join(f"{mhz:.0f}" for mhz in paced.mhz)


def _quantile(name: str, way: str = BACK_TO_BACK) -> Column:
    """A quantile of the latency, with its interval."""

    def value(each: ShownEntry) -> Cell | None:
        timing = each.entry.timings.get(way)
        if timing is None:
            return None
        found = getattr(timing.summary, f"{name}_ns")
        bounds = None if timing.intervals is None else getattr(timing.intervals, f"{name}_ns")
        return Cell(units.milliseconds(found), found, "" if bounds is None else units.bounds(bounds, 1e-6, 3))

    return Column(name if way == BACK_TO_BACK else f"{way} {name}", value)


def _p50(each: ShownEntry, way: str = BACK_TO_BACK) -> Cell | None:
    """The median latency; of an emulated entry there is none."""
    timing = each.entry.timings.get(way)
    if each.entry.emulated or timing is None:
        return None
    return Cell(units.milliseconds(timing.summary.p50_ns), timing.summary.p50_ns)


def _speedup(each: ShownEntry, way: str = BACK_TO_BACK) -> Cell | None:
    found = each.row.speedups.get(way)
    if found is None:
        return None
    note = units.bounds(found.interval, 1, 2) if each.standard is not None else ""
    return Cell(units.ratio(found.ratio), found.ratio, note)


def _share(each: ShownEntry, way: str) -> float | None:
    found = each.row.speedups.get(way)
    return None if found is None else found.realised_share


def _spread(each: ShownEntry) -> float | None:
    summary = each.entry.summary
    return None if summary is None else summary.iqr_ns / summary.p50_ns


def _metrics(found: Sequence[ShownEntry]) -> str:
    return units.metrics([each.entry for each in found])


def _judged(each: ShownEntry) -> Cell | None:
    """By its first metric, which is named where others have another one."""
    return None if not each.entry.quality else _cell(each.entry.quality[0])


def _by(metric: str, each: ShownEntry) -> Cell | None:
    return next((_cell(found) for found in each.entry.quality if found.metric == metric), None)


def _cell(found: Quality) -> Cell:
    return Cell(units.measure(found.value, found.unit), found.value, units.spread(found))


def _agreement(each: ShownEntry) -> Cell | None:
    found = each.entry.agreement
    if not found:
        return None
    words = "" if all(one.within_tolerance for one in found) else ", beyond the tolerance"
    equal = [one.classes_equal for one in found if one.classes_equal is not None]
    if not equal:
        return Cell(f"{found[0].vectors} compared{words}", found[0].vectors)
    return Cell(f"{min(equal)} of {found[0].vectors} agree{words}", min(equal))


def _largest_difference(each: ShownEntry) -> float | None:
    known = [found.max_abs for found in each.entry.agreement if found.max_abs is not None]
    return max(known, default=None)


def _moment(title: str, name: str) -> Column:
    return Column(title, field(f"memory.{name}"), units.megabytes)


def _count(name: str) -> Column:
    return Column(name.replace("_", " "), field(f"counts.{name}"))


def _cycles(each: ShownEntry) -> str | None:
    if each.entry.counts is None or each.entry.counts.cycles is None:
        return None
    low, high = each.entry.counts.cycles
    return f"{low:,.0f} to {high:,.0f}"


def _estimate(each: ShownEntry) -> str | None:
    found = None if each.entry.counts is None else each.entry.counts.estimate
    return None if found is None else f"{found.ns / 1e6:.3f} ({found.board}, {units.margin(found)})"


def _by_class(name: str) -> Callable[[ShownEntry], str]:
    return lambda each: ", ".join(f"{kind} {count:,}" for kind, count in (field(f"counts.{name}")(each) or {}).items())


def _package(each: ShownEntry) -> str | None:
    runtime = each.entry.runtime
    if runtime is None:
        return None
    return f"{runtime.package} {runtime.version}, {units.count(runtime.threads, 'thread')}"


def _option(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _state(moment: Environment) -> dict[str, str]:
    """A moment of a machine in words."""
    frequencies = [f"{value:.0f}" for value in moment.frequencies_mhz]
    return {
        "machine": moment.machine,
        "CPU": moment.cpu or "",
        "cores": str(moment.cores),
        "kernel": moment.kernel,
        "Python": moment.python,
        "governor": moment.governor or "",
        "frequencies": f"{', '.join(frequencies)} MHz" if frequencies else "",
        "temperatures": ", ".join(f"{zone} {value:.1f} °C" for zone, value in moment.temperatures_c.items()),
        "load (1 min)": "" if moment.load_1min is None else f"{moment.load_1min:g}",
        "slowed down for heat": "" if moment.throttled is None else f"{moment.throttled:,} times since its start",
        "battery": moment.battery or "",
        "idle": moment.idle or "",
        "caches": ", ".join(f"{size // 1024:,} KiB" for size in moment.caches),
    }


def _known(*parts: Part | None) -> tuple[Part, ...]:
    return tuple(part for part in parts if part is not None)
