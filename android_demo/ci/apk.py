"""Builds and signs apps of the project, and the runner, as Gradle would: resources, Java, dex, archive, signature."""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from xml.etree import ElementTree

from ci import tools
from ci.cache import appearing, cache_folder, locked
from ci.errors import BuildError
from ci.pins import versions
from ci.programs import program, run

ANDROID = "http://schemas.android.com/apk/res/android"
TOOLS = "{http://schemas.android.com/tools}"
VARIANTS = ("debug", "release")
KEY_PASSWORD = "android"  # of a key that is made here and signs nothing but tests
RULES = Path(__file__).with_name("rules.pro")


@dataclass(frozen=True)
class App:
    """An app of the project: its module, its package, what it is made of, and what it may do."""

    module: str
    package: str
    modules: tuple[str, ...]
    abis: tuple[str, ...]
    assets: str  # a folder of the project
    permissions: tuple[str, ...]
    exported: tuple[str, ...]  # activities that others may start
    exported_to_adb: tuple[str, ...] = ()  # in debug builds alone


# Two ABIs fit in 30 MB: today's phones, and emulators. Gradle builds the 32-bit one as well.
DEMO = App(
    module="app",
    package="org.falconedge.demo",
    modules=("core", "engines"),
    abis=("arm64-v8a", "x86_64"),
    assets="app/src/main/assets",
    permissions=("android.permission.CAMERA",),
    exported=("org.falconedge.demo.MainActivity",),
    exported_to_adb=("org.falconedge.demo.BenchmarkActivity",),
)
PAGE = App(
    module="webview",
    package="org.falconedge.web",
    modules=(),
    abis=(),
    assets="web",
    permissions=("android.permission.CAMERA",),
    exported=("org.falconedge.web.WebActivity",),
)


class Build:
    """Builds from a project's folder into another one, which keeps what is made on the way."""

    def __init__(self, project: Path, folder: Path, *, say: Callable[[str], None] = lambda text: None):
        self._project, self._folder, self._say = project, folder, say
        self._jars: dict[str, Path] = {}
        self._compiled: dict[tuple[App, str], tuple[Path, Path]] = {}

    def app(self, app: App, variant: str) -> Path:
        """The signed APK of an app, which is returned: VARIANT is debug or release."""
        linked, dex = self.compiled(app, variant)
        with self._step(f"{app.module} {variant}: archive and signature"):
            unsigned = pack(linked, self._project / app.assets, dex, app.abis, linked.with_name("unsigned.apk"))
            return sign(unsigned, self._folder / f"falcon-edge-{app.module}-{variant}.apk")

    def compiled(self, app: App, variant: str) -> tuple[Path, Path]:
        """What an app has without its assets: the archive of resources and manifest, and the folder of dex."""
        if variant not in VARIANTS:
            raise BuildError(f"{variant}: no variant; there are {', '.join(VARIANTS)}")
        if (app, variant) not in self._compiled:
            self._compiled[app, variant] = self._compile(app, variant, self._folder / f"{app.module}-{variant}")
        return self._compiled[app, variant]

    def _compile(self, app: App, variant: str, folder: Path) -> tuple[Path, Path]:
        folder.mkdir(parents=True, exist_ok=True)
        with self._step(f"{app.module} {variant}: resources"):
            linked, generated, kept = self._link(app, variant, folder)
        jars = [self._module(name) for name in app.modules]
        with self._step(f"{app.module} {variant}: Java"):
            classes = _empty(folder / "classes")
            files = [*self._sources(app.module), *generated.rglob("*.java")]
            tools.javac(files, classes, classpath=self._classpath(app.modules))
            jars.append(tools.jar(classes, folder / "app.jar"))
        if app.abis:
            jars.append(tools.onnxruntime_classes())
        with self._step(f"{app.module} {variant}: dex"):
            dex = _empty(folder / "dex")
            if variant == "release":
                tools.r8(jars, dex, [RULES, kept, *self._rules(app)])
            else:
                tools.d8(jars, dex, debug=True)
        return linked, dex

    def runner(self) -> Path:
        """A jar of dex that app_process runs without an app: core, engines, runner and ONNX Runtime's classes."""
        jars = [*(self._module(name) for name in ("core", "engines", "runner")), tools.onnxruntime_classes()]
        with self._step("runner: dex"):
            folder = _empty(self._folder / "modules" / "runner-dex")
            tools.d8(jars, folder)
            path = self._folder / "runner.jar"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                _add_dex(archive, folder)
        return path

    def _module(self, name: str) -> Path:
        """The jar of a module that is compiled against those before it."""
        if name not in self._jars:
            needed = {"core": (), "engines": ("core",), "runner": ("core", "engines")}[name]
            with self._step(f"{name}: Java"):
                folder = _empty(self._folder / "modules" / name)
                tools.javac(self._sources(name), folder, classpath=self._classpath(needed))
                self._jars[name] = tools.jar(folder, folder.with_suffix(".jar"))
        return self._jars[name]

    def _classpath(self, modules: Sequence[str]) -> list[Path]:
        runtimes = [tools.onnxruntime_classes(), tools.litert_stubs()] if modules else []
        return [*(self._module(name) for name in modules), *runtimes]

    def _sources(self, module: str) -> list[Path]:
        return sorted((self._project / module / "src/main/java").rglob("*.java"))

    def _rules(self, app: App) -> list[Path]:
        paths = [self._project / app.module / "proguard-rules.pro"]
        paths += [self._project / name / "consumer-rules.pro" for name in app.modules]
        return [path for path in paths if path.is_file()]

    def _link(self, app: App, variant: str, folder: Path) -> tuple[Path, Path, Path]:
        """Resources and manifest in an archive; the classes of their names; rules that keep what they name."""
        source = self._project / app.module / "src"
        if (source / variant / "AndroidManifest.xml").exists():
            raise BuildError(f"{source / variant}/AndroidManifest.xml: manifests are not merged here; use resources")
        manifest = folder / "AndroidManifest.xml"
        manifest.write_bytes(manifest_for(source / "main/AndroidManifest.xml", app))
        compiled = []
        for name in ("main", variant):
            if (source / name / "res").is_dir():
                compiled.append(folder / f"{name}.zip")
                run(program("aapt2"), "compile", "--dir", source / name / "res", "-o", compiled[-1])
        overlays = [word for path in compiled[1:] for word in ("-R", str(path))]
        known = versions(self._project)
        linked, generated, kept = folder / "linked.apk", _empty(folder / "generated"), folder / "kept.pro"
        run(
            *(program("aapt2"), "link", "-I", tools.framework_resources(), "--manifest", manifest),
            *("--min-sdk-version", known["minSdk"], "--target-sdk-version", known["targetSdk"]),
            *("--version-code", known["versionCode"], "--version-name", known["versionName"]),
            *("--java", generated, "--proguard", kept, "-o", linked),
            *(["--debug-mode"] if variant == "debug" else []),
            *compiled[:1],
            *overlays,
            *(["--auto-add-overlay"] if overlays else []),
        )
        return linked, generated, kept

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        start = monotonic()
        yield
        self._say(f"{name}: {monotonic() - start:.1f} s")


def manifest_for(path: Path, app: App) -> bytes:
    """A module's manifest with what Gradle adds to it: the package, and where native libraries are."""
    ElementTree.register_namespace("android", ANDROID)
    tree = ElementTree.parse(path)
    root = tree.getroot()
    if "package" in root.attrib:
        raise BuildError(f"{path}: names a package, which Gradle refuses; it is the namespace in build.gradle")
    root.set("package", app.package)
    for element in root.iter():
        for name in [name for name in element.attrib if name.startswith(TOOLS)]:
            del element.attrib[name]
    for application in root.iter("application"):
        application.set(f"{{{ANDROID}}}extractNativeLibs", "true")  # Debian's zipalign knows no pages of 16 KB
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def pack(linked: Path, assets: Path, dex: Path, abis: Sequence[str], path: Path) -> Path:
    """Put what was linked, assets, dex and native libraries into one archive: the same bytes for the same contents."""
    with zipfile.ZipFile(linked) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in sorted(source.infolist(), key=lambda entry: entry.filename):
            _add(archive, entry.filename, source.read(entry), entry.compress_type)
        for file in sorted(file for file in assets.rglob("*") if file.is_file()):
            _add(archive, f"assets/{file.relative_to(assets).as_posix()}", file.read_bytes())
        _add_dex(archive, dex)
        for abi in abis:
            for library in tools.onnxruntime_libraries(abi):
                _add(archive, f"lib/{abi}/{library.name}", library.read_bytes())
    return path


def sign(unsigned: Path, path: Path) -> Path:
    """Align an archive and sign it by this user's own key for tests; the APK is returned."""
    aligned = unsigned.with_name("aligned.apk")
    run(program("zipalign"), "-f", "-p", "4", unsigned, aligned)
    least = versions()["minSdk"]
    key = ["--ks", str(_key()), "--ks-pass", f"pass:{KEY_PASSWORD}", "--ks-type", "PKCS12"]
    run(
        program("apksigner"),
        "sign",
        *key,
        "--v4-signing-enabled",
        "false",
        "--min-sdk-version",
        least,
        "--out",
        path,
        aligned,
    )
    return path


def _key() -> Path:
    path = cache_folder() / "test-key.p12"
    with locked():
        if not path.exists():
            with appearing(path) as made:
                place = ["-keystore", str(made), "-storetype", "PKCS12", "-storepass", KEY_PASSWORD, "-alias", "test"]
                kind = ["-keyalg", "RSA", "-keysize", "2048", "-validity", "10000", "-dname", "CN=falcon-edge test"]
                run(program("keytool"), "-genkeypair", *place, *kind)
    return path


def _add_dex(archive: zipfile.ZipFile, folder: Path) -> None:
    for file in sorted(folder.glob("*.dex")):
        _add(archive, file.name, file.read_bytes())


def _add(archive: zipfile.ZipFile, name: str, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> None:
    archive.writestr(zipfile.ZipInfo(name), content, compression)


def _empty(folder: Path) -> Path:
    """A folder without anything in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    return folder
