"""What an APK must be: its package, SDKs, ABIs, permissions, signatures, native libraries and size."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ci import elf
from ci.apk import App
from ci.errors import BuildError
from ci.pins import versions
from ci.programs import program, run

MEGABYTES = 30
SCHEMES = "v2", "v3"
COMPONENTS = "activity", "activity-alias", "service", "receiver", "provider"


@dataclass(frozen=True)
class Facts:
    """What an APK says of itself."""

    package: str
    version: str
    least_sdk: str
    target_sdk: str
    abis: tuple[str, ...]
    permissions: tuple[str, ...]
    debuggable: bool
    signatures: tuple[str, ...]
    bytes: int

    def __str__(self) -> str:
        parts = [
            f"{self.bytes / 1e6:.1f} MB",
            f"{self.package} {self.version}{', debuggable' if self.debuggable else ''}",
            f"SDKs {self.least_sdk} and {self.target_sdk}",
            ", ".join(self.abis) or "no native code",
            f"permissions: {', '.join(self.permissions) or 'none'}",
            f"signed {', '.join(self.signatures)}",
        ]
        return "; ".join(parts)


def facts(path: Path) -> Facts:
    """Ask Android's tools about an APK."""
    said = run(program("aapt"), "dump", "badging", path)
    head = re.search(r"^package: name='([^']*)' versionCode='[^']*' versionName='([^']*)'", said, re.MULTILINE)
    if head is None:
        raise BuildError(f"{path}: aapt names no package")
    verified = run(program("apksigner"), "verify", "--verbose", "--min-sdk-version", versions()["minSdk"], path)
    native = re.search(r"^native-code: (.*)$", said, re.MULTILINE)
    return Facts(
        package=head[1],
        version=head[2],
        least_sdk=_only(r"^sdkVersion:'(\d+)'", said, path),
        target_sdk=_only(r"^targetSdkVersion:'(\d+)'", said, path),
        abis=tuple(re.findall(r"'([^']*)'", native[1])) if native else (),
        permissions=tuple(re.findall(r"^uses-permission: name='([^']*)'", said, re.MULTILINE)),
        debuggable=re.search(r"^application-debuggable", said, re.MULTILINE) is not None,
        signatures=tuple(re.findall(r"^Verified using (v\d(?:\.\d)?) scheme .*: true$", verified, re.MULTILINE)),
        bytes=path.stat().st_size,
    )


def exported(path: Path) -> dict[str, bool]:
    """Of every activity, service, receiver and provider of an APK, whether others may use it."""
    tree = run(program("aapt2"), "dump", "xmltree", "--file", "AndroidManifest.xml", path)
    resources = run(program("aapt2"), "dump", "resources", path)
    package = _only(r" package=\"([^\"]*)\"", tree, path)
    found = {}
    for block in re.split(r"^ *E: ", tree, flags=re.MULTILINE):
        if block.partition(" ")[0] not in COMPONENTS:
            continue
        name = _only(r"android:name\(0x\w+\)=\"([^\"]*)\"", block, path)
        name = f"{package}{name}" if name.startswith(".") else name
        value = re.search(r"android:exported\(0x\w+\)=(\S+)", block)
        said = value[1] if value else "false"
        if said.startswith("@"):
            said = _only(rf"resource {said[1:]} bool/\w+\s+\(\) (\w+)", resources, path)
        found[name] = said in ("true", "0xffffffff")
    return found


def check(path: Path, app: App, variant: str) -> Facts:
    """What an APK says of itself, if it is what it should be; else BuildError with everything that is not."""
    found, known = facts(path), versions()
    expected = {
        "package": (found.package, app.package),
        "version": (found.version, known["versionName"]),
        "minSdk": (found.least_sdk, known["minSdk"]),
        "targetSdk": (found.target_sdk, known["targetSdk"]),
        "ABIs": (set(found.abis), set(app.abis)),
        "debuggable": (found.debuggable, variant == "debug"),
    }
    wrong = [f"{name} is {is_} instead of {should}" for name, (is_, should) in expected.items() if is_ != should]
    wrong += [f"no signature of scheme {scheme}" for scheme in SCHEMES if scheme not in found.signatures]
    wrong += [f"asks for {name}" for name in found.permissions if name not in app.permissions]
    if found.bytes >= MEGABYTES * 1e6:
        wrong.append(f"has {found.bytes / 1e6:.1f} MB, more than {MEGABYTES}")
    open_to_others = {name for name, is_so in exported(path).items() if is_so}
    should = {*app.exported, *(app.exported_to_adb if variant == "debug" else ())}
    if open_to_others != should:
        wrong.append(f"others may start {', '.join(sorted(open_to_others))} instead of {', '.join(sorted(should))}")
    wrong += _wrong_libraries(path)
    run(program("zipalign"), "-c", "-p", "4", path, what=f"zipalign -c {path.name}")
    if wrong:
        raise BuildError(f"{path}: {'; '.join(wrong)}")
    return found


def _wrong_libraries(path: Path) -> list[str]:
    wrong = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".so"):
                library = elf.read(archive.read(name), name)
                if library.abi != name.split("/")[1]:
                    wrong.append(f"{name} is for {library.abi}")
                if not library.fits_pages:
                    wrong.append(f"{name} is aligned to {library.alignment} bytes, not to {elf.PAGE}")
    return wrong


def _only(pattern: str, text: str, path: Path) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise BuildError(f"{path}: nothing of it is {pattern}")
    return match[1]
