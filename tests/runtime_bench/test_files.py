"""Files that a user names: what is none is refused at once, and documents may come through pipes."""

import os
import socket
import threading
import time

import pytest

from runtime_bench import files
from runtime_bench.errors import BenchInputError
from runtime_bench.files import hash_model, read_document


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


def test_a_model_that_is_no_plain_file_is_refused_at_once(no_file):
    with pytest.raises(BenchInputError, match=r"model\.onnx: a model is a plain file, and this is none"):
        hash_model(no_file)


def test_a_model_without_end_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(256 << 30)
    with pytest.raises(BenchInputError, match=r"model\.onnx: larger than 4 GiB"):
        hash_model(path)


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
