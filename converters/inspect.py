"""What is inside a model file: operators, shapes, precision, cost, card. No runtime is loaded.

This is for files that we have made; inspect_apart is for those of others.
"""

from pathlib import Path

from converters import onnx_graph
from converters.description import Description, Operator, Value
from converters.errors import ConversionError
from converters.formats import FORMATS

# Formats that can be described, by suffix.
SUFFIXES = tuple(each.suffix for each in FORMATS if each.describes)


def describe(path: Path) -> Description:
    """Describe a file by its suffix. Raises ConversionError for one that is missing, truncated or something else."""
    if not path.is_file():
        what = "a folder, but no bundle" if path.is_dir() else "no such model file"
        raise ConversionError(f"{path}: {what}")
    known = next((each for each in FORMATS if each.suffix == path.suffix.lower()), None)
    if known is None:
        raise ConversionError(f"{path}: neither {' nor '.join(SUFFIXES)}")
    try:
        found = known.describe(path)
        parts: list[Value | Operator] = [*found.inputs, *found.outputs, *found.operators]
        names = [*(part.name for part in parts), *(operator.kind for operator in found.operators)]
        if not all(isinstance(name, str) for name in names):
            raise ValueError("a name is no text")  # protobuf hands such a name on as bytes
        return found
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        # What passes the checks may still not fit together: a damaged file can make any of these.
        reason = onnx_graph.first_line(error)
        raise ConversionError(f"{path}: a damaged model; export it again ({reason})") from error
