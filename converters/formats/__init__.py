"""The formats: one object each. No runtime and no writer is loaded before it is used."""

from pathlib import Path

from converters.errors import ConversionError
from converters.formats.format import Format, Layout, Source
from converters.formats.onnx import Onnx
from converters.formats.ort import Ort
from converters.formats.tflite import Tflite

__all__ = ["FORMATS", "ONNX", "PRECISIONS", "Format", "Layout", "Source", "format_for", "format_named", "source_of"]

ONNX = Onnx()
FORMATS: tuple[Format, ...] = (ONNX, Ort(), Tflite())
PRECISIONS = ("fp32", "fp16", "int8")


def format_named(name: str) -> Format:
    """A format by name. Raises ConversionError."""
    for each in FORMATS:
        if each.name == name:
            return each
    raise ConversionError(f"{name}: no such format; there are {', '.join(each.name for each in FORMATS)}")


def format_for(suffix: str) -> Format:
    """The format of files of a suffix, in capitals too. Raises ConversionError."""
    for each in FORMATS:
        if each.suffix == suffix.lower():
            return each
    raise ConversionError(f"{suffix or 'no suffix'}: no such format; there are {', '.join(f.suffix for f in FORMATS)}")


def source_of(path: Path) -> Path:
    """The file beside one that it was made from; itself, where its format is made from no other."""
    form = format_for(path.suffix)
    return path if form.source == form.suffix else path.with_suffix(form.source)
