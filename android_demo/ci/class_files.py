"""Writes classes of an API as class files without code: enough to compile against, and nothing to run.

Format: chapter 4 of the Java Virtual Machine Specification, Java 8.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

from ci.api_text import Class, Field, Method, Type, Variable, Wildcard
from ci.errors import BuildError

MAGIC, VERSION = 0xCAFEBABE, 52
PRIMITIVES = {
    **{"void": "V", "boolean": "Z", "byte": "B", "char": "C", "short": "S"},
    **{"int": "I", "long": "J", "float": "F", "double": "D"},
}
PUBLIC, PROTECTED, STATIC, FINAL, SUPER, VARARGS = 0x1, 0x4, 0x8, 0x10, 0x20, 0x80
INTERFACE, ABSTRACT, ANNOTATION, ENUM = 0x200, 0x400, 0x2000, 0x4000
OF_CLASS = {"public": PUBLIC, "protected": PROTECTED, "static": STATIC, "final": FINAL, "abstract": ABSTRACT}
OF_FIELD = {
    "public": PUBLIC,
    "protected": PROTECTED,
    "static": STATIC,
    "final": FINAL,
    "volatile": 0x40,
    "transient": 0x80,
}
OF_METHOD = OF_CLASS | {"synchronized": 0x20, "native": 0x100}
SPECIAL = {"0.0/0.0": float("nan"), "1.0/0.0": float("inf"), "-1.0/0.0": float("-inf")}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}
Scope = Mapping[str, Variable]


class Api:
    """Classes that name each other."""

    def __init__(self, classes: Iterable[Class]):
        self.classes = {f"{each.package}.{each.name}": each for each in classes}
        self._inside: dict[str, list[str]] = {}
        for name, each in self.classes.items():
            if each.outer:
                self._inside.setdefault(f"{each.package}.{each.outer}", []).append(name)

    def class_files(self) -> dict[str, bytes]:
        """The class files by their names in a jar."""
        return {f"{self.binary(name)}.class": _Writer(self, each).written() for name, each in self.classes.items()}

    def binary(self, name: str) -> str:
        """A class as class files name it."""
        found = self.find(name)
        return f"{found.package}.{found.name.replace('.', '$')}".replace(".", "/")

    def has(self, name: str) -> bool:
        """Whether there is a class of that name."""
        return name in self.classes or f"java.lang.{name}" in self.classes

    def find(self, name: str) -> Class:
        """A class by its name with dots; those of java.lang may go without their package."""
        found = self.classes.get(name) or self.classes.get(f"java.lang.{name}")
        if found is None:
            raise BuildError(f"the list of Android's API names {name} and does not have it")
        return found

    def inside(self, name: str) -> list[str]:
        """The classes that are members of a class."""
        return self._inside.get(name, [])

    def is_inner(self, found: Class) -> bool:
        """Whether its objects belong to one of the class around it."""
        if found.outer is None or found.kind != "class" or "static" in found.modifiers:
            return False
        return not self.find(f"{found.package}.{found.outer}").is_interface

    def scope(self, found: Class) -> Scope:
        """The type variables that it sees: its own, and those around it if it is inner."""
        around = self.scope(self.find(f"{found.package}.{found.outer}")) if self.is_inner(found) else {}
        return {**around, **{variable.name: variable for variable in found.variables}}


class _Writer:
    """Writes one class."""

    def __init__(self, api: Api, described: Class):
        self._api, self._class = api, described
        self._scope = api.scope(described)
        self._name = api.binary(f"{described.package}.{described.name}")
        self._constants: dict[tuple[str, object], int] = {}
        self._pool = bytearray()
        self._next = 1
        self._named: set[str] = {self._name}

    def written(self) -> bytes:
        """The class file."""
        superclass = self._superclass
        interfaces = self._interfaces
        is_root = self._name == "java/lang/Object"
        body = struct.pack(">HHH", self._access(), self._of_class(self._name), 0 if is_root else self._of(superclass))
        body += _counted([struct.pack(">H", self._of(each)) for each in interfaces])
        body += _counted([self._field(each) for each in self._class.fields])
        body += _counted(self._methods())
        attributes = self._deprecated(self._class.deprecated)
        if self._class.variables or any(self._is_generic(each, self._scope) for each in (superclass, *interfaces)):
            types = "".join(self._signature(each, self._scope) for each in (superclass, *interfaces))
            attributes.append(
                self._text_attribute("Signature", self._formal(self._class.variables, self._scope) + types)
            )
        attributes += self._inner_classes()
        body += _counted(attributes)
        return struct.pack(">IHHH", MAGIC, 0, VERSION, self._next) + bytes(self._pool) + body

    @cached_property
    def _superclass(self) -> Type:
        if self._class.kind == "enum":
            own = Type(((f"{self._class.package}.{self._class.name}", ()),))
            return Type((("java.lang.Enum", (own,)),))
        extends = () if self._class.is_interface else self._class.extends
        return extends[0] if extends else Type((("java.lang.Object", ()),))

    @cached_property
    def _interfaces(self) -> tuple[Type, ...]:
        if self._class.kind == "@interface":
            return (Type((("java.lang.annotation.Annotation", ()),)),)
        return (*(self._class.extends if self._class.is_interface else ()), *self._class.implements)

    def _access(self) -> int:
        """Its flags as a class of its own: what is protected inside another is public then."""
        flags = _flags_inside(self._class) & ~(STATIC | PROTECTED)
        visible = PUBLIC if self._class.modifiers & {"public", "protected"} else 0
        return flags | visible | (0 if self._class.is_interface else SUPER)

    def _field(self, described: Field) -> bytes:
        flags = _flags(described.modifiers, OF_FIELD) | (ENUM if described.of_enum else 0)
        attributes = self._deprecated(described.deprecated)
        descriptor = self._descriptor(described.type, self._scope)
        if described.value is not None and {"static", "final"} <= described.modifiers:
            constant = struct.pack(">H", self._value(descriptor, described.value))
            attributes.append(self._attribute("ConstantValue", constant))
        if self._is_generic(described.type, self._scope):
            attributes.append(self._text_attribute("Signature", self._signature(described.type, self._scope)))
        return self._member(flags, described.name, descriptor, attributes)

    def _methods(self) -> list[bytes]:
        written: dict[tuple[str, str], bytes] = {}
        for described in self._class.methods:
            name, descriptor, content = self._method(described)
            written.setdefault((name, descriptor), content)
        if self._class.kind == "enum":
            own = f"L{self._name};"
            for name, descriptor in (("values", f"()[{own}"), ("valueOf", f"(Ljava/lang/String;){own}")):
                if (name, descriptor) not in written:
                    written[name, descriptor] = self._member(PUBLIC | STATIC, name, descriptor, [])
        return list(written.values())

    def _method(self, described: Method) -> tuple[str, str, bytes]:
        around = {} if "static" in described.modifiers else self._scope
        variables = described.variables or self._variables_left_out(described)
        scope = {**around, **{variable.name: variable for variable in variables}}
        flags = _flags(described.modifiers, OF_METHOD) | (VARARGS if described.varargs else 0)
        if self._class.is_interface and not described.modifiers & {"default", "static"}:
            flags |= ABSTRACT
        parameters = "".join(self._descriptor(each, scope) for each in described.parameters)
        if described.name == "<init>" and self._api.is_inner(self._class):
            parameters = f"L{self._name.rpartition('$')[0]};{parameters}"
        result = self._descriptor(described.result, scope) if described.result else "V"
        descriptor = f"({parameters}){result}"
        attributes = self._deprecated(described.deprecated)
        types = (*described.parameters, *described.throws, *([described.result] if described.result else []))
        if variables or any(self._is_generic(each, scope) for each in types):
            signature = self._formal(variables, scope) + self._method_signature(described, scope)
            attributes.append(self._text_attribute("Signature", signature))
        if described.throws:
            thrown = [self._descriptor(each, scope)[1:-1] for each in described.throws]
            attributes.append(
                self._attribute("Exceptions", _counted([struct.pack(">H", self._of_class(each)) for each in thrown]))
            )
        if described.default is not None:
            attributes.append(self._attribute("AnnotationDefault", self._default(result, described.default)))
        return described.name, descriptor, self._member(flags, described.name, descriptor, attributes)

    def _method_signature(self, described: Method, scope: Scope) -> str:
        parameters = "".join(self._signature(each, scope) for each in described.parameters)
        result = self._signature(described.result, scope) if described.result else "V"
        throws = "".join(f"^{self._signature(each, scope)}" for each in described.throws)
        return f"({parameters}){result}{throws}"

    def _variables_left_out(self, described: Method) -> tuple[Variable, ...]:
        """Type variables of a constructor: the list uses them and does not declare them."""
        if described.name != "<init>":
            return ()
        named = {name for each in described.parameters for name in _names(each)}
        unknown = {name for name in named if not self._api.has(name) and name not in self._scope}
        return tuple(Variable(name, ()) for name in sorted(unknown) if "." not in name and name not in PRIMITIVES)

    def _default(self, descriptor: str, value: str) -> bytes:
        """Some value of an annotation's element: that there is one is all that compilers ask."""
        if descriptor.startswith("["):
            return b"[" + struct.pack(">H", 0)
        if descriptor == "Ljava/lang/String;":
            return b"s" + struct.pack(">H", self._utf8(""))
        if descriptor == "Ljava/lang/Class;":
            return b"c" + struct.pack(">H", self._utf8("V"))
        if descriptor.startswith("L"):
            constant = value.rpartition(".")[2]
            return b"e" + struct.pack(">HH", self._utf8(descriptor), self._utf8(constant))
        zero = {"J": "0L", "F": "0f", "D": "0.0", "Z": "false"}.get(descriptor, "0")
        return descriptor.encode() + struct.pack(">H", self._value(descriptor, zero))

    def _inner_classes(self) -> list[bytes]:
        """What is said of the classes inside others that this one names, contains or lies in."""
        inside = {name for name in self._named if "$" in name}
        members = self._api.inside(f"{self._class.package}.{self._class.name}")
        inside |= {self._api.binary(name) for name in members}
        inside |= {name[: match.start()] for name in inside for match in re.finditer(r"\$", name)}
        entries = []
        for name in sorted(name for name in inside if "$" in name):
            flags = _flags_inside(self._api.find(name.replace("/", ".").replace("$", ".")))
            outer, _, simple = name.rpartition("$")
            indices = self._of_class(name), self._of_class(outer), self._utf8(simple)
            entries.append(struct.pack(">HHHH", *indices, flags))
        return [self._attribute("InnerClasses", _counted(entries))] if entries else []

    def _member(self, flags: int, name: str, descriptor: str, attributes: list[bytes]) -> bytes:
        return struct.pack(">HHH", flags, self._utf8(name), self._utf8(descriptor)) + _counted(attributes)

    def _deprecated(self, is_so: bool) -> list[bytes]:
        return [self._attribute("Deprecated", b"")] if is_so else []

    def _text_attribute(self, name: str, text: str) -> bytes:
        return self._attribute(name, struct.pack(">H", self._utf8(text)))

    def _attribute(self, name: str, content: bytes) -> bytes:
        return struct.pack(">HI", self._utf8(name), len(content)) + content

    # Types

    def _descriptor(self, described: Type, scope: Scope) -> str:
        """The type without its arguments; a variable is its first bound."""
        name, array = described.name, "[" * described.dimensions
        if name in PRIMITIVES:
            return array + PRIMITIVES[name]
        if name in scope:
            bounds = scope[name].bounds
            return array + (self._descriptor(bounds[0], scope) if bounds else "Ljava/lang/Object;")
        return f"{array}L{self._binary(name)};"

    def _signature(self, described: Type, scope: Scope) -> str:
        """The type as it is written."""
        name, array = described.name, "[" * described.dimensions
        if name in PRIMITIVES:
            return array + PRIMITIVES[name]
        if name in scope:
            return f"{array}T{name};"
        (first, arguments), *rest = described.parts
        text = self._binary(first) + self._arguments(arguments, scope)
        for part, arguments in rest:
            text += f".{part.replace('.', '$')}{self._arguments(arguments, scope)}"
        self._binary(name)
        return f"{array}L{text};"

    def _arguments(self, arguments: tuple[Type | Wildcard, ...], scope: Scope) -> str:
        if not arguments:
            return ""
        written = []
        for each in arguments:
            if isinstance(each, Type):
                written.append(self._signature(each, scope))
            elif each.bound is None:
                written.append("*")
            else:
                written.append(
                    {"extends": "+", "super": "-"}[each.direction or ""] + self._signature(each.bound, scope)
                )
        return f"<{''.join(written)}>"

    def _formal(self, variables: tuple[Variable, ...], scope: Scope) -> str:
        """Type variables with their bounds; a first bound that is an interface follows a second colon."""
        if not variables:
            return ""
        written = []
        for variable in variables:
            bounds = variable.bounds or (Type((("java.lang.Object", ()),)),)
            first = bounds[0].name
            colon = ":" if first not in scope and self._api.find(first).is_interface else ""
            written.append(variable.name + colon + "".join(f":{self._signature(each, scope)}" for each in bounds))
        return f"<{''.join(written)}>"

    def _is_generic(self, described: Type, scope: Scope) -> bool:
        return described.name in scope or any(arguments for _, arguments in described.parts)

    def _binary(self, name: str) -> str:
        found = self._api.binary(name)
        self._named.add(found)
        return found

    # The pool of constants

    def _of(self, described: Type) -> int:
        return self._of_class(self._binary(described.name))

    def _of_class(self, name: str) -> int:
        return self._constant(("class", name), lambda: struct.pack(">BH", 7, self._utf8(name)))

    def _utf8(self, text: str) -> int:
        content = _modified_utf8(text)
        return self._constant(("text", text), lambda: struct.pack(">BH", 1, len(content)) + content)

    def _value(self, descriptor: str, text: str) -> int:
        """The constant of a field as it is written in the list."""
        if descriptor == "Ljava/lang/String;":
            if not text.startswith('"'):
                raise BuildError(f"{self._name}: {text} is no text")
            string = _unescaped(text[1:-1])
            return self._constant(("string", string), lambda: struct.pack(">BH", 8, self._utf8(string)))
        if descriptor == "J":
            long = int(text.rstrip("L"))
            return self._constant(("J", long), lambda: struct.pack(">Bq", 5, long), 2)
        if descriptor in ("F", "D"):
            content = struct.pack(">f" if descriptor == "F" else ">d", _real(text))
            tag = b"\x04" if descriptor == "F" else b"\x06"
            return self._constant((descriptor, content), lambda: tag + content, 1 if descriptor == "F" else 2)
        if descriptor == "Z":
            number = ("false", "true").index(text)
        else:
            number = ord(_unescaped(text[1:-1])) if text.startswith("'") else int(text)
        return self._constant(("I", number), lambda: struct.pack(">Bi", 3, number))

    def _constant(self, key: tuple[str, object], content: Callable[[], bytes], places: int = 1) -> int:
        if key not in self._constants:
            written = content()  # first, for it may add others
            self._constants[key] = self._next
            self._pool += written
            self._next += places
        return self._constants[key]


def _names(described: Type | Wildcard | None) -> Iterator[str]:
    """What a type names, its arguments too."""
    if isinstance(described, Wildcard):
        yield from _names(described.bound)
    elif described is not None:
        yield described.name
        for _, arguments in described.parts:
            for each in arguments:
                yield from _names(each)


def _flags(modifiers: frozenset[str], known: Mapping[str, int]) -> int:
    return sum(known.get(modifier, 0) for modifier in modifiers)


def _flags_inside(described: Class) -> int:
    """The flags of a class as the one around it has them."""
    flags = _flags(described.modifiers, OF_CLASS)
    if described.is_interface:
        flags |= INTERFACE | ABSTRACT | (ANNOTATION if described.kind == "@interface" else 0)
    if described.kind == "enum":
        flags |= ENUM | (0 if "abstract" in described.modifiers else FINAL)
    if described.outer and described.kind != "class":
        flags |= STATIC
    return flags


def _counted(entries: list[bytes]) -> bytes:
    return struct.pack(">H", len(entries)) + b"".join(entries)


def _real(text: str) -> float:
    plain = text.strip("()").replace("f", "")
    return SPECIAL[plain] if plain in SPECIAL else float(plain)


def _unescaped(text: str) -> str:
    return re.sub(
        r"\\u([0-9a-fA-F]{4})|\\(.)",
        lambda match: chr(int(match[1], 16)) if match[1] else ESCAPES.get(match[2], match[2]),
        text,
    )


def _modified_utf8(text: str) -> bytes:
    """Java's UTF-8: surrogates one by one, and no byte that is zero."""
    halves = text.encode("utf-16-be", "surrogatepass")
    units = struct.unpack(f">{len(halves) // 2}H", halves)
    return b"".join(chr(unit).encode("utf-8", "surrogatepass") if unit else b"\xc0\x80" for unit in units)
