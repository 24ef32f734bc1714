"""The app's Java, asked by tests in Python: Probe.java of android_demo/core, in a JVM of this machine.

The core is compiled for the JVM, or translated to dex and back, so that what phones run answers. The engines are there
with the runtimes' own classes: ONNX Runtime's from its AAR, with its JNI library for x86_64; LiteRT's are a bridge to
Python's.
"""

import base64
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import ai_edge_litert
import bionic
import numpy as np
from ci import tools

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BRIDGE = HERE / "litert_bridge.py"
SUPPORTED = platform.machine() == "x86_64"


class JavaMessage(Exception):
    """A Message: what the app tells its user."""


def compiled(folder: Path) -> list[Path]:
    """The core and its tests, for this machine's JVM."""
    core = tools.javac(tools.sources("core"), folder / "core", jvm=True)
    return [core, _tests(folder, core)]


def dexed(folder: Path) -> list[Path]:
    """The same, the core compiled as for phones, translated to dex and back."""
    core = tools.jar(tools.javac(tools.sources("core"), folder / "core"), folder / "core.jar")
    dex = folder / "dex"
    dex.mkdir()
    translated = tools.enjarify(tools.d8([core], dex) / "classes.dex", folder / "dexed.jar")
    return [translated, _tests(folder, core)]


def with_engines(folder: Path) -> tuple[list[Path], list[str]]:
    """The core, its tests and both engines with their runtimes' classes; and the options of a JVM that has them."""
    core, tests = compiled(folder)
    onnxruntime = tools.onnxruntime_classes()
    bridge = tools.javac(sorted((HERE / "java/litert").rglob("*.java")), folder / "bridge", jvm=True)
    path = [core, onnxruntime, tools.litert_stubs()]
    engines = tools.javac(tools.sources("engines"), folder / "engines", classpath=path, jvm=True)
    natives = folder / "natives"
    bionic.shims(natives)
    jni = tools.onnxruntime_libraries("x86_64")[1]
    (natives / jni.name).symlink_to(jni)
    (natives / "libonnxruntime.so").symlink_to(tools.onnxruntime_linux_library())
    options = [
        f"-Donnxruntime.native.path={natives}",
        f"-Dlitert.bridge={sys.executable}:{BRIDGE}",
        f"-Dlitert.version={ai_edge_litert.__version__}",
    ]
    return [core, tests, engines, onnxruntime, bridge], options


def junit(classpath: Sequence[Path], docs: Path = ROOT / "docs") -> str:
    """Run the tests in Java; what JUnit says."""
    names = [path.stem for path in tools.sources("core", kind="test") if path.stem.endswith("Test")]
    classes = [f"org.falconedge.core.{name}" for name in names]
    path = [*classpath, *tools.junit_jars()]
    return tools.java("org.junit.runner.JUnitCore", *classes, classpath=path, options=[f"-Ddocs={docs}", "-Xmx256m"])


class Probe:
    """A JVM that answers."""

    def __init__(self, classpath: Sequence[Path], options: Sequence[str] = (), memory: str = "256m"):
        path = ":".join(map(str, [*classpath, *tools.junit_jars()]))
        natives = next((each.partition("=")[2] for each in options if each.startswith("-Donnxruntime")), None)
        environment = {"PATH": "/usr/bin:/bin", "ORT_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
        if natives is not None:
            environment["LD_LIBRARY_PATH"] = natives
        java = [tools.program("java"), *tools.JVM, f"-Xmx{memory}", *options]
        self.process = subprocess.Popen(
            [*java, "-cp", path, "org.falconedge.core.Probe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            encoding="utf-8",
        )

    def ask(self, question: str, **fields):
        """Its answer; what is thrown in Java and is no Message fails the test."""
        self.process.stdin.write(json.dumps({"ask": question} | fields) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the JVM ended at {question}"
        answer = json.loads(line)
        assert "uncaught" not in answer, answer["uncaught"]
        if "message" in answer:
            raise JavaMessage(answer["message"])
        return answer["value"]

    def work(self, do: str, **fields):
        """The worker's answer to a request."""
        return json.loads(self.ask("worker", line=json.dumps({"do": do} | fields)))

    def close(self):
        """End the JVM."""
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(30) == 0


def sent(values: np.ndarray) -> str:
    """Numbers as they are sent."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def received(text: str, dtype) -> np.ndarray:
    """Numbers that were received."""
    return np.frombuffer(base64.b64decode(text), dtype)


def _tests(folder: Path, core: Path) -> Path:
    path = [core, *tools.junit_jars()]
    return tools.javac(tools.sources("core", kind="test"), folder / "tests", classpath=path, jvm=True)
