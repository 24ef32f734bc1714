"""The schema of TFLite files as ai-edge-litert ships it, without the runtime: importing its package would load that."""

import importlib.util
from pathlib import Path
from types import ModuleType


def _load() -> ModuleType:
    package = importlib.util.find_spec("ai_edge_litert")
    if package is None or not package.submodule_search_locations:
        raise ImportError("ai-edge-litert is not installed")
    path = Path(package.submodule_search_locations[0], "schema_py_generated.py")
    spec = importlib.util.spec_from_file_location("converters.tflite._generated", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path}: no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


schema = _load()
