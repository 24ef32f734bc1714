"""What is shipped: the wheel holds the three packages and the sample, and works in an environment of its own."""

import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from program import run

import falcon_edge
from falcon_edge.bundle import open_bundle
from falcon_edge.steps.embed import ARCHIVE

ROOT = Path(__file__).parents[2]
PACKAGES = ("falcon_edge", "converters", "runtime_bench")
STEP = """
import converters, falcon_edge, runtime_bench
from falcon_edge.steps.shipped import copy_sample_network
from pathlib import Path
print(*(package.__file__ for package in (converters, falcon_edge, runtime_bench)), sep="\\n")
copy_sample_network(Path("standard"))
"""

pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The programs of a new environment with the wheel. Its dependencies are those of this one, by their place.

    A .pth file names that place; the .pth files in it, among them that of the editable install, are not followed.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin"


def test_holds_three_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (top,) = (name for name in names if name.endswith("/top_level.txt"))
        assert sorted(archive.read(top).decode().split()) == sorted(PACKAGES)
    assert wheel.name.startswith(f"falcon_edge-{falcon_edge.__version__}-py3-")
    information = f"falcon_edge-{falcon_edge.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {*PACKAGES, information}
    assert not [name for name in names if "test" in Path(name).stem.split("_") or "tests" in Path(name).parts]
    shipped = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if not name.startswith(information)} == shipped
    assert {"falcon_edge/data/sample/fashion-mnist.npz", "falcon_edge/data/sample/vgg8.falcon/manifest.json"} <= shipped
    assert all(f"{package}/py.typed" in shipped for package in PACKAGES)


def test_answers_in_an_environment_of_its_own(installed, tmp_path):
    program = (str(installed / "falcon-edge"),)
    assert run("--version", tmp_path, program=program, PYTHONPATH="").out == f"falcon-edge {falcon_edge.__version__}\n"
    done = run("--help", tmp_path, program=program, PYTHONPATH="")
    assert (done.code, done.err) == (0, "")
    assert "compress" in done.out


def test_says_where_the_app_and_the_page_are_which_no_wheel_has(installed, tmp_path):
    program = (str(installed / "falcon-edge"),)
    for words in ("serve standard.falcon", "embed standard.falcon", "embed standard.falcon ."):
        done = run(words, tmp_path, program=program, PYTHONPATH="")
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert ARCHIVE in done.err


def test_does_the_first_step_of_the_demo(installed, tmp_path):
    copied = subprocess.run(
        [installed / "python", "-I", "-c", STEP], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    places = [Path(line) for line in copied.stdout.splitlines()]
    assert len(places) == 3
    assert all(place.is_relative_to(installed.parent) for place in places)
    program = (str(installed / "falcon-edge"),)
    done = run("compress standard.falcon --data sample --rank 1 -o falcon", tmp_path, program=program, PYTHONPATH="")
    following = "next: falcon-edge export falcon.falcon --precision fp32 --precision int8 --data sample\n"
    assert (done.code, done.err) == (0, following)
    standard, compressed = (open_bundle(tmp_path / f"{name}.falcon").manifest for name in ("standard", "falcon"))
    assert compressed.lineage.parent.identity == standard.lineage.identity
    assert standard.macs / compressed.macs >= 6
    assert compressed.quality[0].data == "sample"
