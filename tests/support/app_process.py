"""Android's app_process, acted by a JVM: `app_process.py FOLDER / CLASS`, with CLASSPATH and LD_LIBRARY_PATH around it.

A jar of dex is translated back to classes, and kept in FOLDER under its hash. Like Android since 14 it takes none that
can be written. What else it takes for a phone's Java is in jvm.py.
"""

import hashlib
import os
import stat
import struct
import sys
import zipfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "android_demo")]

import jvm  # noqa: E402  # which imports what is there
from ci import tools  # noqa: E402
from ci.downloads import appearing  # noqa: E402

# Nothing is verified, which it cannot be without what enjarify leaves out.
UNVERIFIED = "-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote"
JAVA_8 = struct.pack(">H", 52)  # of classes: enjarify writes older ones, in which interfaces have no static methods


def main():
    folder, root, name = Path(sys.argv[1]), *sys.argv[2:]
    assert root == "/"
    jars = []
    for path in map(Path, os.environ["CLASSPATH"].split(":")):
        if not path.is_file():
            sys.exit(f"java.lang.ClassNotFoundException: Didn't find class {name!r} on {path}")
        if stat.S_IMODE(path.stat().st_mode) & 0o222:
            sys.exit(f"java.lang.SecurityException: Writable dex file '{path}' is not allowed.")
        jars.append(str(translated(path, folder)))
    libraries = f"{os.environ['LD_LIBRARY_PATH']}:{folder / 'shims'}"
    classes = ":".join([*jars, str(folder / "like-android")])
    java = tools.program("java")
    command = [java, *jvm.OPTIONS, *UNVERIFIED, "-cp", classes, "LikeAndroid", name]
    os.execve(java, command, {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": libraries})


def translated(path: Path, folder: Path) -> Path:
    """The classes of a jar of dex, as a jar."""
    found = folder / f"{hashlib.sha256(path.read_bytes()).hexdigest()[:32]}.jar"
    if not found.exists():
        with appearing(found) as made:
            dex = made.with_name("classes.dex")
            with zipfile.ZipFile(path) as jar:
                dex.write_bytes(jar.read("classes.dex"))
            tools.enjarify(dex, made.with_name("translated.jar"))
            with zipfile.ZipFile(made.with_name("translated.jar")) as old, zipfile.ZipFile(made, "w") as new:
                for entry in old.infolist():
                    new.writestr(entry, old.read(entry)[:6] + JAVA_8 + old.read(entry)[8:])
    return found


if __name__ == "__main__":
    main()
