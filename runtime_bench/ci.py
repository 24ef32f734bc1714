"""What CI systems read: a job summary in Markdown, JUnit XML, github-action-benchmark's JSON, and CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from runtime_bench import text
from runtime_bench.regression import Finding, Verdict
from runtime_bench.results import Entry, Results, Summary
from runtime_bench.ways import APART, BACK_TO_BACK

FIGURES = {"p50_ns", "p90_ns"}
SIGNS = {Verdict.passed: "✅", Verdict.regression: "❌", Verdict.inconclusive: "❔", None: "⚠️"}


def markdown(verdict: Verdict | None, findings: Sequence[Finding], measured: str | None = None) -> str:
    """The findings of `check` as a job summary: the verdict, and for every figure what was compared with what.

    measured: how it was measured, in words.
    """
    lines = [
        f"## {SIGNS[verdict]} {verdict or 'no verdict'}",
        "",
        *([] if measured is None else [text.markdown(measured), ""]),
        "| model | baseline | measured by | figure | worse by | verdict |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join(_cells(each))} |" for each in findings),
    ]
    return "\n".join(lines) + "\n"


def junit(findings: Sequence[Finding], measured: str | None = None) -> bytes:
    """A test case for every figure, of the class that says what was compared with what; `measured`: how, in words.

    A regression is a failure, what could not be found out an error; what is inconclusive, or new, is skipped.
    """
    kinds = [_kind(finding) for finding in findings]
    suite = ElementTree.Element(
        "testsuite",
        name="falcon-edge check",
        tests=str(len(findings)),
        failures=str(kinds.count("failure")),
        skipped=str(kinds.count("skipped")),
        errors=str(kinds.count("error")),
    )
    if measured is not None:
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="measured", value=text.xml(measured))
    for finding, kind in zip(findings, kinds, strict=True):
        case = ElementTree.SubElement(
            suite, "testcase", classname=text.xml(finding.compared), name=text.xml(finding.figure)
        )
        if kind is not None:
            ElementTree.SubElement(case, kind, message=text.xml(finding.says))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def benchmark_json(results: Results) -> str:
    """customSmallerIsBetter of github-action-benchmark: p50 latencies, with intervals, peak memory and size."""
    rows = []
    for entry in results.entries:
        for way, timing in entry.timings.items():
            figure = "p50" if way == BACK_TO_BACK else f"{way} p50"
            row = {"name": f"{_name(entry)}: {figure}", "unit": "ns", "value": timing.summary.p50_ns}
            if timing.intervals is not None:
                low, high = timing.intervals.p50_ns
                row["range"] = f"± {(high - low) / 2:.0f}"
            rows.append(row)
        if entry.memory is not None and entry.memory.peak is not None:
            rows.append({"name": f"{_name(entry)}: peak memory", "unit": "bytes", "value": entry.memory.peak})
        rows.append({"name": f"{_name(entry)}: size", "unit": "bytes", "value": entry.model.bytes})
    return text.document_text(rows) + "\n"


def csv_table(results: Results) -> str:
    """A row for every entry: times in nanoseconds, memory and size in bytes; empty where there is nothing."""
    table = io.StringIO()
    rows = [_row(entry) for entry in results.entries]
    writer = csv.DictWriter(table, [*rows[0]] if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: text.csv(cell) if isinstance(cell, str) else cell for name, cell in row.items()} for row in rows
    )
    return table.getvalue()


def _cells(finding: Finding) -> list[str]:
    texts = finding.model, finding.baseline or "", finding.place or "", finding.figure, finding.says
    sign = SIGNS[finding.verdict] if finding.failed or finding.verdict else ""
    return [*map(text.markdown, texts), f"{sign} {finding.word}".strip()]


def _kind(finding: Finding) -> str | None:
    """What JUnit calls it; None for a test that has passed."""
    if finding.failed:
        return "error"
    if finding.verdict is Verdict.passed:
        return None
    return "failure" if finding.verdict is Verdict.regression else "skipped"


def _row(entry: Entry) -> dict[str, Any]:
    model, runtime, summary = entry.model, entry.runtime, entry.summary
    judged = entry.quality[0] if entry.quality else None
    worst, best = (None, None) if judged is None or judged.interval is None else judged.interval
    low, high = (None, None) if entry.intervals is None else entry.intervals.p50_ns
    return {
        **model.model_dump(include={"name", "file", "target", "precision"}),
        "runtime": None if runtime is None else runtime.name,
        "version": None if runtime is None else runtime.version,
        "threads": None if runtime is None else runtime.threads,
        "device": entry.device,
        **{name: None if summary is None else getattr(summary, name) for name in Summary.model_fields},
        "p50_low_ns": low,
        "p50_high_ns": high,
        **_apart(entry),
        "load_ns": entry.load_ns,
        "first_inference_ns": entry.first_inference_ns,
        "runtime_memory": None if entry.memory is None else entry.memory.runtime,
        "peak_memory": None if entry.memory is None else entry.memory.peak,
        "energy_j": entry.energy_j,
        **model.model_dump(include={"bytes", "parameters", "macs"}),
        "metric": None if judged is None else judged.metric,
        "quality": None if judged is None else judged.value,
        "quality_low": worst,
        "quality_high": best,
        "images": None if judged is None else judged.samples,
        "flags": " ".join(flag.flag for flag in entry.flags),
        "failure": None if entry.failure is None else entry.failure.message,
    }


def _apart(entry: Entry) -> dict[str, Any]:
    """What is not back to back."""
    found: dict[str, Any] = {"paced_every_ms": None if entry.paced is None else entry.paced.every_ms}
    for way in APART:
        timing = entry.timings.get(way)
        low, high = (None, None) if timing is None or timing.intervals is None else timing.intervals.p50_ns
        figures = {"p50_ns": None, "p90_ns": None} if timing is None else timing.summary.model_dump(include=FIGURES)
        found |= {f"{way}_{name}": value for name, value in figures.items()}
        found |= {f"{way}_p50_low_ns": low, f"{way}_p50_high_ns": high}
    return found | {"missed_ticks": None if entry.paced is None else entry.paced.missed}


def _name(entry: Entry) -> str:
    runtime = "" if entry.runtime is None else f", {entry.runtime.name}, {entry.runtime.threads} threads"
    return text.chart(f"{entry.model.name}, {entry.model.file}{runtime}")
