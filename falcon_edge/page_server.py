"""A web server for one page and what comes back from it: known files, below a path that only its address tells.

Whatever is not asked for by its exact name below /TOKEN/ is not there (404): no folder is listed, and no path is looked
up in the file system. One thing can be sent: /TOKEN/results, of bounded size, as JSON.
"""

import hmac
import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from socket import AF_INET, AF_INET6, socket
from typing import Any, cast

MAXIMUM_UPLOAD = 16 * 1024**2  # bytes
PATIENCE = 30.0  # seconds that a client may be silent
MOST_CONNECTIONS = 64
CHUNK = 1 << 18
INDEX, RESULTS = "index.html", "results"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
}
BINARY = "application/octet-stream"
HEADERS = {
    # Threads of WebAssembly need an isolated page.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """Results that are not taken; its text tells the sender why."""


class PageServer(ThreadingHTTPServer):
    """Serves `files`: their paths below the page -> where they lie.

    take: gets what is sent, one upload at a time, and says what became of it, or raises Refused. certificate: a TLS
    context, for HTTPS.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS

    def __init__(
        self,
        address: tuple[str, int],
        files: Mapping[str, Path],
        token: str,
        take: Callable[[bytes], str],
        certificate: ssl.SSLContext | None = None,
    ):
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        self.files, self.token, self.take = files, token.encode(), take
        self.taking, self.closed = threading.Lock(), False
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, _Handler)
        if certificate is not None:  # each connection's handshake is its own thread's business
            self.socket = certificate.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, as long as there are not too many."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """A client that hangs up, or speaks no TLS, is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """Close, once an upload that is being taken has been; no other one is, then."""
        with self.taking:
            self.closed = True
            super().server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server_version, sys_version = "falcon-edge", ""

    @property
    def _page(self) -> PageServer:
        return cast(PageServer, self.server)

    def do_GET(self) -> None:
        """A file of the page."""
        found = self._file()
        if found is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            file = found.open("rb")
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            size = found.stat().st_size
            self._begin(HTTPStatus.OK, TYPES.get(found.suffix, BINARY), size)
            while self.command == "GET" and size > 0 and (chunk := file.read(min(CHUNK, size))):
                self.wfile.write(chunk)
                size -= len(chunk)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Results that a page sends."""
        self.close_connection = True  # whatever of the body is not read must not be taken for a request
        if self._below() != RESULTS:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or "Transfer-Encoding" in self.headers:
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif len(length) > 12 or int(length) > MAXIMUM_UPLOAD:
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"results have {MAXIMUM_UPLOAD >> 20} MiB at most")
        elif self.headers.get_content_type() != "application/json":
            self.send_error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        else:
            self._take(int(length))

    def _take(self, length: int) -> None:
        data = self.rfile.read(length)
        if len(data) < length:
            return  # the sender hung up
        try:
            with self._page.taking:
                if self._page.closed:
                    return
                said = self._page.take(data)
        except Refused as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self._say(HTTPStatus.OK, said)

    def _below(self) -> str | None:
        """The path below the token, without what follows a question mark; None for any other path."""
        token, slash, rest = self.path.partition("?")[0].removeprefix("/").partition("/")
        right = hmac.compare_digest(token.encode(errors="replace"), self._page.token)
        return rest if right and slash and self.path.startswith("/") else None

    def _file(self) -> Path | None:
        below = self._below()
        return None if below is None else self._page.files.get(below or INDEX)

    def _begin(self, status: HTTPStatus, kind: str, size: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _say(self, status: HTTPStatus, text: str) -> None:
        """Answer with one line."""
        data = text.encode() + b"\n"
        self._begin(status, "text/plain; charset=utf-8", len(data))
        if self.command != "HEAD":
            self.wfile.write(data)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse with one line, which tells nothing of what was asked."""
        self.close_connection = True
        self._say(HTTPStatus(code), HTTPStatus(code).phrase)

    def log_message(self, format: str, *values: Any) -> None:
        """Say nothing of requests."""


def listed(folder: Path, *, without: str) -> dict[str, Path]:
    """The files of a page below a folder that can be served, by their paths in it, but for those below `without`."""
    found = {}
    for path in folder.rglob("*"):
        name = PurePosixPath(path.relative_to(folder))
        hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix in TYPES and path.is_file() and name.parts[0] != without and not hidden:
            found[str(name)] = path
    return found
