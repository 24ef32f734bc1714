"""The page of android_demo/web on a server, for tests that look at it in a browser."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from falcon_edge.page_server import PageServer

WEB = Path(__file__).parents[2] / "android_demo" / "web"


@dataclass(frozen=True)
class Site:
    """The page on a server; `took`: what was sent to it."""

    address: str
    took: list


@contextmanager
def served(files, took=None, certificate=None):
    """The address of a page below a token; by HTTPS with a certificate."""
    sent = [] if took is None else took

    def take(data):
        sent.append(data)
        return "taken."

    server = PageServer(("127.0.0.1", 0), files, "token", take, certificate)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        scheme = "http" if certificate is None else "https"
        yield Site(f"{scheme}://127.0.0.1:{server.server_address[1]}/token/", sent)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
