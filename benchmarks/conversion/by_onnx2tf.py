"""onnx2tf (flatbuffer_direct): TARGET from SOURCE, an .onnx. Prints a measurement. It always writes fp16 as well."""

import contextlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import onnx2tf.onnx2tf  # the package itself would import it when it is used
from measure import measured


def main(source: str, target: str, *_: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with measured() as found, contextlib.redirect_stdout(sys.stderr):
            onnx2tf.convert(
                input_onnx_file_path=source,
                output_folder_path=folder,
                tflite_backend="flatbuffer_direct",
                non_verbose=True,
            )
        shutil.move(Path(folder, f"{Path(source).stem}_float32.tflite"), target)
    print(json.dumps(found))


main(*sys.argv[1:])
