"""The runner that ships with us is what android_demo makes, of the archive that both sides pin."""

import hashlib
import zipfile

import pytest
from ci import tools
from ci.apk import Build
from ci.pins import APP_FOLDER, downloads
from ci.runner_jar import SHIPPED

from runtime_bench.devices import archives, dex

pytestmark = pytest.mark.xdist_group("android")


def test_what_ships_is_what_is_built(tmp_path):
    assert SHIPPED == dex.RUNNER
    found = []
    for path in (Build(APP_FOLDER, tmp_path).runner(), SHIPPED):
        with zipfile.ZipFile(path) as jar:  # zlib may pack the same otherwise
            found.append({name: hashlib.sha256(jar.read(name)).hexdigest() for name in jar.namelist()})
    assert found[0] == found[1], "android_demo has changed: run `PYTHONPATH=android_demo python -m ci.runner_jar`"
    assert dex.RUNNER.stat().st_size < 1e6


def test_both_sides_pin_the_same_archive():
    pinned, shipped = downloads()["onnxruntime"], dex.SHIPPED["onnxruntime"]
    assert (pinned.package, pinned.member) == (archives.PACKAGE, archives.MEMBER)
    assert (pinned.sha256, pinned.version) == (archives.SHA256, archives.VERSION)
    assert shipped.classes == hashlib.sha256(tools.onnxruntime_classes().read_bytes()).hexdigest()
