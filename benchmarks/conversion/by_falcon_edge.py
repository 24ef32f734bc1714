"""falcon-edge: TARGET from SOURCE, an .onnx or the weights (.pt) of network NAME and RANK. Prints a measurement."""

import json
import sys
import tempfile
from pathlib import Path

from measure import measured

from converters.tflite.emit import emit_tflite


def main(source: str, target: str, name: str, rank: str) -> None:
    if source.endswith(".onnx"):
        with measured() as found:
            emit_tflite(Path(source), Path(target))
    else:
        from networks import restored

        from converters.onnx_export import export_onnx

        network, sample = restored(name, int(rank), source)
        with measured() as found, tempfile.TemporaryDirectory() as folder:
            exported = export_onnx(network, sample, Path(folder, "model.onnx"))
            emit_tflite(exported.path, Path(target))
    print(json.dumps(found))


main(*sys.argv[1:])
