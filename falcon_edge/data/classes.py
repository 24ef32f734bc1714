"""Which class of a data set is which class of a model: by name, by a class map, or by number where one has no names."""

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from falcon_edge.errors import BadInput

# A class of the data -> the model's, by its name or number; None leaves its images out.
ClassMap = Mapping[str, str | int | None]
MAXIMUM_BYTES = 16 * 1024**2
SHOWN = 3


class NoMatch(Exception):
    """Why classes cannot be matched; a class map can say more."""


@dataclass(frozen=True)
class Matching:
    """For every class of the data the number of the model's class, or None; and whether their order alone said so."""

    numbers: tuple[int | None, ...]
    in_order: bool = False


def numbered(names: Sequence[str]) -> bool:
    """Whether classes are named 0, 1, 2, ...: what is written where nobody gave names."""
    return tuple(names) == tuple(map(str, range(len(names))))


def match(data: Sequence[str], model: Sequence[str], class_map: ClassMap | None = None) -> Matching:
    """The model's class for every class of the data.

    `class_map` comes first; all else is matched by name: as it is written, else whatever its case, its spaces and its
    Unicode form. Data may lack classes. Where one side has numbers for names, none of them fits, and there are as many
    classes and no map, classes are taken in their order.

    Raises NoMatch for a class that the model does not have, two that would become one without a map, and numbers that
    may be names or places; BadInput for a map with classes that do not exist.
    """
    if class_map is None and tuple(data) == tuple(model):
        return Matching(tuple(range(len(model))))
    known = _Names(model)
    given = _mapped(_Names(data), known, class_map or {})
    found = [given[number] if number in given else known.find(name) for number, name in enumerate(data)]
    unknown = [name for number, name in enumerate(data) if number not in given and found[number] is None]
    either = class_map is None and len(data) == len(model) and (numbered(data) or numbered(model))
    if either and len(unknown) == len(data):
        return Matching(tuple(range(len(model))), in_order=True)
    if unknown:
        raise NoMatch(f"{listed(unknown)} {'is' if len(unknown) == 1 else 'are'} none of {listed(model)}")
    if either and found != list(range(len(model))):
        raise NoMatch(
            f"{listed(data)} and {listed(model)} are numbers in two orders, so that one may be a name or a place"
        )
    count = Counter(found)
    twice = next((found[place] for place in range(len(data)) if place not in given and count[found[place]] > 1), None)
    if twice is not None:
        names = [name for name, number in zip(data, found, strict=True) if number == twice]
        raise NoMatch(f"{listed(names)} would all be {model[twice]!r}")
    return Matching(tuple(found))


def mapped_names(data: Sequence[str], class_map: ClassMap | None) -> tuple[str, ...]:
    """The classes that a model without names gets of the data: each one's name in the map, else its own, once each.

    Empty where the map has numbers, which are those of the model's classes.
    """
    if class_map is None:
        return tuple(data)
    targets = {composed(name): target for name, target in class_map.items()}
    if any(isinstance(target, int) for target in targets.values()):
        return ()
    names = (targets.get(composed(name), name) for name in data)
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def labels_of(data: Sequence[str], model: Sequence[str], class_map: ClassMap | None) -> tuple[str, ...]:
    """The model's names with those of the data in the place of each that exactly one class of the data is."""
    numbers = match(data, model, class_map).numbers
    count = Counter(numbers)
    named = {number: name for name, number in zip(data, numbers, strict=True) if count[number] == 1}
    return tuple(named.get(number, name) for number, name in enumerate(model))


def read_class_map(path: Path) -> dict[str, str | int | None]:
    """A class map: a JSON object, class of the data -> the model's class (its name or number; null: left out).

    Raises BadInput for anything else, and for a class that is there twice.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise BadInput(f"{path}: {twice!r} is there twice")
        return dict(pairs)

    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise BadInput(f"{path}: too large for a class map")
        content = json.loads(path.read_bytes(), object_pairs_hook=unique)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not JSON ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise BadInput(f'{path}: a class map is a JSON object, as in {{"cat": "tabby", "dog": 3, "other": null}}')
    for name, target in content.items():
        if target is not None and (isinstance(target, bool) or not isinstance(target, str | int)):
            raise BadInput(f"{path}: {name!r} is a name, a number or null, not {json.dumps(target)[:40]}")
    return content


class _Names:
    """Names that can be looked up: exactly, else loosely."""

    def __init__(self, names: Sequence[str]):
        self.names = tuple(names)
        self._places: dict[Callable[[str], str], dict[str, list[int]]] = {composed: {}, _loose: {}}
        for form, places in self._places.items():
            for number, name in enumerate(names):
                places.setdefault(form(name), []).append(number)

    def find(self, name: str) -> int | None:
        """The number of a name. Raises NoMatch for one that is there twice."""
        for form, places in self._places.items():
            numbers = places.get(form(name), [])
            if len(numbers) > 1:
                raise NoMatch(f"{name!r} may be each of {len(numbers)} classes")
            if numbers:
                return numbers[0]
        return None


def _mapped(data: _Names, model: _Names, class_map: ClassMap) -> dict[int, int | None]:
    """What a map says, by the number of the class in the data."""
    found: dict[int, int | None] = {}
    for name, target in class_map.items():
        number = data.find(name)
        if number is None:
            raise BadInput(f"the class map names {name!r}, which is no class of the data ({listed(data.names)})")
        if number in found:
            raise BadInput(f"the class map names {data.names[number]!r} twice")
        known: int | None = None
        if isinstance(target, int):
            known = target if 0 <= target < len(model.names) else None
        elif target is not None:
            known = model.find(target)
        if known is None and target is not None:
            raise BadInput(f"the class map makes {name!r} {target!r}, which is none of {listed(model.names)}")
        found[number] = known
    return found


def composed(name: str) -> str:
    """A name in Unicode's composed form: the same however it was typed."""
    return unicodedata.normalize("NFC", name)


def _loose(name: str) -> str:
    return composed(" ".join(composed(name).split()).casefold())


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(map(repr, names[:SHOWN]))
    return shown if len(names) <= SHOWN else f"{shown} (and {len(names) - SHOWN} more)"
