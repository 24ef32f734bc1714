"""Runs where tflite-support is: what its MetadataDisplayer reads of the files in argv, as JSON, one object a file."""

import json
import sys

from tensorflow_lite_support.metadata.cc.python import _pywrap_metadata_version
from tflite_support import metadata

for path in sys.argv[1:]:
    displayer = metadata.MetadataDisplayer.with_model_file(path)
    names = displayer.get_packed_associated_file_list()
    shown = {
        "metadata": json.loads(displayer.get_metadata_json()),
        "files": {name: displayer.get_associated_file_buffer(name).decode() for name in names},
        "parser": _pywrap_metadata_version.GetMinimumMetadataParserVersion(displayer.get_metadata_buffer()),
    }
    # The tools' own check, as if the metadata were put into the file anew.
    populator = metadata.MetadataPopulator.with_model_file(path)
    populator.load_metadata_buffer(displayer.get_metadata_buffer())
    print(json.dumps(shown))
