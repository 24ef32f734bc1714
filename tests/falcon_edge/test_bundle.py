"""A bundle is whole or it is not there; what was changed since it was written is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcon_edge import manifest as manifest_module
from falcon_edge import place as places
from falcon_edge.bundle import MANIFEST, SUMS, create_bundle, edit_bundle, find_bundle, is_bundle, open_bundle
from falcon_edge.documents import canonical_json, parse_document, read_document
from falcon_edge.errors import BadInput
from falcon_edge.manifest import (
    Architecture,
    Card,
    Export,
    Golden,
    GoldenVector,
    Lineage,
    Manifest,
    MeasuredParity,
    Output,
    Tolerance,
)
from falcon_edge.preprocessing import InputSpec

FILES = {
    "weights.safetensors": bytes(range(256)),
    "plan.json": b"{}\n",
    "exports/model.fp32.onnx": b"onnx" * 50,
    "golden/00.input.bin": bytes(64),
    "golden/00.pixels.bin": bytes(16),
    "golden/00.model.fp32.onnx.output.bin": bytes(12),
}
MODEL, INPUT = "exports/model.fp32.onnx", "golden/00.input.bin"


def manifest(name="net"):
    vector = GoldenVector(
        input=INPUT,
        pixels="golden/00.pixels.bin",
        pixels_shape=(4, 4, 1),
        outputs={MODEL: "golden/00.model.fp32.onnx.output.bin"},
    )
    parity = MeasuredParity(output="logits", against="torch", samples=1, max_abs=0.0, max_relative=0.0, snr_db=None)
    return Manifest(
        name=name,
        architecture=Architecture(source="vgg8"),
        input=InputSpec(shape=(1, 4, 4), mean=(0.5,), std=(0.5,)),
        labels=("a", "b", "ü"),
        outputs=(Output(name="logits", shape=(3,), kind="classes"),),
        lineage=Lineage(identity="0" * 64, role="standard"),
        parameters=3,
        macs=5,
        exports=(Export(file=MODEL, target="onnx", precision="fp32", parity=(parity,), macs=5),),
        golden=Golden(vectors=(vector,), tolerances=(Tolerance(file=MODEL, output="logits", rtol=1e-4),)),
    )


def make(path, name="net", force=False):
    with create_bundle(path, force=force) as draft:
        for file, data in FILES.items():
            draft.write(file, data)
        draft.manifest = manifest(name)
    return path


def contents(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def refusal(path):
    """The one line with which a bundle is refused."""
    with pytest.raises(BadInput) as caught:
        open_bundle(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="session")
def shared_bundle(tmp_path_factory):
    """Tests change it and put it back."""
    return make(tmp_path_factory.mktemp("bundle") / "net.falcon")


@pytest.fixture
def bundle(shared_bundle, tmp_path):
    return Path(shutil.copytree(shared_bundle, tmp_path / "net.falcon"))


def reseal(path, document=None):
    """What an attacker does: change the manifest and bring SHA256SUMS into line."""
    if document is not None:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        (path / MANIFEST).write_bytes(data)
    names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    names.remove(SUMS)
    made = subprocess.run(["sha256sum", *names], cwd=path, check=True, capture_output=True)
    (path / SUMS).write_bytes(made.stdout)


def test_what_is_written_is_what_is_opened(bundle):
    opened = open_bundle(bundle)
    assert opened.manifest == manifest()
    assert opened.file(MODEL).read_bytes() == FILES[MODEL]
    assert {name: data for name, data in contents(bundle).items() if name in FILES} == FILES
    assert set(contents(bundle)) == {*FILES, MANIFEST, SUMS}
    assert os.listdir(bundle.parent) == ["net.falcon"]


def test_same_input_same_bytes(tmp_path):
    one, other = make(tmp_path / "a" / "net.falcon"), make(tmp_path / "b" / "net.falcon")
    assert contents(one) == contents(other)
    with edit_bundle(other):
        pass
    assert contents(one) == contents(other)


def test_sums_are_what_sha256sum_reads_and_writes(bundle):
    checked = subprocess.run(["sha256sum", "--strict", "-c", SUMS], cwd=bundle, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.splitlines() == [f"{name}: OK" for name in sorted({*FILES, MANIFEST})]
    before = (bundle / SUMS).read_bytes()
    reseal(bundle)
    assert (bundle / SUMS).read_bytes() == before


class Broken(Exception):
    pass


def replace_bundle(path):
    return create_bundle(path, force=True)


@pytest.mark.parametrize("failure", [Broken, KeyboardInterrupt, BadInput])
def test_a_failure_while_one_is_created_leaves_nothing(tmp_path, failure):
    def create():
        with create_bundle(tmp_path / "net.falcon") as draft:
            draft.write(MODEL, b"half")
            draft.manifest = manifest()
            raise failure

    with pytest.raises(failure):
        create()
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("change", [replace_bundle, edit_bundle])
@pytest.mark.parametrize("failure", [Broken, KeyboardInterrupt])
def test_a_failure_leaves_the_old_one_as_it_was(bundle, change, failure):
    before = contents(bundle)

    def fail():
        with change(bundle) as draft:
            draft.write(MODEL, b"other")
            draft.write("exports/new.tflite", b"new")
            raise failure

    with pytest.raises(failure):
        fail()
    assert contents(bundle) == before
    assert open_bundle(bundle).manifest == manifest()
    assert os.listdir(bundle.parent) == ["net.falcon"]


def test_a_bundle_without_a_manifest_is_not_published(tmp_path):
    with pytest.raises(ValueError, match="needs a manifest"), create_bundle(tmp_path / "net.falcon") as draft:
        draft.write(MODEL, b"x")
    assert not os.listdir(tmp_path)


def test_a_failing_swap_puts_the_old_one_back(bundle, monkeypatch):
    before, replace = contents(bundle), os.replace
    monkeypatch.setattr(places, "exchange", lambda one, other: False)

    def failing(source, target):
        if Path(target) == bundle and str(source).endswith(".part"):
            raise OSError(5, "Input/output error")
        replace(source, target)

    def change():
        with edit_bundle(bundle) as draft:
            draft.write(MODEL, b"other")

    monkeypatch.setattr(places.os, "replace", failing)
    with pytest.raises(OSError, match="Input/output"):
        change()
    assert contents(bundle) == before
    assert os.listdir(bundle.parent) == ["net.falcon"]


def test_a_writer_that_is_killed_leaves_the_old_one(bundle):
    program = f"""
import time
from pathlib import Path
from falcon_edge.bundle import edit_bundle
with edit_bundle(Path({str(bundle)!r})) as draft:
    draft.write({MODEL!r}, b"other")
    print("writing", flush=True)
    time.sleep(60)
"""
    before = contents(bundle)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"writing\n"
        child.kill()
        assert child.wait() == -signal.SIGKILL
    assert contents(bundle) == before
    with edit_bundle(bundle) as draft:
        draft.write(MODEL, b"third")
    assert open_bundle(bundle).file(MODEL).read_bytes() == b"third"


def test_edit_replaces_adds_and_keeps(bundle):
    with edit_bundle(bundle) as draft:
        assert draft.manifest == manifest()
        draft.write(MODEL, b"other")
        draft.write("exports/model.fp32.tflite", b"new")
        draft.manifest = draft.manifest.model_copy(update={"macs": 7})
    expected = FILES | {MODEL: b"other", "exports/model.fp32.tflite": b"new"}
    opened = open_bundle(bundle)
    assert opened.manifest.macs == 7
    assert {name: opened.file(name).read_bytes() for name in expected} == expected


def test_a_bundle_is_replaced_whole(bundle):
    with edit_bundle(bundle) as draft:
        draft.write("exports/old.tflite", b"old")
    make(bundle, "other", force=True)
    assert open_bundle(bundle).manifest.name == "other"
    assert set(contents(bundle)) == {*FILES, MANIFEST, SUMS}


def test_a_damaged_bundle_can_be_replaced_but_not_edited(bundle):
    (bundle / MODEL).unlink()
    with pytest.raises(BadInput, match="does not match"), edit_bundle(bundle):
        pass
    make(bundle, force=True)
    assert open_bundle(bundle).manifest == manifest()


def test_a_link_to_a_bundle_stays_a_link(bundle, tmp_path):
    link = tmp_path / "elsewhere" / "link.falcon"
    link.parent.mkdir()
    link.symlink_to(bundle)
    for change in (replace_bundle, edit_bundle):
        with change(link) as draft:
            for file, data in FILES.items():
                draft.write(file, data)
            draft.manifest = manifest("through the link")
        assert link.is_symlink()
        assert open_bundle(bundle).manifest.name == "through the link"
    assert os.listdir(link.parent) == ["link.falcon"]
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "net.falcon"]


@given(st.sampled_from([*FILES, MANIFEST, SUMS]), st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_anywhere_is_refused(shared_bundle, name, place, change):
    file = shared_bundle / name
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[place % len(damaged)] ^= change
    file.write_bytes(damaged)
    try:
        refusal(shared_bundle)
    finally:
        file.write_bytes(whole)
    assert open_bundle(shared_bundle).manifest == manifest()


def test_bytes_of_the_sums_that_become_line_ends(shared_bundle):
    file = shared_bundle / SUMS
    whole = file.read_bytes()
    try:
        for place in (*range(0, len(whole), 5), -1):
            damaged = bytearray(whole)
            damaged[place] ^= ord("\n") ^ ord("f")
            file.write_bytes(damaged)
            refusal(shared_bundle)
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("name", [*FILES, MANIFEST, SUMS])
@pytest.mark.parametrize("change", ["shorter", "longer", "empty", "removed", "renamed"])
def test_a_changed_file_is_refused(bundle, name, change):
    file = bundle / name
    match change:
        case "shorter":
            file.write_bytes(file.read_bytes()[:-1])
        case "longer":
            file.write_bytes(file.read_bytes() + b"\n")
        case "empty":
            file.write_bytes(b"")
        case "removed":
            file.unlink()
        case "renamed":
            file.rename(file.with_name(f"{file.name}x"))
    refusal(bundle)


@pytest.mark.parametrize(
    "name", [b"more", b"exports/more.onnx", b".hidden", b"golden/new\nline", b"\xff\xfe", b"SHA256SUMS2"]
)
def test_an_added_file_is_refused(bundle, name):
    Path(os.fsdecode(os.path.join(os.fsencode(bundle), name))).write_bytes(b"")
    assert SUMS in refusal(bundle)


@pytest.mark.parametrize("name", [MODEL, "weights.safetensors", "plan.json", "golden/00.input.bin", "manifest.json"])
def test_a_file_of_256_gib_is_refused_before_it_is_hashed(bundle, name):
    """A sparse one: hashing it would take a quarter of an hour. It is listed, as a hostile bundle would."""
    with (bundle / name).open("r+b") as file:
        file.truncate(256 << 30)
    started = time.monotonic()
    assert name in refusal(bundle)
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("kind", ["same file", "folder", "new file", "new folder", "dangling", "sums", "pipe"])
def test_links_and_pipes_are_refused(bundle, tmp_path, kind):
    """The check could be led to other bytes than those that are read later, or past a whole folder."""
    outside = tmp_path / "outside"
    shutil.copytree(bundle, outside)
    match kind:
        case "same file":
            (bundle / MODEL).unlink()
            (bundle / MODEL).symlink_to(outside / MODEL)
        case "folder":
            shutil.rmtree(bundle / "exports")
            (bundle / "exports").symlink_to(outside / "exports")
        case "new file":
            (bundle / "more").symlink_to(outside / MODEL)
        case "new folder":
            (bundle / "more").symlink_to(outside)
        case "dangling":
            (bundle / "more").symlink_to(outside / "nothing")
        case "sums":
            (bundle / SUMS).unlink()
            (bundle / SUMS).symlink_to(outside / SUMS)
        case "pipe":
            os.mkfifo(bundle / "more")
    assert "plain files" in refusal(bundle)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document | {"schema_version": 3}, "a manifest of version 3; this program reads 1 to 2"),
        (lambda document: document | {"schema_version": 3, "hue": 1, "macs": {}}, "a manifest of version 3"),
        (lambda document: document | {"hue": 1}, "hue: Extra inputs are not permitted"),
        (lambda document: document | {"lineage": document["lineage"] | {"hue": 1}}, r"lineage\.hue: Extra inputs"),
        (lambda document: {key: document[key] for key in document if key != "labels"}, "labels: Field required"),
        (lambda document: document | {"macs": "many"}, "macs: Input should be a valid integer"),
        (lambda document: [document], "not a valid manifest: it: "),
        (lambda document: json.dumps(document).encode()[:-1], "Invalid JSON"),
        (lambda document: b"\xff", "Invalid JSON"),
        (lambda document: b"", "Invalid JSON"),
        (lambda document: b"[" * 100_000, "Invalid JSON"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_line(bundle, change, said):
    reseal(bundle, change(json.loads((bundle / MANIFEST).read_bytes())))
    line = refusal(bundle)
    assert MANIFEST in line
    with pytest.raises(BadInput, match=said):
        open_bundle(bundle)


OUTSIDE = [
    "../secret",
    "/etc/hostname",
    "exports/../../secret",
    "./x",
    "exports/..",
    "",
    ".",
    "a//b",
    "a\\..\\b",
    "C:x",
]
OUTSIDE += ["exports/\0x", "exports/x\n", "exports/", "~/x", ".hidden"]


PLACES = ["export", "input", "pixels", "output", "output of", "tolerance"]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        *((name, "export") for name in OUTSIDE),
        *((name, place) for name in ("../secret", "exports/x\n") for place in PLACES[1:]),
    ],
)
def test_a_manifest_that_names_files_outside_is_refused(bundle, name, place):
    (bundle.parent / "secret").write_text("secret")
    document = json.loads((bundle / MANIFEST).read_bytes())
    golden = document["golden"]
    match place:
        case "export":
            document["exports"][0]["file"] = name
        case "output":
            golden["vectors"][0]["outputs"][MODEL] = name
        case "output of":
            golden["vectors"][0]["outputs"] = {name: INPUT}
        case "tolerance":
            golden["tolerances"][0]["file"] = name
        case _:
            golden["vectors"][0][place] = name
    reseal(bundle, document)
    assert "no path inside of the bundle" in refusal(bundle)


@pytest.mark.parametrize("place", ["export", "input", "output"])
def test_a_manifest_that_names_files_that_are_not_there_is_refused(bundle, place):
    document = json.loads((bundle / MANIFEST).read_bytes())
    match place:
        case "export":
            document["exports"][0]["file"] = "exports/none.onnx"
        case "input":
            document["golden"]["vectors"][0]["input"] = "exports"
        case "output":
            document["golden"]["vectors"][0]["outputs"][MODEL] = "golden/none.bin"
    reseal(bundle, document)
    assert "which its manifest names" in refusal(bundle)


def test_the_schema_says_which_names_are_allowed():
    assert Manifest.model_json_schema()["$defs"]["Export"]["properties"]["file"]["pattern"] == manifest_module.INSIDE


@pytest.mark.parametrize("kind", ["missing", "file", "empty folder", "folder"])
def test_what_is_no_bundle_is_not_opened(tmp_path, kind):
    path = tmp_path / "net.falcon"
    match kind:
        case "file":
            path.write_text("x")
        case "empty folder":
            path.mkdir()
        case "folder":
            (path / "exports").mkdir(parents=True)
    assert "bundle" in refusal(path)


@pytest.mark.parametrize("write", [create_bundle, replace_bundle, edit_bundle])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_bundle_is_not_replaced(tmp_path, write, kind):
    path = tmp_path / "net.falcon"
    if kind == "file":
        path.write_text("a novel")
    else:
        path.mkdir()
        (path / "novel.txt").write_text("a novel")

    with pytest.raises(BadInput, match=r"net\.falcon: .*not a bundle|net\.falcon: no such bundle"), write(path):
        pass
    assert (path if kind == "file" else path / "novel.txt").read_text() == "a novel"
    assert os.listdir(tmp_path) == ["net.falcon"]


def test_an_empty_folder_is_taken(tmp_path):
    path = tmp_path / "net.falcon"
    path.mkdir()
    assert open_bundle(make(path)).manifest == manifest()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    path = tmp_path / "file" / "folder" / "net.falcon"
    with pytest.raises(BadInput, match=r"net\.falcon: cannot be written"):
        make(path)
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_of_a_draft_that_cannot_be_written(tmp_path):
    def create():
        with create_bundle(tmp_path / "net.falcon") as draft:
            draft.write("exports", b"a file")
            draft.write(MODEL, b"in a file")

    with pytest.raises(BadInput, match=r"model\.fp32\.onnx: cannot be written"):
        create()
    assert not os.listdir(tmp_path)


def test_the_only_bundle_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.falcon").write_text("x")
    with pytest.raises(BadInput, match=r"holds 0"):
        find_bundle(None)
    make(tmp_path / "net.falcon")
    assert find_bundle(None) == Path("net.falcon")
    make(tmp_path / "other.falcon")
    with pytest.raises(BadInput, match=r"name the bundle: this folder holds 2"):
        find_bundle(None)
    assert find_bundle(Path("elsewhere")) == Path("elsewhere")


def test_what_is_meant_as_a_bundle(bundle, tmp_path):
    assert is_bundle(bundle)
    shutil.copytree(bundle, tmp_path / "renamed")
    assert is_bundle(tmp_path / "renamed")
    assert not is_bundle(tmp_path)
    assert not is_bundle(bundle / MANIFEST)


def test_documents_that_are_missing(tmp_path):
    with pytest.raises(BadInput, match=r"nothing\.json: cannot be read \(No such file"):
        read_document(tmp_path / "nothing.json", Manifest)


def test_documents_are_canonical(bundle):
    data = (bundle / MANIFEST).read_bytes()
    assert data == canonical_json(manifest())
    assert "ü".encode() in data
    assert data.endswith(b"}\n")
    assert Manifest.model_validate_json(data) == manifest()


def test_the_card_has_no_measurements():
    card = manifest().card().model_dump()
    assert set(card) == {"schema_version", "name", "input", "labels", "outputs", "quantization", "rewrites", "lineage"}


# -- older versions --


def test_a_manifest_of_version_1_is_read():
    path = Path(__file__).with_name("manifest_version_1.json")
    old = json.loads(path.read_text())
    assert old["schema_version"] == 1
    found = read_document(path, Manifest)
    assert [(each.name, each.kind) for each in found.outputs] == [("logits", "classes")]
    assert found.quality[0].value == old["accuracy"][0]["top1"]
    assert [made.parity[0].max_abs for made in found.exports] == [made["parity"]["max_abs"] for made in old["exports"]]
    for file, tolerance in old["golden"]["tolerances"].items():
        (one,) = found.golden.of(file, "onnxruntime")
        assert (one.rtol, one.max_lsb, one.classes) == (tolerance["rtol"], tolerance["max_lsb"], tolerance["top1"])


def test_a_tolerance_of_a_runtimes_own_goes_before_that_of_all():
    loose, tight, other = (
        Tolerance(file=MODEL, output="logits", rtol=rtol, runtime=runtime)
        for rtol, runtime in ((0.1, "openvino"), (0.01, None), (0.2, "litert"))
    )
    for order in ((loose, tight, other), (other, tight, loose)):
        golden = Golden(tolerances=order)
        assert golden.of(MODEL, "openvino") == (loose,)
        assert golden.of(MODEL, "onnxruntime") == (tight,)
    assert Golden().of(MODEL, "litert") == ()


def test_a_card_of_version_1_is_read():
    old = json.loads(Path(__file__).with_name("manifest_version_1.json").read_text())
    names = ("schema_version", "name", "input", "labels", "outputs", "quantization", "lineage")
    scale = {"scale": 0.5, "zero_point": 3}
    quantization = {"calibration": "minmax", "data": "d", "data_sha256": "0", "samples": 1, "input": scale}
    card = {name: old.get(name) for name in names} | {"quantization": quantization | {"output": scale}}
    found = parse_document(json.dumps(card).encode(), Path("model.onnx"), Card)
    assert [(each.name, each.kind) for each in found.outputs] == [("logits", "classes")]
    assert found.quantization.outputs["logits"].zero_point == 3
