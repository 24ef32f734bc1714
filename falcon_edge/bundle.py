"""The bundle: a folder NAME.falcon/ that holds one model in all its forms, hashed and written atomically.

    manifest.json         what the model is, where it came from, what was measured
    weights.safetensors   its weights          plan.json   which layers are FALCON, at which rank
    exports/              the exported files   golden/     inputs and the outputs that the exports must reproduce
    SHA256SUMS            over everything above, in the format of sha256sum(1)

The manifest's schema is in docs/formats.md. A bundle whose files do not match SHA256SUMS is refused.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from falcon_edge.errors import BadInput
from falcon_edge.preprocessing import InputSpec

SUFFIX = ".falcon"
MANIFEST, SUMS, WEIGHTS, PLAN = "manifest.json", "SHA256SUMS", "weights.safetensors", "plan.json"
EXPORTS, GOLDEN = "exports", "golden"

Target = Literal["onnx", "ort", "tflite"]
Precision = Literal["fp32", "fp16", "int8"]
Role = Literal["standard", "compressed"]
AnyDocument = TypeVar("AnyDocument", bound=BaseModel)


class Document(BaseModel):
    """A part of a file that users see: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class Quantization(Document):
    """How an int8 file was calibrated."""

    calibration: str
    data_sha256: str
    samples: int


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

    file: str
    target: Target
    precision: Precision
    parity: MeasuredParity
    macs: int
    notes: tuple[str, ...] = ()


class Tolerance(Document):
    """How far a file's outputs may be from the golden ones: a share of the largest output, or int8 steps."""

    rtol: float | None = None
    max_lsb: int | None = None
    top1: bool = Field(default=True, description="the first class must be the same")


class GoldenVector(Document):
    """One input (float32 little-endian, NCHW, normalised), the image it was made of, the output of every file."""

    input: str
    pixels: str | None = Field(default=None, description="raw uint8 image, height x width x channels")
    pixels_shape: tuple[int, int, int] | None = None
    outputs: dict[str, str] = Field(default={}, description="exported file -> its output, in its own dtype and layout")


class Golden(Document):
    """Inputs and the outputs that every exported file must reproduce on any device."""

    vectors: tuple[GoldenVector, ...] = ()
    tolerances: dict[str, Tolerance] = {}


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
    exports: tuple[Export, ...] = ()
    golden: Golden = Golden()
    tools: dict[str, str] = {}

    @property
    def card(self) -> Card:
        """The part that exported files carry."""
        return Card(
            name=self.name,
            input=self.input,
            labels=self.labels,
            outputs=self.outputs,
            quantization=self.quantization,
            lineage=self.lineage,
        )


class Bundle:
    """A bundle on disk whose hashes were found right."""

    def __init__(self, path: Path, manifest: Manifest):
        self.path, self.manifest = path, manifest

    def file(self, relative: str) -> Path:
        """A file of the bundle by its path in it."""
        return self.path / relative


class Draft:
    """A bundle being written: put files under `path`, set `manifest`; nothing is visible before it is whole."""

    def __init__(self, path: Path, manifest: Manifest | None):
        self.path, self.manifest = path, manifest

    def write(self, relative: str, data: bytes) -> None:
        """Write one file, replacing it if it is there."""
        path = self.path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a hard link into the bundle that is being changed
        path.write_bytes(data)


def canonical_json(document: BaseModel) -> bytes:
    """The bytes of a document: sorted keys, two spaces, one newline at the end."""
    text = json.dumps(document.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)
    return (text + "\n").encode()


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bundle_path(path: Path) -> Path:
    """`path` with the suffix .falcon."""
    return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)


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
    """Open a bundle. Raises BadInput if it is missing, damaged, changed since it was written, or of another version."""
    if not path.is_dir():
        raise BadInput(f"{path}: no such bundle")
    sums = path / SUMS
    if not sums.is_file() or not (path / MANIFEST).is_file():
        raise BadInput(f"{path}: not a bundle ({MANIFEST} or {SUMS} is missing)")
    written, found = sums.read_bytes(), _sums(path)
    if written != found:
        differing = sorted(_first_differences(written, found))
        raise BadInput(f"{path}: {differing[0]} does not match {SUMS}; make the bundle again")
    return Bundle(path, read_document(path / MANIFEST, Manifest))


def read_document(path: Path, kind: type[AnyDocument]) -> AnyDocument:
    """A JSON file as a pydantic document. Raises BadInput with the first thing that is wrong."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{path}: not a valid {kind.__name__.lower()}: {place or 'it'}: {first['msg']}") from error


@contextmanager
def create_bundle(path: Path) -> Iterator[Draft]:
    """Write a new bundle at `path`, or in the place of one; it appears whole at the end of the block or not at all."""
    if path.exists() and not is_bundle(path):
        raise BadInput(f"{path}: exists and is not a bundle; choose another name")
    draft = Draft(_temporary_beside(path), None)
    with _published(draft, path):
        yield draft


@contextmanager
def edit_bundle(path: Path) -> Iterator[Draft]:
    """Change a bundle through a copy (hard links) that takes its place at the end of the block."""
    manifest = open_bundle(path).manifest
    draft = Draft(_temporary_beside(path), manifest)
    with _published(draft, path):
        shutil.copytree(path, draft.path, dirs_exist_ok=True, copy_function=_link_or_copy)
        yield draft


@contextmanager
def _published(draft: Draft, path: Path) -> Iterator[None]:
    """Seal the draft and swap it in at the end of the block; leave nothing behind if the block fails."""
    try:
        yield
        if draft.manifest is None:
            raise ValueError("a bundle needs a manifest")
        draft.write(MANIFEST, canonical_json(draft.manifest))
        draft.write(SUMS, _sums(draft.path))
        for file in draft.path.rglob("*"):
            if file.is_file():
                _sync(file)
        old = draft.path.with_name(draft.path.name + ".old")
        if path.exists():
            os.replace(path, old)
        os.replace(draft.path, path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft.path, ignore_errors=True)


def _temporary_beside(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror})") from error
    folder.chmod(0o755)
    return folder


def _link_or_copy(source: str, target: str) -> None:
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copy2(source, target)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sums(folder: Path) -> bytes:
    """The bytes that SHA256SUMS must have: every file but itself, sorted by path."""
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return "".join(f"{sha256(folder / file)}  {file}\n" for file in files if file != SUMS).encode()


def _first_differences(written: bytes, found: bytes) -> set[str]:
    """Names of the files whose lines are not in both."""
    lines = set(written.splitlines()) ^ set(found.splitlines())
    return {line.split(b"  ", 1)[-1].decode(errors="replace") or SUMS for line in lines} or {SUMS}
