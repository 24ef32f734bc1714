"""The bundle: a folder NAME.falcon/ that holds one model in all its forms, hashed and written atomically.

    manifest.json         what the model is, where it came from, what was measured
    weights.safetensors   its weights          plan.json   which layers are FALCON, at which rank
    training.jsonl        every epoch, where it was trained
    exports/              the exported files   golden/     inputs and the outputs that the exports must reproduce
    SHA256SUMS            over everything above, in the format of sha256sum(1)

The manifest's schema is in docs/formats.md. A bundle whose files do not match SHA256SUMS is refused.
"""

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from falcon_edge.errors import BadInput
from falcon_edge.place import MANIFEST, SUFFIX, Place, hold, locked, recover, swap
from falcon_edge.place import bundle_path as bundle_path
from falcon_edge.preprocessing import InputSpec

SUMS, WEIGHTS, PLAN, TRAINING = "SHA256SUMS", "weights.safetensors", "plan.json", "training.jsonl"
EXPORTS, GOLDEN = "exports", "golden"
# The manifest of a network of 20,000 classes has less than 1 MiB.
MAXIMUM_DOCUMENT = 16 * 1024**2
LARGEST_MODEL, LARGEST_BUNDLE = 4 * 1024**3, 16 * 1024**3  # bytes

# The name of a format; those of today are in converters/formats.
Target = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Precision = Literal["fp32", "fp16", "int8"]
Role = Literal["standard", "compressed"]
# Of files that were read: device, inode, bytes and time of the last change, which hard links share -> SHA-256.
Digests = dict[tuple[int, int, int, int], str]
AnyDocument = TypeVar("AnyDocument", bound=BaseModel)

# Folders and a name, none of which starts with a dot: neither absolute nor out of the bundle, on any system.
INSIDE = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"


def _inside(name: str) -> str:
    if not re.fullmatch(INSIDE, name):
        raise ValueError(f"{name!r} is no path inside of the bundle")
    return name


BundlePath = Annotated[str, AfterValidator(_inside), Field(json_schema_extra={"pattern": INSIDE})]


class Document(BaseModel):
    """A part of a file that users see: unknown keys are refused, and numbers that JSON does not have."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Architecture(Document):
    """How to build the network before its plan is applied (see falcon_edge.models.sources)."""

    source: str
    num_classes: int | None = None
    in_channels: int | None = None
    width: float = 1.0


class Parent(Document):
    """The model that this one was made from."""

    name: str
    identity: str


class Step(Document):
    """One thing that was done to the model: the verb and what decided its outcome."""

    verb: str
    options: dict[str, Any] = {}
    data: str | None = None


class Lineage(Document):
    """Where a model came from. `identity` is the SHA-256 of its weights.safetensors."""

    identity: str
    role: Role
    parent: Parent | None = None
    steps: tuple[Step, ...] = ()


class Output(Document):
    """The network's output: (num_classes,) logits per image."""

    name: str = "logits"
    shape: tuple[int, ...]


class IntegerValue(Document):
    """real = scale (q - zero_point) with q in -128..127; a uint8 counts 128 more, at the same scale."""

    scale: float
    zero_point: int


class Quantization(Document):
    """How the int8 files were made: both runtimes have the same scales."""

    calibration: str = Field(description="how ranges were chosen: minmax, percentile, entropy or mse")
    data: str
    data_sha256: str = Field(description="of the calibration images and labels")
    samples: int
    input: IntegerValue
    output: IntegerValue
    kept: dict[str, str] = Field(default={}, description="nodes left in float, by the name of their output: why")
    islands: tuple[str, ...] = Field(default=(), description="nodes that ONNX Runtime computes in float")


class LayerLosses(Document):
    """What int8 costs layer by layer against float32, on calibration images."""

    snr_db: dict[str, float | None] = Field(
        description="by the name of a layer's result, the median over images; null: no difference at all"
    )
    warnings: tuple[str, ...] = Field(default=(), description="layers that lose more than their operands explain: why")


class Card(Document):
    """What is frozen into an exported file: everything that a program needs to use it, nothing that was measured."""

    schema_version: Literal[1] = 1
    name: str
    input: InputSpec
    labels: tuple[str, ...]
    outputs: tuple[Output, ...]
    quantization: Quantization | None = None
    lineage: Lineage


class MeasuredParity(Document):
    """How an exported file's outputs differ from those of `against`, over `samples` inputs."""

    against: str
    samples: int
    max_abs: float
    max_relative: float
    snr_db: float | None = Field(description="null: no difference at all")


class Export(Document):
    """One exported file, by its path in the bundle."""

    file: BundlePath
    target: Target
    precision: Precision
    parity: MeasuredParity = Field(description="that the file is right")
    loss: MeasuredParity | None = Field(default=None, description="what its precision loses against float32")
    macs: int
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = Field(default=(), description="what a strict export refuses")


class Speed(Document):
    """Median latencies of float32 and int8 in nanoseconds, one thread, measured in turns on a machine with this CPU."""

    cpu: str | None
    runtime: str
    fp32_ns: float
    int8_ns: float


class Advice(Document):
    """What int8 costs and brings one file, and a word on it.

    Top-1 is in 0..1 on `samples` validation images, beside float32; speed is null where it was not measured.
    """

    file: str
    samples: int
    top1_float: float
    top1: float
    speed: Speed | None = None
    text: str


class Tolerance(Document):
    """How far a file's outputs may be from the golden ones: a share of the largest output, or int8 steps."""

    rtol: float | None = None
    max_lsb: int | None = None
    top1: bool = Field(default=True, description="the first class must be the same")


class GoldenVector(Document):
    """One input (float32 little-endian, NCHW, normalised), the image it was made of, the output of every file."""

    input: BundlePath
    pixels: BundlePath | None = Field(default=None, description="raw uint8 image, height x width x channels")
    pixels_shape: tuple[int, int, int] | None = None
    outputs: dict[BundlePath, BundlePath] = Field(
        default={}, description="exported file -> its output, in its own dtype and layout"
    )


class Golden(Document):
    """Inputs and the outputs that every exported file must reproduce on any device."""

    vectors: tuple[GoldenVector, ...] = ()
    tolerances: dict[BundlePath, Tolerance] = {}


class MeasuredAccuracy(Document):
    """Top-1 in 0..1 of the torch model on one split of a data set."""

    data: str
    split: str
    samples: int
    top1: float


class Manifest(Document):
    """manifest.json."""

    schema_version: Literal[1] = 1
    name: str
    architecture: Architecture
    input: InputSpec
    labels: tuple[str, ...]
    outputs: tuple[Output, ...]
    lineage: Lineage
    parameters: int
    macs: int
    accuracy: tuple[MeasuredAccuracy, ...] = ()
    quantization: Quantization | None = None
    layer_losses: LayerLosses | None = None
    advice: tuple[Advice, ...] = ()
    exports: tuple[Export, ...] = ()
    golden: Golden = Golden()
    tools: dict[str, str] = {}

    def card(self, quantization: Quantization | None = None) -> Card:
        """The part that an exported file carries; an int8 file's with its quantization."""
        return Card(
            name=self.name,
            input=self.input,
            labels=self.labels,
            outputs=self.outputs,
            quantization=quantization,
            lineage=self.lineage,
        )

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the manifest names."""
        names = [export.file for export in self.exports]
        for vector in self.golden.vectors:
            names += [vector.input, *vector.outputs.values(), *([] if vector.pixels is None else [vector.pixels])]
        return tuple(names)


class Bundle:
    """A bundle on disk whose hashes were found right; `digests` has them by the version of the file that has them."""

    def __init__(self, path: Path, manifest: Manifest, digests: Digests):
        self.path, self.manifest, self.digests = path, manifest, digests

    def file(self, relative: str) -> Path:
        """A file of the bundle by its path in it."""
        return self.path / relative


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


def canonical_json(document: BaseModel) -> bytes:
    """The bytes of a document: sorted keys, two spaces, one newline at the end."""
    text = json.dumps(document.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)
    return (text + "\n").encode()


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_bundle(path: Path) -> bool:
    """Whether `path` is meant as a bundle: a folder with a manifest or of the right name."""
    return path.is_dir() and (path.suffix == SUFFIX or (path / MANIFEST).exists())


def find_bundle(path: Path | None) -> Path:
    """`path`, or where it is left out the only bundle of the current folder. Raises BadInput if it is not alone."""
    if path is not None:
        return path
    found = sorted(child for child in Path().glob(f"*{SUFFIX}") if child.is_dir())
    if len(found) != 1:
        raise BadInput(f"name the bundle: this folder holds {len(found)} (*{SUFFIX})")
    return found[0]


def open_bundle(path: Path) -> Bundle:
    """Open a bundle. Raises BadInput if it is missing, damaged, changed since it was written, or of another version.

    Every byte of every file is read: none may be missing, changed or added, and there are no links.
    """
    recover(path)
    if not path.is_dir():
        raise BadInput(f"{path}: no such bundle")
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


def read_at_most(path: Path, limit: int) -> bytes:
    """The bytes of a small file. Raises BadInput if it is larger than `limit`, OSError if it cannot be read."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise BadInput(f"{path}: larger than {limit >> 20} MiB, which no file of this kind is")
    return data


def read_document(path: Path, kind: type[AnyDocument]) -> AnyDocument:
    """A JSON file as a pydantic document. Raises BadInput with the first thing that is wrong."""
    try:
        data = read_at_most(path, MAXIMUM_DOCUMENT)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    return parse_document(data, path, kind)


def parse_document(data: bytes, path: Path, kind: type[AnyDocument]) -> AnyDocument:
    """What was read from a path as a pydantic document. Raises BadInput with the first thing that is wrong."""
    try:
        document = kind.model_validate_json(data)
        # Neither numbers of more than 64 bits, nor 1e999, nor half a character: what can be read can be written again.
        json.dumps(json.loads(data, parse_int=_integer), allow_nan=False, ensure_ascii=False).encode()
        return document
    except ValidationError as error:
        first = error.errors()[0]
        name, place = kind.__name__.lower(), ".".join(str(part) for part in first["loc"])
        if place == "schema_version":
            known = kind.model_fields[place].default
            raise BadInput(f"{path}: a {name} of version {first['input']!r}; this program reads {known}") from error
        problem = " ".join(f"{place or 'it'}: {first['msg']}".split())  # a place may be any text of the file
        raise BadInput(f"{path}: not a valid {name}: {problem}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not a valid {kind.__name__.lower()}: {error}") from error


def _integer(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**64:
        raise ValueError("a number has more than 64 bits")
    return number


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
        raise BadInput(f"{path}: no such bundle")
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
        version = (kind.st_dev, kind.st_ino, kind.st_size, kind.st_mtime_ns)
        if version not in digests:
            digests[version] = sha256(folder / name)
        lines.append(_line(name, digests[version]))
    return b"".join(lines)


def _line(name: str, digest: str) -> bytes:
    return digest.encode() + b"  " + os.fsencode(name) + b"\n"


def _name(line: bytes) -> bytes:
    return line.split(b"  ", 1)[-1]


def _refuse_differences(path: Path, names: Collection[bytes]) -> None:
    """Raise BadInput for the first of the files that are not as SHA256SUMS says."""
    if names:
        first = " ".join(min(names).decode(errors="replace").split()) or SUMS
        raise BadInput(f"{path}: {first} does not match {SUMS}; make the bundle again")
