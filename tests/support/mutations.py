"""Good files made bad, at random but always the same way: bytes, and the parts that the formats are made of."""

import io
import json
import struct
import zipfile

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

NUMBERS = (
    *(0, 1, 2, 3, 4, 7, 8, 16, 127, 128, 129, 255, 256, 1000, 32767, 32768, 65535, 65536),
    *(2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
    *(-1, -2, -4, -127, -128, -(2**31), -(2**31) - 1, -(2**63)),
)
TEXTS = (
    "",
    "a",
    "x" * 3000,
    "../../etc/passwd",
    "/dev/zero",
    "\x1b[2J",
    "\ud800",
    "\x00",
    "é\u202e",
    "1e999",
    "os:abort",
)
VALUES = (None, True, False, 0.5, -0.0, 1e308, float("inf"), float("nan"), 10**40, [], {}, [[[[]]]], {"a": {"b": [1]}})


# -- bytes --


def flip(data, random):
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def overwrite(data, random):
    """A number of any size, mostly where numbers lie: a length that is far too large, an offset to elsewhere."""
    size, form = random.choice(((1, "<B"), (2, "<H"), (4, "<I"), (4, "<I"), (4, ">I"), (8, "<Q")))
    place = random.randrange(max(1, len(data) - size + 1))
    place -= place % (size if random.random() < 0.8 else 1)
    data[place : place + size] = struct.pack(form, random.choice(NUMBERS) % 256**size)


def adjust(data, random):
    """A number of four bytes a little larger or smaller."""
    place = random.randrange(max(1, len(data) // 4)) * 4
    if place + 4 <= len(data):
        number = struct.unpack_from("<I", data, place)[0] + random.choice((-4, -2, -1, 1, 2, 4, 8, 1000))
        struct.pack_into("<I", data, place, number % 2**32)


def truncate(data, random):
    del data[random.randrange(len(data)) :]


def cut(data, random):
    start = random.randrange(len(data))
    del data[start : start + random.choice((1, 4, 16, 300))]


def repeat(data, random):
    start = random.randrange(len(data))
    block = data[start : start + random.choice((1, 4, 16, 300))]
    data[start:start] = block * random.choice((1, 1, 2, 50))


def insert(data, random):
    data[(start := random.randrange(len(data) + 1)) : start] = random.randbytes(random.choice((1, 4, 16, 300)))


def exchange(data, random):
    size = random.choice((2, 4, 8, 40))
    one, other = (random.randrange(max(1, len(data) - size)) for _ in range(2))
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def splice(data, random, other):
    """The beginning of one good file, the end of another."""
    data[random.randrange(len(data) + 1) :] = other[random.randrange(len(other) + 1) :]


def of_bytes(good, random):
    """One of the good files with one to four changes of its bytes."""
    data = bytearray(random.choice(good))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        change = random.choice(
            (flip, flip, overwrite, overwrite, overwrite, adjust, truncate, cut, repeat, insert, exchange, splice)
        )
        if change is splice:
            splice(data, random, random.choice(good))
        elif data:
            change(data, random)
    return bytes(data)


# -- JSON --


def places(value, path=()):
    """Every place in a document, as keys from the top."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        yield from places(part, (*path, key))


def of_json(text, random):
    """A document in which one value became another, vanished or came twice."""
    document = json.loads(text)
    for _ in range(random.choice((1, 1, 2))):
        *path, last = random.choice(list(places(document))[1:] or [(None,)])
        if last is None:
            return json.dumps(random.choice(VALUES)).encode()
        part = document
        for key in path:
            part = part[key]
        kind, old = random.randrange(5), part[last]
        if kind == 0:
            del part[last]
        elif kind == 1 and isinstance(part, list):
            part.insert(last, old)
        elif kind == 1:
            part[random.choice(TEXTS)] = old
        elif kind == 2 and isinstance(old, int | float):
            part[last] = random.choice(NUMBERS)
        else:
            part[last] = random.choice((*NUMBERS, *TEXTS, *VALUES))
    return json.dumps(document).replace("Infinity", random.choice(("1e999", "Infinity"))).encode()


# -- weights --


def of_safetensors(good, random):
    """A changed header in front of the same numbers."""
    data = random.choice(good)
    size = struct.unpack_from("<Q", data)[0]
    text = of_json(data[8 : 8 + size], random) if random.random() < 0.8 else of_bytes([data[8 : 8 + size]], random)
    told = len(text) if random.random() < 0.9 else random.choice(NUMBERS) % 2**64
    return struct.pack("<Q", told) + text + data[8 + size :]


def of_zip(good, random):
    """A .pt with a changed part, packed again so that its checksums are right."""
    with zipfile.ZipFile(io.BytesIO(random.choice([data for data in good if data[:2] == b"PK"]))) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = random.choice([*parts, *[name for name in parts if name.endswith("data.pkl")] * 8])
    parts[name] = of_bytes([parts[name] or b"x"], random)
    if random.random() < 0.1:
        del parts[random.choice(list(parts))]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return target.getvalue()


# -- models --


def of_protobuf(good, random):
    """An ONNX model in which fields became others, vanished or came twice."""
    model = onnx.ModelProto.FromString(random.choice(good))
    for _ in range(random.choice((1, 1, 2, 3))):
        message = random.choice(list(messages(model)))
        fields = [(field, value) for field, value in message.ListFields() if field.name != "raw_data"]
        if not fields:
            continue
        field, value = random.choice(fields)
        if isinstance(value, bool | int):
            set_field(message, field, random.choice(NUMBERS))
        elif isinstance(value, float):
            set_field(message, field, random.choice((0.0, float("nan"), float("inf"), -1e30)))
        elif isinstance(value, str | bytes):
            names = [node.output[0] for node in model.graph.node if node.output] + [
                node.op_type for node in model.graph.node
            ]
            set_field(message, field, random.choice((*TEXTS, *names)))
        elif not hasattr(value, "extend"):
            message.ClearField(field.name)
        elif random.random() < 0.3:
            del value[random.randrange(len(value))]
        elif random.random() < 0.5:
            value.append(value[random.randrange(len(value))])
        elif isinstance(value[0], int):
            value[random.randrange(len(value))] = random.choice(
                [number for number in NUMBERS if -(2**31) <= number < 2**31]
            )
    return model.SerializeToString()


def messages(message):
    """A message and all those in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if hasattr(value, "extend") else (value,):
                yield from messages(part)


def set_field(message, field, value):
    try:
        value = (
            value.encode(errors="replace")
            if isinstance(getattr(message, field.name), bytes) and isinstance(value, str)
            else value
        )
        setattr(message, field.name, value)
    except (ValueError, TypeError):  # not a value of its type
        message.ClearField(field.name)


def of_flatbuffer(good, random):
    """A TFLite model in which fields became others, vanished or came twice; None if it cannot be packed."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(random.choice(good), 0))
    for _ in range(random.choice((1, 1, 2, 3))):
        part = random.choice(list(parts_of(model)))
        name, value = random.choice(list(vars(part).items()))
        if isinstance(value, bool | int):
            setattr(part, name, random.choice(NUMBERS) if random.random() < 0.5 else value + random.choice((-1, 1)))
        elif isinstance(value, np.ndarray | list) and len(value):
            changed = list(value)
            place = random.randrange(len(changed))
            if random.random() < 0.3:
                del changed[place]
            elif random.random() < 0.3:
                changed.append(changed[place])
            elif isinstance(changed[place], int | np.integer):
                changed[place] = (
                    random.choice(NUMBERS) if random.random() < 0.5 else int(changed[place]) + random.choice((-1, 1))
                )
            setattr(part, name, changed)
        else:
            setattr(part, name, None)
    try:
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
    except Exception:  # a number that is too large for its field, a table that something needs
        return None
    return bytes(builder.Output())


def parts_of(part):
    """A table as the schema's object, and all those in it."""
    yield part
    for value in vars(part).values():
        for inner in value if isinstance(value, list) else (value,):
            if hasattr(inner, "Pack"):
                yield from parts_of(inner)
