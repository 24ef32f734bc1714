"""Fetches the libraries that the page runs models with into vendor/, by this machine's npm. Python >= 3.9, nothing else.

    python vendor.py            into the folder vendor/ beside this file
    python vendor.py FOLDER     elsewhere

Each package is pinned by its version and by the SHA-256 of its archive; of what it holds only the files that are listed
here are kept. vendor/ appears when it is whole.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# name: (version, SHA-256 of the archive, the files of the package that are kept -> where)
PACKAGES = {
    "onnxruntime-web": ("1.30.0", "", {}),
    "@litertjs/core": ("2.5.3", "", {}),
    "@litertjs/wasm-utils": ("2.5.3", "", {}),
}


def main(arguments):
    """Fetch everything; 0 if it is there, else 2 and one line."""
    if len(arguments) > 1:
        return complain("usage: python vendor.py [FOLDER]")
    target = Path(arguments[0]) if arguments else HERE / "vendor"
    if shutil.which("npm") is None:
        return complain("npm is not installed; it comes with Node.js")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".vendor-") as folder:
        part = Path(folder, "vendor")
        for name, (version, sha256, files) in PACKAGES.items():
            problem = fetch(f"{name}@{version}", sha256, files, Path(folder, "archives"), part)
            if problem is not None:
                return complain(problem)
        if target.exists():
            os.replace(target, Path(folder, "former"))
        os.replace(part, target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target}: {size / 1e6:.1f} MB")
    return 0


def fetch(package, sha256, files, archives, target):
    """Put files of a package below `target`; what is wrong in one line, or None."""
    shutil.rmtree(archives, ignore_errors=True)
    archives.mkdir()
    words = ["npm", "pack", package, "--silent", "--ignore-scripts", "--pack-destination", str(archives)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=archives)
    found = list(archives.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        return f"{package}: npm pack failed: {' '.join(done.stderr.split())[-300:] or 'nothing came'}"
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != sha256:
        return f"{package}: the archive's SHA-256 is {digest}, pinned is {sha256}"
    with tarfile.open(found[0]) as archive:
        for name, place in files.items():
            path = target / place
            path.parent.mkdir(parents=True, exist_ok=True)
            source = archive.extractfile(f"package/{name}")
            path.write_bytes(source.read())
    return None


def complain(line):
    """One line on stderr, and the exit code of bad input."""
    print(f"error: {line}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
