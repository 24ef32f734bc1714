"""What stands for Android's C library on this machine: ONNX Runtime's JNI library is linked against it."""

import subprocess
from pathlib import Path

from ci import tools

SOURCE = Path(__file__).with_suffix(".c")
LIBRARIES = "libc.so", "libm.so", "libdl.so", "liblog.so"


def shims(folder: Path) -> None:
    """Make a folder with a library of a few functions under each of its names."""
    folder.mkdir()
    for name in LIBRARIES:
        made = ["-shared", "-fPIC", "-nostdlib", "-fno-builtin", "-O1", f"-Wl,-soname,{name}", "-o", folder / name]
        subprocess.run([tools.program("gcc"), *made, SOURCE], check=True)
