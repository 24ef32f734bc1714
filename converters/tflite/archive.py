"""The zip archive that may lie behind a TFLite model: files that its metadata names, such as the labels."""

import struct
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO

from converters.tflite.flatbuffer import Damaged

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MAXIMUM_BYTES = 64 * 1024**2  # of what it unpacks to
MAXIMUM_FILES, MAXIMUM_DIRECTORY = 1000, 2**20
# Records of the format (PKWARE's APPNOTE.TXT, 4.3.7, 4.3.12, 4.3.16).
LOCAL, CENTRAL, END, LOCATOR = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x07"
END_BYTES, LOCATOR_BYTES, MAXIMUM_COMMENT = 22, 20, 2**16 - 1
VERSION, MADE_ON_UNIX, UTF8, READABLE = 20, 3 << 8, 0x800, 0o100644 << 16
FIRST_OF_JANUARY_1980 = (0, 1 << 5 | 1)  # time and date, as MS-DOS writes them


def archive(files: Mapping[str, bytes], start: int) -> bytes:
    """An archive that begins at byte `start` of a file: not compressed, for readers that map it, and without dates."""
    body, directory = b"", b""
    for name, data in files.items():
        text = name.encode()
        common = struct.pack(
            "<HHHHHIIIHH",
            *(VERSION, UTF8, zipfile.ZIP_STORED, *FIRST_OF_JANUARY_1980, zlib.crc32(data)),
            *(len(data), len(data), len(text), 0),
        )
        place = struct.pack("<HHHII", 0, 0, 0, READABLE, start + len(body))
        directory += CENTRAL + struct.pack("<H", MADE_ON_UNIX | VERSION) + common + place + text
        body += LOCAL + common + text + data
    sizes = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), start + len(body), 0)
    return body + directory + END + sizes


def archived(data: bytes) -> dict[str, bytes]:
    """The files of the archive at the end of `data`; none where there is no archive.

    Raises Damaged for one that is broken, encrypted, or larger than what a model has to tell.
    """
    end = _end(data)
    if end is None:
        return {}
    count, size = struct.unpack_from("<HI", data, end + 10)
    if count > MAXIMUM_FILES or size > MAXIMUM_DIRECTORY or data[end - LOCATOR_BYTES :].startswith(LOCATOR):
        raise Damaged("the archive of its associated files is too large")
    try:
        with zipfile.ZipFile(BytesIO(data)) as opened:
            entries, files = opened.infolist(), {}
            if any(entry.compress_type not in METHODS for entry in entries):
                raise Damaged("an associated file is compressed in a way that is not known")
            if sum(entry.file_size for entry in entries) > MAXIMUM_BYTES:
                raise Damaged(f"its associated files have more than {MAXIMUM_BYTES} bytes")
            for entry in entries:
                files[entry.filename] = opened.read(entry)  # not more than its file_size, with its checksum
            return files
    except (zipfile.BadZipFile, zlib.error, struct.error, ValueError, OSError, EOFError, RuntimeError) as error:
        if isinstance(error, Damaged):
            raise
        raise Damaged("the archive of its associated files is broken") from error


def _end(data: bytes) -> int | None:
    """Where the record stands that ends an archive: one whose comment is the rest of the file."""
    lowest = max(0, len(data) - END_BYTES - MAXIMUM_COMMENT)
    end = data.rfind(END, lowest)
    while end >= 0:
        if end + END_BYTES <= len(data):
            (comment,) = struct.unpack_from("<H", data, end + END_BYTES - 2)
            if end + END_BYTES + comment == len(data):
                return end
        end = data.rfind(END, lowest, end + len(END) - 1)
    return None
