"""Bundles in an app or a page: byte for byte, replaced as a whole, and at any moment the former models or the new."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from converters.errors import ConversionError
from falcon_edge.bundle import create_bundle, open_bundle, sha256
from falcon_edge.documents import read_document
from falcon_edge.embedded import INDEX, Index
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Manifest
from falcon_edge.place import locked
from falcon_edge.steps.embed import MAXIMUM_MIB, ExportFilter, embed, embedded, models_folder, remove
from falcon_edge.steps.shipped import copy_sample_network


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "android_demo"
    (folder / "app" / "src" / "main").mkdir(parents=True)
    return folder


@pytest.fixture
def page(tmp_path):
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html>")
    return folder


def check(folder):
    """Every file is as the index says, there is nothing else, and nothing lies beside."""
    models = models_folder(folder)
    index = read_document(models / INDEX, Index)
    listed = {f"{model.folder}/{name}": file for model in index.models for name, file in model.files.items()}
    there = {path.relative_to(models).as_posix() for path in models.rglob("*") if path.is_file()}
    assert there == {INDEX, *listed}
    for name, file in listed.items():
        assert ((models / name).stat().st_size, sha256(models / name)) == (file.bytes, file.sha256)
    assert [name for name in os.listdir(models.parent) if name.startswith(".")] == []
    return index


def refusal(action, *arguments, **words):
    with pytest.raises(BadInput) as caught:
        action(*arguments, **words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_embedded_is_the_bundles(exported, app):
    index = embed(exported, app)
    assert models_folder(app) == app / "app" / "src" / "main" / "assets" / "models"
    assert check(app) == index == embedded(app)
    assert [model.folder for model in index.models] == ["compressed", "standard"]
    for model, path in zip(index.models, sorted(exported), strict=True):
        manifest = open_bundle(path).manifest
        assert (model.name, model.role) == (manifest.name, manifest.lineage.role)
        assert model.identity == manifest.lineage.identity
        assert set(model.files) == {"manifest.json", *manifest.files}
        for name in model.files:
            assert (models_folder(app) / model.folder / name).read_bytes() == (path / name).read_bytes()
    schema_version = json.loads((models_folder(app) / INDEX).read_text())["schema_version"]
    assert schema_version == 1


def test_models_come_one_after_the_other_are_replaced_and_go(exported, page, tmp_path):
    standard, compressed = exported
    assert embedded(page).models == ()
    first = embed([standard], page, ExportFilter(targets=["onnx"]))
    before = (page / "models" / "standard" / "manifest.json").stat().st_ino
    both = embed([compressed], page)
    assert check(page) == both
    assert both.models[1:] == first.models
    assert (page / "models" / "standard" / "manifest.json").stat().st_ino == before  # not copied again
    other = shutil.copytree(compressed, tmp_path / "standard.falcon")
    replaced = embed([other], page)
    assert check(page) == replaced
    assert [model.role for model in replaced.models] == ["compressed", "compressed"]
    assert [model.name for model in replaced.models] == ["compressed", "compressed"]
    assert [model.folder for model in remove(["compressed"], page).models] == ["standard"]
    assert remove(["standard"], page) == Index() == check(page)


def test_files_are_chosen_and_what_is_not_chosen_is_not_there(exported, page):
    embed(exported, page, ExportFilter(targets=["onnx"], precisions=["fp32"]))
    for model in check(page).models:
        assert [name for name in model.files if name.startswith("exports/")] == ["exports/model.fp32.onnx"]
        outputs = [name for name in model.files if name.endswith("output.bin")]
        assert outputs
        assert all("tflite" not in name for name in outputs)


def test_what_cannot_be_embedded_is_refused_and_nothing_changes(exported, page, tmp_path):
    standard, compressed = exported
    index = embed([standard], page)
    bare = copy_sample_network(tmp_path / "bare")
    named = shutil.copytree(standard, tmp_path / "ein Netz.falcon")
    hidden = shutil.copytree(standard, tmp_path / "_net.falcon")
    damaged = shutil.copytree(compressed, tmp_path / "damaged.falcon")
    with (damaged / "exports" / "model.fp32.onnx").open("ab") as file:
        file.write(b"x")
    twice = shutil.copytree(standard, tmp_path / "other" / "standard.falcon")
    size = sum(file.bytes for file in index.models[0].files.values())
    for said, action in {
        "bare.falcon: has no such file; it has none at all: export it first": lambda: embed([bare], page),
        "has no such file; it has fp32 onnx": lambda: embed([standard], page, ExportFilter(precisions=["int8"])),
        "rename the bundle": lambda: embed([named], page),
        "names of up to 64 letters": lambda: embed([hidden], page),
        "exports/model.fp32.onnx does not match SHA256SUMS": lambda: embed([compressed, damaged], page),
        "no such bundle": lambda: embed([tmp_path / "none.falcon"], page),
        "two bundles have the same name": lambda: embed([standard, twice], page),
        "are left of what may be embedded": lambda: embed([compressed], page, maximum=size + 1000),
        "the other models have more than": lambda: embed([compressed], page, maximum=size - 1),
        "nothing: no such model": lambda: remove(["standard", "nothing"], page),
        "fp8: no such precision": lambda: ExportFilter(precisions=["fp8"]),
    }.items():
        assert said in refusal(action)
        assert check(page) == index
    with pytest.raises(ConversionError, match="no such format"):
        ExportFilter(targets=["coreml"])
    assert check(embed([standard], page, maximum=size) and page) == index
    assert size < MAXIMUM_MIB << 20


def test_a_bundle_of_an_earlier_version_is_refused_since_apps_read_its_manifest(page, tmp_path):
    path, manifest = tmp_path / "old.falcon", Path(__file__).parents[1] / "manifest_version_1.json"
    for name in ("manifest.json", *read_document(manifest, Manifest).files):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"x" if name != "manifest.json" else manifest.read_bytes())
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = [f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files]
    (path / "SHA256SUMS").write_text("".join(lines))
    assert open_bundle(path).manifest.schema_version == 2
    assert "of an earlier version, which no app reads; export it again" in refusal(embed, [path], page)
    assert not (page / "models").exists()


def test_a_folder_that_is_no_app_is_refused_and_the_archive_named(exported, tmp_path):
    said = refusal(embed, exported, tmp_path)
    assert "app/src/main" in said
    assert "index.html" in said
    assert "make android-archive" in said
    assert os.listdir(tmp_path) == []


def test_models_that_embed_did_not_write_or_that_were_changed_are_not_touched(exported, page):
    models = page / "models"
    models.mkdir()
    (models / "mine.onnx").write_text("mine")
    assert "move it away" in refusal(embed, exported, page)
    assert os.listdir(models) == ["mine.onnx"]
    shutil.rmtree(models)
    embed(exported, page)
    (models / "standard" / "exports" / "model.fp32.onnx").write_text("less")
    assert "take standard out" in refusal(embed, exported[1:], page)
    assert [model.folder for model in remove(["standard"], page).models] == ["compressed"]
    check(page)
    for text in ("{", '{"schema_version": 2, "models": []}', '{"models": [{"folder": "../x"}]}'):
        (models / INDEX).write_text(text)
        assert "index.json: " in refusal(embed, exported, page)
        assert (models / INDEX).read_text() == text


def test_two_at_once_do_not_mix(exported, page):
    with locked(models_folder(page)):
        assert f"process {os.getpid()} is writing it" in refusal(embed, exported, page)
    check(page if embed(exported, page) else None)


TURNS = """
import sys
from pathlib import Path
from falcon_edge.steps.embed import embed
print("ready", flush=True)
one, other, page = map(Path, sys.argv[1:])
while True:
    embed([one], page)
    embed([other], page)
"""


def test_killed_at_any_moment_the_former_models_or_the_new_are_there(tmp_path, page):
    """A small bundle of the same name in two versions takes turns, until a kill."""
    from falcon_edge.manifest import Architecture, Export, Lineage, Manifest, Output
    from falcon_edge.preprocessing import InputSpec

    paths = []
    for place in "ab":
        with create_bundle(tmp_path / place / "net") as draft:
            for name in ("weights.safetensors", "exports/model.fp32.onnx"):
                draft.write(name, place.encode() * 10_000)
            draft.manifest = Manifest(
                name=place,
                architecture=Architecture(source="vgg8"),
                input=InputSpec(shape=(1, 4, 4), mean=(0.5,), std=(0.5,)),
                labels=("a",),
                outputs=(Output(name="logits", shape=(1,), kind="classes"),),
                lineage=Lineage(identity=64 * place, role="standard"),
                parameters=1,
                macs=1,
                exports=(Export(file="exports/model.fp32.onnx", target="onnx", precision="fp32", parity=(), macs=1),),
            )
        paths.append(tmp_path / place / "net.falcon")
    embed(paths[:1], page)
    chance, seen = random.Random(0), set()
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", TURNS, *map(str, paths), str(page)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0.01, 0.2))
            process.kill()
            assert process.wait() == -signal.SIGKILL
        models = page / "models"
        if not models.exists():  # a file system that cannot exchange: the next one who looks puts it back
            embedded(page)
        index = read_document(models / INDEX, Index)
        (model,) = index.models
        for name, file in model.files.items():
            assert sha256(models / "net" / name) == file.sha256
        seen.add(model.name)
    embed(paths[:1], page)
    check(page)
    assert seen == {"a", "b"}
