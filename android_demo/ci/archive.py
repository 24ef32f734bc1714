"""The release archive of the Gradle project and the page: what git has of android_demo, the same bytes every time."""

import gzip
import io
import tarfile
import tomllib
from pathlib import Path

from ci.cache import appearing
from ci.pins import APP_FOLDER
from ci.programs import run

LEFT_OUT = "ci/"  # it builds from the repository alone
ALSO = "LICENSE"


def write(folder: Path) -> Path:
    """Write falcon-edge-android-demo-VERSION.tar.gz to a folder; its path."""
    root = APP_FOLDER.parent
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    name = f"falcon-edge-android-demo-{version}"
    files = {file: APP_FOLDER / file for file in tracked() if not file.startswith(LEFT_OUT)} | {ALSO: root / ALSO}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.tar.gz"
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for file, source in sorted(files.items()):
            content = source.read_bytes()
            entry = tarfile.TarInfo(f"{name}/{file}")
            entry.size, entry.mode = len(content), 0o755 if source.stat().st_mode & 0o100 else 0o644
            tar.addfile(entry, io.BytesIO(content))
    with appearing(path) as made:
        made.write_bytes(gzip.compress(plain.getvalue(), mtime=0))
    return path


def tracked(also_new: bool = False) -> list[str]:
    """The files of android_demo that git has: what a build, an editor or `embed` left there is none of them.

    also_new: those too that it would take, so that they can be tried before.
    """
    new = ["--cached", "--others", "--exclude-standard"] if also_new else []
    listed = run("git", "-C", APP_FOLDER, "ls-files", "-z", *new, "--", ".", what="git ls-files")
    return sorted({file for file in listed.split("\0") if file and (APP_FOLDER / file).is_file()})
