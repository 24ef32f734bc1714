"""The page as people use it, at the size of a phone and of a screen: nothing foreign, no error, and what it says."""

import base64
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from page import WEB, served
from PIL import Image
from program import run

from falcon_edge.bundle import sha256
from runtime_bench.results import load

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]

DOCS = Path(__file__).parents[3] / "docs" / "page"
SIZES = {"360": (360, 740), "1280": (1280, 800)}
READY = "document.querySelector('#loading') === null"
IDLE = "document.querySelector('#doing').textContent === ''"
MESSAGE = "document.querySelector('#message').hidden ? null : document.querySelector('#message').textContent"
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Controls without a name, or too small for a finger.
UNNAMED = """
[...document.querySelectorAll("button, select, input, a, canvas, video, progress")].filter((each) => {
  if (!each.checkVisibility()) return false;
  const name = each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.[0]?.textContent.trim();
  const box = (each.type === "checkbox" ? each.parentElement : each).getBoundingClientRect();
  const small = each.matches("button, select, input:not(.visually-hidden), a") && box.height < 32;
  return !name || small;
}).map((each) => each.outerHTML)
"""

ROWS = "[...document.querySelectorAll('#tests tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText))"


def start(browser, site, size="360", where="", dark=False):
    width, height = SIZES[size]
    browser.open(site.address + where, width=width, height=height, dark=dark)
    browser.wait(READY)


def show(browser, name):
    browser.run(f"location.hash = '{name}'")
    browser.wait(f"!document.querySelector('#{name}').hidden")


def choose(browser, selector, value):
    browser.run(
        f"(() => {{ const select = document.querySelector('{selector}'); select.value = {json.dumps(value)};"
        "select.dispatchEvent(new Event('change')); })()"
    )


def text(browser, selector):
    return browser.run(f"document.querySelector({json.dumps(selector)}).innerText")


def check(browser, site):
    """Nothing went wrong, nothing came from elsewhere, and all of it fits."""
    assert browser.errors == []
    assert browser.requests
    assert [each for each in browser.requests if not each.startswith((site.address, "blob:"))] == []
    assert browser.run(MESSAGE) is None
    assert browser.run(WIDE) <= 0
    assert browser.run(UNNAMED) == []


def keep(browser, name):
    """A picture for the docs, where they are made anew."""
    if os.environ.get("FALCON_EDGE_REGENERATE"):
        DOCS.mkdir(exist_ok=True)
        path = DOCS / f"{name}.png"
        path.write_bytes(browser.picture(whole=False))
        with Image.open(path) as picture:
            picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(path, optimize=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dark", [False, True])
def test_an_image_through_two_models(browser, site, size, dark):
    start(browser, site, size, dark=dark)
    choose(browser, "#first", "standard/exports/model.fp32.onnx")
    choose(browser, "#second", "falcon/exports/model.fp32.onnx")
    browser.click("#example")
    browser.wait("document.querySelectorAll('.answer').length === 2 && document.querySelector('.speedup') !== null")
    said = text(browser, "#answers")
    assert said.count("Self-test: passed (8 inputs") == 2
    assert "times as fast" in said
    for step in ("pre-processing", "inference", "post-processing"):
        assert said.count(step) == 2
    assert said.count("T-shirt/top") == 2
    check(browser, site)
    browser.run("scrollTo(0, 0)" if size == "1280" else "document.querySelector('#answers').scrollIntoView()")
    keep(browser, f"{size}-{'dark' if dark else 'light'}")


def test_a_map_is_drawn_over_the_image_and_other_outputs_are_numbers(browser, site):
    start(browser, site, "1280")
    choose(browser, "#first", "pixels/exports/model.fp32.tflite")
    choose(browser, "#second", "pixels/exports/model.int8.onnx")
    browser.click("#example")
    browser.wait("document.querySelectorAll('.answer').length === 2 && document.querySelector('.speedup') !== null")
    said = text(browser, "#answers")
    assert said.count("boxes (5 x 120): ") == 2
    assert said.count("of the pixels") == 2
    colours = browser.run("""
      (() => {
        const canvas = document.querySelector(".answer canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const pixels = Array.from({ length: data.length / 4 }, (_, at) => data.slice(4 * at, 4 * at + 3).join());
        return [canvas.width, canvas.height, new Set(pixels).size];
      })()
    """)
    assert colours[:2] == [24, 20]
    assert colours[2] > 10
    check(browser, site)


def test_a_map_lies_over_the_photo_as_it_was_picked(browser, site, tmp_path):
    """The bundle has no steps for a wide photo: its edges are not seen by the model, and stay as they are."""
    Image.new("RGB", (160, 40), (90, 90, 90)).save(tmp_path / "wide.png")
    start(browser, site, "1280")
    choose(browser, "#first", "pixels/exports/model.fp32.onnx")
    browser.pick("#file", tmp_path / "wide.png")
    browser.wait("document.querySelectorAll('.answer').length === 1")
    size, edge, middle = browser.run("""
      (() => {
        const canvas = document.querySelector(".answer canvas");
        const at = (x) => Array.from(canvas.getContext("2d").getImageData(x, 20, 1, 1).data).slice(0, 3);
        return [[canvas.width, canvas.height], [at(2), at(157)], at(80)];
      })()
    """)
    assert size == [160, 40]
    assert edge == [[90, 90, 90]] * 2
    assert middle != [90, 90, 90]
    check(browser, site)


def test_a_picked_picture_is_upright_and_gets_the_inputs_size(browser, site, tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6  # turned by a quarter
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    start(browser, site)
    choose(browser, "#first", "standard/exports/model.int8.onnx")
    browser.pick("#file", tmp_path / "turned.jpg")
    browser.wait("document.querySelectorAll('.answer').length === 1")
    assert "cut to a square and resized" in text(browser, "#answers")
    size = browser.run(
        """
      (async () => {
        const { imageOf } = await import("./js/images.js");
        const bytes = Uint8Array.from(atob(PICTURE), (sign) => sign.charCodeAt(0));
        const { height, width, channels } = await imageOf(new File([bytes], "turned.jpg"));
        return [height, width, channels];
      })()
    """.replace("PICTURE", json.dumps(encoded(tmp_path / "turned.jpg")))
    )
    assert size == [160, 90, 3]
    check(browser, site)


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()


def test_what_is_no_picture_is_a_message(browser, site, tmp_path):
    (tmp_path / "words.png").write_text("no picture")
    start(browser, site)
    browser.pick("#file", tmp_path / "words.png")
    browser.wait(f"({MESSAGE}) !== null")
    assert browser.run(MESSAGE) == "words.png: this browser cannot read it as a picture"


def test_the_camera_live_and_captured(browser, site):
    start(browser, site)
    choose(browser, "#first", "pixels/exports/model.fp32.onnx")
    browser.click("#camera")
    browser.wait("document.querySelector('#video').videoWidth > 0")
    browser.click("#live")
    browser.wait("document.querySelectorAll('.answer').length === 1")
    browser.click("#live")
    browser.click("#capture")
    browser.wait(IDLE)
    browser.wait("document.querySelectorAll('.answer').length === 1")
    browser.click("#stop")
    browser.wait("document.querySelector('#video').srcObject === null")
    check(browser, site)


def test_every_file_passes_its_self_test_or_is_refused_for_a_reason(browser, site, files):
    start(browser, site, "1280")
    show(browser, "selftest")
    browser.click("#test")
    browser.wait("document.querySelector('#tested').textContent.includes('cannot run here')")
    rows = browser.run(
        "[...document.querySelectorAll('#tests tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    exports = [name for name in files if "/exports/" in name]
    assert len(rows) == len(exports) >= 16
    refused = [row for row in rows if "integers" in row[2]]
    assert [row[0] for row in refused] == ["integers: int8 tflite"]
    assert [row for row in rows if row not in refused and not row[2].startswith("passed (8 inputs")] == []
    check(browser, site)
    keep(browser, "self-test")


@pytest.fixture(scope="module")
def sent(browser, files, tmp_path_factory):
    """What the benchmark sent: the file, and the site."""
    with served(files) as site:
        start(browser, site, "360", "?send")
        assert browser.run("!document.querySelector('#benchmark').hidden")
        for name, value in {"runs": 6, "rounds": 2, "every": 20, "ticks": 5}.items():
            browser.run(f"document.querySelector('#protocol').elements.{name}.value = {value}")
        browser.click("#start")
        browser.wait("document.querySelector('#measuring').textContent === 'Measured. taken.'")
        check(browser, site)
        browser.run("document.querySelector('#measuring').scrollIntoView()")
        keep(browser, "benchmark")
        rows = browser.run("document.querySelectorAll('#measured tbody tr').length")
        (data,) = site.took
    path = tmp_path_factory.mktemp("sent") / "results.json"
    path.write_bytes(data)
    return path, rows


def test_the_benchmarks_results_are_the_projects(sent, bundles):
    path, rows = sent
    results = load(path)
    assert len(results.entries) == rows >= 15
    for entry in results.entries:
        assert entry.failure is None
        assert [len(burst.samples_ns) for burst in entry.bursts] == [6, 6]
        assert entry.paced is not None
        assert len(entry.paced.bursts[0].samples_ns) >= 5
        assert entry.device.startswith("browser:Chrome")
        assert all(agreement.within_tolerance for agreement in entry.agreement)
        assert entry.model.sha256 == sha256(bundles[entry.model.name] / "exports" / entry.model.file)
        assert "unpinned" in [flag.flag for flag in entry.flags]
    packages = {entry.runtime.package: entry.runtime.version for entry in results.entries}
    assert set(packages) == {"onnxruntime-web", "@litertjs/core"}


def test_compare_and_report_read_them(sent, tmp_path):
    shutil.copy(sent[0], tmp_path / "results.json")
    done = run("compare results.json --json", tmp_path)
    assert done.code == 0, done
    assert "falcon" in done.out
    done = run("report results.json -o report.html", tmp_path)
    assert done.code == 0, done
    assert (tmp_path / "report.html").stat().st_size > 100_000


def test_a_file_that_fails_costs_the_others_nothing(browser, site):
    start(browser, site)
    found = browser.run("""
      (async () => {
        const { measure } = await import("./js/benchmark.js");
        let runs = 0;
        const good = { engine: { run: async () => [] } };
        const never = { engine: { run: async () => { throw new Error("out of memory"); } } };
        const once = { engine: { run: async () => { if (++runs > 3000) throw new RangeError("gone"); } } };
        const options = { runs: 2000, rounds: 4, every: 60, ticks: 3, clockStep: 0 };
        const slow = { engine: { run: () => new Promise((resolve) => setTimeout(resolve, 130)) } };
        const found = await measure([good, never, once], options, () => {}, () => false);
        const [late] = await measure([slow], { ...options, runs: 1, rounds: 1 }, () => {}, () => false);
        return [found.map((each) => each.failure ?? each.bursts.length), found[0].paced, late.paced];
      })()
    """)
    assert found[0] == [4, "something unexpected: out of memory", "something unexpected: gone"]
    assert (found[1]["period_ms"], found[1]["missed"]) == (60, 0)
    assert len(found[1]["bursts"][0]["samples_ns"]) == 3
    assert found[2]["missed"] >= 2


@pytest.mark.parametrize("model", ["fp32.onnx", "fp32.tflite"])
def test_the_page_goes_on_while_it_measures(browser, site, model):
    """A timer of the page's, during one long round."""
    start(browser, site)
    show(browser, "benchmark")
    browser.run(f"""
      for (const box of document.querySelectorAll("#files input")) {{
        box.checked = box.value === "standard/exports/model.{model}";
      }}
      for (const [name, value] of Object.entries({{ runs: 2000, rounds: 1, every: 0 }})) {{
        document.querySelector("#protocol").elements[name].value = value;
      }}
      globalThis.ticks = 0;
      setInterval(() => {{
        globalThis.ticks += document.querySelector("#measuring").textContent === "Measuring: round 1 of 1";
      }}, 20);
    """)
    browser.click("#start")
    browser.wait("document.querySelector('#measuring').textContent === 'Measured.'")
    assert browser.run("globalThis.ticks") >= 10
    check(browser, site)


def test_without_a_worker_models_run_in_the_page(browser, files):
    with served({name: path for name, path in files.items() if name != "js/worker.js"}) as site:
        start(browser, site)
        browser.click("#example")
        browser.wait("document.querySelectorAll('.answer').length === 1")
        assert "Self-test: passed (8 inputs" in text(browser, "#answers")
        show(browser, "benchmark")
        for name, value in {"runs": 2, "rounds": 1, "every": 0}.items():
            browser.run(f"document.querySelector('#protocol').elements.{name}.value = {value}")
        browser.click("#start")
        browser.wait("document.querySelector('#measuring').textContent === 'Measured.'")
        assert [each for each in browser.errors if "404" not in each] == []


def test_a_benchmark_can_be_stopped(browser, site):
    start(browser, site)
    show(browser, "benchmark")
    browser.run("document.querySelector('#protocol').elements.rounds.value = 1000")
    browser.click("#start")
    browser.wait("document.querySelector('#measuring').textContent.startsWith('Measuring')")
    browser.click("#cancel")
    browser.wait("document.querySelector('#measuring').textContent.startsWith('Stopped')")
    assert browser.run("document.querySelector('#delivery').hidden")


def test_about_says_what_there_is(browser, site):
    start(browser, site)
    show(browser, "about")
    said = text(browser, "#about")
    for name in ("standard", "falcon", "integers", "pixels", "compressed", "Chrome", "LiteRT.js takes no integers"):
        assert name in said
    check(browser, site)


def with_models(files, folder, change):
    """The page's files with changed models: a copy of them, `change`d in its folder."""
    for name, path in files.items():
        if name.startswith("models/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / name)
    change(folder / "models")
    own = {name: folder / name for name in files if name.startswith("models/") and (folder / name).exists()}
    return {name: path for name, path in files.items() if not name.startswith("models/")} | own


def rewrite(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def listed(models, folder, name, data):
    """Have a file say something else, and the index know it."""
    (models / folder / name).write_bytes(data)
    file = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def change(index):
        next(each for each in index["models"] if each["folder"] == folder)["files"][name] = file

    rewrite(models / "index.json", change)


DAMAGE = {
    "no model is embedded": lambda models: shutil.rmtree(models),
    "models/index.json: is no JSON": lambda models: (models / "index.json").write_text("{"),
    "models/index.json: is of version 7": lambda models: rewrite(
        models / "index.json", lambda index: index.update(schema_version=7)
    ),
    "standard/manifest.json: is damaged": lambda models: (models / "standard" / "manifest.json").write_bytes(
        (models / "standard" / "manifest.json").read_bytes().replace(b"vgg8", b"vgg9")
    ),
    "standard/manifest.json: is not there": lambda models: (models / "standard" / "manifest.json").unlink(),
    "standard/manifest.json: is of version 3": lambda models: listed(
        models, "standard", "manifest.json", b'{"schema_version": 3}'
    ),
    "standard/manifest.json: name: is no text": lambda models: listed(
        models, "standard", "manifest.json", b'{"schema_version": 2, "lineage": {}}'
    ),
}


@pytest.mark.parametrize("said", DAMAGE)
def test_damaged_models_are_a_message_and_the_others_work(browser, files, tmp_path, said):
    with served(with_models(files, tmp_path, DAMAGE[said])) as site:
        start(browser, site)
        assert said in browser.run(MESSAGE)
        assert [each for each in browser.errors if "404" not in each] == []
        if "standard/" in said:
            choose(browser, "#first", "falcon/exports/model.fp32.onnx")
            browser.click("#example")
            browser.wait("document.querySelectorAll('.answer').length === 1")


def test_libraries_that_are_not_there_are_a_message(browser, files):
    with served({name: path for name, path in files.items() if not name.startswith("vendor/")}) as site:
        start(browser, site)
        for target, runtime in (("onnx", "ONNX Runtime"), ("tflite", "LiteRT")):
            choose(browser, "#first", f"standard/exports/model.fp32.{target}")
            browser.click("#example")
            browser.wait(f"({MESSAGE}) === '{runtime} is not in this page; run vendor.py beside it'")


def test_texts_of_a_bundle_are_texts(browser, files, tmp_path):
    hostile = "<img src=x onerror=alert(1)></script>"

    def change(models):
        manifest = json.loads((models / "standard" / "manifest.json").read_text())
        manifest |= {"name": hostile, "labels": [f"{hostile}{place}" for place in range(10)]}
        manifest["outputs"][0]["name"] = hostile
        for tolerance in manifest["golden"]["tolerances"]:
            tolerance["output"] = hostile
        listed(models, "standard", "manifest.json", json.dumps(manifest).encode())

    with served(with_models(files, tmp_path, change)) as site:
        start(browser, site)
        choose(browser, "#first", "standard/exports/model.fp32.onnx")
        browser.click("#example")
        browser.wait("document.querySelectorAll('.answer').length === 1")
        assert hostile in text(browser, "#answers")
        for name in ("selftest", "benchmark", "about"):
            show(browser, name)
        assert browser.run("document.querySelector('img') === null")
        assert browser.errors == []


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_a_model_that_is_none_is_a_message(browser, files, tmp_path, target):
    name = f"exports/model.fp32.{target}"

    def change(models):
        listed(models, "standard", name, b"no model at all")
        listed(models, "falcon", name, (models / "falcon" / name).read_bytes()[:2000])

    with served(with_models(files, tmp_path, change)) as site:
        start(browser, site)
        for folder in ("standard", "falcon"):
            choose(browser, "#first", f"{folder}/{name}")
            browser.click("#example")
            browser.wait(f"({MESSAGE}) !== null")
            assert "cannot load this file" in browser.run(MESSAGE)
        choose(browser, "#first", "pixels/exports/model.fp32.onnx")
        browser.click("#example")
        browser.wait("document.querySelectorAll('.answer').length === 1")


def test_the_page_is_as_it_is_in_the_folder(files):
    """What the service worker keeps are all the page's own files."""
    source = (WEB / "sw.js").read_text()
    kept = set(json.loads(source[source.index("[") : source.index("];")].rstrip(", \n") + "]"))
    own = {name for name in files if not name.startswith("models/")} - {"sw.js", "index.html"} | {"./"}
    others = {name for name in own if "wasm_internal" in name or "compat" in name}  # of LiteRT, for other browsers
    assert kept == own - others
    assert len(others) == 4
