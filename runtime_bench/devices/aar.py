"""Android archives (.aar) of the runtimes: their Java classes, and their native libraries by the ABI of a phone."""

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.runtimes import runtime_named

CLASSES = "classes.jar"
LIBRARY = re.compile(r"jni/(?P<abi>[a-z0-9_-]{1,20})/(?P<name>lib[\w.+-]{1,80}\.so)", re.ASCII)
LARGEST, MOST_ENTRIES = 512 << 20, 1000  # bytes of one, and how many
DAMAGED = zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError
# By runtime the class that its archive is known by, the command that fetches it, and the parameter that names it.
KNOWN_BY = {"onnxruntime": "ai/onnxruntime/OrtEnvironment.class", "litert": "org/tensorflow/lite/Interpreter.class"}
FETCHES = {"onnxruntime": "falcon-edge devices setup adb"}
OPTIONS = {"onnxruntime": "`ort_aar`", "litert": "`litert_aar`"}


class Aar:
    """An archive by its file. Raises BenchInputError for what is none.

    classes: the jar of its Java classes, names: what lies in that, digest: its SHA-256. abis: for which there are
    libraries.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                entries = _entries(archive)
                if CLASSES not in entries:
                    raise ValueError(f"it has no {CLASSES}")
                self.classes = archive.read(entries[CLASSES])
            with zipfile.ZipFile(io.BytesIO(self.classes)) as jar:
                self.names = frozenset(jar.namelist())
        except OSError as error:
            raise BenchInputError(f"{path}: cannot be read ({error.strerror})") from error
        except DAMAGED as error:
            raise BenchInputError(f"{path}: not an Android archive (.aar), or damaged ({_line(error)})") from error
        self.digest = hashlib.sha256(self.classes).hexdigest()
        self.abis = sorted({found["abi"] for found in map(LIBRARY.fullmatch, entries) if found is not None})

    def unpack(self, abi: str, folder: Path) -> list[Path]:
        """Its libraries for an ABI, in a folder, under their own names, which need no quotes. Raises DeviceError."""
        made = []
        try:
            with zipfile.ZipFile(self.path) as archive:
                for name, entry in _entries(archive).items():
                    found = LIBRARY.fullmatch(name)
                    if found is not None and found["abi"] == abi:
                        path = folder / found["name"]
                        path.write_bytes(archive.read(entry))
                        made.append(path)
        except OSError as error:
            raise DeviceError(f"{self.path}: cannot be unpacked ({error.strerror})") from error
        except DAMAGED as error:
            raise DeviceError(f"{self.path}: its libraries for {abi} are damaged ({_line(error)})") from error
        return made


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The classes and libraries of an archive, by their names in it. Raises ValueError for what no archive has."""
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename
        if name != CLASSES and LIBRARY.fullmatch(name) is None:
            continue
        if name in found:
            raise ValueError(f"{name} is in it twice")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name} is compressed in a way that no archive is")
        if entry.file_size > LARGEST or len(found) == MOST_ENTRIES:
            raise ValueError(f"{name} is too large, or there are too many files")
        found[name] = entry
    return found


@dataclass(frozen=True)
class Archives:
    """The archives that runtimes are taken from, by the runtimes' names; LiteRT's classes may be in several."""

    by_runtime: Mapping[str, Sequence[Aar]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_runtime)

    def lacks(self, runtime: str, abi: str) -> str | None:
        """What is missing to run files on a runtime of a phone of an ABI, and what to do about it; None if nothing."""
        title = runtime_named(runtime).title
        if runtime not in KNOWN_BY:
            return f"{title} does not run there: leave it out"
        found = self.by_runtime.get(runtime)
        if not found:
            fetches = f"'{FETCHES[runtime]}' fetches its .aar, or name it" if runtime in FETCHES else "name its .aar"
            return f"no Java classes of {title}: {fetches} by {OPTIONS[runtime]} FILE"
        if not any(abi in aar.abis for aar in found):
            abis = ", ".join(sorted({each for aar in found for each in aar.abis})) or "none at all"
            return f"{found[0].path} has no library for {abi}, but for {abis}: name one that has by {OPTIONS[runtime]}"
        return None


def opened(named: Mapping[str, Sequence[Path]]) -> Archives:
    """The archives of files, by the runtimes that they are said to be of. Raises BenchInputError."""
    by_runtime = {runtime: [Aar(path) for path in paths] for runtime, paths in named.items() if paths}
    for runtime, found in by_runtime.items():
        if not any(KNOWN_BY[runtime] in aar.names for aar in found):
            what = f"{OPTIONS[runtime]} {found[0].path}"
            raise BenchInputError(f"{what}: not an archive of {runtime_named(runtime).title}, whose classes it lacks")
    return Archives(by_runtime)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
