"""Code that a bundle names runs where this user packed it, or where it is asked for, and nowhere else."""

import json
import shutil
import sys
import warnings

import pytest

from falcon_edge.bundle import edit_bundle
from falcon_edge.errors import BadInput
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.train import train_bundle

NETWORK = """
    open("ran", "a").close()

    def net(): return nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(512, 3))

    def other(): return net()
"""
CHOICE = Choice("users_own:net", input_shape=(1, 12, 12))


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A state folder of this test's own."""
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
def own(tmp_path, user_module, state):
    """A bundle that was packed here, whose code was not run since."""
    user_module(NETWORK)
    pack_bundle(CHOICE, tmp_path / "own")
    forget()
    return tmp_path / "own.falcon"


def forget():
    """As in a process that has run no code yet."""
    sys.modules.pop("users_own", None)
    shutil.rmtree("__pycache__", ignore_errors=True)


def ran(folder):
    return (folder / "user" / "ran").exists()


def runs(path, **choice):
    """Whether the code of a bundle runs; where it does not, the one line says what to do."""
    forget()
    with warnings.catch_warnings(action="ignore"):
        error = caught(open_network, Choice(str(path), **choice))
    if error is not None:
        assert "no record that you packed it here" in error
        assert "`trust_code`, or set FALCON_EDGE_TRUST_CODE=1" in error
        assert "\n" not in error
        assert "users_own" not in sys.modules
    return error is None


def caught(call, *arguments):
    try:
        call(*arguments)
    except BadInput as error:
        return str(error)
    return None


def test_what_was_packed_here_runs_copied_and_renamed_too(own, tmp_path):
    assert runs(own)
    shutil.copytree(own, tmp_path / "elsewhere" / "new.falcon")
    assert runs(tmp_path / "elsewhere" / "new.falcon")
    export_bundle(own, ("onnx",))
    assert runs(own)


def test_what_is_made_of_it_runs_too(own, tmp_path, stripes, recipe):
    compress_bundle(Choice(str(own)), tmp_path / "compressed", rank=1)
    train_bundle(Choice(str(own)), str(stripes), tmp_path / "trained", recipe)
    assert runs(tmp_path / "compressed.falcon")
    assert runs(tmp_path / "trained.falcon")


@pytest.mark.parametrize("verb", ["export", "compress", "train"])
def test_no_verb_runs_the_code_of_others(own, state, tmp_path, stripes, recipe, verb):
    shutil.rmtree(state)
    (tmp_path / "user" / "ran").unlink()
    call = {
        "export": lambda trust: export_bundle(own, ("onnx",), trust_code=trust),
        "compress": lambda trust: compress_bundle(Choice(str(own), trust_code=trust), tmp_path / "new", rank=1),
        "train": lambda trust: train_bundle(Choice(str(own), trust_code=trust), str(stripes), tmp_path / "new", recipe),
    }[verb]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match="no record that you packed it here"):
        call(False)
    assert sorted(tmp_path.rglob("*")) == before
    call(True)
    assert ran(tmp_path)


def test_the_variable_asks_for_it(own, state, monkeypatch):
    shutil.rmtree(state)
    for value in ("", "0", "no"):
        monkeypatch.setenv("FALCON_EDGE_TRUST_CODE", value)
        assert not runs(own)
    monkeypatch.setenv("FALCON_EDGE_TRUST_CODE", "1")
    assert runs(own)


@pytest.mark.parametrize(
    "architecture", [{"source": "users_own:other"}, {"num_classes": 7}, {"in_channels": 2}, {"width": 0.5}]
)
def test_a_manifest_that_was_changed_is_another_bundle(own, architecture):
    with edit_bundle(own) as draft:
        changed = draft.manifest.architecture.model_copy(update=architecture)
        draft.manifest = draft.manifest.model_copy(update={"architecture": changed})
    assert not runs(own)


def test_a_file_of_the_same_name_in_another_folder_is_other_code(own, tmp_path, monkeypatch):
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "users_own.py").write_text("raise AssertionError('this ran')")
    monkeypatch.chdir(strange)
    assert not runs(own)
    (strange / "users_own.py").unlink()
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not entry.startswith(str(tmp_path))])
    sys.path_importer_cache.clear()
    assert not runs(own)  # not found at all


def test_a_record_that_others_own_or_may_write_is_none(own, state):
    record = state / "falcon-edge" / "packed"
    assert record.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["source"] for line in record.read_text().splitlines()] == ["users_own:net"]
    record.chmod(0o622)
    assert not runs(own)
    record.chmod(0o600)
    record.write_bytes(b"\xff\xfe")
    assert not runs(own)
    record.unlink()
    record.mkdir()
    assert not runs(own)


def test_without_a_state_folder_it_is_packed_and_said(own, state, tmp_path, monkeypatch):
    shutil.rmtree(state)
    state.write_text("a file where the folder would be")
    with pytest.warns(UserWarning, match="that it was packed here cannot be recorded"):
        pack_bundle(CHOICE, tmp_path / "net")
    assert not runs(tmp_path / "net.falcon")
    monkeypatch.setenv("XDG_STATE_HOME", "state")  # of whoever's the folder is
    monkeypatch.delenv("HOME")
    with pytest.warns(UserWarning, match="there is no home folder"):
        pack_bundle(CHOICE, tmp_path / "net", force=True)
    assert not runs(tmp_path / "net.falcon")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    pack_bundle(CHOICE, tmp_path / "net", force=True)
    assert runs(tmp_path / "net.falcon")
    assert (tmp_path / "home/.local/state/falcon-edge/packed").is_file()


def test_networks_of_ours_need_no_trust(standard, state):
    assert open_network(Choice(str(standard))).name == "standard"
    assert not state.exists()


@pytest.mark.parametrize("place", ["import", "call", "forward"])
def test_code_that_ends_the_program_is_an_error(user_module, tmp_path, place):
    body = {name: "sys.exit()" if name == place else "pass" for name in ("import", "call", "forward")}
    user_module(f"""
    import sys
    {body["import"]}

    class Net(nn.Flatten):
        def forward(self, x):
            {body["forward"]}
            return super().forward(x)

    def net():
        {body["call"]}
        return Net()
    """)
    with pytest.raises(BadInput, match=r"users_own:net.* .*SystemExit"):
        pack_bundle(CHOICE, tmp_path / "net")
    assert not (tmp_path / "net.falcon").exists()


def test_arguments_of_the_function_are_part_of_what_was_packed(tmp_path, user_module, state):
    user_module("""
    def net(width, kind="plain"):
        convolutions = nn.Conv2d(1, width, 3), nn.Conv2d(width, width, 3)
        return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(64 * width, 3))
    """)
    asked = Choice("users_own:net", input_shape=(1, 12, 12), model_args={"width": 8, "kind": ["a", "b"]})
    manifest = pack_bundle(asked, tmp_path / "own")
    assert manifest.architecture.model_args == {"width": 8, "kind": ["a", "b"]}
    small = compress_bundle(Choice(str(tmp_path / "own.falcon")), tmp_path / "small", rank=1)
    assert small.architecture == manifest.architecture
    assert runs(tmp_path / "small.falcon")
    with edit_bundle(tmp_path / "own.falcon") as draft:
        changed = {"width": 8, "kind": "other"}
        draft.manifest = draft.manifest.model_copy(
            update={"architecture": manifest.architecture.model_copy(update={"model_args": changed})}
        )
    assert not runs(tmp_path / "own.falcon")
    assert runs(tmp_path / "own.falcon", trust_code=True)


def test_what_former_versions_recorded_still_counts(own, state):
    lines = [json.loads(line) for line in (state / "falcon-edge" / "packed").read_text().splitlines()]
    assert all(line.keys() == {"source", "num_classes", "in_channels", "width", "identity", "code"} for line in lines)


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}, 2**64])
def test_arguments_that_no_bundle_can_hold(own, value):
    error = caught(open_network, Choice("users_own:net", input_shape=(1, 12, 12), model_args={"width": value}))
    assert error.startswith("`model_args`: a bundle keeps numbers, texts, booleans, lists and tables only (")
