"""`make android`: what is built is an app that phones take, with the models that were embedded, and nothing else.

Slow: that it is built at all, and what checks.py asks of it, CI sees by `make android` itself.
"""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from ci import apk, archive, checks, models, tools
from ci.errors import BuildError
from ci.pins import APP_FOLDER, versions

pytestmark = [pytest.mark.xdist_group("android"), pytest.mark.slow]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with the demo's two models in it."""
    folder = models.copy_project(tmp_path_factory.mktemp("android") / "project")
    models.embed(models.demo_bundles(), folder)
    return folder


@pytest.fixture(scope="module")
def build(project, tmp_path_factory):
    return apk.Build(project, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def debug(build):
    return build.app(apk.DEMO, "debug")


@pytest.fixture(scope="module")
def release(build):
    return build.app(apk.DEMO, "release")


def classes(path):
    """The names of the classes in an archive's dex."""
    printed = subprocess.run(["dexdump", path], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  Class descriptor  : 'L([^']*);'$", printed, re.MULTILINE))


@pytest.mark.parametrize("variant", apk.VARIANTS)
def test_the_app_is_what_phones_and_shops_ask(variant, request):
    found = checks.check(request.getfixturevalue(variant), apk.DEMO, variant)
    assert (found.package, found.least_sdk, found.target_sdk) == ("org.falconedge.demo", "24", "36")
    assert set(found.abis) == {"arm64-v8a", "x86_64"}
    assert "android.permission.INTERNET" not in found.permissions
    assert {"v2", "v3"} <= set(found.signatures)
    assert found.bytes < 30e6


def test_only_a_debug_build_can_be_driven_by_adb(debug, release):
    name = "org.falconedge.demo.BenchmarkActivity"
    assert (checks.exported(debug)[name], checks.exported(release)[name]) == (True, False)
    assert (checks.facts(debug).debuggable, checks.facts(release).debuggable) == (True, False)


@pytest.mark.parametrize("variant", apk.VARIANTS)
def test_models_are_in_it_byte_for_byte(variant, project, request):
    with zipfile.ZipFile(request.getfixturevalue(variant)) as archived:
        index = json.loads(archived.read("assets/models/index.json"))
        assert {model["role"] for model in index["models"]} == {"standard", "compressed"}
        for model in index["models"]:
            for name in model["files"]:
                path = f"models/{model['folder']}/{name}"
                assert archived.read(f"assets/{path}") == (project / "app/src/main/assets" / path).read_bytes()


def test_what_is_found_by_name_is_in_the_release(debug, release):
    """R8 takes out and renames what nothing names; what is opened by name, or by native code, stays."""
    kept, all_of_it = classes(release), classes(debug)
    assert {"org/falconedge/engines/OrtEngine", "org/falconedge/engines/LiteRtEngine"} <= kept
    assert {"org/falconedge/demo/MainActivity", "org/falconedge/demo/BenchmarkActivity"} <= kept
    of_runtime = {name for name in all_of_it if name.startswith("ai/onnxruntime/") and "$$" not in name}
    assert len(of_runtime) > 40
    assert of_runtime <= kept
    assert len(kept) < len(all_of_it)


def test_what_is_only_compiled_against_is_not_shipped(debug, release, build):
    for path in (debug, release, build.runner()):
        assert not {
            name for name in classes(path) if name.startswith(("org/tensorflow", "android/", "java/", "org/junit"))
        }


def test_the_runner_is_one_jar_of_dex(build):
    path = build.runner()
    with zipfile.ZipFile(path) as archived:
        assert archived.namelist() == ["classes.dex"]
    names = classes(path)
    assert {"org/falconedge/runner/Main", "org/falconedge/core/Worker", "org/falconedge/engines/OrtEngine"} <= names
    assert "ai/onnxruntime/OrtSession" in names
    assert not {name for name in names if name.startswith("org/falconedge/demo/")}


def test_the_same_sources_make_the_same_bytes(project, debug, tmp_path):
    again = apk.Build(project, tmp_path).app(apk.DEMO, "debug")
    for name in ("unsigned.apk", "aligned.apk"):
        assert (tmp_path / "app-debug" / name).read_bytes() == (debug.parent / "app-debug" / name).read_bytes()
    with zipfile.ZipFile(again) as one, zipfile.ZipFile(debug) as other:
        assert one.namelist() == other.namelist()


WRONG = {
    "the other variant": (
        apk.DEMO,
        "release",
        "debuggable is True instead of False.*others may start.*BenchmarkActivity",
    ),
    "another package": (dataclasses.replace(apk.DEMO, package="a.b"), "debug", r"package is org\.falconedge\.demo"),
    "a permission": (dataclasses.replace(apk.DEMO, permissions=()), "debug", r"asks for android\.permission\.CAMERA"),
    "an ABI too few": (
        dataclasses.replace(apk.DEMO, abis=("x86", *apk.DEMO.abis)),
        "debug",
        "ABIs is .* instead of .*'x86'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_as_it_should_be_is_said(name, debug):
    app, variant, reason = WRONG[name]
    with pytest.raises(BuildError, match=reason):
        checks.check(debug, app, variant)


def test_an_app_that_was_changed_after_signing_is_refused(debug, tmp_path):
    path = tmp_path / "changed.apk"
    content = bytearray(debug.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BuildError, match="apksigner failed"):
        checks.check(path, apk.DEMO, "debug")


def test_native_libraries_are_looked_at(tmp_path):
    path = tmp_path / "libraries.zip"
    library = bytearray(tools.onnxruntime_libraries("arm64-v8a")[1].read_bytes())
    start = int.from_bytes(library[32:40], "little")
    for place in range(start, start + 56 * int.from_bytes(library[56:58], "little"), 56):
        if library[place] == 1:
            library[place + 48 : place + 56] = (0x1000).to_bytes(8, "little")
    with zipfile.ZipFile(path, "w") as archived:
        archived.writestr("lib/arm64-v8a/liba.so", bytes(library))
        archived.writestr("lib/x86_64/libb.so", bytes(library))
    wrong = checks._wrong_libraries(path)
    assert "lib/arm64-v8a/liba.so is aligned to 4096 bytes, not to 16384" in wrong
    assert "lib/x86_64/libb.so is for arm64-v8a" in wrong


def test_a_warning_stops_the_build(project, tmp_path):
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    path = copy / "core/src/main/java/org/falconedge/core/Careless.java"
    path.write_text("package org.falconedge.core;\nclass Careless { java.util.List list; }\n")
    with pytest.raises(BuildError, match=r"javac failed: .*Careless\.java:2: .*raw"):
        apk.Build(copy, tmp_path / "built").app(apk.DEMO, "debug")


def test_a_manifest_that_gradle_would_refuse_is_refused(tmp_path):
    path = tmp_path / "AndroidManifest.xml"
    path.write_text('<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="a.b"/>')
    with pytest.raises(BuildError, match="names a package, which Gradle refuses"):
        apk.manifest_for(path, apk.DEMO)


def test_there_are_two_variants(build):
    with pytest.raises(BuildError, match="fast: no variant; there are debug, release"):
        build.app(apk.DEMO, "fast")


def test_the_archive_is_the_project_as_git_has_it(tmp_path):
    one, other = archive.write(tmp_path / "one"), archive.write(tmp_path / "other")
    assert one.read_bytes() == other.read_bytes()
    shutil.unpack_archive(one, tmp_path, filter="data")
    (folder,) = tmp_path.glob("falcon-edge-android-demo-*")
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {name for name in archive.tracked() if not name.startswith("ci/")} | {"LICENSE"}
    assert {"settings.gradle", "app/build.gradle", "gradle/libs.versions.toml", "README.md"} <= files
    assert (folder / "settings.gradle").read_bytes() == (APP_FOLDER / "settings.gradle").read_bytes()


def test_models_can_be_embedded_in_what_is_archived(tmp_path):
    shutil.unpack_archive(archive.write(tmp_path), tmp_path, filter="data")
    (folder,) = (path for path in tmp_path.glob("falcon-edge-android-demo-*") if path.is_dir())
    command = [sys.executable, "-m", "falcon_edge", "embed", *models.demo_bundles(), folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folder / "app/src/main/assets/models/index.json").is_file()


def test_the_tree_stays_clean(project):
    """Models are embedded into a copy."""
    assert (project / "app/src/main/assets/models/index.json").is_file()
    listed = subprocess.run(
        ["git", "-C", APP_FOLDER, "ls-files", "app/src/main/assets/models"], capture_output=True, text=True
    )
    assert listed.stdout == ""


def test_versions_are_those_of_the_catalogue(debug):
    assert checks.facts(debug).version == versions()["versionName"]
