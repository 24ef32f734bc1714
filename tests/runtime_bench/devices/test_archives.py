"""The archive that `falcon-edge devices setup adb` fetches: what npm brings is held to a hash, and kept."""

import hashlib
import io
import tarfile

import pytest

from runtime_bench.devices import archives
from runtime_bench.errors import DeviceError

CONTENT = b"an archive"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """An npm that brings what it is given."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(archives, "SHA256", hashlib.sha256(CONTENT).hexdigest())

    def brings(content, code=0):
        (tmp_path / "package.tgz").write_bytes(content)
        script = f'#!/bin/sh\ntest "$1 $2 $3 $4" = "pack {archives.PACKAGE} --silent --pack-destination" || exit 9\n'
        (tools / "npm").write_text(f'{script}cp {tmp_path}/package.tgz "$5"; echo no such package >&2; exit {code}\n')
        (tools / "npm").chmod(0o755)

    return brings


def package(name=archives.MEMBER, content=CONTENT):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for path, data in (("package/package.json", b"{}"), (name, content)):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def silent(done, total, text):
    """Nobody looks."""


def test_it_is_fetched_once_and_again_if_it_was_changed(npm):
    assert archives.fetched() is None
    npm(package())
    path = archives.fetch(silent)
    assert (path.read_bytes(), archives.fetched()) == (CONTENT, path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    npm(b"", code=1)
    assert archives.fetch(silent) == path
    path.write_bytes(b"changed")
    assert archives.fetched() is None
    npm(package())
    assert archives.fetch(silent).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (package(content=b"another"), 0, "is not the one that is pinned; it is not used"),
        (package(name="package/other"), 0, "has no package/Plugins/Android/onnxruntime.aar"),
        (package()[:60], 0, ": damaged"),
        (b"no archive", 0, ": damaged"),
        (package(), 1, r"npm cannot fetch .* \(no such package\)"),
    ],
    ids=["another", "without it", "cut off", "no archive", "npm fails"],
)
def test_what_is_not_the_archive_is_not_kept(npm, content, code, said):
    npm(content, code)
    with pytest.raises(DeviceError, match=said):
        archives.fetch(silent)
    assert archives.fetched() is None


def test_without_npm_it_is_said_where_the_archive_is(npm, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"npm is not installed.* from Maven Central, and name it by `ort_aar` FILE"):
        archives.fetch(silent)
