"""What the build and the tests call: compilers, and what is compiled against, each fetched when first needed.

Sources are compiled as for phones: Java 8, API 29, every warning an error.
"""

import hashlib
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ci.cache import appearing, cache_folder, locked
from ci.downloads import fetched
from ci.errors import BuildError
from ci.pins import APP_FOLDER, downloads, versions
from ci.programs import program, run

JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")  # of programs that end soon
ABIS = ("arm64-v8a", "armeabi-v7a", "x86", "x86_64")
JUNIT = ("/usr/share/java/junit4.jar", "/usr/share/java/hamcrest-core.jar")
FRAMEWORK_RESOURCES = "/usr/share/android-framework-res/framework-res.apk"
STUBS = Path(__file__).with_name("litert")
ENJARIFY = "/usr/lib/python3/dist-packages/enjarify/main.py"


def android_jar() -> Path:
    """API 29 as a jar to compile against: classes and members without code."""
    from ci.android_jar import made

    return made()


def onnxruntime_aar() -> Path:
    """ONNX Runtime for Android, as it is pinned."""
    return fetched("onnxruntime")


def onnxruntime_classes() -> Path:
    """The AAR's Java classes, as a jar."""
    return _part("classes.jar")


def onnxruntime_libraries(abi: str) -> list[Path]:
    """The AAR's native libraries for an ABI: libonnxruntime.so, and libonnxruntime4j_jni.so by which Java calls it."""
    return [_part(f"jni/{abi}/{name}") for name in ("libonnxruntime.so", "libonnxruntime4j_jni.so")]


def onnxruntime_linux_library() -> Path:
    """libonnxruntime.so of the same version for Linux on x86_64; the file's name has the version in it."""
    return fetched("onnxruntime-linux")


def litert_stubs() -> Path:
    """Classes of LiteRT's AAR to compile against, by our declarations: the AAR itself is in none of the registries."""
    files = sorted(STUBS.rglob("*.java"))
    version = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    path = cache_folder() / f"litert-stubs-{version}.jar"
    if not path.exists():
        with appearing(path) as made, tempfile.TemporaryDirectory() as classes:
            jar(javac(files, Path(classes)), made)
    return path


def framework_resources() -> Path:
    """Android's own resources, which those of an app are linked against."""
    return Path(program(FRAMEWORK_RESOURCES))


def junit_jars() -> list[Path]:
    """JUnit 4 and what it needs."""
    return [Path(program(path)) for path in JUNIT]


def sources(*modules: str, kind: str = "main") -> list[Path]:
    """The Java files of modules of the project: core, engines, runner, app; kind: main or test."""
    return [path for name in modules for path in sorted((APP_FOLDER / name / "src" / kind / "java").rglob("*.java"))]


def javac(files: Iterable[Path], classes: Path, *, classpath: Sequence[Path] = (), jvm: bool = False) -> Path:
    """Compile files of Java 8 to a folder, which is returned.

    Against android.jar, or with `jvm` against the JDK's own Java 8: for tests, which run on this machine.
    """
    platform = ["--release", "8"] if jvm else ["-source", "8", "-target", "8", "-bootclasspath", str(android_jar())]
    strict = ["-Xlint:all,-options", "-Werror", "-encoding", "UTF-8", "-proc:none", "-implicit:none", "-g"]
    files = sorted(files)
    if not files:
        raise BuildError(f"{classes}: no Java file to compile")
    classes.mkdir(parents=True, exist_ok=True)
    path = ["-cp", _path(classpath)] if classpath else ["-cp", str(classes)]
    fast = [f"-J{option}" for option in JVM]
    run(program("javac"), *fast, *platform, *strict, *path, "-d", classes, *files)
    return classes


def java(main: str, *arguments: str | Path, classpath: Sequence[Path], options: Sequence[str] = ()) -> str:
    """Run a class on this machine's JVM; what it prints."""
    return run(program("java"), *JVM, *options, "-cp", _path(classpath), main, *arguments, what=main)


def jar(folder: Path, path: Path) -> Path:
    """Put the classes below a folder in a jar, the same bytes for the same classes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.class")):
            archive.writestr(zipfile.ZipInfo(file.relative_to(folder).as_posix()), file.read_bytes())
    return path


def d8(inputs: Sequence[Path], output: Path, *, debug: bool = False) -> Path:
    """Translate jars of classes to classes.dex, in a folder that is there or in a jar, which is returned."""
    return _translate("D8", inputs, output, "--debug" if debug else "--release")


def r8(inputs: Sequence[Path], output: Path, rules: Sequence[Path]) -> Path:
    """As d8, without what nothing uses: rules say what is used by name."""
    return _translate("R8", inputs, output, "--release", *(word for path in rules for word in ("--pg-conf", path)))


def _translate(name: str, inputs: Sequence[Path], output: Path, *options: str | Path) -> Path:
    against = ("--min-api", versions()["minSdk"], "--lib", android_jar())
    java(
        f"com.android.tools.r8.{name}",
        *options,
        *against,
        "--output",
        output,
        *inputs,
        classpath=[fetched("bundletool")],
    )
    return output


def enjarify(dex: Path, path: Path) -> Path:
    """Translate a .dex or .apk back to a jar, so that what phones run is run by a JVM."""
    packages = Path(program(ENJARIFY)).parents[1]
    script = f"import sys; sys.path.insert(0, {str(packages)!r}); from enjarify.main import main; main()"
    run("/usr/bin/python3", "-O", "-c", script, "-f", "-o", path, dex, what="enjarify")
    return path


def _part(name: str) -> Path:
    """A file of ONNX Runtime's AAR, unpacked beside it; one that is not as it is in the AAR is unpacked again."""
    aar = onnxruntime_aar()
    path = cache_folder() / f"onnxruntime-{downloads()['onnxruntime'].sha256[:12]}" / name
    with zipfile.ZipFile(aar) as archive:
        if name not in archive.namelist():
            raise BuildError(f"{aar} has no {name}; its ABIs: {', '.join(ABIS)}")
        entry = archive.getinfo(name)
        with locked():
            if not path.is_file() or _checksum(path) != (entry.file_size, entry.CRC):
                path.parent.mkdir(parents=True, exist_ok=True)
                with appearing(path) as made:
                    made.write_bytes(archive.read(entry))
    return path


def _checksum(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    return len(content), zlib.crc32(content)


def _path(jars: Iterable[Path]) -> str:
    return ":".join(map(str, jars))
