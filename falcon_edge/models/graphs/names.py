"""Where in the module each layer of a graph stands: module paths, which the keys of its state dict are made of.

They depend on the graph alone. A layer has the path that it had in the network which torch exported, as far as the
file still tells it: by the name of its weight ("layer1.0.conv1.weight"), else by that of its node
("/layer1/layer1.0/conv1/Conv").
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from torch import nn

Path = tuple[str, ...]

DEEPEST = 32  # scopes: torch goes down them by recursion
STRANGE = re.compile(r"\W", re.ASCII)
CONSTANTS = "constants"
# What modules have under names of their own.
RESERVED = frozenset(
    (*dir(nn.Module()), *("called", "input", "outputs", "steps", "stored", "bound", "place"), CONSTANTS)
)
WEIGHTS = ("weight", "bias")


def of_weight(name: str) -> Path:
    """The path of the module whose weight or bias has this name, () where the name tells none."""
    *scopes, last = name.split(".")
    return _clean(scopes) if last in WEIGHTS and "/" not in name else ()


def of_node(name: str) -> Path:
    """The path that the name of a node tells, its operator the last part: torch writes "/a/a.0/b/Conv" for a.0.b."""
    parts: list[str] = []
    before = ""
    for part in filter(None, name.split("/")):
        parts += part.removeprefix(f"{before}.").split(".")
        before = part
    return _clean(parts)


def _clean(parts: Iterable[str]) -> Path:
    """Parts in signs that names of modules have, none of them a name that modules have already."""
    plain = [STRANGE.sub("_", part) for part in parts if part]
    found = tuple(f"{part}_" if part in RESERVED else part for part in plain)
    return found if len(found) <= DEEPEST else ()


class Paths:
    """Paths that are given away, each once, none within another."""

    def __init__(self) -> None:
        self._given: set[Path] = set()
        self._scopes: set[Path] = set()

    def take(self, *wanted: Path) -> str:
        """The first of these paths that is free; or the last of them, with a number that makes it free."""
        usual = [path for path in wanted if path]
        path = next((path for path in usual if self._free(path)), None)
        number = 1
        while path is None:
            number += 1
            other = (*usual[-1][:-1], f"{usual[-1][-1]}_{number}")
            path = other if self._free(other) else None
        self._given.add(path)
        self._scopes.update(path[:length] for length in range(1, len(path)))
        return ".".join(path)

    def _free(self, path: Path) -> bool:
        inside = any(path[:length] in self._given for length in range(1, len(path) + 1))
        return not inside and path not in self._scopes

    def take_beside(self, path: str, suffix: str) -> str:
        """The path of what is done before or after the layer at a path."""
        *scopes, last = path.split(".")
        return self.take((*scopes, f"{last}_{suffix}"))

    def take_constant(self, name: str) -> str:
        """The path of a stored value: its own, where it has scopes, else one among all other constants."""
        own = _clean(name.split(".")) if "." in name and "/" not in name and ":" not in name else ()
        return self.take(own, (CONSTANTS, *_clean([name])))


class Wanted:
    """The paths that layers should have, told by the names in a graph; names: of all its nodes."""

    def __init__(self, names: Iterable[str]):
        paths = map(of_node, names)
        self._scopes = Counter(path[:length] for path in paths for length in range(1, len(path)))
        self._kinds: Counter[str] = Counter()

    def of(self, kind: str, names: Sequence[str], weights: Iterable[str]) -> list[Path]:
        """Those of a layer, the most wanted first; of its operator, its nodes and its weights by their names."""
        whole = [of_node(name) for name in names]
        scope = whole[0][:-1]
        # Nodes stand for their scope where there are no others in it.
        inside = sum(path[: len(scope)] == scope and len(path) > len(scope) for path in whole)
        alone = scope if self._scopes[scope] == inside else ()
        usual = (f"{kind}_{self._kinds[kind]}",)
        self._kinds[kind] += 1
        return [*map(of_weight, weights), alone, whole[0], usual]
