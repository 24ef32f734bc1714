"""Fetches the libraries that the page runs models with into vendor/, by this machine's npm (Python >= 3.9).

    python vendor.py            into the folder vendor/ beside this file
    python vendor.py FOLDER     elsewhere

Each package is pinned by its version, and each file that is kept by its SHA-256. vendor/ appears when it is
whole, and is left alone where it is there already.
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
# name: (version, file of the package -> (where it is kept, its SHA-256 there))
PACKAGES = {
    "onnxruntime-web": (
        "1.30.0",
        {
            "package.json": (
                "onnxruntime-web/package.json",
                "16f69f755509990539aeb1c8445884960e91adcacab2e8dca8e44ee43601df5c",
            ),
            "dist/ort.wasm.min.mjs": (
                "onnxruntime-web/ort.wasm.min.mjs",
                "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
            ),
            "dist/ort-wasm-simd-threaded.mjs": (
                "onnxruntime-web/ort-wasm-simd-threaded.mjs",
                "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
            ),
            "dist/ort-wasm-simd-threaded.wasm": (
                "onnxruntime-web/ort-wasm-simd-threaded.wasm",
                "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
            ),
        },
    ),
    "@litertjs/core": (
        "2.5.3",
        {
            "package.json": (
                "litertjs-core/package.json",
                "1ba6b1c4b25c061cf97876e4846be92f8dfe312d2f78d82ee3ee92ab45c80987",
            ),
            "dist/index.js": (
                "litertjs-core/index.js",
                "dd78da58d23031f67d38b7fe754ca097b6f543b30a66130d05d12b95e4f3212d",
            ),
            "wasm/litert_wasm_internal.js": (
                "litertjs-core/wasm/litert_wasm_internal.js",
                "68efb69f770e3f76aff36a377de629ca496c131b86ac0f0f4b592a1543a898eb",
            ),
            "wasm/litert_wasm_internal.wasm": (
                "litertjs-core/wasm/litert_wasm_internal.wasm",
                "7280cf4471774867e385e6c3cd53e2b45e2975b80fea338fff4ef359b0865614",
            ),
            "wasm/litert_wasm_threaded_internal.js": (
                "litertjs-core/wasm/litert_wasm_threaded_internal.js",
                "92fe7a720c6deedaa1194c011c79a005ea4f6fc98f533b661cf7900760ab4849",
            ),
            "wasm/litert_wasm_threaded_internal.wasm": (
                "litertjs-core/wasm/litert_wasm_threaded_internal.wasm",
                "b5e54eca10f043497edf9a02186332707cae260c550d7ea22b2cae55669596cf",
            ),
            "wasm/litert_wasm_compat_internal.js": (
                "litertjs-core/wasm/litert_wasm_compat_internal.js",
                "4d8f894b7883654fd6e8439730aa41e79ceaab7d19184fc4f1f0b0f1a2a2c8a5",
            ),
            "wasm/litert_wasm_compat_internal.wasm": (
                "litertjs-core/wasm/litert_wasm_compat_internal.wasm",
                "5255c8ad06eabdbd2522cdebf6b22fc10faf74625c23a49b9e072570cd1fa41c",
            ),
        },
    ),
    "@litertjs/wasm-utils": (
        "2.5.3",
        {
            "package.json": (
                "litertjs-wasm-utils/package.json",
                "ae611a4748709d61321ab658619617ba5a82212463b2f07a9aea2ad179e34ded",
            ),
            "dist/index.js": (
                "litertjs-wasm-utils/index.js",
                "e0e20bc28ab001ac732cf40d15b6eebd24fb0deaeb95eeba5100f51eebf015f2",
            ),
        },
    ),
}
# In a kept file: what takes the place of what. Workers know no import maps, so that a package is found by its place.
REPLACED = {"litertjs-core/index.js": ('"@litertjs/wasm-utils"', '"../litertjs-wasm-utils/index.js"')}


def main(arguments):
    """Fetch everything that is not there; 0 if it is there then, else 2 and one line."""
    if len(arguments) > 1:
        return complain("usage: python vendor.py [FOLDER]")
    target = Path(arguments[0]) if arguments else HERE / "vendor"
    if whole(target):
        return 0
    if shutil.which("npm") is None:
        return complain("npm is not installed; it comes with Node.js")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".vendor-") as folder:
        part = Path(folder, "vendor")
        for name, (version, files) in PACKAGES.items():
            problem = fetch(f"{name}@{version}", files, Path(folder, "archives"), part)
            if problem is not None:
                return complain(problem)
        if target.exists():
            os.replace(target, Path(folder, "former"))
        os.replace(part, target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target}: {size / 1e6:.1f} MB")
    return 0


def whole(target):
    """Whether every file is there and is the one that is pinned."""
    pinned = (pin for _, files in PACKAGES.values() for pin in files.values())
    return all((target / place).is_file() and sha256(target / place) == digest for place, digest in pinned)


def sha256(path):
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(package, files, archives, target):
    """Put files of a package below `target`; what is wrong in one line, or None."""
    shutil.rmtree(archives, ignore_errors=True)
    archives.mkdir()
    words = ["npm", "pack", package, "--silent", "--ignore-scripts", "--pack-destination", str(archives)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=archives)
    found = list(archives.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        return f"{package}: npm pack failed: {' '.join(done.stderr.split())[-300:] or 'nothing came'}"
    with tarfile.open(found[0]) as archive:
        for name, (place, digest) in files.items():
            path = target / place
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                content = archive.extractfile(f"package/{name}").read()
            except KeyError:
                return f"{package}: has no {name}"
            path.write_bytes(content.replace(*map(str.encode, REPLACED.get(place, ("", "")))))
            if sha256(path) != digest:
                return f"{package}: the SHA-256 of {name} is {sha256(path)}, pinned is {digest}"
    return None


def complain(line):
    """One line on stderr, and the exit code of bad input."""
    print(f"error: {line}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
