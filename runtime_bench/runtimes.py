"""The runtimes: their names, what they load, and what of them is installed on this host. The worker drives them."""

import importlib.util
from dataclasses import dataclass

from runtime_bench.errors import BenchInputError


@dataclass(frozen=True)
class Runtime:
    """A runtime by its name; `packages` (distribution, module) in the order in which the worker tries them."""

    name: str
    title: str
    alias: str
    suffixes: tuple[str, ...]
    packages: tuple[tuple[str, str], ...]

    @property
    def installed(self) -> str | None:
        """'package version' of what this host would run, or None."""
        for package, module in self.packages:
            if importlib.util.find_spec(module) is not None:
                return f"{package} {_version(package, module)}"
        return None


def _version(package: str, module: str) -> str:
    """The version of the distribution that brought a module, which may have another name (onnxruntime-gpu)."""
    import importlib.metadata  # 25 ms, and --help must answer at once

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(module, ())
        return importlib.metadata.version(names[0]) if names else "unknown"


RUNTIMES = (
    Runtime("onnxruntime", "ONNX Runtime", "ort", (".onnx", ".ort"), (("onnxruntime", "onnxruntime"),)),
    Runtime(
        "litert",
        "LiteRT",
        "tflite",
        (".tflite",),
        (("ai-edge-litert", "ai_edge_litert"), ("tflite-runtime", "tflite_runtime")),
    ),
)


def runtime_named(name: str) -> Runtime:
    """A runtime by name or alias. Raises BenchInputError."""
    for runtime in RUNTIMES:
        if name in (runtime.name, runtime.alias):
            return runtime
    known = ", ".join(f"{runtime.name} ({runtime.alias})" for runtime in RUNTIMES)
    raise BenchInputError(f"{name}: no such runtime; known are {known}")


def runtime_for(suffix: str) -> Runtime:
    """The runtime that loads files of a suffix. Raises BenchInputError."""
    for runtime in RUNTIMES:
        if suffix in runtime.suffixes:
            return runtime
    raise BenchInputError(f"{suffix or 'a file without suffix'}: no runtime loads this; give .onnx, .ort or .tflite")
