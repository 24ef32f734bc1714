"""The two models of the demo as bundles, and a copy of the project with them in it: the tree stays as it is."""

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ci.archive import tracked
from ci.cache import appearing, cache_folder, locked
from ci.pins import APP_FOLDER
from ci.programs import run

ROOT = APP_FOLDER.parent
BUILT = ROOT / "build" / "android"
MADE_BY = "import sys, pathlib; from falcon_edge.steps.demo import bundles; bundles(pathlib.Path(sys.argv[1]))"
# Of what they are made, below ROOT; other steps and the command line are not.
PARTS = ("data", "falcon", "models", "training")
STEPS = ("calibrate", "compress", "demo", "export", "golden", "normalisation", "quantize", "shipped", "tolerances")
SOURCES = [
    "falcon_edge/*.py",
    *(f"falcon_edge/{name}/**/*" for name in PARTS),
    *(f"falcon_edge/steps/{name}.py" for name in STEPS),
    "converters/**/*",
]


def demo_bundles(folder: Path = BUILT) -> list[Path]:
    """The bundles that `falcon-edge demo` makes, in a folder below this one; made once for the same sources."""
    content = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES for path in ROOT.glob(pattern) if path.is_file()):
        if "__pycache__" not in path.parts:
            content.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    made = folder / f"models-{content.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "models.lock"):
        if not made.exists():
            with appearing(made) as new:
                run(sys.executable, "-c", MADE_BY, new, what="making the demo's bundles")
    return [made / "standard.falcon", made / "small.falcon"]


def embed(bundles: Sequence[Path], project: Path) -> None:
    """Put bundles into the app and the page of a copy of the project: into the app what runs without LiteRT."""
    for folder, choice in ((project, ("--target", "onnx")), (project / "web", ())):
        run(sys.executable, "-m", "falcon_edge", "embed", *bundles, folder, *choice, what=f"falcon-edge embed {folder}")


def add_libraries(page: Path) -> None:
    """Put what the page runs models with into a copy of it, without the program that fetches it."""
    program = page / "vendor.py"
    kept = cache_folder() / f"page-{hashlib.sha256(program.read_bytes()).hexdigest()[:12]}" / "vendor"
    run(sys.executable, program, kept, what="web/vendor.py")
    shutil.copytree(kept, page / "vendor")
    program.unlink()


def copy_project(folder: Path) -> Path:
    """Copy what git has, or could have, of the project, its ci/ apart; what is there already is removed."""
    if folder.exists():
        shutil.rmtree(folder)
    for file in tracked(also_new=True):
        if not file.startswith("ci/"):
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(APP_FOLDER / file, target)
    return folder
