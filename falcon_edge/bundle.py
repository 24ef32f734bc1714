"""The bundle: a folder NAME.falcon/ that holds one model in all its forms, hashed and written atomically.

    manifest.json         what the model is, where it came from, what was measured
    weights.safetensors   its weights          plan.json   form and sizes of every convolution
    training.jsonl        every epoch, where it was trained
    exports/              the exported files   golden/     inputs and the outputs that the exports must reproduce
    SHA256SUMS            over everything above, in the format of sha256sum(1)

The manifest's schema is in docs/formats.md. A bundle whose files do not match SHA256SUMS is refused.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path

from falcon_edge.documents import MAXIMUM_DOCUMENT, canonical_json, parse_document, read_at_most
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Manifest
from falcon_edge.place import MANIFEST, SUFFIX, Place, hold, locked, recover, swap
from falcon_edge.place import bundle_path as bundle_path

SUMS, WEIGHTS, PLAN, TRAINING = "SHA256SUMS", "weights.safetensors", "plan.json", "training.jsonl"
EXPORTS, GOLDEN = "exports", "golden"
LARGEST_MODEL, LARGEST_BUNDLE = 4 * 1024**3, 16 * 1024**3  # bytes

# Of files that were read: device, inode, bytes and time of the last change, which hard links share -> SHA-256.
Digests = dict[tuple[int, int, int, int], str]


class Bundle:
    """A bundle on disk whose hashes were found right; `digests` has them by the version of the file that has them."""

    def __init__(self, path: Path, manifest: Manifest, digests: Digests):
        self.path, self.manifest, self.digests = path, manifest, digests

    def file(self, relative: str) -> Path:
        """A file of the bundle by its path in it."""
        return self.path / relative

    def digest(self, relative: str) -> str:
        """The SHA-256 that a file was found to have. Raises BadInput if it was changed or exchanged since."""
        try:
            return self.digests[_version(self.file(relative).stat())]
        except (OSError, KeyError) as error:
            raise BadInput(f"{self.file(relative)}: changed meanwhile; do it again") from error


class Draft:
    """A bundle being written: put files under `path`, set `manifest`; nothing is visible before it is whole.

    former: the bundle that is changed, where there is one.
    """

    def __init__(self, path: Path, former: Bundle | None = None):
        self.path, self.former = path, former
        self.manifest = None if former is None else former.manifest

    def write(self, relative: str, data: bytes) -> None:
        """Write one file, replacing it if it is there. Raises BadInput if it cannot be written."""
        path = self.path / relative
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # it may be a hard link into the bundle that is being changed
            path.write_bytes(data)
        except OSError as error:
            raise BadInput(f"{path}: cannot be written ({error.strerror})") from error


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_bundle(path: Path) -> bool:
    """Whether `path` is meant as a bundle: a folder with a manifest or of the right name."""
    return path.is_dir() and (path.suffix.lower() == SUFFIX or (path / MANIFEST).exists())


def hint(path: Path) -> str:
    """What else may be meant where nothing is at `path`: the bundle that `-o` wrote under that name."""
    if path.exists():
        return ""
    there = bundle_path(path)
    return f"; there is {there}" if is_bundle(there) else ""


def find_bundle(path: Path | None) -> Path:
    """`path`, or where it is left out the only bundle of the current folder. Raises BadInput if it is not alone."""
    if path is not None:
        return path
    found = sorted(child for child in Path().iterdir() if child.suffix.lower() == SUFFIX and child.is_dir())
    if len(found) != 1:
        raise BadInput(f"name the bundle: this folder holds {len(found)} (*{SUFFIX})")
    return found[0]


def open_bundle(path: Path) -> Bundle:
    """Open a bundle. Raises BadInput if it is missing, damaged, changed since it was written, or of another version.

    Every byte of every file is read: none may be missing, changed or added, and there are no links.
    """
    recover(path)
    if not path.is_dir():
        raise BadInput(f"{path}: no such bundle{hint(path)}")
    sums = path / SUMS
    if not sums.is_file() or not (path / MANIFEST).is_file():
        raise BadInput(f"{path}: not a bundle ({MANIFEST} or {SUMS} is missing)")
    try:
        written, files = read_at_most(sums, MAXIMUM_DOCUMENT), _files(path)
        # What costs little first: a file may say that it has more bytes than a day is long enough to hash.
        listed = {_name(line) for line in written.splitlines()}
        _refuse_differences(path, listed ^ {os.fsencode(name) for name in files})
        data = read_at_most(path / MANIFEST, MAXIMUM_DOCUMENT)
        if _line(MANIFEST, hashlib.sha256(data).hexdigest()) not in written.splitlines(keepends=True):
            _refuse_differences(path, {os.fsencode(MANIFEST)})
        manifest = parse_document(data, path / MANIFEST, Manifest)
        _refuse_sizes(path, files, manifest)
        digests: Digests = {}
        found = _sums(path, files, digests)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    if written != found:
        differing = set(written.splitlines()) ^ set(found.splitlines())
        _refuse_differences(path, {_name(line) for line in differing} or {os.fsencode(SUMS)})
    lacking = next((name for name in manifest.files if not (path / name).is_file()), None)
    if lacking is not None:
        raise BadInput(f"{path}: lacks {lacking}, which its manifest names; make the bundle again")
    return Bundle(path, manifest, digests)


@contextmanager
def create_bundle(path: Path, *, force: bool = False) -> Iterator[Draft]:
    """Write a bundle at `path`, with `force` in the place of one; it appears whole at the end of the block, or not."""
    with hold(path, force=force) as place, write_bundle(place) as draft:
        yield draft


@contextmanager
def write_bundle(place: Place) -> Iterator[Draft]:
    """Write a bundle at a place that is held; what was there, and the checkpoint that led to it, go at the end."""
    with _published(place) as draft:
        yield draft
    place.checkpoint.unlink(missing_ok=True)


@contextmanager
def edit_bundle(path: Path) -> Iterator[Draft]:
    """Change a bundle, which no other process does meanwhile, through a copy (hard links) that takes its place."""
    recover(path)
    if not path.is_dir():
        raise BadInput(f"{path}: no such bundle{hint(path)}")
    with locked(path):
        former = open_bundle(path)
        with _published(Place(path), former) as draft:
            shutil.copytree(path, draft.path, dirs_exist_ok=True, copy_function=_link_or_copy)
            yield draft


@contextmanager
def _published(place: Place, former: Bundle | None = None) -> Iterator[Draft]:
    """A draft that is sealed and swapped in at the end of the block; nothing is left behind if the block fails."""
    draft = Draft(place.part, former)
    try:
        draft.path.mkdir()
        yield draft
        if draft.manifest is None:
            raise ValueError("a bundle needs a manifest")
        draft.write(MANIFEST, canonical_json(draft.manifest))
        draft.write(SUMS, _sums(draft.path, _files(draft.path), {} if former is None else former.digests))
        for file in draft.path.rglob("*"):
            if file.is_file():
                _sync(file)
        place.check()
        swap(draft.path, place.path)
    finally:
        shutil.rmtree(draft.path, ignore_errors=True)


def _link_or_copy(source: str, target: str) -> None:
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copy2(source, target)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _files(folder: Path) -> dict[str, os.stat_result]:
    """Every file of a bundle but SHA256SUMS, by its path in it. Raises BadInput for a link, pipe or device."""
    found = {}
    for file in folder.rglob("*"):
        kind = file.lstat()
        if not (stat.S_ISREG(kind.st_mode) or stat.S_ISDIR(kind.st_mode)):
            raise BadInput(f"{file}: a bundle holds plain files and folders only")
        if stat.S_ISREG(kind.st_mode) and file != folder / SUMS:
            found[file.relative_to(folder).as_posix()] = kind
    return found


def _refuse_sizes(path: Path, files: Mapping[str, os.stat_result], manifest: Manifest) -> None:
    """Raise BadInput for a file that is larger than what the manifest says it is can be, or all of them together."""
    models = {WEIGHTS, *(export.file for export in manifest.exports)}
    arrays = {}
    for vector in manifest.golden.vectors:
        arrays[vector.input] = 4 * prod(manifest.input.shape)
        if vector.pixels is not None and vector.pixels_shape is not None:
            arrays[vector.pixels] = prod(vector.pixels_shape)
    sizes = {name: kind.st_size for name, kind in files.items()}
    for name, size in sizes.items():
        largest = min(arrays.get(name, LARGEST_MODEL if name in models else MAXIMUM_DOCUMENT), LARGEST_MODEL)
        if size > largest:
            raise BadInput(f"{path}: {name} has {size:,} bytes, and such a file has {largest:,} at most")
    if sum(sizes.values()) > LARGEST_BUNDLE:
        raise BadInput(f"{path}: larger than {LARGEST_BUNDLE >> 30} GiB, which no bundle is")


def _sums(folder: Path, files: Mapping[str, os.stat_result], digests: Digests) -> bytes:
    """The bytes that SHA256SUMS must have, by the names of all files but itself: sorted by path.

    Reads no version of a file that `digests` knows, and adds the others to them.
    """
    lines = []
    for name in sorted(files, key=os.fsencode):
        kind = files[name]
        version = _version(kind)
        if version not in digests:
            digests[version] = sha256(folder / name)
        lines.append(_line(name, digests[version]))
    return b"".join(lines)


def _version(kind: os.stat_result) -> tuple[int, int, int, int]:
    return kind.st_dev, kind.st_ino, kind.st_size, kind.st_mtime_ns


def _line(name: str, digest: str) -> bytes:
    return digest.encode() + b"  " + os.fsencode(name) + b"\n"


def _name(line: bytes) -> bytes:
    return line.split(b"  ", 1)[-1]


def _refuse_differences(path: Path, names: Collection[bytes]) -> None:
    """Raise BadInput for the first of the files that are not as SHA256SUMS says."""
    if names:
        first = " ".join(min(names).decode(errors="replace").split()) or SUMS
        raise BadInput(f"{path}: {first} does not match {SUMS}; make the bundle again")
