"""The page with bundles, and the results that come back: validated, numbered, never over what is there."""

import http.client
import json
import os
import signal
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from falcon_edge.bundle import open_bundle
from falcon_edge.errors import BadInput
from falcon_edge.steps import serve as serving
from falcon_edge.steps.embed import ARCHIVE
from falcon_edge.steps.serve import LIBRARY, Place, page_folder, serve
from runtime_bench.errors import BenchInputError
from runtime_bench.results import load

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "results.json"


@pytest.fixture
def page(tmp_path):
    """A page of as many files as it takes."""
    folder = tmp_path / "page"
    (folder / LIBRARY).parent.mkdir(parents=True)
    (folder / LIBRARY).write_text("")
    (folder / "index.html").write_text("the page")
    return folder


def ask(address, name, data=None):
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=20)
    kind = {} if data is None else {"Content-Type": "application/json"}
    connection.request("GET" if data is None else "POST", f"{place.path}{name}", data, kind)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def session(bundles, output, page, visit):
    """Serve, have `visit` do something with the address meanwhile, and end as Ctrl-C does."""
    problems, received = [], []

    def ready(address):
        def run():
            try:
                visit(address)
            except BaseException as error:
                problems.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=run).start()

    def note(results, path):
        received.append(path)

    written = serve(bundles, output, Place(), page=page, ready=ready, received=note)
    if problems:
        raise problems[0]
    assert received == written
    return written


def results_of(bundle):
    """The example's results, of a file of a bundle."""
    index = json.loads(EXAMPLE.read_text())
    entry = index["entries"][0]
    entry["model"]["sha256"] = open_bundle(bundle).digest("exports/model.fp32.onnx")
    entry["device"] = "browser:Chrome 140"
    return index | {"entries": [entry]}


def test_the_page_is_served_with_its_models_and_results_come_back(exported, page, tmp_path):
    output = tmp_path / "results.json"
    sent = json.dumps(results_of(exported[0])).encode()

    def visit(address):
        assert address.startswith("http://127.0.0.1:")
        assert address.endswith("/?send")
        assert ask(address, "") == (200, b"the page")
        index = json.loads(ask(address, "models/index.json")[1])
        assert [model["folder"] for model in index["models"]] == ["compressed", "standard"]
        for model in index["models"]:
            for name, file in model["files"].items():
                status, body = ask(address, f"models/{model['folder']}/{name}")
                assert (status, len(body)) == (200, file["bytes"])
        assert ask(address, "results", sent) == (200, b"results.json has them.\n")
        assert ask(address, "results", sent) == (200, b"results.2.json has them.\n")

    written = session(exported, output, page, visit)
    assert written == [output, tmp_path / "results.2.json"]
    for path in written:
        assert load(path).entries[0].device == "browser:Chrome 140"
    former = output.read_bytes()
    again = session(exported, output, page, lambda address: ask(address, "results", sent))
    assert again == [tmp_path / "results.3.json"]
    assert output.read_bytes() == former


def test_what_are_no_results_of_these_files_is_refused(exported, page, tmp_path):
    good = results_of(exported[0])
    other = json.loads(json.dumps(good))
    other["entries"][0]["model"]["sha256"] = "0" * 64
    wrong = json.loads(json.dumps(good))
    wrong["entries"][0]["summary"]["p50_ns"] *= 2
    cases = {
        b"": b"not a results file",
        b"[1]": b"no schema_version",
        b'{"schema_version": 99}': b"version 99",
        json.dumps(good | {"entries": []}).encode(): b"nothing was measured",
        json.dumps(other).encode(): b"is not a file that is served here",
        json.dumps(wrong).encode(): b"the summary is not that of its samples",
        b"[" * 100_000: b"not a results file",
    }

    def visit(address):
        for data, said in cases.items():
            status, body = ask(address, "results", data)
            assert (status, said in body) == (400, True), (data[:80], body)
            assert body.count(b"\n") == 1
            assert b"/" not in body  # no path of this machine

    output = tmp_path / "results.json"
    assert session(exported, output, page, visit) == []
    assert not output.exists()


def test_what_cannot_be_served_is_refused_in_one_line(exported, page, tmp_path):
    output = tmp_path / "results.json"

    def refusal(bundles=exported, output=output, place=None, page=page):
        with pytest.raises((BadInput, BenchInputError)) as caught:
            serve(bundles, output, place or Place(), page=page, ready=None, received=None)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no such bundle" in refusal(bundles=[tmp_path / "none.falcon"])
    assert ARCHIVE in refusal(page=tmp_path)
    (page / LIBRARY).unlink()
    assert "vendor.py" in refusal()
    (page / LIBRARY).write_text("")
    assert "cannot be written" in refusal(output=tmp_path / "none" / "results.json")
    assert "is an input of this run" in refusal(output=exported[0] / "results.json")
    assert "both `cert` and `key`" in refusal(place=Place(cert=output))
    assert "no certificate" in refusal(place=Place(cert=page / "index.html", key=page / "index.html"))
    assert "no certificate" in refusal(place=Place(cert=tmp_path / "a", key=tmp_path / "b"))
    assert "cannot be used" in refusal(place=Place(host="192.0.2.77"))
    assert "cannot be used" in refusal(place=Place(host="no such host"))


def test_the_checkouts_page_is_the_default():
    assert serving.SOURCES.name == "web"
    assert (serving.SOURCES / "index.html").is_file()
    if (serving.SOURCES / LIBRARY).is_file():
        assert page_folder(None) == serving.SOURCES
