"""falcon-edge embed and serve as commands: what they print, what they leave, and how they end."""

import http.client
import json
import shutil
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from page import WEB
from program import start

from falcon_edge.bundle import sha256
from falcon_edge.steps.embed import ARCHIVE
from falcon_edge.steps.serve import LIBRARY

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "results.json"


@pytest.fixture
def page(tmp_path):
    """The page's own files, and in the place of the libraries one that is empty."""
    page = shutil.copytree(WEB, tmp_path / "web", ignore=shutil.ignore_patterns("vendor", "models", ".*"))
    (page / LIBRARY).parent.mkdir(parents=True)
    (page / LIBRARY).write_text("")
    return page


def test_embed_adds_lists_and_removes(flow, warm, tmp_path):
    app = tmp_path / "android_demo"
    (app / "app" / "src" / "main").mkdir(parents=True)
    models = app / "app" / "src" / "main" / "assets" / "models"
    bundles = f"{flow.folder}/standard.falcon {flow.folder}/falcon.falcon"
    done = warm(f"embed {bundles} {app} --target onnx --json", tmp_path)
    assert done.code == 0, done
    document = done.document
    assert document["path"] == str(models)
    assert [model["folder"] for model in document["models"]] == ["falcon", "standard"]
    assert document["bytes"] == sum(path.stat().st_size for path in models.glob("*/**/*") if path.is_file())
    index = json.loads((models / "index.json").read_text())
    assert {name: document[name] for name in ("schema_version", "models")} == index
    done = warm(f"embed --list {app}", tmp_path)
    assert (done.code, "standard" in done.words, "all together" in done.words) == (0, True, True)
    assert warm(f"embed --remove standard {app}", tmp_path).code == 0
    assert sorted(path.name for path in models.iterdir()) == ["falcon", "index.json"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("BUNDLE", ARCHIVE),
        ("BUNDLE .", ARCHIVE),
        ("BUNDLE web --list", "one of them; 2 were given"),
        ("web", "one of them; 0 were given"),
        ("BUNDLE web --target coreml", "coreml: no such format"),
        ("BUNDLE web --precision fp8", "fp8: no such precision"),
        ("BUNDLE web --remove x", "one of them; 2 were given"),
        ("--remove x web", "x: no such model"),
        ("none.falcon web", "no such bundle"),
    ],
)
def test_embed_refuses_in_one_line(flow, warm, page, tmp_path, words, said):
    done = warm(f"embed {words}".replace("BUNDLE", f"{flow.folder}/falcon.falcon"), tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert said in done.err
    assert not (page / "models").exists()


def begun(words, folder):
    """The running command, the address that it printed first, and what it said then."""
    process = start(f"serve {words}", folder)
    address = process.stderr.readline().strip()
    assert address.startswith("http"), address + process.stderr.read()
    said = []
    while "-q" not in words and said[-1:] != ["Ctrl-C ends it\n"]:
        said.append(process.stderr.readline())
    return process, address, "".join(said)


def ask(address, name, data=None):
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=20)
    kind = {} if data is None else {"Content-Type": "application/json"}
    connection.request("GET" if data is None else "POST", f"{place.path}{name}", data, kind)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_serve_prints_an_address_and_a_code_and_ctrl_c_ends_it(flow, page, tmp_path):
    process, address, said = begun(f"{flow.folder}/falcon.falcon --page {page}", tmp_path)
    assert ask(address, "")[1] == (page / "index.html").read_bytes()
    assert ask(address, "js/app.js")[0] == 200
    assert ask(address, "vendor.py")[0] == 404
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out.strip() == "no results came"
    assert err == ""
    assert "█" in said
    assert f"adb reverse tcp:{urlsplit(address).port}" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["web"]


def test_results_of_two_devices_are_two_files_that_compare_reads(flow, warm, page, tmp_path):
    models = f"{flow.folder}/standard.falcon {flow.folder}/falcon.falcon"
    process, address, _ = begun(f"{models} --page {page} -o phones.json -q --json", tmp_path)
    document = json.loads(EXAMPLE.read_text())
    for place, name in ((0, "standard"), (2, "falcon")):
        entry = document["entries"][place] | {"device": "browser:Chrome 140.0.0.0"}
        digest = sha256(flow.folder / f"{name}.falcon" / "exports" / "model.fp32.onnx")
        entry["model"] |= {"sha256": digest, "file": "model.fp32.onnx", "target": "onnx", "precision": "fp32"}
        document["entries"][place] = entry
    document["entries"] = [document["entries"][place] for place in (0, 2)]
    for phone in ("Pixel 7", "Pixel 9"):
        document["before"]["machine"] = phone
        assert ask(address, "results", json.dumps(document).encode())[0] == 200
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, json.loads(out), err) == (0, ["phones.json", "phones.2.json"], "")
    done = warm("compare phones.json phones.2.json --across machine --json", tmp_path)
    assert done.code == 0, done
    assert "Pixel 9" in (tmp_path / "phones.2.json").read_text()


def test_serve_warns_where_it_is_open(flow, page, tmp_path):
    process, address, said = begun(f"{flow.folder}/falcon.falcon --page {page} --host 0.0.0.0", tmp_path)
    assert "0.0.0.0" not in address
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert "warning: it is open to everyone" in said
    assert "no camera and one thread only" in said
    assert process.returncode == 0
