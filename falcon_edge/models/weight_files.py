"""What trainers write, read without running anything of it: tensors by name, wherever they lie in the file.

A .safetensors is one set of tensors; a .pt is what torch.save was given: a state dict, or a checkpoint that holds one
or several of them among epochs, options and an optimizer's moments. It is read by torch's weights-only reader alone.
What stands beside weights and is not torch's (options, numpy's scalars, objects of a trainer) gets into its allow-list
as stand-ins that hold nothing and do nothing, so that no code of theirs is imported or called.
"""

import _compat_pickle
import json
import pickle
import pickletools
import re
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from falcon_edge.errors import BadInput

STATE_DICT = "torch.save(model.state_dict(), ...)"
DEEPEST = 8  # levels of dictionaries that are looked through
HEAD = 512  # bytes that tell what a file is
# By how a file begins (at a place): what it is, and what to do.
MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file itself; fetch it with git lfs pull"),
    (0, b"\x1f\x8b", "a gzip archive; unpack it first"),
    (0, b"BZh", "a bzip2 archive; unpack it first"),
    (0, b"\xfd7zXZ", "an xz archive; unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (0, b"Rar!", "a rar archive; unpack it first"),
    (257, b"ustar", "a tar archive; unpack it first"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (of Keras?), whose names and layouts are not torch's"),
    (0, b"GGUF", "a GGUF file, which holds quantized weights"),
    *((0, bytes((0x80, protocol)), "a pickle that torch.save did not write") for protocol in (3, 4, 5)),
    (4, b"TFL3", "a TFLite model, not torch's weights"),
)
PICKLES_OF_OLD = 4  # torch.save before 1.6 wrote so many, one behind another, the last of them the content
# What of Python's own library stands beside weights; what else of it a file names, no weights need, and it is refused.
STANDARD = frozenset(
    (
        *("argparse", "collections", "datetime", "decimal", "enum", "fractions", "functools", "logging", "pathlib"),
        *("time", "types", "uuid"),
    )
)
BUILT_IN = frozenset(("bool", "complex", "dict", "float", "frozenset", "int", "list", "object", "set", "str", "tuple"))


@dataclass(frozen=True)
class Held:
    """One dictionary of a file: where it lies in it ("" is the top), and its tensors by name."""

    place: str
    tensors: dict[str, Tensor]


class StandIn:
    """An object of another package, without its content. A subclass a type; `made` is what instances of it are."""

    origin = ""
    made: type = object

    def __new__(cls, *arguments: object, **keywords: object) -> Any:
        """Whatever it is made with. A dictionary or a list of a type of its own is an ordinary one."""
        return super().__new__(cls) if cls.made is object else cls.made()

    def __init__(self, *arguments: object, **keywords: object):
        """Nothing is kept."""

    def __setstate__(self, state: object) -> None:
        """Nothing is kept."""


def read_held(path: Path, largest: int | None = None) -> list[Held]:
    """Every dictionary of tensors in a file of weights, whatever its name ends in.

    Raises BadInput, with the reason, if the file is something else, or if it holds (also when it is unpacked) more than
    `largest` bytes.
    """
    if path.is_dir():
        raise BadInput(f"{path}: a folder; name the file of weights in it")
    if not path.is_file():
        raise BadInput(f"{path}: no such weights file")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HEAD)
        if largest is not None and max(size, _unpacked(path)) > largest:
            raise BadInput(f"{path}: holds more than {largest >> 20} MiB, far more than this network has weights")
        if _is_safetensors(head, size):
            from safetensors.torch import load_file

            return [Held("", load_file(path))]
        other = _something_else(path, head, size)
        if other is not None:
            raise BadInput(f"{path}: not a weights file: {other}")
        content = _unpickle(path)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(
            f"{path}: not a weights file; use .safetensors, or .pt made by {STATE_DICT} ({_reason(error)})"
        ) from error
    held = list(_dictionaries(content, "", DEEPEST))
    if not held:
        raise BadInput(f"{path}: {_what(content)}; save {STATE_DICT}")
    return held


def read_state(path: Path, largest: int | None = None) -> dict[str, Tensor]:
    """The tensors by name of a file that holds one set of them. Raises BadInput as read_held, or for several sets."""
    held = read_held(path, largest)
    if len(held) > 1:
        raise BadInput(f"{path}: holds several sets of weights: {', '.join(one.place or 'its top' for one in held)}")
    return held[0].tensors


def _unpickle(path: Path) -> Any:
    """What torch.save was given, with stand-ins for what is not torch's."""
    stand_ins: list[type[StandIn]] = [
        type(name.rpartition(".")[2], (StandIn,), {"origin": name}) for name in _others(path)
    ]
    while True:
        allowed: list[Any] = [(stand_in, stand_in.origin) for stand_in in stand_ins]
        try:
            with (
                path.open("rb") as file,
                warnings.catch_warnings(),
                torch.serialization.safe_globals(allowed),
            ):
                warnings.simplefilter("ignore")  # about pickles that are refused
                return torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            # Only while it is read does it show which types are dictionaries or lists, and torch fills no others.
            text = str(error)
            wrong = [stand_in for stand_in in stand_ins if repr(stand_in) in text and stand_in.made is object]
            if not wrong or "only build" in text:
                raise
            for stand_in in wrong:
                stand_in.made = OrderedDict if "SETITEM" in text else list


def _others(path: Path) -> list[str]:
    """Names of the types and functions in a pickle of torch.save that are of other packages, or harmless."""
    named: dict[str, None] = {}
    for pickled in _pickles(path):
        for operation, argument, _ in pickletools.genops(pickled):
            if operation.name == "GLOBAL":
                module, name = str(argument).split(" ", 1)
                module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
                named[f"{_compat_pickle.IMPORT_MAPPING.get(module, module)}.{name}"] = None
    return [name for name in named if _stands_beside(name)]  # torch's own allow-list goes before


def _pickles(path: Path) -> Iterator[IO[bytes]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.rpartition("/")[2] == "data.pkl":
                    with archive.open(name) as file:
                        yield file
    else:
        with path.open("rb") as file:
            for _ in range(PICKLES_OF_OLD):
                yield file


def _stands_beside(name: str) -> bool:
    root, _, rest = name.partition(".")
    return root in STANDARD or root not in sys.stdlib_module_names or (root == "builtins" and rest in BUILT_IN)


def _dictionaries(content: Any, place: str, levels: int) -> Iterator[Held]:
    if not isinstance(content, dict) or levels == 0:
        return
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    tensors = {key: value for key, value in named.items() if isinstance(value, Tensor)}
    if tensors:
        yield Held(place, tensors)
    for key, value in named.items():
        yield from _dictionaries(value, f"{place}.{key}" if place else key, levels - 1)


def _what(content: Any) -> str:
    """What a file without weights holds."""
    parts = {"": content} | (content if isinstance(content, dict) else {})
    for key, value in parts.items():
        if isinstance(value, StandIn):
            where = f"its {key!r}" if key != "" else "it"
            return f"{where} is a whole pickled object ({value.origin}), not the weights of one"
    kind = (
        f"a dictionary of {', '.join(map(repr, list(content)[:3]))}" if isinstance(content, dict) else "no dictionary"
    )
    return f"holds no state dict (names and tensors), but {kind if content else 'nothing'}"


def _is_safetensors(head: bytes, size: int) -> bool:
    """A length of eight bytes, then that much JSON."""
    return 2 <= int.from_bytes(head[:8], "little") <= size - 8 and head[8:9] == b"{"


def _something_else(path: Path, head: bytes, size: int) -> str | None:
    """What a file is that is surely no pickle of torch's, and what to do about it."""
    if size == 0:
        return "it is empty"
    for at, begin, what in MAGIC:
        if head[at:].startswith(begin):
            return f"it is {what}"
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "it is a web page; the download went wrong"
    if start.startswith(b"{"):
        return _of_json(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return _of_zip([entry.filename for entry in archive.infolist()])
    return None


def _of_json(path: Path) -> str:
    try:
        parts = sorted(set(json.loads(path.read_bytes())["weight_map"].values()))
    except (ValueError, LookupError, TypeError, AttributeError):
        return "it is a text"
    return f"it is the index of weights in {len(parts)} files ({', '.join(map(str, parts[:3]))}); join them in one"


def _of_zip(names: list[str]) -> str | None:
    ends = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in ends or any("/code/" in f"/{name}" for name in names):
        return (
            f"it is a TorchScript archive (torch.jit.save), a program; load it by torch.jit.load and save {STATE_DICT}"
        )
    if "data.pkl" in ends:
        return None
    if ends & {"serialized_exported_program.json", "archive_format"}:
        return f"it is an archive of torch.export, a program; save {STATE_DICT}"
    if names and all(name.endswith(".npy") for name in names):
        return f"it is a NumPy archive; make tensors of its arrays and save {STATE_DICT}"
    return f"it is a zip archive of {', '.join(names[:3]) or 'nothing'}; unpack it first"


def _unpacked(path: Path) -> int:
    """Bytes that a zip file, which a .pt is, says to hold; 0 for anything else."""
    if not zipfile.is_zipfile(path):
        return 0
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _reason(error: Exception) -> str:
    """Why torch refuses a file, in a line, without its advice to load the file all the same."""
    text = " ".join(str(error).split())
    found = re.search(r"WeightsUnpickler error: (.*?)(?: Please use| Check the documentation|$)", text)
    return (found[1] if found else text).strip(" .")[:300] or type(error).__name__
