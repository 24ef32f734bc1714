"""The page on any static server: kept for use offline, isolated by itself; and what plain HTTP leaves of it."""

import shutil
import ssl
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from page import WEB, served

from falcon_edge.steps.embed import embed

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]

READY = "document.querySelector('#loading') === null"
ANSWERED = "document.querySelectorAll('.answer').length === 1"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *values):
        pass


@contextmanager
def static(folder):
    """The port of a server that knows nothing of the page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def folder(bundles, tmp_path_factory):
    """The page as users copy it to a server."""
    folder = tmp_path_factory.mktemp("static") / "demo"
    shutil.copytree(WEB, folder, ignore=shutil.ignore_patterns("models", ".*"))
    embed([bundles["standard"], bundles["pixels"]], folder)
    return folder


def test_the_page_works_offline_once_it_was_there(browser, folder):
    with static(folder.parent) as port:
        address = f"http://127.0.0.1:{port}/demo/"
        browser.open(address)
        browser.wait(READY)
        assert "one thread only" in browser.run("document.querySelector('#limits').textContent")
        browser.run("navigator.serviceWorker.ready.then(() => true)")
        browser.wait("navigator.serviceWorker.controller !== null")
        browser.open(address)
        browser.wait(READY)
        assert browser.run("crossOriginIsolated")
    browser.open(address + "#about")
    browser.open(address)
    browser.wait(READY)
    assert browser.run("crossOriginIsolated")
    browser.click("#example")
    browser.wait(ANSWERED)
    browser.run("location.hash = 'selftest'")
    browser.click("#test")
    browser.wait("document.querySelector('#tested').textContent.includes(', 0 failed')")


def test_over_plain_http_the_page_says_what_is_not_there_and_works(browser, files, tmp_path):
    with served(files) as site:
        address = site.address.replace("127.0.0.1", "elsewhere.test")
        browser.open(address)
        browser.wait(READY)
        assert not browser.run("isSecureContext")
        assert "plain HTTP" in browser.run("document.querySelector('#limits').textContent")
        assert browser.run("document.querySelector('#camera').hidden")
        assert browser.run("document.querySelector('#threads').options.length") == 1
        browser.click("#example")
        browser.wait(ANSWERED)
        assert "Self-test: passed" in browser.run("document.querySelector('#answers').innerText")
        browser.run("location.hash = 'benchmark'")
        for name, value in {"runs": 3, "rounds": 1, "every": 0}.items():
            browser.run(f"document.querySelector('#protocol').elements.{name}.value = {value}")
        browser.click("#start")
        browser.wait("document.querySelector('#measuring').textContent === 'Measured.'")
        assert "coarse-clock" in browser.run("document.querySelector('#measured').innerText")
        assert [each for each in browser.requests if not each.startswith((address, "blob:"))] == []


def test_over_https_everything_works(browser, files, tmp_path):
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=elsewhere.test"]
    subprocess.run([*made, "-out", pem, "-keyout", key], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    with served(files, certificate=context) as site:
        browser.open(site.address.replace("127.0.0.1", "elsewhere.test"))
        browser.wait(READY)
        assert browser.run("isSecureContext && crossOriginIsolated")
        assert browser.run("document.querySelector('#limits').hidden && !document.querySelector('#camera').hidden")
        threads = browser.run("document.querySelector('#threads').options.length")
        assert threads == min(8, browser.run("navigator.hardwareConcurrency"))
        browser.run("document.querySelector('#threads').value = document.querySelector('#threads').options.length")
        browser.click("#example")
        browser.wait(ANSWERED)
        assert "Self-test: passed" in browser.run("document.querySelector('#answers').innerText")
