"""serve: the page with bundles, for any browser in reach; what it measured comes back as results files."""

import secrets
import socket
import ssl
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from falcon_edge.embedded import INDEX, Index
from falcon_edge.errors import BadInput
from falcon_edge.page_server import PageServer, Refused, listed
from falcon_edge.steps.embed import ARCHIVE, MODELS, PAGE, ExportFilter, embed
from runtime_bench.errors import BenchInputError
from runtime_bench.files import check_outputs
from runtime_bench.results import Results, load, save
from runtime_bench.text import shown

LOOPBACK = "127.0.0.1"
ANY = ("0.0.0.0", "::", "")
SOURCES = Path(__file__).parents[2] / "android_demo" / "web"  # in a checkout; a wheel has no page
LIBRARY = "vendor/onnxruntime-web/ort.wasm.min.mjs"
POLL = 0.2  # seconds


@dataclass(frozen=True)
class Place:
    """Where the page is served: `host` alone gives it to this machine only. cert, key: PEM files, for HTTPS."""

    host: str = LOOPBACK
    port: int = 0
    cert: Path | None = None
    key: Path | None = None

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in (LOOPBACK, "::1", "localhost")


def serve(
    bundles: Sequence[Path],
    output: Path,
    place: Place,
    *,
    page: Path | None = None,
    choice: ExportFilter | None = None,
    ready: Callable[[str], None],
    received: Callable[[Results, Path], None],
) -> list[Path]:
    """Serve the page with bundles until a KeyboardInterrupt; the results files that came, in their order.

    page: the folder of the page, by default the checkout's. ready: is told the address. received: is told of results,
    and where they are: at `output`, or beside it under the next free number; nothing that exists is replaced. Raises
    BadInput, BenchInputError where results could not be written.
    """
    folder = page_folder(page)
    check_outputs([output], bundles)
    context = _context(place)
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as scratch:
        own = Path(scratch)
        files, index = page_files(folder, bundles, own, choice)
        known = {file.sha256 for model in index.models for file in model.files.values()}
        written: list[Path] = []

        def take(data: bytes) -> str:
            results = _checked(data, own / "sent.json", known)
            path = _free(output)
            try:
                save(results, path)
            except BenchInputError as error:
                raise Refused(f"they cannot be written: {error}") from error
            written.append(path)
            received(results, path)
            return f"{path.name} has them."

        token = secrets.token_urlsafe(16)
        try:
            server = PageServer((place.host, place.port), files, token, take, context)
        except (OSError, OverflowError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            raise BadInput(f"{place.host}:{place.port}: cannot be used ({said}); choose `host` and `port`") from error
        try:
            with suppress(KeyboardInterrupt):  # which is how it ends
                ready(_address(place, server.server_address[1], token))
                server.serve_forever(POLL)
        finally:
            server.server_close()
    return written


def page_files(
    page: Path, bundles: Sequence[Path], scratch: Path, choice: ExportFilter | None = None
) -> tuple[dict[str, Path], Index]:
    """The files of a page with bundles, by their paths in it, and what is embedded; models are put into `scratch`."""
    (scratch / PAGE).touch()
    index = embed(bundles, scratch, choice)
    names = [INDEX, *(f"{model.folder}/{name}" for model in index.models for name in model.files)]
    return listed(page, without=MODELS) | {f"{MODELS}/{name}": scratch / MODELS / name for name in names}, index


def page_folder(given: Path | None) -> Path:
    """The folder of the page. Raises BadInput where it, or what it is made with, is not there."""
    folder = given or SOURCES
    if not (folder / PAGE).is_file():
        raise BadInput(
            f"{folder}: there is no page ({PAGE}): it is in android_demo/web of the repository and of {ARCHIVE}, which "
            "`make android-archive` makes; name that folder by `page`"
        )
    if not (folder / LIBRARY).is_file():
        raise BadInput(
            f"{folder}: lacks the libraries that run models; `python {folder / 'vendor.py'}` fetches them by npm"
        )
    return folder


def _context(place: Place) -> ssl.SSLContext | None:
    if (place.cert is None) != (place.key is None):
        raise BadInput("HTTPS needs both `cert` and `key`")
    if place.cert is None or place.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(place.cert, place.key, password="")
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors
        raise BadInput(
            f"{place.cert}, {place.key}: no certificate with its key, as PEM and without password"
        ) from error
    return context


def _checked(data: bytes, path: Path, known: set[str]) -> Results:
    """Results that were sent, read as a file is. Raises Refused for what is none, or of files that are not served."""
    path.write_bytes(data)
    try:
        results = load(path)
    except BenchInputError as error:
        raise Refused(str(error).removeprefix(f"{path}: ")) from error
    if not results.entries:
        raise Refused("nothing was measured")
    for entry in results.entries:
        if entry.model.sha256 not in known:
            raise Refused(f"{shown(entry.model.file)} is not a file that is served here")
    return results


def _free(output: Path) -> Path:
    """`output`, or results.2.json, results.3.json and so on, the first that is not there."""
    path, number = output, 1
    while path.exists():
        number += 1
        path = output.with_name(f"{output.stem}.{number}{output.suffix}")
    return path


def _address(place: Place, port: int, token: str) -> str:
    """What a browser is given."""
    host = _own_address() if place.host in ANY else place.host
    scheme = "http" if place.cert is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/{token}/?send"


def _own_address() -> str:
    """The address of this machine in its network, by the route to elsewhere; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, which nobody has
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
