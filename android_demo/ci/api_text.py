"""Reads Android's list of its API (a metalava signature file, format 2.0) into classes, fields and methods.

Every class is a line that ends in `{`, every member one that ends in `;`. Annotations are skipped, except that
something is deprecated.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ci.errors import BuildError

FORMAT = "// Signature format: 2.0"
KINDS = ("class", "interface", "enum", "@interface")
MODIFIERS = {
    *("public", "protected", "private", "static", "final", "abstract", "default"),
    *("synchronized", "native", "transient", "volatile", "strictfp"),
}
TEXT = r'"(?:\\.|[^"\\])*"'
CHARACTER = r"'(?:\\.|[^'\\])+'"
TOKEN = re.compile(rf"\s*({TEXT}|{CHARACTER}|@?[\w$]+(?:\.[\w$]+)*|\.\.\.|[^\s\w])")
VALUE = re.compile(rf" = ({TEXT}|{CHARACTER}|[^;]+);")


@dataclass(frozen=True)
class Wildcard:
    """`?`, `? extends T` or `? super T`."""

    direction: str | None
    bound: "Type | None"


@dataclass(frozen=True)
class Type:
    """A type as it is written: parts of a name, each with its arguments, and how often it is an array."""

    parts: tuple[tuple[str, tuple["Type | Wildcard", ...]], ...]
    dimensions: int = 0

    @property
    def name(self) -> str:
        """Its name without arguments."""
        return ".".join(name for name, _ in self.parts)


@dataclass(frozen=True)
class Variable:
    """A type variable with its bounds."""

    name: str
    bounds: tuple[Type, ...]


@dataclass(frozen=True)
class Field:
    """A field, or a constant of an enum."""

    name: str
    type: Type
    modifiers: frozenset[str]
    deprecated: bool
    value: str | None = None  # as it is written
    of_enum: bool = False


@dataclass(frozen=True)
class Method:
    """A method, or a constructor, which has no result."""

    name: str
    modifiers: frozenset[str]
    deprecated: bool
    variables: tuple[Variable, ...]
    result: Type | None
    parameters: tuple[Type, ...]
    varargs: bool
    throws: tuple[Type, ...]
    default: str | None = None  # of an annotation's element, as it is written


@dataclass
class Class:
    """A class, interface, enum or annotation. `name` is what follows the package, with dots."""

    package: str
    name: str
    kind: str
    modifiers: frozenset[str]
    deprecated: bool
    variables: tuple[Variable, ...] = ()
    extends: tuple[Type, ...] = ()
    implements: tuple[Type, ...] = ()
    fields: list[Field] = field(default_factory=list)
    methods: list[Method] = field(default_factory=list)

    @property
    def outer(self) -> str | None:
        """The name of the class that it is in."""
        return self.name.rpartition(".")[0] or None

    @property
    def is_interface(self) -> bool:
        """Also annotations are."""
        return self.kind in ("interface", "@interface")


def read(text: str) -> list[Class]:
    """All classes of a list, in its order; BuildError names the first line that is not understood."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != FORMAT:
        raise BuildError(f"the list of Android's API does not begin with {FORMAT!r}")
    found: list[Class] = []
    package = None
    for number, line in enumerate(lines[1:], 2):
        words = line.strip()
        if not words or words == "}" or words.startswith("//"):
            continue
        try:
            reader = _Reader(words)
            if words.startswith(("package ", "@")) and "package" in reader.tokens and not line.startswith(" "):
                reader.annotations()
                reader.take("package")
                package = reader.next()
            elif words.endswith("{"):
                if package is None:
                    raise ValueError("no package")
                found.append(reader.head(package))
            else:
                _add_member(found[-1], reader)
        except (ValueError, IndexError) as error:
            raise BuildError(
                f"line {number} of the list of Android's API is not understood ({error}): {words}"
            ) from error
    return found


def _add_member(into: Class, reader: "_Reader") -> None:
    kind = reader.next()
    if kind in ("field", "enum_constant"):
        into.fields.append(reader.field(kind == "enum_constant"))
    elif kind in ("method", "ctor"):
        into.methods.append(reader.method(kind == "ctor"))
    else:
        raise ValueError(kind)


class _Reader:
    """Reads one line from its first token to its last."""

    def __init__(self, line: str):
        self._line = line
        self.tokens = list(_tokens(line))
        self._place = 0

    def head(self, package: str) -> Class:
        """A class without its members."""
        modifiers, deprecated = self._modifiers()
        kind = self.next()
        if kind not in KINDS:
            raise ValueError(kind)
        made = Class(package, self.next(), kind, modifiers, deprecated, self._variables())
        if self._follows("extends"):
            made.extends = self._types("implements")
        if self._follows("implements"):
            made.implements = self._types()
        self.take("{")
        return made

    def field(self, of_enum: bool) -> Field:
        """A field after its first word."""
        modifiers, deprecated = self._modifiers()
        type_ = self.type()
        value = VALUE.search(self._line)
        return Field(self.next(), type_, modifiers, deprecated, value[1] if value else None, of_enum)

    def method(self, is_constructor: bool) -> Method:
        """A method or constructor after its first word."""
        modifiers, deprecated = self._modifiers()
        variables = self._variables()
        more, also = self._modifiers()  # annotations of the result
        result = None if is_constructor else self.type()
        name = self.next()
        self.take("(")
        parameters: list[Type] = []
        varargs = False
        while not self._follows(")"):
            self._modifiers()
            parameters.append(self.type())
            if self._follows("..."):
                varargs = True
                parameters[-1] = Type(parameters[-1].parts, parameters[-1].dimensions + 1)
            if self._peek() not in (",", ")"):
                self.next()  # the parameter's name
            self._follows(",")
        throws: tuple[Type, ...] = ()
        if self._follows("throws"):
            throws = self._types("default", ";")
        default = self._line[self._line.rindex(" default ") + 9 :].rstrip(";") if self._follows("default") else None
        return Method(
            name="<init>" if is_constructor else name,
            modifiers=modifiers | more,
            deprecated=deprecated or also,
            variables=variables,
            result=result,
            parameters=tuple(parameters),
            varargs=varargs,
            throws=throws,
            default=default,
        )

    def type(self) -> Type:
        """A type with its arguments and dimensions."""
        self.annotations()
        parts = [(self.next(), self._arguments())]
        while self._peek() == ".":
            self.next()
            parts.append((self.next(), self._arguments()))
        dimensions = 0
        self.annotations()
        while self._follows("["):
            self.take("]")
            dimensions += 1
            self.annotations()
        if not all(re.fullmatch(r"[\w$.]+", name) for name, _ in parts):
            raise ValueError(f"no type: {parts[0][0]}")
        return Type(tuple(parts), dimensions)

    def annotations(self) -> bool:
        """Skip annotations; whether one of them says that something is deprecated."""
        deprecated = False
        while self._peek().startswith("@") and self._peek() != "@interface":
            deprecated |= self.next() == "@Deprecated"
            depth = 0
            while self._peek() == "(" or depth:
                depth += {"(": 1, ")": -1}.get(self.next(), 0)
        return deprecated

    def next(self) -> str:
        """The next token, read."""
        self._place += 1
        return self.tokens[self._place - 1]

    def take(self, token: str) -> None:
        """Read a token that has to be there."""
        if self.next() != token:
            raise ValueError(f"no {token}")

    def _arguments(self) -> tuple[Type | Wildcard, ...]:
        if not self._follows("<"):
            return ()
        found: list[Type | Wildcard] = []
        while not self._follows(">"):
            self.annotations()
            if self._follows("?"):
                direction = self.next() if self._peek() in ("extends", "super") else None
                found.append(Wildcard(direction, self.type() if direction else None))
            else:
                found.append(self.type())
            self._follows(",")
        return tuple(found)

    def _variables(self) -> tuple[Variable, ...]:
        if not self._follows("<"):
            return ()
        found = []
        while not self._follows(">"):
            self.annotations()
            name, bounds = self.next(), []
            if self._follows("extends"):
                bounds.append(self.type())
                while self._follows("&"):
                    bounds.append(self.type())
            found.append(Variable(name, tuple(bounds)))
            self._follows(",")
        return tuple(found)

    def _types(self, *ends: str) -> tuple[Type, ...]:
        found = []
        while self._peek() not in (*ends, "{"):
            found.append(self.type())
            self._follows(",")
        return tuple(found)

    def _modifiers(self) -> tuple[frozenset[str], bool]:
        found, deprecated = set(), self.annotations()
        while self._peek() in MODIFIERS:
            found.add(self.next())
            deprecated |= self.annotations()
        return frozenset(found), deprecated

    def _peek(self) -> str:
        return self.tokens[self._place]

    def _follows(self, token: str) -> bool:
        """Whether a token comes next, which is read then."""
        if self._peek() != token:
            return False
        self._place += 1
        return True


def _tokens(line: str) -> Iterator[str]:
    place = 0
    while place < len(line):
        match = TOKEN.match(line, place)
        if match is None:
            break
        yield match[1]
        place = match.end()
