"""Whose code a bundle may run: what this user packed here, by a record in the state folder, and what is asked for.

    $XDG_STATE_HOME/falcon-edge/packed      (~/.local/state where that is not set) a line of JSON a bundle

A line names the function, the file that it was found in, the choices it is called with and the weights that came of it.
A bundle that is copied or renamed stays known, one that names another function is not, nor is one for which another
file of that name would be imported, as in a folder that came from elsewhere.
"""

import json
import os
import stat
from pathlib import Path

from falcon_edge.errors import BadInput
from falcon_edge.manifest import Architecture, Manifest
from falcon_edge.models.sources import code_of
from falcon_edge.notices import notice
from runtime_bench.system import OPENING, others_write, owned

VARIABLE = "FALCON_EDGE_TRUST_CODE"
RECORD = "packed"


def require_trust(path: Path, manifest: Manifest, *, trust_code: bool = False) -> None:
    """Raise BadInput if the network of the bundle at `path` is a function that nobody asked for, before it is imported.

    trust_code: the user asks for it; so does FALCON_EDGE_TRUST_CODE=1 in the environment.
    """
    code = code_of(manifest.architecture.source)
    if code is None or trust_code or os.environ.get(VARIABLE) == "1":
        return
    if _line(manifest.architecture, manifest.lineage.identity, code) in _recorded():
        return
    raise BadInput(
        f"{path}: its network is code, {manifest.architecture.source} ({code or 'not found from this folder'}), and "
        "there is no record that you packed it here (earlier versions kept none): if you trust that code, add "
        f"`trust_code`, or set {VARIABLE}=1"
    )


def record(manifest: Manifest) -> None:
    """Remember that this user made a bundle whose network is a function. A notice where that cannot be written."""
    code = code_of(manifest.architecture.source)
    if code is None:
        return
    line = _line(manifest.architecture, manifest.lineage.identity, code)
    if line in _recorded():
        return
    folder = _folder()
    try:
        if folder is None:
            raise OSError("there is no home folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(folder / RECORD, os.O_WRONLY | os.O_CREAT | os.O_APPEND | OPENING, 0o600)
        try:
            os.write(file, line.encode() + b"\n")  # one write: other processes append theirs before or after it
        finally:
            os.close(file)
    except OSError as error:
        notice(
            f"{manifest.name}: that it was packed here cannot be recorded ({error.strerror or error}): its code will "
            "have to be asked for with `trust_code`"
        )


def _line(architecture: Architecture, identity: str, code: str) -> str:
    choices = architecture.model_dump()
    for later in ("model_args", "unit"):
        if not choices[later]:
            del choices[later]  # lines of former versions stay what they were
    return json.dumps(choices | {"identity": identity, "code": code}, sort_keys=True)


def _folder() -> Path | None:
    """The user's state folder of ours; None where there is none. A relative one would be whoever's the folder is."""
    for name, below in (("XDG_STATE_HOME", ""), ("HOME", ".local/state")):
        folder = os.environ.get(name, "")
        if os.path.isabs(folder):
            return Path(folder, below, "falcon-edge")
    return None


def _recorded() -> frozenset[str]:
    """The lines of the record; none of one that others own or can write."""
    folder = _folder()
    try:
        if folder is None:
            return frozenset()
        with open(os.open(folder / RECORD, os.O_RDONLY | OPENING), encoding="utf-8") as file:
            about = os.fstat(file.fileno())
            own = stat.S_ISREG(about.st_mode) and owned(about) and not others_write(about)
            return frozenset(file.read().splitlines()) if own else frozenset()
    except (OSError, ValueError):
        return frozenset()
