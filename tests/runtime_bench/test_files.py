"""Files that a user names: what is none is refused at once, and documents may come through pipes."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from runtime_bench import files
from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.files import check_outputs, private_copy, read_document, write

ENVIRONMENT = os.environ | {"PYTHONPATH": str(files.Path(__file__).parents[2])}


@pytest.fixture(params=["pipe", "socket", "device", "folder"])
def no_file(request, tmp_path):
    path = tmp_path / "model.onnx"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    elif request.param == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    return path


def test_a_model_that_is_no_plain_file_is_refused_at_once(no_file, tmp_path):
    with pytest.raises(BenchInputError, match=r"model\.onnx: a model is a plain file, and this is none"):
        private_copy(no_file, tmp_path)


def test_a_model_without_end_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(256 << 30)
    with pytest.raises(BenchInputError, match=r"model\.onnx: larger than 4 GiB"):
        private_copy(path, tmp_path)


def test_a_document_comes_through_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write():
        time.sleep(0.2)  # its reader is there first
        with path.open("wb") as file:
            for _ in range(50):
                file.write(b"x" * 10_000)
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    assert read_document(path, 1 << 20, "document") == b"x" * 500_000
    writer.join()


def test_a_pipe_that_nobody_writes_to_is_waited_for_so_long(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "DOCUMENT_SECONDS", 0.3)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BenchInputError, match="pipe: has not ended within 0 s"):
        read_document(tmp_path / "pipe", 100, "document")


def test_a_document_without_end(tmp_path):
    with pytest.raises(BenchInputError, match="/dev/zero: larger than 1 MiB, which no document is"):
        read_document(files.Path("/dev/zero"), 1 << 20, "document")


@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_file_is_read_up_to_its_limit(tmp_path, size):
    (tmp_path / "file").write_bytes(b"x" * size)
    assert read_document(tmp_path / "file", 100, "document") == b"x" * size


# -- models --


def test_a_private_copy_is_what_was_hashed_and_tells_when_the_file_is_changed(tmp_path):
    source, folder = tmp_path / "model.onnx", tmp_path / "private"
    folder.mkdir()
    source.write_bytes(b"one")
    copy = private_copy(source, folder)
    copy.check()
    for change in (lambda: source.write_bytes(b"two"), lambda: source.write_bytes(b"longer"), source.unlink):
        change()
        with pytest.raises(DeviceError, match=r"model\.onnx: changed while it was measured"):
            copy.check()
    assert copy.path.read_bytes() == b"one"
    assert copy.sha256 == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"


# -- outputs --


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path):
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to("folder/target")  # to nothing yet
    for data in (b"one", b"two"):
        check_outputs([link])
        write(data, link)
        assert link.is_symlink()
        assert target.read_bytes() == data
    assert os.listdir(target.parent) == ["target"]


def test_what_is_no_plain_file_is_written_to_and_never_replaced(tmp_path):
    device = os.stat("/dev/null")
    (tmp_path / "null").symlink_to("/dev/null")
    for path in (files.Path("/dev/null"), tmp_path / "null"):
        check_outputs([path])
        write(b"x" * 1000, path)
    assert os.stat("/dev/null").st_rdev == device.st_rdev
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    time.sleep(0.2)
    check_outputs([pipe])
    assert reader.is_alive()
    write(b"y" * 1_000_000, pipe)
    reader.join()
    assert read == [b"y" * 1_000_000]
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output_is_written_to_where_it_is(tmp_path, name):
    """Also where it leads to a file, between what else is written there."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    script = (
        "import os; from pathlib import Path; from runtime_bench.files import check_outputs, write\n"
        f"path = Path({name!r}); check_outputs([path])\n"
        "os.write(1, b'before '); write(b'data', path); os.write(1, b' after')"
    )
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", script], stdout=out, cwd=tmp_path, env=ENVIRONMENT, check=True)
    assert (tmp_path / "out").read_bytes() == b"before data after"
    assert sorted(os.listdir(tmp_path)) == ["link", "out"]


def test_a_pipe_without_a_reader_and_a_full_device_are_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, said in ((tmp_path / "pipe", "No such device"), (files.Path("/dev/full"), "No space left on device")):
        with pytest.raises(BenchInputError, match=f"cannot be written \\({said}"):
            write(b"x", path)


@pytest.mark.parametrize("name", ["model.onnx", "./model.onnx", "link", "hard link", "bundle/results.json"])
def test_an_output_is_never_an_input(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "model.onnx"
    model.write_bytes(b"model")
    (tmp_path / "link").symlink_to("model.onnx")
    (tmp_path / "hard link").hardlink_to(model)
    (tmp_path / "bundle").mkdir()
    with pytest.raises(BenchInputError, match="is an input of this run"):
        check_outputs([files.Path(name)], [model, tmp_path / "bundle"])
    check_outputs([tmp_path / "results.json"], [model, tmp_path / "bundle"])


def test_two_outputs_are_two_files(tmp_path):
    with pytest.raises(BenchInputError, match="two outputs would be written to it"):
        check_outputs([tmp_path / "one", tmp_path / "sub" / ".." / "one"])
    check_outputs([files.Path("/dev/stdout"), files.Path("/dev/stdout"), None])


@pytest.mark.parametrize("name", ["n" * 300, "missing/results.json", "file/results.json", "folder"])
def test_an_output_that_cannot_be_written_is_refused_before(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BenchInputError, match="cannot be written"):
        check_outputs([tmp_path / name])
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_the_longest_name_is_one(tmp_path):
    check_outputs([tmp_path / ("n" * 255)])
    write(b"x", tmp_path / ("n" * 255))
    assert os.listdir(tmp_path) == ["n" * 255]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_found_out_before(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no disk can be mounted here")
    try:
        with pytest.raises(BenchInputError, match=r"cannot be written \(No space left on device\)"):
            check_outputs([tmp_path / "results.json"])
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_links_in_a_circle_are_one_line(tmp_path):
    link, other = tmp_path / "link", tmp_path / "other"
    link.symlink_to(other)
    other.symlink_to(link)
    for outputs, inputs in (([link], []), ([link / "below.json"], [])):
        with pytest.raises(BenchInputError, match="cannot be written"):
            files.check_outputs(outputs, inputs)
    files.check_outputs([tmp_path / "new.json"], [link])  # who reads it says so
    with pytest.raises(BenchInputError, match="link: cannot be written"):
        files.write(b"", link)
