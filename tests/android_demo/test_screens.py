"""The app's screens without their look, on a JVM: states, errors, requests over adb; and all of it on real models."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from ci import tools
from like_android import OPTIONS, acted, numbers_of_resources
from PIL import Image
from probe import SUPPORTED, compiled, with_engines
from program import run

import falcon_edge
from falcon_edge.data.formats import SAMPLE, open_dataset
from runtime_bench.results import load
from runtime_bench.runtimes import onnxruntime

pytestmark = pytest.mark.xdist_group("java")
SOURCES = tools.APP_FOLDER / "app/src"
SCREENS = SOURCES / "main/java/org/falconedge/demo/screens"
RES = SOURCES / "main/res"
VIEWS = Path(__file__).parents[1] / "support/java/views/ViewsTest.java"
REAL = "RealModelsTest"
IMAGES = 60


def screens(folder, core):
    """The screens and their tests, compiled for a JVM: nothing of Android is there to be compiled against."""
    classes = tools.javac(sorted(SCREENS.glob("*.java")), folder / "screens", classpath=[core], jvm=True)
    path = [core, classes, *tools.junit_jars()]
    return [classes, tools.javac(tools.sources("app", kind="test"), folder / "screen-tests", classpath=path, jvm=True)]


def junit(names, classpath, *options):
    strings = f"-Dfalconedge.strings={RES / 'values/strings.xml'}"
    classes = [f"org.falconedge.demo.screens.{name}" for name in names]
    path = [*classpath, *tools.junit_jars()]
    return tools.java("org.junit.runner.JUnitCore", *classes, classpath=path, options=[strings, "-Xmx256m", *options])


def translated(folder, core):
    """Core and screens as they are on phones: compiled against Android, translated to dex, and back for this JVM."""
    classes = tools.javac(sorted(SCREENS.glob("*.java")), folder / "for-phones", classpath=[core])
    jars = [tools.jar(each, folder / f"{each.name}.jar") for each in (core, classes)]
    (folder / "dex").mkdir()
    return tools.enjarify(tools.d8(jars, folder / "dex") / "classes.dex", folder / "translated.jar")


@pytest.mark.parametrize("from_dex", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["compiled", "dexed"])
def test_the_screens(tmp_path, from_dex):
    core = compiled(tmp_path)[0]
    path = [core, *screens(tmp_path, core)]
    names = {path.stem for path in tools.sources("app", kind="test") if path.stem.endswith("Test")} - {REAL}
    assert len(names) > 8
    assert "OK (" in junit(names, [*([translated(tmp_path, core)] if from_dex else []), *path])


def test_the_views(tmp_path):
    """The app as it is compiled for phones, its layouts and its tests; a device acts Android (like_android.py)."""
    core, android = compiled(tmp_path)[0], acted(tmp_path)
    (tmp_path / "R.java").write_text(numbers_of_resources(RES, "org.falconedge.demo"))
    app = tools.javac([*tools.sources("app"), tmp_path / "R.java"], tmp_path / "app", classpath=[core])
    path = [core, app, *tools.junit_jars()]
    tests = tools.javac(tools.sources("app", kind="test"), tmp_path / "screen-tests", classpath=path, jvm=True)
    path = [android[0], tests, *path, android[1]]
    views = tools.javac([VIEWS], tmp_path / "views", classpath=path, jvm=True)
    assert "OK (" in junit(["ViewsTest"], [views, *path], *OPTIONS, f"-Dfalconedge.res={RES}")


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.skipif(not SUPPORTED, reason="ONNX Runtime's JNI library is run for x86_64 alone")
def test_the_whole_app_on_real_models(tmp_path, monkeypatch):
    classpath, options = with_engines(tmp_path)
    (tmp_path / "app/src/main").mkdir(parents=True)
    bundle = shutil.copytree(Path(falcon_edge.__file__).parent / "data/sample/vgg8.falcon", tmp_path / "vgg8.falcon")
    targets = "--target onnx --target tflite --precision fp32 --precision int8"
    for command in (f"export vgg8.falcon {targets} --data sample --samples 64", "embed vgg8.falcon ."):
        done = run(command, tmp_path)
        assert done.code == 0, done
    (tmp_path / "app/src/main/assets/models").rename(tmp_path / "models")
    test = open_dataset(SAMPLE).test
    expected, session = {}, onnxruntime.Session()
    session.load(str(bundle / "exports/model.fp32.onnx"), 1, False)
    document = json.loads((bundle / "manifest.json").read_text())
    mean, std = (np.float32(document["input"][name]) for name in ("mean", "std"))
    for number in range(IMAGES):
        image, label = np.asarray(test.images[number]), document["labels"][int(test.labels[number])]
        name = f"{label.replace('/', '_')}/{number:03}.png"
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.reshape(image.shape[:2])).save(path)
        values = (image.reshape(1, 1, *image.shape[:2]).astype("float32") / np.float32(255) - mean) / std
        expected[name] = int(session.run(values)[0].argmax())
    natives = next(option.partition("=")[2] for option in options if option.startswith("-Donnxruntime"))
    monkeypatch.setenv("LD_LIBRARY_PATH", natives)
    path = [*classpath, *screens(tmp_path, classpath[0])]  # the real engines come before those of the tests
    assert "OK (3 tests)" in junit([REAL], path, *options, f"-Dfalconedge.real={tmp_path}")
    accuracy = tmp_path / "exports/accuracy.json"
    answers = json.loads(accuracy.read_text())
    assert dict(zip(answers["images"], answers["classes"], strict=True)) == expected
    assert not (tmp_path / "exports/accuracy.bin").exists()
    found = [load(path) for path in sorted((tmp_path / "results").glob("*.json"))]
    assert [results.options["mode"] for results in found] == ["back-to-back", "paced"]
    assert found[1].entries[0].paced.summary.count == 20
    (exported,) = (tmp_path / "exports").glob("2*.json")
    done = run(f"report {exported} {accuracy} -o report.html", tmp_path)
    assert done.code == 0, done
    assert "60 images of phone:this one" in (tmp_path / "report.html").read_text()


def test_views_show_every_state_and_ask_for_everything_that_screens_can_do():
    """Views are drawing alone: what they leave out of a screen, nobody would ever see or reach."""
    views = {path.stem: path.read_text() for path in SCREENS.parent.glob("*.java")}
    for name in ("Classify", "SelfTest", "Benchmark", "Accuracy"):
        screen, page = (SCREENS / f"{name}Screen.java").read_text(), views[f"{name}Page"] + views["CameraFeed"]
        state = screen.partition("class State {")[2].partition("\n    }\n")[0]
        for field in re.findall(r"^        public (?:final )?[\w<>\[\].]+ (\w+)", state, re.MULTILINE):
            assert re.search(rf"\bstate\.{field}\b", page), f"{name}Page does not show {field}"
        for method in re.findall(r"^    public (?!static|final)[\w<>.]+ (\w+)\(", screen, re.MULTILINE):
            asked = rf"\bscreen(\.|::){method}\b"
            assert re.search(asked, page) or (name, method) == ("Classify", "cancel"), (
                f"{name}Page never asks for {method}"
            )
