"""What plots are made of, as plotly.js takes it: marks, axes and rows.

Colours are variables of the page's style, which its script looks up, so that the plots follow light and dark. Texts
come from files, and plotly.js reads them as markup: they are escaped here.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from runtime_bench import text

ACCENT, SOFT, GREY, FAINT = "var(--accent)", "var(--soft)", "var(--grey)", "var(--faint)"
INK, MUTED, LINE, PAPER = "var(--ink)", "var(--muted)", "var(--line)", "var(--paper)"
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "triangle-down")

Mark = dict[str, Any]
Lines = tuple[str, ...]


def points(
    name: str, x: Sequence[float | None], y: Sequence[float | None], words: Sequence[Lines], **marker: Any
) -> Mark:
    """Points with a text each for who points at them."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": text.plot(name),
        "x": short(x),
        "y": short(y),
        "marker": marker,
        "hoverinfo": "text",
        "hovertext": [_said(each) for each in words],
    }


def line(x: Sequence[float], y: Sequence[float], colour: str, name: str | None = None, **options: Any) -> Mark:
    """A thin line that nothing is to be said about. name: where it has one in the legend."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": short(x),
        "y": short(y),
        "line": {"width": 1, "color": colour},
        "hoverinfo": "skip",
        "showlegend": name is not None,
        "name": None if name is None else text.plot(name),
        **options,
    }


def bars(
    name: str,
    starts: Sequence[float],
    lengths: Sequence[float],
    places: Sequence[float],
    words: Sequence[Lines],
    colour: str,
    width: float = 0.55,
) -> Mark:
    """Lying bars, each from its start on."""
    return {
        "type": "bar",
        "orientation": "h",
        "name": text.plot(name),
        "base": short(starts),
        "x": short(lengths),
        "y": list(places),
        "width": width,
        "marker": {"color": colour},
        "hoverinfo": "text",
        "hovertext": [_said(each) for each in words],
        "textposition": "none",
    }


def interval(values: Sequence[float], bounds: Sequence[tuple[float, float]], colour: str, width: float) -> Mark:
    """The bars of `error_x` or `error_y`."""
    return {
        "type": "data",
        "symmetric": False,
        "array": short([high - value for value, (_, high) in zip(values, bounds, strict=True)]),
        "arrayminus": short([value - low for value, (low, _) in zip(values, bounds, strict=True)]),
        "color": colour,
        "thickness": width,
        "width": 0,
    }


def rows(labels: Sequence[str], notes: Sequence[str] = ()) -> Mark:
    """A layout of rows under one another, the first at the top. The page's script puts labels and notes to them."""
    return {
        "yaxis": {
            "tickvals": [*range(len(labels))],
            "ticktext": [text.plot(label) for label in labels],
            "range": [len(labels) - 0.4, -0.6],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
        "showlegend": True,
        "annotations": [{"y": place, "text": text.plot(note)} for place, note in enumerate(notes)],
    }


def axis(unit: str = "", title: str = "") -> Mark:
    """A linear axis."""
    return {
        "gridcolor": LINE,
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
        "ticksuffix": unit,
        "title": {"text": text.plot(title), "font": {"size": 12, "color": MUTED}, "standoff": 12},
    }


def logarithmic(low: float, high: float, unit: str = "", title: str = "") -> Mark:
    """A logarithmic axis from somewhat below `low` to somewhat above `high`; plotly.js would write 0.2 as 2."""
    margin = max(1.07, (high / low) ** 0.06)
    low, high = low / margin, high * margin
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))))
    steps = (1, 2, 3, 4, 5, 6, 8) if high < 10 * low else (1, 2, 5) if high < 10_000 * low else (1,)
    ticks = [tick for decade in decades for step in steps if low <= (tick := float(f"{step}e{decade}")) <= high]
    if len(ticks) < 3:
        step = _round((high - low) / 8)
        ticks = [number * step for number in range(int(np.ceil(low / step)), int(high / step) + 1)]
    return axis(title=title) | {
        "type": "log",
        "range": short(np.log10([low, high])),
        "tickvals": short(ticks),
        "ticktext": [f"{_number(tick)}{unit}" for tick in ticks],
    }


def _number(tick: float) -> str:
    """Without a power of ten where there are thousands, as MACs and parameters have them: '0.02 M'."""
    return f"{tick:.4g}" if tick < 10_000 else f"{tick / 1e6:.4g} M"


def upright(x: float) -> Mark:
    """A line through all rows."""
    stroke = {"width": 1, "color": MUTED, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": stroke, "layer": "below"}


def _said(lines: Lines) -> str:
    return "<br>".join(map(text.plot, lines))


def short(values: Any) -> list[float | None]:
    """Six figures, which is more than a plot shows; None for what JSON has no number for."""
    return [None if value is None or not np.isfinite(value) else float(f"{value:.6g}") for value in values]


def tensor(name: str, longest: int = 32) -> str:
    """The end of a tensor's name, as in 'features.4/Conv' for /features/features.4/Conv_output_0 (torch's exporter)."""
    parts = re.sub(r"_output_0(?=$|\.)", "", name).strip("/").split("/")
    kept = [part for part, after in zip(parts, [*parts[1:], ""], strict=True) if not after.startswith(f"{part}.")]
    end = "/".join(kept)
    return end if len(end) <= longest else f"…{end[1 - longest :]}"


def _round(step: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    decade = float(10 ** np.floor(np.log10(step)))
    return next(size * decade for size in (1, 2, 5, 10) if size * decade >= step)
