"""Files of JSON that users see: read whatever version wrote them, written so that the same gives the same bytes."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from falcon_edge.errors import BadInput

# The manifest of a network of 20,000 classes has less than 1 MiB.
MAXIMUM_DOCUMENT = 16 * 1024**2
VERSION = "schema_version"
# What makes a document of one version one of the next.
Upgrades = Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]
AnyDocument = TypeVar("AnyDocument", bound=BaseModel)


class Document(BaseModel):
    """A part of a file that users see: unknown keys are refused, and numbers that JSON does not have.

    UPGRADES: of a file's own kind, by every version before the present one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    UPGRADES: ClassVar[Upgrades] = {}


def canonical_json(document: BaseModel) -> bytes:
    """The bytes of a document: sorted keys, two spaces, one newline at the end."""
    text = json.dumps(document.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)
    return (text + "\n").encode()


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
    """What was read from a path as a pydantic document of the present version, whatever version it was written in.

    Raises BadInput with the first thing that is wrong.
    """
    try:
        # Neither numbers of more than 64 bits, nor 1e999, nor half a character: what can be read can be written again.
        given = json.loads(data, parse_int=whole_number)
        json.dumps(given, allow_nan=False, ensure_ascii=False).encode()
        upgraded = _upgraded(given, getattr(kind, "UPGRADES", {}))
        return kind.model_validate_json(data if upgraded is given else json.dumps(upgraded))
    except ValidationError as error:
        first = error.errors()[0]
        name, place = kind.__name__.lower(), ".".join(str(part) for part in first["loc"])
        if place == VERSION:
            known = kind.model_fields[place].default
            versions = f"1 to {known}" if known > 1 else known
            raise BadInput(f"{path}: a {name} of version {first['input']!r}; this program reads {versions}") from error
        problem = " ".join(f"{place or 'it'}: {first['msg']}".split())  # a place may be any text of the file
        raise BadInput(f"{path}: not a valid {name}: {problem}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{path}: not a valid {kind.__name__.lower()}: Invalid JSON: {error}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # an upgrade may meet anything
        problem = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise BadInput(f"{path}: not a valid {kind.__name__.lower()}: {problem}") from error


def _upgraded(document: Any, upgrades: Upgrades) -> Any:
    """The document in the present version; one that is damaged as it is, for what validates it to say so."""
    while isinstance(document, dict):
        version = document.get(VERSION, 1)
        if not isinstance(version, int) or version not in upgrades:
            break
        document = upgrades[version](document)
    return document


def whole_number(text: str) -> int:
    """Of a JSON file. Raises ValueError for one that other programs cannot read."""
    number = int(text)
    if not -(2**63) <= number < 2**64:
        raise ValueError("a number has more than 64 bits")
    return number
