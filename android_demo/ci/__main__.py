"""python -m ci: build the apps, or the archive for users. What is made is in build/android."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

from ci import apk, archive, checks, models, programs, tools
from ci.downloads import fetched
from ci.errors import BuildError
from ci.models import BUILT
from ci.pins import downloads

APPS = (apk.DEMO, "debug"), (apk.DEMO, "release"), (apk.PAGE, "debug")


def main() -> int:
    """Run a command; exit 1 with one line where it fails."""
    parser = argparse.ArgumentParser(prog="python -m ci", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("tools", help="install and fetch what the build needs")
    build = commands.add_parser("build", help="build, sign and check the apps and the runner")
    build.add_argument(
        "--bundle", type=Path, action="append", help="embed this one instead of the demo's two; repeat it"
    )
    commands.add_parser("archive", help="write the release archive of the Gradle project")
    arguments = parser.parse_args()
    start = monotonic()
    try:
        if arguments.command == "tools":
            get_tools()
        elif arguments.command == "build":
            build_all(arguments.bundle)
        else:
            print(f"written to {archive.write(BUILT)}")
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{monotonic() - start:.0f} s")
    return 0


def get_tools() -> None:
    """Install Debian's packages, fetch what is pinned, make what is made of it."""
    programs.install()
    for name in downloads():
        print(f"{name}: {fetched(name)}")
    print(f"android.jar: {tools.android_jar()}")


def build_all(bundles: list[Path] | None) -> None:
    """Build the demo in both variants, the page's app and the runner, and check them."""
    get_tools()
    project = models.copy_project(BUILT / "project")
    build = apk.Build(project, BUILT, say=print)
    with ThreadPoolExecutor(1) as pool:  # bundles are made on one core while the other compiles
        made = pool.submit(lambda: bundles or models.demo_bundles(BUILT))
        runner = build.runner()
        for app, variant in APPS:
            build.compiled(app, variant)
        start = monotonic()
        models.embed([path.resolve() for path in made.result()], project)
    models.add_libraries(project / "web")
    print(f"models: {monotonic() - start:.1f} s more")
    for app, variant in APPS:
        path = build.app(app, variant)
        print(f"{path}: {checks.check(path, app, variant)}")
    print(f"{runner}: {runner.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
