"""The app with its activities and layouts on a JVM, where a device only acts Android.

What the app touches of Android's views, intents and files has sources in java/android. All else is android.jar, whose
methods do nothing here and answer 0 or null: Google's own mockable-android.jar is made the same way.
"""

import itertools
import re
import struct
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from ci import tools

ACTED = Path(__file__).parent / "java/android"
# Constructors of `stubbed` do not call those of their superclasses.
OPTIONS = ("-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote", "-Djava.awt.headless=true")
FIRST_ID = 0x7F000001

STATIC, NATIVE, ABSTRACT = 0x8, 0x100, 0x400
WIDE = {5, 6}  # of the constant pool: they take two places
SIZES = {7: 2, 8: 2, 16: 2, 19: 2, 20: 2, 15: 3, 3: 4, 4: 4, 9: 4, 10: 4, 11: 4, 12: 4, 17: 4, 18: 4, 5: 8, 6: 8}
# By the type that is returned: the instructions that answer with nothing, and how much stack they take.
ANSWERS = {
    "V": (b"\xb1", 0), "J": (b"\x09\xad", 2), "F": (b"\x0b\xae", 1), "D": (b"\x0e\xaf", 2),
    "L": (b"\x01\xb0", 1), "[": (b"\x01\xb0", 1),
}  # fmt: skip
WHOLE = b"\x03\xac", 1


def acted(folder: Path) -> list[Path]:
    """The classes of a device that acts Android: first what is acted, and behind that the rest, which does nothing."""
    android_jar = tools.android_jar()
    classes = tools.javac(ACTED.rglob("*.java"), folder / "acted", classpath=[android_jar], jvm=True)
    return [classes, stubbed(android_jar, folder / "stubbed.jar")]


def numbers_of_resources(resources: Path, package: str) -> str:
    """R.java: a number for every name."""
    names: dict[str, set[str]] = {}
    for path in resources.rglob("*.xml"):
        kind = path.parent.name.partition("-")[0]
        names.setdefault("id", set()).update(re.findall(r"@\+id/(\w+)", path.read_text(encoding="utf-8")))
        if kind != "values":
            names.setdefault(kind, set()).add(path.stem)
            continue
        for element in ElementTree.parse(path).getroot():
            names.setdefault(element.tag.removeprefix("string-"), set()).add(element.get("name") or "")
    number = itertools.count(FIRST_ID)
    lines = [f"package {package};", "public final class R {"]
    for kind, found in sorted(names.items()):
        lines.append(f"public static final class {kind} {{")
        lines += [f"public static final int {name} = {next(number)};" for name in sorted(found)]
        lines.append("}")
    return "\n".join([*lines, "}", ""])


def stubbed(android_jar: Path, path: Path) -> Path:
    """Write Android's classes with methods that do nothing; the jar is returned."""
    with zipfile.ZipFile(android_jar) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            if name.startswith("android/") and name.endswith(".class"):
                target.writestr(name, _with_code(source.read(name)))
    return path


def _with_code(data: bytes) -> bytes:
    count = struct.unpack_from(">H", data, 8)[0]
    texts, at, place = {}, 10, 1
    while place < count:
        kind = data[at]
        if kind == 1:
            size = struct.unpack_from(">H", data, at + 1)[0]
            texts[place] = data[at + 3 : at + 3 + size].decode("utf-8", "replace")
            at += 3 + size
        else:
            at += 1 + SIZES[kind]
        place += 2 if kind in WIDE else 1
    pool = data[10:at] + b"\x01\x00\x04Code"
    after = at + 6
    after += 2 + 2 * struct.unpack_from(">H", data, after)[0]  # interfaces
    fields_end = _members_end(data, after)
    out = [data[:8], struct.pack(">H", count + 1), pool, data[at:fields_end]]
    methods, at = struct.unpack_from(">H", data, fields_end)[0], fields_end + 2
    out.append(struct.pack(">H", methods))
    for _ in range(methods):
        flags, _name, descriptor, attributes = struct.unpack_from(">HHHH", data, at)
        end = _attributes_end(data, at + 6)
        body = data[at + 8 : end]
        if not flags & ABSTRACT:
            answer, stack = ANSWERS.get(texts[descriptor].partition(")")[2][0], WHOLE)
            slots = 64  # more than any method has parameters
            code = struct.pack(">HHI", stack, slots, len(answer)) + answer + b"\0\0\0\0"
            body += struct.pack(">HI", count, len(code)) + code
            attributes += 1
        out.append(struct.pack(">H", flags & ~NATIVE) + data[at + 2 : at + 6] + struct.pack(">H", attributes) + body)
        at = end
    out.append(data[at:])
    return b"".join(out)


def _members_end(data: bytes, at: int) -> int:
    count, at = struct.unpack_from(">H", data, at)[0], at + 2
    for _ in range(count):
        at = _attributes_end(data, at + 6)
    return at


def _attributes_end(data: bytes, at: int) -> int:
    count, at = struct.unpack_from(">H", data, at)[0], at + 2
    for _ in range(count):
        at += 6 + struct.unpack_from(">I", data, at + 2)[0]
    return at
