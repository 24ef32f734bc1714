"""What is fetched is what is pinned, or nothing."""

import hashlib
import io
import tarfile
import zipfile

import pytest
from ci import downloads, pins, programs, tools
from ci.errors import BuildError

CONTENT = b"what is used"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FALCON_EDGE_ANDROID", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pinned(cache, monkeypatch):
    """Pins a file in an archive that some registry brings, by a hash."""

    def pin(sha256, *, member="package/file.txt", kind="npm"):
        def bring(wanted, folder):
            if kind == "pip":
                path = folder / "package.whl"
                with zipfile.ZipFile(path, "w") as archive:
                    archive.writestr("package/file.txt", CONTENT)
                return path
            path = folder / "package.tgz"
            with tarfile.open(path, "w:gz") as archive:
                entry = tarfile.TarInfo("package/file.txt")
                entry.size = len(CONTENT)
                archive.addfile(entry, io.BytesIO(CONTENT))
            return path

        monkeypatch.setitem(downloads.REGISTRIES, kind, bring)
        known = {"trial": pins.Download("file.txt", kind, "package@1", member, sha256)}
        monkeypatch.setattr(downloads, "downloads", lambda: known)

    return pin


GOOD = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("kind", ["npm", "pip"])
def test_the_right_file_is_kept(pinned, cache, kind):
    pinned(GOOD, kind=kind)
    path = downloads.fetched("trial")
    assert path == cache / "file.txt"
    assert path.read_bytes() == CONTENT
    assert {each.name for each in cache.iterdir()} == {"file.txt", "lock"}


def test_another_file_is_refused_and_not_kept(pinned, cache):
    pinned("0" * 64)
    with pytest.raises(BuildError, match=f"SHA-256 is {GOOD}, pinned is 0000"):
        downloads.fetched("trial")
    assert {each.name for each in cache.iterdir()} == {"lock"}


def test_a_file_that_was_changed_later_is_refused(pinned, cache):
    pinned(GOOD)
    path = downloads.fetched("trial")
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(BuildError, match=r"file\.txt: its SHA-256 is .* remove it"):
        downloads.fetched("trial")
    path.unlink()
    assert downloads.fetched("trial").read_bytes() == CONTENT


def test_a_package_without_the_file_is_refused(pinned):
    pinned(GOOD, member="package/other.txt")
    with pytest.raises(BuildError, match=r"package\.tgz has no package/other\.txt"):
        downloads.fetched("trial")


def test_a_registry_that_fails_says_so(cache, monkeypatch):
    known = {"trial": pins.Download("file.txt", "pip", "no-such-package/of any name", "x", GOOD)}
    monkeypatch.setattr(downloads, "downloads", lambda: known)
    with pytest.raises(BuildError, match="pip download no-such-package/of any name failed: "):
        downloads.fetched("trial")


def test_every_pin_is_whole():
    assert set(pins.downloads()) >= {"bundletool", "onnxruntime", "onnxruntime-linux", "api"}
    for name, pinned in pins.downloads().items():
        assert pinned.registry in downloads.REGISTRIES, name
        assert len(bytes.fromhex(pinned.sha256)) == 32, name


def test_a_part_that_was_changed_is_unpacked_again():
    path = tools.onnxruntime_classes()
    whole = path.read_bytes()
    path.write_bytes(b"changed")
    assert tools.onnxruntime_classes().read_bytes() == whole


def test_an_abi_that_there_is_not_is_refused():
    with pytest.raises(BuildError, match=r"has no jni/riscv64/libonnxruntime\.so; its ABIs: arm64-v8a"):
        tools.onnxruntime_libraries("riscv64")


def test_what_is_missing_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(programs.PACKAGES, "no-such-program-of-any-name", "apksigner")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(BuildError, match=r"^apksigner: not installed; run as root: apt-get install .* apksigner$"):
        programs.program("no-such-program-of-any-name")
