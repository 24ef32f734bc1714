"""Three libraries that do not know each other, and one command line that wires them (the design's import rules)."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARIES = ("falcon_edge.falcon", "converters", "runtime_bench")
PACKAGES = ("falcon_edge", "converters", "runtime_bench")
WIRING = ("falcon_edge/cli/", "falcon_edge/steps/", "falcon_edge/__init__.py")

# Files below (or at) a path import nothing of these.
RULES = [
    ("falcon_edge/falcon/", ("converters", "runtime_bench")),
    ("converters/", ("falcon_edge", "runtime_bench")),
    ("runtime_bench/", ("falcon_edge", "converters", "torch")),
    ("converters/formats/", ("converters.inspect", "converters.parity", "converters.peak", "torch")),
    ("falcon_edge/falcon/", ("falcon_edge.models", "falcon_edge.data", "falcon_edge.training")),
    ("falcon_edge/training/", ("converters", "runtime_bench", "falcon_edge.steps", "falcon_edge.cli")),
    ("falcon_edge/steps/", ("falcon_edge.cli", "typer", "rich")),
    *(
        (f"falcon_edge/{name}.py", (*LIBRARIES, "falcon_edge.models", "falcon_edge.training", "torch"))
        for name in ("bundle", "documents", "manifest")
    ),
    *((package, ("tests", "pytest", "hypothesis")) for package in PACKAGES),
]


def imports(source, package=""):
    """Names of the modules that a source imports anywhere, also `from a import b` as a.b, relative ones resolved."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def of(name, modules):
    """Whether a name is one of the modules or lies in one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def files(path=""):
    """Source files of the packages whose path starts so."""
    every = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return sorted(file for file in every if file.relative_to(ROOT).as_posix().startswith(path))


def imported_by(file):
    return imports(file.read_text(), ".".join(file.relative_to(ROOT).parent.parts))


@pytest.mark.parametrize(("path", "forbidden"), RULES, ids=[f"{path} without {names[0]}..." for path, names in RULES])
def test_rule(path, forbidden):
    assert files(path)
    for file in files(path):
        broken = sorted(name for name in imported_by(file) if of(name, forbidden))
        assert not broken, f"{file.relative_to(ROOT)} imports {', '.join(broken)}"


def test_only_the_wiring_knows_more_than_one_library():
    for file in files():
        path = file.relative_to(ROOT).as_posix()
        known = {library for library in LIBRARIES for name in imported_by(file) if of(name, [library])}
        own = {library for library in LIBRARIES if path.startswith(library.replace(".", "/") + "/")}
        if own:
            assert known <= own, path
        elif not path.startswith(WIRING):
            assert not known & {"converters", "runtime_bench"}, path


def test_the_worker_is_alone():
    """It and its runtime's file run on a device: standard library, numpy and a runtime, which is imported by name."""
    alone = [file for file in files("runtime_bench/runtimes/") if file.stem != "__init__"]
    assert len(alone) >= 2
    for file in [*files("runtime_bench/worker.py"), *alone]:
        assert {name.partition(".")[0] for name in imported_by(file)} <= sys.stdlib_module_names | {"numpy"}, file


def test_what_is_looked_at_is_there():
    """The rules are about real imports: these exist and are found."""
    (steps,) = files("falcon_edge/steps/export.py")
    assert {"torch", "converters.parity", "converters.torch_parity.check_onnx", "falcon_edge.bundle"} <= imported_by(
        steps
    )
    assert imports("def f():\n    if x:\n        import a.b, c") == {"a.b", "c"}
    assert imports("from . import a\nfrom ..b import c\nfrom .d import e", "p.q") == {
        *("p.q", "p.q.a"),
        *("p.b", "p.b.c"),
        *("p.q.d", "p.q.d.e"),
    }
