"""The runtimes: one file each, of which the worker drives what is under the name of Session.

This host reads the rest: title, alias, suffixes, packages, whether it is taken where none was asked for (BY_DEFAULT),
and whether its x86 kernels cut off sums of uint8 x int8, so that a twin has to answer in its place (SATURATES).
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime_bench.errors import BenchInputError


@dataclass(frozen=True)
class Runtime:
    """A runtime by its name; `packages` (distribution, module) in the order in which the worker tries them.

    suffixes: what it loads, first what is made for it. by_default, saturates: see above.
    """

    name: str
    title: str
    alias: str
    suffixes: tuple[str, ...]
    packages: tuple[tuple[str, str], ...]
    by_default: bool = True
    saturates: bool = False

    @property
    def driver(self) -> Path:
        """The file that goes to the device."""
        return Path(__file__).with_name(f"{self.name}.py")

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


def _runtime(name: str) -> Runtime:
    """What a runtime's file says of it."""
    told = importlib.import_module(f"{__name__}.{name}")
    return Runtime(name, told.TITLE, told.ALIAS, told.SUFFIXES, told.PACKAGES, told.BY_DEFAULT, told.SATURATES)


# What is taken by default comes first.
RUNTIMES = tuple(
    sorted(
        (_runtime(each.name) for each in pkgutil.iter_modules(__path__)),
        key=lambda each: (not each.by_default, each.suffixes),
    )
)


def runtime_named(name: str) -> Runtime:
    """A runtime by name or alias. Raises BenchInputError."""
    for runtime in RUNTIMES:
        if name in (runtime.name, runtime.alias):
            return runtime
    known = ", ".join(f"{runtime.name} ({runtime.alias})" for runtime in RUNTIMES)
    raise BenchInputError(f"{name}: no such runtime; known are {known}")


def runtime_for(suffix: str) -> Runtime:
    """The runtime that loads files of a suffix, where none was asked for. Raises BenchInputError."""
    return runtimes_for(suffix)[0]


def runtimes_for(suffix: str, names: Sequence[str] = ()) -> list[Runtime]:
    """The runtimes among those asked for that load files of a suffix; without any, the one that does by default.

    Capitals are as good. Raises BenchInputError where no runtime at all loads them.
    """
    loading = [runtime for runtime in RUNTIMES if suffix.lower() in runtime.suffixes]
    if not loading:
        known = list(dict.fromkeys(suffix for runtime in RUNTIMES for suffix in runtime.suffixes))
        listed = f"{', '.join(known[:-1])} or {known[-1]}"
        raise BenchInputError(f"{suffix or 'a file without suffix'}: no runtime loads this; give {listed}")
    return [runtime for runtime in loading if runtime.name in names] if names else loading[:1]
