"""Which entry of new results is compared with which of a baseline."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from runtime_bench import units
from runtime_bench.errors import BenchInputError
from runtime_bench.results import Entry


@dataclass(frozen=True)
class Pairs:
    """both: each new entry with its baseline; missing: entries of the baseline alone; added: new ones alone."""

    both: tuple[tuple[Entry, Entry], ...]
    missing: tuple[Entry, ...]
    added: tuple[Entry, ...]


def pairs(new: Sequence[Entry], old: Sequence[Entry]) -> Pairs:
    """Pairs of equal target, precision, runtime, threads and device; each entry is in one at most.

    Where both hold one model these are compared whatever their names, else models of equal names. Of several entries of
    one kind those with equal file names are compared. Which runtime and threads an entry has that failed before it was
    loaded is not known: it goes with what is left. Raises BenchInputError for entries that nothing tells apart.
    """
    named = any(len({entry.model.name for entry in side}) > 1 for side in (new, old))

    def kind(entry: Entry) -> Hashable:
        return entry.model.target, entry.model.precision, entry.device, entry.model.name if named else None

    def measured(entry: Entry) -> Hashable:
        assert entry.runtime is not None
        return kind(entry), entry.runtime.name, entry.runtime.threads

    found: list[tuple[Entry, Entry]] = []
    left: tuple[list[Entry], list[Entry]] = ([], [])
    known = [[entry for entry in side if entry.runtime is not None] for side in (new, old)]
    for news, olds in _groups(known[0], known[1], measured):
        several = len(news) > 1 or len(olds) > 1
        for ones, others in _groups(news, olds, lambda entry: entry.model.file) if several else [(news, olds)]:
            for entries, whose in ((ones, "NEW"), (others, "the baseline")):
                if len(entries) > 1:
                    raise BenchInputError(f"{whose} has {said(entries[0])} {len(entries)} times: keep one of them")
            if ones and others:
                found.append((ones[0], others[0]))
            else:
                left[0].extend(ones)
                left[1].extend(others)
    unknown = [[entry for entry in side if entry.runtime is None] for side in (new, old)]
    for news, olds in _groups([*left[0], *unknown[0]], [*left[1], *unknown[1]], kind):
        found += _failed(news, olds)
    new_left, old_left = ({id(pair[side]) for pair in found} for side in (0, 1))
    order = {id(entry): number for number, entry in enumerate(new)}
    return Pairs(
        both=tuple(sorted(found, key=lambda pair: order[id(pair[0])])),
        missing=tuple(entry for entry in old if id(entry) not in old_left),
        added=tuple(entry for entry in new if id(entry) not in new_left),
    )


def said(entry: Entry) -> str:
    """An entry in words: 'standard, model.fp32.onnx (onnxruntime, 1 thread, local)'."""
    return f"{title(entry)} ({place(entry)})"


def title(entry: Entry) -> str:
    """An entry's model and file."""
    return f"{entry.model.name}, {entry.model.file}"


def place(entry: Entry) -> str:
    """Where an entry was measured: runtime, threads, device."""
    runtime = entry.runtime
    if runtime is None:
        return entry.device
    return f"{runtime.name}, {units.count(runtime.threads, 'thread')}, {entry.device}"


def _groups(
    new: Sequence[Entry], old: Sequence[Entry], key: Callable[[Entry], Hashable]
) -> list[tuple[list[Entry], list[Entry]]]:
    """The entries of both by a key."""
    found: dict[Hashable, tuple[list[Entry], list[Entry]]] = defaultdict(lambda: ([], []))
    for side, entries in enumerate((new, old)):
        for entry in entries:
            found[key(entry)][side].append(entry)
    return [*found.values()]


def _failed(new: Sequence[Entry], old: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Pairs of which one at least has no runtime: first those of equal file names, then in their order."""
    found: list[tuple[Entry, Entry]] = []
    waiting = [*old]
    for same_file in (True, False):
        for one in new:
            if any(one is pair[0] for pair in found):
                continue
            for other in waiting:
                unknown = one.runtime is None or other.runtime is None
                if unknown and (not same_file or one.model.file == other.model.file):
                    found.append((one, other))
                    waiting = [entry for entry in waiting if entry is not other]
                    break
    return found
