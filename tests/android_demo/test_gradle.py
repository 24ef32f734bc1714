"""The Gradle project, which cannot be run here, says what the build without Gradle was tried with."""

import re
import subprocess
import tomllib
import zipfile
from xml.etree import ElementTree

import pytest
from ci import apk, tools
from ci.archive import tracked
from ci.pins import APP_FOLDER, CATALOGUE, downloads, versions

MODULES = re.findall(r"':(\w+)'", (APP_FOLDER / "settings.gradle").read_text())
SCRIPTS = [APP_FOLDER / "build.gradle", *(APP_FOLDER / name / "build.gradle" for name in MODULES)]
NUMBER = re.compile(r"\d+\.\d+(\.\d+)?|(Sdk|versionCode|versionName)\s*=?\s*['\"]?\d")


def script(name):
    return (APP_FOLDER / name / "build.gradle").read_text()


def test_modules_are_there():
    assert set(MODULES) >= {"core", "engines", "runner", "app"}
    for name in MODULES:
        assert list((APP_FOLDER / name / "src/main/java").rglob("*.java")), name


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.parent.name)
def test_versions_are_in_the_catalogue_alone(path):
    code = re.sub(r"//.*", "", path.read_text())
    assert not NUMBER.search(code), path
    names = set(re.findall(r"libs\.versions\.(\w+)", code))
    assert names <= versions().keys()
    known = tomllib.loads((APP_FOLDER / CATALOGUE).read_text())
    dotted = {name.replace("-", ".") for name in known["libraries"]}
    plugins = {f"plugins.{name.replace('-', '.')}" for name in known["plugins"]}
    used = set(re.findall(r"libs\.(?!versions\.)([\w.]+)", code))
    assert used <= dotted | plugins


def test_the_runtime_is_the_one_that_was_tried():
    assert downloads()["onnxruntime"].version == downloads()["onnxruntime-linux"].version == versions()["onnxruntime"]
    expected = f"VERS_{versions()['onnxruntime']}\0".encode()
    for path in (tools.onnxruntime_linux_library(), tools.onnxruntime_libraries("arm64-v8a")[0]):
        assert expected in path.read_bytes(), path


def test_sdks_are_what_the_runtime_and_the_shops_ask():
    with zipfile.ZipFile(tools.onnxruntime_aar()) as archive:
        least = re.search(rb'minSdkVersion="(\d+)"', archive.read("AndroidManifest.xml"))
    assert int(versions()["minSdk"]) >= int(least[1])
    assert versions()["targetSdk"] == versions()["compileSdk"] == "36"


def test_the_wrapper_brings_the_gradle_of_the_catalogue():
    lines = (APP_FOLDER / "gradle/wrapper/gradle-wrapper.properties").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert settings["distributionUrl"].endswith(f"/gradle-{versions()['gradle']}-bin.zip")
    assert settings["distributionUrl"].startswith(r"https\://services.gradle.org/")
    assert re.fullmatch("[0-9a-f]{64}", settings["distributionSha256Sum"])


def test_java_is_compiled_as_here():
    for name in MODULES:
        assert "options.release = 8" in script(name) or script(name).count("JavaVersion.VERSION_1_8") == 2, name


def test_packages_and_modules_are_those_of_the_build_here():
    for app in (apk.DEMO, apk.PAGE):
        if app.module in MODULES:
            assert f"namespace = '{app.package}'" in script(app.module)
            assert f"applicationId = '{app.package}'" in script(app.module)
    assert "project(':engines')" in script("app")
    assert "api project(':core')" in script("engines")


def test_what_scripts_name_is_there():
    for path in SCRIPTS:
        for name in re.findall(r"'([\w-]+\.pro)'", path.read_text()):
            assert (path.parent / name).is_file(), f"{path}: {name}"


def test_the_runtimes_telemetry_stays_out():
    """Its archive on Maven Central has a manifest of its own, which the npm package that is tried here has not."""
    removed = {
        element.get(f"{{{apk.ANDROID}}}name")
        for element in ElementTree.parse(APP_FOLDER / "app/no-telemetry.xml").iter()
        if element.get(f"{apk.TOOLS}node") == "remove"
    }
    provider = "ai.onnxruntime.TelemetryInitializer"
    assert removed == {"android.permission.INTERNET", "android.permission.ACCESS_NETWORK_STATE", provider}
    for variant in apk.VARIANTS:
        assert re.search(rf"\b{variant} {{\s*manifest\.srcFile\('no-telemetry\.xml'\)", script("app")), variant
    with zipfile.ZipFile(tools.onnxruntime_classes()) as archive:
        assert f"{provider.replace('.', '/')}.class" in archive.namelist()


def test_keys_and_models_stay_out_of_git():
    names = ["keystore.properties", "my.jks", "local.properties", "app/src/main/assets/models/index.json"]
    names += ["web/models/index.json", "app/build/outputs/apk/debug/app-debug.apk", ".gradle/x"]
    command = ["git", "-C", APP_FOLDER, "check-ignore", *names]
    assert subprocess.run(command, capture_output=True, text=True).stdout.split() == names
    assert not {"keystore.properties", "local.properties"} & set(tracked())
