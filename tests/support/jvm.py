"""Phones' Java on this machine, by a JVM: the runner, and the demo app without Android, with the archive's own classes.

ONNX Runtime's archive is the pinned one, with its JNI library for x86_64; libonnxruntime.so beside that is the same
version's for Linux. A shim of a few functions stands for Android's C library, which the JNI library is linked against.
In LiteRT's archive, which cannot be had here, are classes that pass everything on to LiteRT in Python.
"""

import platform
import sys
import zipfile
from pathlib import Path

import bionic
from ci import tools
from ci.downloads import fetched
from ci.pins import APP_FOLDER

from runtime_bench.worker import flushing_bytes

ABI = "x86_64"
SUPPORTED = platform.machine() == ABI
HERE = Path(__file__).parent
BRIDGE = HERE / "litert_bridge.py"
# What empties caches is four times as large as they are, and here they are this machine's, which may be a server. One
# array may take the older two thirds of a heap.
HEAP = max(512, 2 * (flushing_bytes() >> 20))  # MiB
OPTIONS = (*tools.JVM, f"-Xmx{HEAP}m", f"-Dlitert.bridge={sys.executable}:{BRIDGE}")


class Jvm:
    """What tests need of it, made in a folder that they share."""

    def __init__(self, folder: Path):
        self.folder = folder
        bionic.shims(folder / "shims")
        tools.javac([HERE / "java/LikeAndroid.java"], folder / "like-android", jvm=True)
        self.ort_aar = self._ort_aar()
        self.litert_aar = self._litert_aar()

    def be_android(self, phone, abi: str = ABI, api: int = 34) -> None:
        """Give a phone what Android has to start Java from its shell."""
        properties = {"ro.build.version.sdk": api, "ro.product.cpu.abi": abi}
        cases = " ".join(f"{name}) echo {value};;" for name, value in properties.items())
        phone.add("getprop", f'case "$1" in {cases} esac')
        phone.add("app_process", f'exec {sys.executable} {HERE / "app_process.py"} {self.folder} "$@"')
        phone.add("dumpsys", "exit 1")

    def install_app(self, phone) -> None:
        """Install the demo app without Android: its process reads requests line by line (java/App.java)."""
        classes = self.folder / "app"
        if not classes.exists():
            screens = APP_FOLDER / "app/src/main/java/org/falconedge/demo/screens"
            files = [*tools.sources("core", "engines"), *screens.glob("*.java"), HERE / "java/App.java"]
            jars = [tools.onnxruntime_classes(), tools.litert_stubs()]
            tools.javac(files, classes, classpath=jars, jvm=True)
        with zipfile.ZipFile(self.litert_aar) as archive:
            (self.folder / "bridge.jar").write_bytes(archive.read("classes.jar"))
        with zipfile.ZipFile(self.ort_aar) as archive:
            for name in ("libonnxruntime.so", "libonnxruntime4j_jni.so"):
                (self.folder / name).write_bytes(archive.read(f"jni/{ABI}/{name}"))
        like, bridge = self.folder / "like-android", self.folder / "bridge.jar"
        path = ":".join(map(str, (classes, tools.onnxruntime_classes(), bridge, like)))
        java = " ".join([tools.program("java"), *OPTIONS, "-cp", path, "LikeAndroid", "App"])
        libraries = f"{self.folder}:{self.folder / 'shims'}"
        phone.install_app(f"LD_LIBRARY_PATH={libraries} exec {java} {phone.folder / 'appdata'}")

    def _ort_aar(self) -> Path:
        jni = tools.onnxruntime_libraries(ABI)[1]
        libraries = {jni.name: jni, "libonnxruntime.so": tools.onnxruntime_linux_library()}
        return aar(self.folder / "onnxruntime.aar", tools.onnxruntime_classes().read_bytes(), libraries)

    def _litert_aar(self) -> Path:
        classes = tools.javac(sorted((HERE / "java/litert").rglob("*.java")), self.folder / "bridge", jvm=True)
        jar = tools.jar(classes, self.folder / "bridge-classes.jar")
        return aar(self.folder / "litert.aar", jar.read_bytes(), {"libbridge.so": self.folder / "shims/libm.so"})

    def d8(self, folder: Path) -> None:
        """Put a d8 in a folder, as Android's build tools have one."""
        java = " ".join([tools.program("java"), *tools.JVM, "-cp", str(fetched("bundletool"))])
        script = f'#!/bin/sh\nexec {java} com.android.tools.r8.D8 --lib {tools.android_jar()} "$@"\n'
        (folder / "d8").write_text(script)
        (folder / "d8").chmod(0o755)


def aar(path: Path, classes: bytes, libraries: dict[str, Path], abi: str = ABI) -> Path:
    """Write an archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("AndroidManifest.xml", '<manifest package="x"/>')
        archive.writestr("classes.jar", classes)
        for name, library in libraries.items():
            archive.write(library, f"jni/{abi}/{name}")
    return path
