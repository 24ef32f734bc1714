"""The page as the WebView app carries it: out of the built APK, with the types that the app answers with."""

import json
import re
import zipfile

import pytest
from ci import apk, models
from page import WEB, served

from falcon_edge import page_server
from falcon_edge.page_server import listed
from runtime_bench.results import load

pytestmark = pytest.mark.xdist_group("page")

ACTIVITY = WEB.parent / "webview" / "src" / "main" / "java" / "org" / "falconedge" / "web" / "WebActivity.java"
READY = "document.querySelector('#loading') === null"
# What the app puts into the page.
HOST = "window.falconHost = { save: (name, text) => { window.saved = text; return `/sdcard/${name}`; } };"


@pytest.fixture(scope="module")
def assets(libraries, bundles, tmp_path_factory):
    """The files of the APK's page."""
    folder = tmp_path_factory.mktemp("webview")
    project = models.copy_project(folder / "project")
    models.embed([bundles["falcon"], bundles["pixels"]], project)
    models.add_libraries(project / "web")
    path = apk.Build(project, folder / "built").app(apk.PAGE, "debug")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith("assets/")])
    return folder / "assets"


@pytest.mark.slow
@pytest.mark.slow
def test_the_page_of_the_apk_works_and_gives_its_results_to_the_app(browser, assets, tmp_path):
    added = browser.ask("Page.addScriptToEvaluateOnNewDocument", source=HOST)["identifier"]
    try:
        with served(listed(assets, without=".") | unlisted(assets)) as site:
            browser.open(site.address, width=360, height=740)
            browser.wait(READY)
            browser.run("location.hash = 'selftest'")
            browser.click("#test")
            browser.wait("document.querySelector('#tested').textContent === '8 passed, 0 failed, 0 cannot run here.'")
            browser.run("location.hash = 'benchmark'")
            for name, value in {"runs": 3, "rounds": 2, "every": 0}.items():
                browser.run(f"document.querySelector('#protocol').elements.{name}.value = {value}")
            browser.click("#start")
            browser.wait("document.querySelector('#measuring').textContent === 'Measured.'")
            browser.click("#save")
            assert browser.run("document.querySelector('#measuring').textContent").startswith("Saved: /sdcard/results-")
            assert browser.run("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0
            assert browser.errors == []
            path = tmp_path / "results.json"
            path.write_text(browser.run("window.saved"))
    finally:
        browser.ask("Page.removeScriptToEvaluateOnNewDocument", identifier=added)
    assert len(load(path).entries) == 8


def unlisted(assets):
    """The files of models, whose names have no type."""
    return {path.relative_to(assets).as_posix(): path for path in assets.rglob("models/**/*") if path.is_file()}


def test_the_app_knows_the_types_of_the_pages_files(assets):
    known = dict(re.findall(r'TYPES\.put\("(\w+)", "([^"]+)"\)', ACTIVITY.read_text()))
    served = {suffix.removeprefix("."): kind.partition(";")[0] for suffix, kind in page_server.TYPES.items()}
    assert known.items() <= served.items()
    suffixes = {path.suffix.removeprefix(".") for path in assets.rglob("*") if path.is_file()}
    assert suffixes - known.keys() <= {"bin", "onnx", "tflite", "webmanifest"}
    json.loads((assets / "models" / "index.json").read_text())
