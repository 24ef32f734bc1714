"""Figures as people read them: units, intervals and names. What there is not is an empty text."""

import math
from typing import TYPE_CHECKING

from runtime_bench.runtimes import RUNTIMES
from runtime_bench.ways import APART

if TYPE_CHECKING:  # numpy and pydantic are not needed for texts, and --help must answer at once
    from collections.abc import Sequence

    from runtime_bench.results import Entry, Estimate, Quality

METRICS = {
    "top1": "top-1",
    "top5": "top-5",
    "miou": "mean IoU",
    "pixel-accuracy": "pixel accuracy",
    "psnr": "PSNR",
    "mae": "mean absolute error",
}
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


def way(entries: "Sequence[Entry]", name: str) -> str:
    """How latency was measured that is not back to back, in words, as in 'one inference every 33 ms'."""
    if name == "cold":
        return "with emptied caches"
    found = sorted({entry.paced.every_ms for entry in entries if entry.paced is not None})
    return f"one inference every {' or '.join(f'{every:g}' for every in found)} ms"


def ways(entries: "Sequence[Entry]") -> str:
    """The same of every way but back to back that any of them was measured in, as in 'paced: one inference ...'."""
    known = [name for name in APART if any(name in entry.timings for entry in entries)]
    return "; ".join(f"{name}: {way(entries, name)}" for name in known)


def ratio(value: float | None) -> str:
    """As in '5.30x'."""
    return "" if value is None else f"{value:.2f}x"


def percent(share: float | None) -> str:
    """As in '70%'."""
    return "" if share is None else f"{100 * share:.0f}%"


def metric(name: str) -> str:
    """A metric's name in words, as in 'mean IoU'; that of a user as it is."""
    return METRICS.get(name, name)


def metrics(entries: "Sequence[Entry]") -> str:
    """What entries are judged by, in words: 'quality' where that is not the same for all that are."""
    names = list(dict.fromkeys(entry.quality[0].metric for entry in entries if entry.quality))
    return metric(names[0]) if len(names) == 1 else "quality"


def measure(value: float, unit: str, digits: int = 2) -> str:
    """A metric's value, as in '94.70%', '31.20 dB' and '0.0123'."""
    if unit == "share":
        return f"{100 * value:.{digits}f}%"
    return f"{value:.{digits}f} dB" if unit == "dB" else f"{value:.{digits + 2}g}"


def spread(found: "Quality") -> str:
    """A metric's interval, as in '(93.6..95.6)'; empty where it has none."""
    if found.interval is None:
        return ""
    if found.unit == "":
        low, high = (f"{end:.3g}" for end in found.interval)
        return f"({low}..{high})"
    return bounds(found.interval, 100 if found.unit == "share" else 1, 1)


def quality(entry: "Entry") -> str:
    """What an entry is judged by, with its interval, as in '94.70% (93.6..95.6)'."""
    if not entry.quality:
        return ""
    found = entry.quality[0]
    return f"{measure(found.value, found.unit)} {spread(found)}".rstrip()


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
