"""One process at a time holds a place, nothing there goes unasked, and what a killed process left is cleared up."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from falcon_edge import system
from falcon_edge.bundle import MANIFEST, create_bundle, edit_bundle, open_bundle, write_bundle
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Architecture, Lineage, Manifest, Output
from falcon_edge.place import bundle_path, hold, locked
from falcon_edge.preprocessing import InputSpec
from falcon_edge.system import exchange


def manifest(name):
    return Manifest(
        name=name,
        architecture=Architecture(source="vgg8"),
        input=InputSpec(shape=(1, 4, 4), mean=(0.5,), std=(0.5,)),
        labels=("a",),
        outputs=(Output(name="logits", shape=(1,), kind="classes"),),
        lineage=Lineage(identity="0" * 64, role="standard"),
        parameters=3,
        macs=5,
    )


def make(path, name="net", force=False):
    with create_bundle(path, force=force) as draft:
        draft.write("weights.safetensors", name.encode())
        draft.manifest = manifest(name)
    return path


def touch(path):
    with edit_bundle(path):
        pass


def refusal(path, **words):
    with pytest.raises(BadInput) as caught, hold(path, **words):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Who holds it


def test_a_place_is_held_once_and_leaves_no_trace(tmp_path):
    for path in (tmp_path / "net.falcon", tmp_path / "a" / "b" / "net"):
        with hold(path) as place:
            assert place.path == path.with_name("net.falcon")
            said = f"net.falcon: process {os.getpid()} is writing it; wait for it, or choose another name"
            assert refusal(path).endswith(said)
            assert refusal(path, force=True, goes_on=True).endswith(said)
            with hold(path.with_name("other")):
                pass
        with hold(path):
            pass
    assert os.listdir(tmp_path) == []


def test_every_writer_takes_the_same_lock(tmp_path):
    path, link = make(tmp_path / "net.falcon"), tmp_path / "link.falcon"
    link.symlink_to(path)
    for write in (edit_bundle, lambda path: create_bundle(path, force=True)):
        with edit_bundle(path) as draft:
            for name in (path, link):
                with pytest.raises(BadInput, match="is writing it"), write(name):
                    pass
            draft.manifest = draft.manifest.model_copy(update={"macs": draft.manifest.macs + 1})
    assert open_bundle(path).manifest.macs == 7
    assert sorted(os.listdir(tmp_path)) == ["link.falcon", "net.falcon"]


def child(source, *arguments):
    program = f"import sys, time\nfrom pathlib import Path\nfrom falcon_edge.place import *\n{source}"
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE)


HOLD = """
with hold(Path(sys.argv[1])) as place:
    place.part.mkdir()
    (place.part / "half").write_text("half")
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_of_a_process_that_died_does_not_stay(tmp_path):
    path = tmp_path / "new" / "net.falcon"
    with child(HOLD, path) as process:
        assert process.stdout.readline() == b"held\n"
        assert refusal(path).endswith(f"process {process.pid} is writing it; wait for it, or choose another name")
        process.kill()
        assert process.wait() == -signal.SIGKILL
    make(path)
    assert os.listdir(path.parent) == ["net.falcon"]


RACE = """
deadline = time.monotonic() + 30
while (Path(sys.argv[2]) / "go").exists() is False and time.monotonic() < deadline:
    time.sleep(0.001)
won = 0
for _ in range(300):
    try:
        with locked(Path(sys.argv[1])):
            mine = Path(sys.argv[2]) / "inside"
            with mine.open("x"):
                won += 1
            mine.unlink()
    except BadInput:
        pass
print(won, flush=True)
"""


def test_never_two_at_once_however_they_come_and_go(tmp_path):
    """Each makes a file while it holds the place, which fails if it is there."""
    made = [child(RACE, tmp_path / "x" / "net.falcon", tmp_path) for _ in range(3)]
    (tmp_path / "go").touch()
    won = [int(process.communicate(timeout=60)[0]) for process in made]
    assert [process.returncode for process in made] == [0, 0, 0]
    assert min(won) > 0
    assert sorted(os.listdir(tmp_path)) in (["go"], ["go", "x"])


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "novel").write_text("a novel")
    (tmp_path / ".net.falcon.lock").symlink_to(tmp_path / "novel")
    assert "cannot be written" in refusal(tmp_path / "net")
    assert (tmp_path / "novel").read_text() == "a novel"


def test_where_the_disk_is_full_nothing_is_left(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with (
        pytest.raises(BadInput, match=r"b\.falcon: cannot be written \(No space left on device\)"),
        locked(tmp_path / "new/b.falcon"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_links_in_a_circle_are_one_line(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(BadInput, match=r"b\.falcon: cannot be written"), hold(tmp_path / "one/b.falcon", force=False):
        pass


def test_a_name_too_long_is_one_line(tmp_path):
    assert "cannot be written" in refusal(tmp_path / ("n" * 250))


# What may be replaced


def test_a_bundle_is_replaced_only_by_force(tmp_path):
    path = make(tmp_path / "net.falcon")
    said = "net.falcon: exists already; choose another name, or replace it with `force`"
    assert refusal(path).endswith(said)
    assert refusal(tmp_path / "net", goes_on=True).endswith(said)
    with pytest.raises(BadInput, match="exists already"):
        make(path, "other")
    assert open_bundle(path).manifest.name == "net"
    make(path, "other", force=True)
    assert open_bundle(path).manifest.name == "other"


def test_a_run_that_was_killed_goes_on_and_nobody_else_takes_its_place(tmp_path):
    with hold(tmp_path / "net") as place:
        place.checkpoint.write_text("state")
    assert "a run was stopped here and can go on (.net.checkpoint)" in refusal(place.path)
    with hold(place.path, goes_on=True) as again:
        assert again.checkpoint.read_text() == "state"
        with write_bundle(again) as draft:
            draft.manifest = manifest("net")
    assert os.listdir(tmp_path) == ["net.falcon"]


def test_a_run_that_was_to_replace_a_bundle_goes_on_without_force(tmp_path):
    path = make(tmp_path / "net.falcon")
    with hold(path, force=True) as place:
        place.checkpoint.write_text("state")
    touch(path)
    assert place.checkpoint.exists()
    assert "can go on" in refusal(path)
    with hold(path, goes_on=True) as place, write_bundle(place) as draft:
        draft.manifest = manifest("new")
    assert open_bundle(path).manifest.name == "new"
    assert os.listdir(tmp_path) == ["net.falcon"]


def test_force_drops_the_checkpoint_once_the_bundle_is_there(tmp_path):
    (tmp_path / ".net.checkpoint").write_text("state")
    with pytest.raises(ZeroDivisionError), create_bundle(tmp_path / "net.falcon", force=True):
        1 / 0  # noqa: B018
    assert os.listdir(tmp_path) == [".net.checkpoint"]
    make(tmp_path / "net.falcon", force=True)
    assert os.listdir(tmp_path) == ["net.falcon"]


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_bundle_stays_whatever_is_asked(tmp_path, force):
    (tmp_path / "net.falcon").mkdir()
    (tmp_path / "net.falcon" / "novel").write_text("a novel")
    assert "exists and is not a bundle" in refusal(tmp_path / "net", force=force, goes_on=True)
    (tmp_path / "file.falcon").write_text("a novel")
    assert "exists and is not a bundle" in refusal(tmp_path / "file", force=force, goes_on=True)


# Killed at any moment


REPLACE = """
from falcon_edge import place
from falcon_edge.bundle import create_bundle, open_bundle
path, exchange = Path(sys.argv[1]), sys.argv[2] == "exchange"
if not exchange:
    place.exchange = lambda one, other: False
old = open_bundle(path).manifest
print("ready", flush=True)
for number in range(10**6):
    with create_bundle(path, force=True) as draft:
        draft.write("weights.safetensors", str(number).encode())
        draft.manifest = old.model_copy(update={"macs": number})
"""


@pytest.mark.parametrize("how", ["exchange", "two renames"])
def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_bundle(tmp_path, how):
    path, moments = make(tmp_path / "net.falcon"), random.Random(0)
    for _ in range(6):
        with child(REPLACE, path, how) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(moments.uniform(0, 0.05))
            process.kill()
        if how == "exchange":
            assert path.is_dir()
        manifest = open_bundle(path).manifest  # its hashes are right
        touch(path)
        assert open_bundle(path).manifest == manifest
        assert os.listdir(tmp_path) == ["net.falcon"]


def test_a_kill_between_two_renames_is_healed_by_whoever_comes_next(tmp_path):
    for heal in (open_bundle, touch, lambda path: make(path, force=True)):
        folder = tmp_path / str(len(os.listdir(tmp_path)))
        path = make(folder / "net.falcon")
        os.replace(path, folder / ".net.falcon.old")
        heal(path)
        assert (path / MANIFEST).exists()


def test_a_bundle_that_is_being_swapped_is_not_healed_by_a_reader(tmp_path):
    path = make(tmp_path / "net.falcon")
    with locked(path):
        os.replace(path, tmp_path / ".net.falcon.old")
        with pytest.raises(BadInput, match="no such bundle"):
            open_bundle(path)
        os.replace(tmp_path / ".net.falcon.old", path)
    assert open_bundle(path).manifest.name == "net"


def test_where_folders_cannot_be_exchanged_there_are_two_renames(tmp_path, monkeypatch):
    assert exchange(make(tmp_path / "a.falcon"), make(tmp_path / "b.falcon", "b"))
    assert open_bundle(tmp_path / "a.falcon").manifest.name == "b"
    monkeypatch.setattr(system.ctypes, "CDLL", lambda name, use_errno: object())
    assert not exchange(tmp_path / "a.falcon", tmp_path / "b.falcon")
    make(tmp_path / "a.falcon", "third", force=True)
    assert open_bundle(tmp_path / "a.falcon").manifest.name == "third"
    assert sorted(os.listdir(tmp_path)) == ["a.falcon", "b.falcon"]


# Names


@pytest.mark.parametrize(
    ("given", "expected"), [("a", "a.falcon"), ("a.falcon", "a.falcon"), ("x/a.b", "x/a.b.falcon"), ("a/", "a.falcon")]
)
def test_the_suffix_is_added(given, expected):
    assert bundle_path(Path(given)) == Path(expected)


@pytest.mark.parametrize("name", [".", "/", "..", "a/.."])
def test_a_path_without_a_name(name):
    with pytest.raises(BadInput, match="name the bundle"):
        bundle_path(Path(name))
