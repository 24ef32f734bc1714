"""The entries of a report, each beside its standard and under a name that tells it from the others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from runtime_bench import units
from runtime_bench.compare import Row, beside_standards, machine
from runtime_bench.results import Entry, Results
from runtime_bench.text import cut, shown

LONGEST_PART = 60  # of a label: of a model's or a device's name


@dataclass(frozen=True)
class ShownEntry:
    """An entry. run: the number of its results, from 1; parts: what tells it from the others; place: where it ran."""

    row: Row
    run: int
    place: str
    parts: dict[str, str]
    label: str

    @property
    def entry(self) -> Entry:
        """What was measured."""
        return self.row.entry

    @property
    def standard(self) -> Entry | None:
        """The entry that this one is compared with; None for a standard itself."""
        return None if self.row.standard is self.entry else self.row.standard


def shown_entries(results: Sequence[Results], baseline: str | None = None) -> tuple[ShownEntry, ...]:
    """Every entry, those that are compared with one another side by side. Raises BenchInputError as `compare` does."""
    rows = beside_standards(results, baseline=baseline)
    runs = [number for number, result in enumerate(results, start=1) for _ in result.entries]
    places = [_place(results[run - 1], row.entry) for row, run in zip(rows, runs, strict=True)]
    devices = [row.entry.device for row in rows]
    # The device's name alone tells places apart, unless several of them are called 'local'.
    names = devices if len(set(devices)) == len(set(places)) else places
    parts = [_parts(row.entry, run, name) for row, run, name in zip(rows, runs, names, strict=True)]
    telling = [name for name in parts[0] if name == "model" or len({part[name] for part in parts}) > 1]
    kept = [{name: part[name] for name in telling} for part in parts]
    labels = _labels(kept)
    found = [
        ShownEntry(row, run, place, tell, label)
        for row, run, place, tell, label in zip(rows, runs, places, kept, labels, strict=True)
    ]
    return tuple(sorted(found, key=_order))


def _parts(entry: Entry, run: int, place: str) -> dict[str, str]:
    threads = "" if entry.runtime is None else f"{entry.runtime.threads}"
    return {
        "model": entry.model.name,
        "runtime": units.runtime(entry),
        "precision": entry.model.precision,
        "threads": threads,
        "run": str(run),
        "place": place,
    }


def _place(result: Results, entry: Entry) -> str:
    """The device and its machine, in words."""
    said = not entry.emulated or "emulated" in machine(result)
    return f"{entry.device} ({machine(result)}{'' if said else ', emulated'})"


def told(parts: dict[str, str]) -> str:
    """Parts in words, a long one without its middle."""
    forms = {"threads": "{} threads", "run": "run {}"}
    words = ((name, cut(shown(value), LONGEST_PART)) for name, value in parts.items() if value)
    return ", ".join(forms.get(name, "{}").format(value) for name, value in words)


def _labels(parts: Sequence[dict[str, str]]) -> list[str]:
    found: list[str] = []
    seen: Counter[str] = Counter()
    for label in map(told, parts):
        seen[label] += 1
        found.append(label if seen[label] == 1 else f"{label} #{seen[label]}")
    return found


def _order(shown: ShownEntry) -> tuple[object, ...]:
    model = shown.entry.model
    threads = 0 if shown.entry.runtime is None else shown.entry.runtime.threads
    return shown.run, model.target, model.precision, threads, shown.row.standard is not shown.entry
