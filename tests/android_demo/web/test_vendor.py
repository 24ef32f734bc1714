"""The libraries of the page: each file is the pinned one, or nothing of it is there."""

import shutil
import subprocess
import sys

import pytest
from page import WEB

SCRIPT = WEB / "vendor.py"
SMALL = "@litertjs/wasm-utils"


def vendor(folder, target, *, change=("", "")):
    """Run the script with changed pins, for the smallest package alone."""
    source = SCRIPT.read_text()
    alone = source.replace("def main(", f'PACKAGES = {{"{SMALL}": PACKAGES["{SMALL}"]}}\n\n\ndef main(', 1)
    assert alone != source
    (folder / "vendor.py").write_text(alone.replace(*change))
    return subprocess.run([sys.executable, folder / "vendor.py", *target], capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_files_are_fetched_and_left_alone_where_they_are_the_pinned_ones(tmp_path):
    done = vendor(tmp_path, [tmp_path / "here"])
    assert (done.returncode, done.stderr) == (0, "")
    kept = tmp_path / "here" / "litertjs-wasm-utils" / "index.js"
    before = kept.stat()
    assert vendor(tmp_path, [tmp_path / "here"]).stdout == ""
    assert kept.stat().st_ino == before.st_ino
    kept.write_text("something else")
    assert vendor(tmp_path, [tmp_path / "here"]).returncode == 0
    assert kept.stat().st_size == before.st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "vendor.py"]


WRONG = 'PACKAGES[list(PACKAGES)[0]][1]["package.json"] = ("a", "0" * 64)'


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ('"dist/index.js": (\n                "litertjs-w', '"other.js": (\n                "litertjs-w'),
            "has no other.js",
        ),
        (("def main(", f"{WRONG}\n\n\ndef main("), "pinned is 0000"),
        (('utils": (\n        "2.5.3"', 'utils": (\n        "0.0.0-none"'), "npm pack failed"),
    ],
)
def test_what_is_not_the_pinned_one_is_refused_in_a_line(tmp_path, change, said):
    done = vendor(tmp_path, [], change=change)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("error: @litertjs/wasm-utils@")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["vendor.py"]
