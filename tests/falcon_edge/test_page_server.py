"""The page's server: what is asked for by its name is there for who has the token, and nothing else is, ever."""

import contextlib
import http.client
import random
import socket
import ssl
import subprocess
import threading
import time

import pytest

from falcon_edge import page_server
from falcon_edge.page_server import MAXIMUM_UPLOAD, PageServer, Refused, listed

TOKEN = "the-token"
PAGE = b"<!doctype html>"


@pytest.fixture
def folder(tmp_path):
    page = tmp_path / "page"
    for name in ("index.html", "js/app.js", "vendor/a/x.wasm", "models/old/manifest.json", ".hidden.js", "vendor.py"):
        (page / name).parent.mkdir(parents=True, exist_ok=True)
        (page / name).write_bytes(PAGE)
    (tmp_path / "secret.js").write_text("secret")
    return page


@contextlib.contextmanager
def running(folder, take=lambda data: "taken.", certificate=None):
    server = PageServer(("127.0.0.1", 0), listed(folder, without="models"), TOKEN, take, certificate)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server(folder):
    with running(folder) as server:
        yield server


def ask(server, path, method="GET", body=None, headers=None):
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=False, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def send(server, data, path=f"/{TOKEN}/results", **headers):
    usual = {"Content-Type": "application/json", "Content-Length": str(len(data))}
    return ask(server, path, "POST", data, usual | headers)


def raw(server, data, *, wait=5):
    """What comes back for bytes."""
    with socket.create_connection(server.server_address, timeout=wait) as connection:
        connection.sendall(data)
        found = b""
        with contextlib.suppress(OSError):  # the server may have ended it by now
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(1 << 16):
                found += chunk
        return found


def test_files_of_the_page_are_there(server):
    for path, kind in (
        ("", "text/html; charset=utf-8"),
        ("?send", "text/html; charset=utf-8"),
        ("index.html", "text/html; charset=utf-8"),
        ("js/app.js?threads=2", "text/javascript; charset=utf-8"),
        ("vendor/a/x.wasm", "application/wasm"),
    ):
        status, headers, body = ask(server, f"/{TOKEN}/{path}")
        assert (status, headers["Content-Type"], body) == (200, kind, PAGE)
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert ask(server, f"/{TOKEN}/{path}", "HEAD")[::2] == (200, b"")


@pytest.mark.parametrize("path", ["/", "", "/index.html", "/js/app.js", "/etc/passwd", "/\xff/", "/%74he-token/"])
def test_nothing_is_there_without_the_token(server, path):
    nothing(server, path)


@pytest.mark.parametrize("start", ["/{}", "{}/", "/x{}/", "/{}x/", "/./{}/", "http://127.0.0.1/{}/", "/{}/{}/"])
def test_the_token_is_the_first_of_the_path(server, start):
    nothing(server, start.format(TOKEN, TOKEN))
    nothing(server, f"/{TOKEN.upper()}/")
    nothing(server, f"/{TOKEN[:-1]}/")


@pytest.mark.parametrize(
    "path",
    [
        *("../secret.js", "js/../../secret.js", "%2e%2e/secret.js", "..%2fsecret.js", "\\..\\secret.js", "/etc/passwd"),
        *(
            "js",
            "js/",
            "/",
            "js/../index.html",
            "./index.html",
            "INDEX.HTML",
            "index.html/",
            "index.html%00",
            "js%2fapp.js",
        ),
        *("vendor.py", ".hidden.js", "models/old/manifest.json", "results"),
    ],
)
def test_nothing_else_is(server, path):
    nothing(server, f"/{TOKEN}/{path}")


def nothing(server, path):
    answer = raw(server, b"GET " + path.encode("latin-1") + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ", b"Not Found", b"Bad Request")), answer
    assert b"secret" not in answer
    assert PAGE not in answer


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get"])
def test_no_other_method_is_known(server, method):
    assert ask(server, f"/{TOKEN}/", method)[0] == 501
    assert ask(server, f"/{TOKEN}/")[0] == 200


def test_results_are_taken_once_they_are_whole(folder):
    taken = []

    def take(data):
        taken.append(data)
        return "results.json has them."

    with running(folder, take) as server:
        assert send(server, b"{}")[::2] == (200, b"results.json has them.\n")
        assert taken == [b"{}"]
        head = f"POST /{TOKEN}/results HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        assert raw(server, f"{head}Content-Length: 100\r\n\r\n{{".encode()) == b""
        assert b" 411 " in raw(server, f"{head}\r\n{{}}".encode())
        for length in ("-1", "+2", "1e3", "0x2", "\u0662", "2, 2", ""):
            assert b" 411 " in raw(server, f"{head}Content-Length: {length}\r\n\r\n{{}}".encode())
        both = f"{head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        assert b" 411 " in raw(server, both.encode())
        for length in (MAXIMUM_UPLOAD + 1, 10**12, 10**30):
            assert b" 413 " in raw(server, f"{head}Content-Length: {length}\r\n\r\n".encode())
        assert send(server, b"{}", **{"Content-Type": "text/plain"})[0] == 415
        assert send(server, b"{}", "/results")[0] == 404
        assert send(server, b"{}", f"/{TOKEN}/results/")[0] == 404
        assert send(server, b"{}", f"/{TOKEN}/index.html")[0] == 404
        # A second request behind a body that was refused is none.
        two = (
            f"POST /results HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\nGET /{TOKEN}/ HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        answer = raw(server, two.encode())
        assert answer.count(b"HTTP/1.1 ") == 1
        assert PAGE not in answer
        assert taken == [b"{}"]


def test_what_is_refused_is_told_why(folder):
    def refuse(data):
        raise Refused("these are no results")

    with running(folder, refuse) as server:
        assert send(server, b"x")[::2] == (400, b"these are no results\n")


def test_uploads_come_one_after_the_other_and_the_last_one_is_taken_to_its_end(folder):
    inside, most, done = [], [], []

    def take(data):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.1)
        inside.pop()
        done.append(data)
        return "taken."

    def sender(server, number):
        with contextlib.suppress(OSError, http.client.HTTPException):  # those that come too late
            send(server, b"%d" % number)

    with running(folder, take) as server:
        threads = [threading.Thread(target=sender, args=(server, number)) for number in range(5)]
        for thread in threads:
            thread.start()
        while not most:
            time.sleep(0.01)
    taken = len(done)
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert 1 <= taken == len(done)
    assert inside == []


def test_clients_that_hang_or_speak_something_else_stop_nobody(folder, monkeypatch, capfd):
    monkeypatch.setattr(page_server, "PATIENCE", 0.5)
    monkeypatch.setattr(page_server._Handler, "timeout", 0.5)
    with running(folder) as server, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(server.server_address)) for _ in range(20)]
        for connection in idle[:10]:
            connection.sendall(b"GET /")
        assert ask(server, f"/{TOKEN}/")[0] == 200
        idle[0].settimeout(5)
        assert idle[0].recv(100) == b""  # hung up on
        chance = random.Random(0)
        for _ in range(60):
            raw(server, chance.randbytes(chance.randint(0, 300)) + b"\r\n\r\n", wait=2)
        assert b"Bad Request" in raw(server, b"GET / / HTTP/1.1\r\n\r\n")
        assert b"HTTP Version Not Supported" in raw(server, b"GET / HTTP/9.9\r\n\r\n")
        assert b"Request-URI Too Long" in raw(server, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n")
        assert b"Request Header Fields Too Large" in raw(server, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n")
        assert ask(server, f"/{TOKEN}/")[0] == 200
    assert capfd.readouterr().err == ""


def test_more_connections_than_there_is_room_for_are_hung_up_on(folder, monkeypatch):
    monkeypatch.setattr(page_server, "MOST_CONNECTIONS", 3)
    with running(folder) as server, contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(server.server_address)) for _ in range(3)]
        time.sleep(0.3)
        with pytest.raises(OSError):
            assert ask(server, f"/{TOKEN}/")
        held[0].close()
        time.sleep(0.3)
        assert ask(server, f"/{TOKEN}/")[0] == 200


def test_https(folder, tmp_path):
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-out", pem, "-keyout", key], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    with running(folder, certificate=context) as server:
        port = server.server_address[1]
        with socket.create_connection(("127.0.0.1", port)):  # one that never shakes hands holds up nobody
            trusting = ssl.create_default_context(cafile=str(pem))
            trusting.check_hostname = False
            connection = http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=10)
            connection.request("GET", f"/{TOKEN}/")
            assert connection.getresponse().read() == PAGE
            connection.close()
        assert PAGE not in raw(server, f"GET /{TOKEN}/ HTTP/1.1\r\n\r\n".encode())
