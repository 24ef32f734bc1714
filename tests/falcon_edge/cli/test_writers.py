"""Every place that texts of others are written to, with every text that is an attack there."""

import csv
import inspect
import io
import json
import re
import types
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hostile import ATTACKS, MARK, ORDINARY, poisoned
from markdown_it import MarkdownIt
from rich.console import Console

from converters.description import Description, Operator, Value
from falcon_edge.cli import profile_tables, render, results_tables
from falcon_edge.cli.session import Session, session
from falcon_edge.documents import read_document
from falcon_edge.errors import BadInput
from falcon_edge.falcon.plan import Plan
from falcon_edge.manifest import Manifest
from runtime_bench import calibration, ci
from runtime_bench.compare import beside_standards
from runtime_bench.devices.survey import State
from runtime_bench.regression import Finding, Tolerances, Verdict
from runtime_bench.report import page
from runtime_bench.report.contents import contents
from runtime_bench.report.entries import shown_entries
from runtime_bench.report.headline import headlines
from runtime_bench.results import Results

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
LAYER = {
    "operators": ["Conv"],
    "output": "y",
    "dtype": "float32",
    "form": "standard",
    "macs": 500,
    "bytes": 50,
    "ns": 9,
}
COUNTS = {"cpu": "a53", "instructions": 90, "loads": 1, "stores": 1, "bytes_loaded": 1, "bytes_stored": 1}
COUNTS |= {"classes": {"vector": 9}, "macs": {"fmla": 9}, "cycles": [1.0, 2.0]}


def examples():
    """One of each document, with every part that it can have."""
    document = json.loads((EXAMPLES / "results.json").read_text())
    document["peaks"] = {"macs_per_second": {"fp32": 1e10}, "bytes_per_second": 1e9}
    document["before"] |= {"temperatures_c": {"zone": 40.0}, "battery": "full", "governor": "powersave"}
    for entry in document["entries"]:
        entry["flags"] = [{"flag": "noisy", "reason": "it spreads", "remedy": "stop other work"}]
        entry["profile"] = {"method": "runtime", "layers": [LAYER | {"kernel": "k", "flags": ["fallback"]}] * 2}
        missed = dict.fromkeys(("max_abs", "max_relative", "snr_db")) | {"vectors": 8, "within_tolerance": False}
        entry["agreement"] = [missed | {"output": "logits", "classes_equal": 7}]
        judged = {"metric": "top1", "value": 0.5, "interval": [0.4, 0.6], "unit": "share"}
        entry["quality"] = [judged | {"data": "sample", "samples": 9}]
    failed = document["entries"][0] | {"bursts": [], "summary": None, "intervals": None, "profile": None}
    failed |= {"failure": {"kind": "signal", "message": "it was killed", "signal": "SIGKILL"}}
    emulated = document["entries"][0] | {"emulated": True, "device": "arm64", "counts": COUNTS}
    document["entries"] += [failed, emulated]
    finding = Finding(
        "falcon", "latency", 100.0, 120.0, 0.2, (0.1, 0.3), 0.05, Verdict.regression, "why", "base", "local"
    )
    operator = Operator("conv", "Conv", ((1, 2),), (1, 2), "float32", 9, 9, "Relu", ("x",), ("y",), "standard", (3, 8))
    ends = (Value("x", (1, 2), "float32"),)
    return types.SimpleNamespace(
        results=Results.model_validate(document),
        findings=[finding, Finding("falcon", "failure", None, None, None, None, None, None, "why", "base", "local")],
        states=[State("ssh", False, "no client", "install it")],
        description=Description("onnx", 9, ends, ends, (operator,), {"name": "falcon", "lineage": {}}),
        manifest=read_document(EXAMPLES / "manifest.json", Manifest),
        plan=read_document(EXAMPLES / "plan.json", Plan),
        calibration=calibration.load(EXAMPLES / "calibration.json"),
        name="falcon",
    )


TABLES = {
    "manifest_table": lambda found: render.manifest_table(found.manifest),
    "plan_table": lambda found: render.plan_table(found.plan),
    "devices_table": lambda found: render.devices_table(found.states),
    "calibration_table": lambda found: render.calibration_table(found.calibration),
    "findings_table": lambda found: render.findings_table("regression", found.findings, Tolerances(), None),
    "description_table": lambda found: render.description_table(found.name, found.description),
    "results_table": lambda found: results_tables.results_table(found.results),
    "comparison_table": lambda found: results_tables.comparison_table(beside_standards([found.results])),
    "headlines_table": lambda found: results_tables.headlines_table(headlines(shown_entries([found.results]))),
    "profile_tables": lambda found: profile_tables.profile_tables(found.results),
}
FILES = {
    "markdown": lambda found: ci.markdown(Verdict.regression, found.findings),
    "junit": lambda found: ci.junit(found.findings).decode(),
    "benchmark_json": lambda found: ci.benchmark_json(found.results),
    "csv_table": lambda found: ci.csv_table(found.results),
    "html": lambda found: page.html(contents([found.results])),
}


@pytest.fixture(scope="module")
def found():
    return examples()


@pytest.fixture(scope="module", params=ATTACKS)
def attack(request):
    return ATTACKS[request.param]


@pytest.fixture(scope="module")
def documents(found, attack):
    return types.SimpleNamespace(**{name: poisoned(value, attack) for name, value in vars(found).items()})


@pytest.fixture(scope="module")
def report(documents):
    return contents([documents.results])


def test_every_writer_is_tried_here():
    for modules, tried in (((render, results_tables, profile_tables), TABLES), ((ci, page), FILES)):
        written = {
            name
            for module in modules
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        }
        assert written == set(tried)


def test_only_the_session_prints():
    """The command line has no other way to a terminal: ending prints what the session gives it, main the version,
    completion its script."""
    folder = Path(inspect.getfile(render)).parent
    printing = {
        path.name for path in folder.glob("*.py") if re.search(r"\bprint\(|\becho\(|sys\.std", path.read_text())
    }
    assert printing == {"session.py", "ending.py", "main.py", "completion.py"}


def assert_calm(text):
    """Nothing steers, and nothing is hidden."""
    hidden = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}
    assert {sign for sign in text if unicodedata.category(sign) in hidden} <= {"\n"}


def assert_no_command(text):
    """For a CI system that reads its log."""
    assert not re.search(r"^\s*::|##\w*\[", text, re.MULTILINE)


def test_tables(documents, capsys):
    for table in TABLES.values():
        Session(False, False).result({}, lambda table=table: table(documents))
        out = capsys.readouterr().out
        assert_calm(out)
        assert_no_command(out)
        lines = out.replace("\\x3a", ":").replace("\\x23", "#").splitlines()  # which no table knew of
        assert max(map(len, lines)) <= 160
        assert MARK in out


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_whole_within_80_columns(found, name):
    """Every word of a wide terminal is there, and none is split."""

    def drawn(width):
        console = Console(width=width, file=io.StringIO(), color_system=None)
        console.print(TABLES[name](found))
        return console.file.getvalue()

    narrow, wide = drawn(80), drawn(1000)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "…" not in narrow
    assert {word for word in wide.split() if "─" not in word} <= set(narrow.split())


def test_lines_and_errors(documents, attack, capsys):
    out = Session(False, False)
    out.say(f"{attack}: {attack}")
    out.flags(documents.results)
    with out.progress() as progress:
        progress(1, 2, attack)
    told = []
    for debug in (False, True):
        for error in (BadInput(attack), OSError(2, "no such file", attack), RuntimeError(attack)):
            with pytest.raises(BaseException, match=r"\d"), session(False, debug, False):
                raise error
        told.append(capsys.readouterr().err)
    for said in told:
        assert_calm(said)
        assert_no_command(said)
    assert max(map(len, told[0].splitlines())) < 1200  # a traceback has all of what an error says
    lines = "".join(told).splitlines()
    assert sum(MARK in line for line in lines) >= 8
    assert sum(line.startswith("error: ") for line in lines) == 3


def test_json(documents, attack, capsys):
    """Says the same, however it is read."""
    document = {"results": documents.results.model_dump(mode="json"), attack: [attack]}
    Session(True, False).result(document, lambda: None)
    out = capsys.readouterr().out
    assert_calm(out)
    assert_no_command(out)
    assert json.loads(out) == json.loads(json.dumps(document))


def test_junit(documents):
    written = FILES["junit"](documents)
    assert_calm(written)
    (suite,) = ElementTree.fromstring(written)
    assert [child.tag for child in suite] == ["testcase"] * 2
    for case in suite:
        assert set(case.attrib) == {"classname", "name"}
        assert case.get("classname").count(MARK) == 3
        assert MARK in case[0].get("message")


def test_markdown(documents):
    """What GitHub's tables make of it: six cells, and in them text or code, nothing else."""
    written = FILES["markdown"](documents)
    assert_calm(written)
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(written)
    kinds = [token.type for token in tokens]
    assert kinds.count("td_open") == 12
    assert set(kinds) <= {"heading_open", "heading_close", "inline"} | {
        f"{part}_{end}" for part in ("table", "thead", "tbody", "tr", "th", "td") for end in ("open", "close")
    }
    cells = [token.children for token in tokens if token.type == "inline"][7:]
    assert {child.type for cell in cells for child in cell} <= {"text", "code_inline"}
    assert all(MARK in "".join(child.content for child in cells[place]) for place in (0, 1, 2, 4, 6, 7, 8, 10))


def test_csv(documents):
    """No cell is a formula, whatever separates them."""
    written = FILES["csv_table"](documents)
    assert_calm(written)
    rows = list(csv.DictReader(io.StringIO(written)))
    assert len(rows) == len(documents.results.entries)
    assert all(MARK in row["name"] and MARK in row["device"] for row in rows)
    for separator in ",;|\t":
        for row in csv.reader(io.StringIO(written), delimiter=separator):
            assert not [cell for cell in row if re.match(r"\s*[=+\-@＝＋－＠]", cell)]


def test_benchmark_json(documents):
    """What github-action-benchmark does with its names: they stand in ` in a cell."""
    written = FILES["benchmark_json"](documents)
    assert_calm(written)
    for row in json.loads(written):
        assert MARK in row["name"]
        assert_calm(row["name"])
        assert not set("`|\n") & set(row["name"])


class Page(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.words = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add((tag, *(name for name, _ in attributes)))

    def handle_comment(self, data):
        raise AssertionError(data)

    def handle_data(self, data):
        self.words += data


def test_report(found, report):
    written = page.html(report)
    assert_calm(written.replace("\t", ""))  # plotly.js has some
    assert Page(written).tags == Page(FILES["html"](found)).tags
    assert MARK in Page(written).words


def test_plots(report):
    """plotly.js reads tags and entities: there is no tag but our line breaks, and quotes are quotes."""
    figures = [figure for section in report.sections for figure in section.figures]
    assert len(figures) >= 6
    for figure in figures:
        words = list(_texts([figure.data, figure.layout]))
        assert any(MARK in text for text in words)
        for text in words:
            assert_calm(text)
            assert "<" not in text.replace("<br>", "")
            assert not re.search(r"&(?!(amp|lt|gt);)", text)


def _texts(part):
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict | list | tuple):
        for each in part.values() if isinstance(part, dict) else part:
            yield from _texts(each)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_texts_stay_as_they_are(found, text, capsys):
    documents = types.SimpleNamespace(**{name: poisoned(value, text) for name, value in vars(found).items()})
    for table in ("results_table", "findings_table"):
        Session(False, False).result({}, lambda table=table: TABLES[table](documents))
        assert text in capsys.readouterr().out
    assert all(text in write(documents) for write in FILES.values())
    Session(True, False).result({"x": text}, lambda: None)
    assert text in capsys.readouterr().out
