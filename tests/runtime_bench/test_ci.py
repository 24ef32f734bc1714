"""What CI systems read of results and findings."""

import csv
import io
import json
from xml.etree import ElementTree

import pytest

from runtime_bench.ci import benchmark_json, csv_table, junit, markdown
from runtime_bench.regression import Finding, Verdict
from runtime_bench.results import Failure, Memory
from runtime_bench.stats import intervals


def finding(verdict, model="a|b", figure="latency"):
    where = {"baseline": "base, base.onnx", "place": "onnxruntime, 1 thread, local"}
    return Finding(model, figure, 100.0, 120.0, 0.2, (0.18, 0.22), 0.05, verdict, **where)


def row(figure, verdict):
    return Finding("a", figure, None, None, None, None, None, verdict, "why", place="local")


@pytest.fixture
def findings():
    return [
        finding(verdict, figure=figure) for verdict, figure in zip(Verdict, ("latency", "size", "macs"), strict=True)
    ]


def test_a_summary_has_the_verdict_and_a_row_for_every_finding(findings):
    lines = markdown(Verdict.regression, findings).splitlines()
    assert lines[0] == "## ❌ regression"
    said = "+20.0% (+18.0..+22.0), 5% allowed"
    assert (
        lines[4] == f"| `a\\|b` | base, base.onnx | onnxruntime, 1 thread, local | latency | {said} | ❌ regression |"
    )
    assert [line.split(" | ")[3] for line in lines[4:]] == ["latency", "size", "macs"]


def test_junit_has_failures_and_skipped_cases(findings):
    (suite,) = ElementTree.fromstring(junit(findings))
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped", "errors")} == {
        "tests": "3", "failures": "1", "skipped": "1", "errors": "0",
    }  # fmt: skip
    assert [[child.tag for child in case] for case in suite] == [["failure"], ["skipped"], []]
    assert suite[0][0].get("message").startswith("+20.0%")
    assert suite[0].get("classname") == "a|b beside base, base.onnx (onnxruntime, 1 thread, local)"


def test_what_failed_is_an_error_and_what_is_new_or_may_be_missing_is_said_and_skipped():
    rows = [row("failure", None), row("failure", Verdict.regression), row("new", None), row("missing", None)]
    lines = markdown(None, rows).splitlines()
    assert lines[0] == "## ⚠️ no verdict"
    assert [line.split(" | ")[-1] for line in lines[4:]] == ["⚠️ failed |", "❌ regression |", "- |", "- |"]
    (suite,) = ElementTree.fromstring(junit(rows))
    assert [[child.tag for child in case] for case in suite] == [["error"], ["failure"], ["skipped"], ["skipped"]]
    assert [suite.get(name) for name in ("tests", "failures", "skipped", "errors")] == ["4", "1", "2", "1"]
    assert {case[0].get("message") for case in suite} == {"why"}


def test_github_action_benchmark_gets_what_is_better_when_it_is_smaller(entry, results):
    measured = entry(samples=(90, 100, 110))
    measured = measured.model_copy(update={"intervals": intervals(measured.bursts)})
    failed = entry("failed", ()).model_copy(update={"failure": Failure(kind="signal", message="killed")})
    rows = json.loads(benchmark_json(results(measured, failed)))
    assert [row["unit"] for row in rows] == ["ns", "bytes", "bytes"]
    assert rows[0]["value"] == 100
    assert rows[0]["range"].startswith("± ")
    assert len({row["name"] for row in rows}) == 3


def test_csv_has_a_row_for_every_entry_and_says_what_failed(entry, results):
    failed = entry("failed", ()).model_copy(update={"failure": Failure(kind="signal", message="killed, by a signal")})
    whole = entry(memory=Memory(bare=10, before_load=40, after_load=50, peak=60), energy_j=0.5)
    rows = list(csv.DictReader(io.StringIO(csv_table(results(whole, failed)))))
    assert (rows[0]["runtime_memory"], rows[0]["peak_memory"], rows[0]["energy_j"]) == ("30", "60", "0.5")
    assert [row["name"] for row in rows] == ["standard", "failed"]
    assert (rows[0]["p50_ns"], rows[0]["count"], rows[0]["failure"]) == ("110.0", "3", "")
    assert (rows[1]["p50_ns"], rows[1]["failure"]) == ("", "killed, by a signal")
    assert all(None not in row and None not in row.values() for row in rows)
