"""The report as people see it: the command's file, opened in a real browser."""

import json
import os
import re
from pathlib import Path

import pytest
from browser import PROGRAM, Browser

from runtime_bench.report.contents import contents
from runtime_bench.results import load

HOSTILE = "</script><img src=x onerror=alert(1)>"
DRAWN = "document.documentElement.dataset.plotsDrawn !== undefined"
PLOTS = """
[...document.querySelectorAll("[data-figure]")].map((place) =>
  [place.dataset.figure, place.querySelector(".main-svg")?.clientWidth,
   place.querySelectorAll(".trace.scatter, .trace.bars").length])
"""
COMPARISON = "#comparison"
# Texts of plots that are not wholly within them, or hidden behind a scroll bar of the legend.
CUT = """
[...document.querySelectorAll(".plot")].flatMap((plot) => {
  const box = plot.getBoundingClientRect();
  const outside = ({ left, right, top, bottom }) =>
    left < box.left - 1 || right > box.right + 1 || top < box.top - 1 || bottom > box.bottom + 1;
  const seen = (each) => each.checkVisibility({ opacityProperty: true }); // plotly.js leaves out what ends outside
  const texts = [...plot.querySelectorAll("text")].filter(
    (each) => seen(each) && outside(each.getBoundingClientRect()));
  const bars = [...plot.querySelectorAll(".scrollbar")].filter((each) => each.getBoundingClientRect().height > 0);
  return [...texts, ...bars].map((each) => [plot.dataset.figure, each.textContent]);
})
"""
SHARES = """
[...document.querySelectorAll(".plot")].map((plot) =>
  [plot.dataset.figure, plot.querySelector(".xy .bglayer, .nsewdrag").getBoundingClientRect().width / plot.clientWidth])
"""
COLUMN = """
(() => {
  const table = document.querySelector("#comparison table");
  const place = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.trim() === NAME);
  return [...table.tBodies[0].rows].map((row) => row.cells[place].dataset.number ?? row.cells[place].textContent);
})()
"""


@pytest.fixture(scope="module")
def browser():
    """Skips without Chromium, except in CI: there it must be (make browser)."""
    if PROGRAM is None:
        assert os.environ.get("CI") != "true", "no Chromium is installed: make browser"
        pytest.skip("no Chromium is installed: make browser")
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(flow, warm, tmp_path_factory):
    """profiled.json: the flow's models once more, with layers; emulated.json and hostile.json: made from it."""
    folder = tmp_path_factory.mktemp("report")
    models = " ".join(str(flow.folder / f"{name}.falcon") for name in ("standard", "falcon"))
    options = "--target onnx --runs 20 --seconds 0 --warm-up 0 --ticks 4 --processes 2 --profile"
    done = warm(f"bench {models} {options} --data {flow.folder}/stripes.npz -o profiled.json -q", folder)
    assert done.code == 0, done
    document = json.loads((folder / "profiled.json").read_text())
    write(folder / "hostile.json", hostile(document))
    for place in ("one", "two", "three"):
        write(folder / f"{place}.json", elsewhere(document, f"ssh://measuring@{'raspberry-pi-' * 3}{place}.local:22"))
    counts = {"cpu": "a53", "instructions": 100, "loads": 1, "stores": 1, "bytes_loaded": 1, "bytes_stored": 1}
    for entry in document["entries"]:
        entry |= {"emulated": True, "device": "arm64", "counts": counts, "profile": None}
    write(folder / "emulated.json", document)
    return folder


def write(path, document):
    path.write_text(json.dumps(document))
    load(path)


def elsewhere(document, device):
    """The same of another device, and with names that are long."""
    document = json.loads(json.dumps(document))
    document["options"]["device"] = device
    for entry in document["entries"]:
        entry["device"] = device
        entry["model"]["name"] = f"{'a_network_of_our_own_' * 6}{entry['model']['name']}"
    return document


def hostile(document):
    """The same with every name, reason and option of its own replaced by a text that is an attack."""
    document = json.loads(json.dumps(document))
    document["options"] = {HOSTILE: HOSTILE}
    document["created"] = document["before"]["cpu"] = document["before"]["kernel"] = HOSTILE
    for number, entry in enumerate(document["entries"]):
        entry["model"] |= dict.fromkeys(("name", "file"), f"{HOSTILE}{number}") | {"precision": HOSTILE}
        entry["device"] = entry["runtime"]["name"] = entry["runtime"]["version"] = HOSTILE
        entry["flags"] = [dict.fromkeys(("flag", "reason", "remedy"), HOSTILE)]
        for quality in entry["quality"]:
            quality |= {"data": HOSTILE, "metric": HOSTILE}
        for layer in entry["profile"]["layers"]:
            layer |= {"operators": [HOSTILE], "kernel": HOSTILE, "output": HOSTILE}
    return document


@pytest.fixture(scope="module")
def report(folder, warm):
    """Makes the report of some of the results, and hands back its path."""

    def report(*names):
        path = folder / f"{'-'.join(names)}.html"
        if not path.exists():
            files = " ".join(f"{name}.json" for name in names)
            done = warm(f"report {files} -o {path.name} --json", folder)
            assert done.code == 0, done
            assert done.document["bytes"] == path.stat().st_size
            assert len(done.document["headlines"]) == len(names)
        return path

    return report


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("names", [("profiled",), ("profiled", "emulated")], ids="-".join)
def test_every_plot_is_drawn_and_nothing_is_fetched(browser, report, names, dark):
    path = report(*names)
    browser.open(path, dark=dark)
    browser.wait(DRAWN)
    plots = browser.run(PLOTS)
    figures = [
        figure
        for section in contents([load(path.parent / f"{name}.json") for name in names]).sections
        for figure in section.figures
    ]
    assert [(name, traces) for name, _, traces in plots] == [(figure.name, len(figure.data)) for figure in figures]
    assert all(width > 600 for _, width, _ in plots)
    wanted = {"speedups", "distributions", "layers-1", "roofline-1", "trade", "memory"}
    assert {name for name, *_ in plots} == wanted | ({"instructions"} if "emulated" in names else set())
    assert browser.requests == [path.as_uri()]
    assert browser.said == []


def test_dark_and_light_differ_in_the_page_and_in_the_plots(browser, report):
    colours = "[document.documentElement, document.querySelector('.xtick text')].map((part) => {"
    colours += "const style = getComputedStyle(part); return [style.backgroundColor, style.color, style.fill] })"
    seen = []
    for dark in (False, True):
        browser.open(report("profiled"), dark=dark)
        browser.wait(DRAWN)
        seen.append(browser.run(colours))
    (light_page, light_plot), (dark_page, dark_plot) = seen
    assert light_page[0] != dark_page[0]
    assert light_plot[2] != dark_plot[2]
    # A change while the page is open is followed, too.
    browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
    browser.wait(f"JSON.stringify({colours}) === {json.dumps(json.dumps(seen[0], separators=(',', ':')))}")


def test_a_click_on_a_header_sorts(browser, report):
    browser.open(report("profiled"))
    browser.wait(DRAWN)
    column = COLUMN.replace("NAME", '"MACs ratio"')
    before = [float(value) for value in browser.run(column)]
    assert len(set(before)) > 1
    titles = browser.run(f"[...document.querySelectorAll('{COMPARISON} th')].map((cell) => cell.textContent)")
    header = f"{COMPARISON} th:nth-child({titles.index('MACs ratio') + 1}) button"
    browser.click(header)
    assert [float(value) for value in browser.run(column)] == sorted(before)
    browser.click(header)
    assert [float(value) for value in browser.run(column)] == sorted(before, reverse=True)
    browser.click(f"{COMPARISON} th:first-child button")
    names = browser.run(COLUMN.replace("NAME", '"model"'))
    assert names == sorted(names)
    assert browser.run(f"document.querySelectorAll('{COMPARISON} [aria-sort]').length") == 1


def test_a_table_is_copied_as_tabs(browser, report):
    browser.open(report("profiled"))
    browser.wait(DRAWN)
    browser.ask("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    for clipboard in ("true", "delete Navigator.prototype.clipboard"):
        browser.run("window.copied = undefined")
        browser.run("document.addEventListener('copy', () => { window.copied = document.activeElement.value })")
        browser.run("navigator.clipboard && (navigator.clipboard.writeText = async (text) => { window.copied = text })")
        browser.run(clipboard)
        browser.click(f"{COMPARISON} .copy")
        browser.wait("window.copied !== undefined")
        rows = [line.split("\t") for line in browser.run("window.copied").splitlines()]
        assert rows[0][0] == "model"
        assert {row[0] for row in rows[1:]} == {"standard", "falcon"}
        assert len({len(row) for row in rows}) == 1
    assert browser.run(f"document.querySelector('{COMPARISON} details').open")
    assert browser.run("document.querySelectorAll('summary button').length") == 0


@pytest.mark.parametrize("width", [360, 500, 768, 1280])
def test_three_devices_and_long_names_on_a_screen(browser, report, width):
    """Nothing is cut off, plots are as wide as the page, every device is named in them, and the page stays in place."""
    browser.open(report("one", "two", "three"), width=width)
    browser.wait(DRAWN)
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run(CUT) == []
    for name, share in browser.run(SHARES):
        assert share > (0.5 if name.startswith(("layers", "roofline")) else 0.65), name
    for plot in ("distributions", "memory", "trade"):
        said = "".join(browser.run(f"document.querySelector('[data-figure={plot}]').textContent").split())
        assert all(said.count(f"-{name}.local:22") >= 2 for name in ("one", "two", "three"))
    # Another width is another layout, without the page being loaded again.
    browser.ask("Emulation.setDeviceMetricsOverride", width=700, height=900, deviceScaleFactor=1, mobile=False)
    browser.wait("[...document.querySelectorAll('.main-svg')].every((each) => each.clientWidth === 636)")
    assert browser.run(CUT) == []


def test_it_prints(browser, report):
    browser.open(report("profiled"), dark=True)
    browser.wait(DRAWN)
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", printed)) >= 3
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert {width for _, width, _ in browser.run(PLOTS)} == {690}
    assert browser.run("[...document.querySelectorAll('details')].every((each) => each.open)")
    white = browser.run("getComputedStyle(document.documentElement).backgroundColor")
    assert white == "rgb(255, 255, 255)"
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert {width for _, width, _ in browser.run(PLOTS)} != {690}
    assert browser.said == []


def test_hostile_texts_are_shown_and_not_obeyed(browser, report):
    path = report("hostile")
    browser.open(path)
    browser.wait(DRAWN)
    assert browser.run("document.images.length") == 0
    assert browser.run("document.querySelectorAll('script').length") == 4  # ours, its two data, plotly.js
    assert f"{HOSTILE}1" in browser.run("document.querySelector('h1').textContent")
    assert HOSTILE[:20] in browser.run("document.querySelector('[data-figure=speedups]').textContent")
    assert browser.run("document.querySelectorAll('.plot a').length") == 0
    assert (browser.requests, browser.said) == ([path.as_uri()], [])


def test_should_one_get_through_it_can_do_nothing(browser, report):
    browser.open(report("profiled"))
    browser.wait(DRAWN)
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.caught = true\">')")
    browser.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'caught = true'}))")
    browser.run("fetch('http://localhost:1/').catch(() => {})")
    assert browser.run("window.caught") is None
    assert sum("Content Security Policy" in line for line in browser.said) >= 3


def test_a_browser_that_cannot_unpack_says_so(browser, report):
    script = browser.ask("Page.addScriptToEvaluateOnNewDocument", source="delete window.DecompressionStream")
    browser.open(report("profiled"))
    browser.wait("document.querySelector('.plot').textContent !== ''")
    browser.ask("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])
    assert browser.run("document.querySelector('.plot').textContent") == "Not drawn: DecompressionStream is not defined"


def test_results_of_the_first_version_have_a_report_too(browser, folder, warm):
    old = Path(__file__).parents[1] / "runtime_bench/results_version_1.json"
    assert warm(f"report {old} -o old.html", folder).code == 0
    browser.open(folder / "old.html")
    browser.wait(DRAWN)
    assert browser.said == []


def test_the_same_results_make_the_same_report(report, folder, warm):
    assert warm("report profiled.json -o again.html", folder).code == 0
    assert (folder / "again.html").read_bytes() == report("profiled").read_bytes()


def test_what_people_are_told(folder, warm):
    done = warm("report profiled.json -o told.html", folder)
    assert "falcon" in done.words
    assert "Speedup" in done.words
    assert done.err == "written to told.html\n"
