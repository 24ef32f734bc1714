"""python -m ci.runner_jar: build what a phone without the app runs, and put it where falcon-edge ships it."""

import shutil
import sys
import tempfile
from pathlib import Path

from ci.apk import Build
from ci.errors import BuildError
from ci.pins import APP_FOLDER

SHIPPED = APP_FOLDER.parent / "runtime_bench" / "devices" / "runner.jar"


def main() -> int:
    """Build it and replace the one that is there; exit 1 with one line where that fails."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copyfile(Build(APP_FOLDER, Path(folder)).runner(), SHIPPED)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{SHIPPED}: {SHIPPED.stat().st_size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
