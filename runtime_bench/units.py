"""Figures as people read them: units, intervals and names. What there is not is an empty text."""

import math
from typing import TYPE_CHECKING

from runtime_bench.runtimes import RUNTIMES

if TYPE_CHECKING:  # numpy and pydantic are not needed for texts, and --help must answer at once
    from collections.abc import Sequence

    from runtime_bench.compare import Row
    from runtime_bench.results import Entry, Estimate

BY_NAME = {runtime.name: runtime for runtime in RUNTIMES}


def milliseconds(nanoseconds: float | None) -> str:
    """As in '0.495 ms'."""
    return "" if nanoseconds is None else f"{nanoseconds / 1e6:.3f} ms"


def estimate(found: "Estimate | None") -> str:
    """With the largest error of its calibration, as in '0.495 ms ± 8%'; never shown as a latency."""
    return "" if found is None else f"{milliseconds(found.ns)} {margin(found)}"


def margin(found: "Estimate") -> str:
    """The largest error of its calibration, rounded up, as in '± 8%'."""
    return f"± {math.ceil(round(100 * found.largest_error, 6))}%"


def cycles(interval: tuple[float, float] | None) -> str:
    """Millions, as in '(8.9..24.7) M': without any wait for memory, and with every miss waited for."""
    return "" if interval is None else f"{bounds(interval, 1e-6, 1)} M"


def bounds(interval: tuple[float, float], scale: float, digits: int) -> str:
    """An interval of scaled figures, as in '(93.6..95.6)'."""
    low, high = interval
    return f"({scale * low:.{digits}f}..{scale * high:.{digits}f})"


def megabytes(count: float | None) -> str:
    """As in '1.78 MB', of a million bytes each."""
    return "" if count is None else f"{count / 1e6:.2f} MB"


def ratio(value: float | None) -> str:
    """As in '5.30x'."""
    return "" if value is None else f"{value:.2f}x"


def percent(share: float | None) -> str:
    """As in '70%'."""
    return "" if share is None else f"{100 * share:.0f}%"


def speedup(row: "Row") -> str:
    """With its interval, as in '5.30x (5.06..5.61)'."""
    if row.speedup_interval is None or row.standard is row.entry:
        return ratio(row.speedup)
    return f"{ratio(row.speedup)} {bounds(row.speedup_interval, 1, 2)}"


def accuracy(entry: "Entry") -> str:
    """Top-1 with its interval, as in '94.70% (93.6..95.6)'."""
    if entry.accuracy is None:
        return ""
    return f"{100 * entry.accuracy.top1:.2f}% {bounds(entry.accuracy.interval, 100, 1)}"


def runtime(entry: "Entry") -> str:
    """The runtime's name, with the format where it loads several of them, as in 'ONNX Runtime .ort'."""
    if entry.runtime is None:
        return entry.model.target
    known = BY_NAME.get(entry.runtime.name)
    if known is None:
        return entry.runtime.name
    return known.title if f".{entry.model.target}" == known.suffixes[0] else f"{known.title} .{entry.model.target}"


def count(number: int, one: str, many: str | None = None) -> str:
    """As in '1 model' and '2 models'."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def span(values: "Sequence[float]", form: str) -> str:
    """From the lowest to the highest, as in '2.16x to 6.32x'; one figure where both read the same."""
    low, high = (form.format(value) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
