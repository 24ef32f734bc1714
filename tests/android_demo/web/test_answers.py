"""Every file answers in the page as in Python, whatever it gives and takes."""

import base64
import json

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from falcon_edge.bundle import open_bundle
from falcon_edge.data import open_dataset
from falcon_edge.preprocessing import normalise, to_pixels

pytestmark = pytest.mark.xdist_group("page")

IMAGES = 200
RELATIVE, STEPS = 1e-5, 1  # of the largest value; of integers
ANSWERS = """
async (given) => {
  const { readModels } = await import("./js/models.js");
  const { candidatesOf } = await import("./js/engines/engines.js");
  const { infer } = await import("./js/inference.js");
  const { prepare } = await import("./js/pixels.js");
  const { open } = await import("./js/opened.js");
  const models = await readModels(new URL("models/", location.href));
  const candidate = candidatesOf(models).find((each) => each.id === given.id);
  if (candidate.refusal) return { refusal: candidate.refusal };
  const { engine } = await open(candidate, given.threads);
  const [height, width, channels] = given.shape;
  const all = Uint8Array.from(atob(given.images), (sign) => sign.charCodeAt(0));
  const size = height * width * channels;
  const answers = [];
  for (let at = 0; at < all.length; at += size) {
    const image = { height, width, channels, pixels: all.slice(at, at + size) };
    const pixels = prepare(image, candidate.model.manifest.input);
    const { outputs } = await infer(pixels, candidate.model, candidate.exported, engine);
    answers.push(outputs.map(({ values }) => Array.from(values)));
  }
  await engine.close();
  return { answers, about: engine.about };
}
"""


def in_page(browser, bundle, file, images, threads=1):
    encoded = base64.b64encode(images.tobytes()).decode()
    given = {"id": f"{bundle}/{file}", "images": encoded, "shape": images.shape[1:], "threads": threads}
    return browser.run(f"({ANSWERS})({json.dumps(given)})")


def in_python(path, export, manifest, images):
    """The outputs (lists by output) of each image, as the network means them: float32, NCHW."""
    found = []
    run = _onnxruntime(path) if export.target in ("onnx", "ort") else _litert(path, manifest)
    for image in images:
        values = normalise(to_pixels(image, manifest.input)[None], manifest.input)
        row = []
        for output, answer in zip(manifest.given, run(values, manifest.quantization), strict=True):
            meaning = None if manifest.quantization is None else manifest.quantization.outputs.get(output.name)
            if answer.dtype.kind in "iu" and meaning is not None:
                shift = meaning.zero_point + (128 if answer.dtype.kind == "u" else 0)
                answer = (answer.astype(np.float32) - np.float32(shift)) * np.float32(meaning.scale)
            if export.layouts.get(output.name) == "NHWC":
                answer = answer.transpose(0, 3, 1, 2)
            row.append(answer[0].ravel())
        found.append(row)
    return found


def _quantized(values, dtype, about):
    if dtype == np.float32:
        return values
    shift = about.input.zero_point + (128 if dtype == np.uint8 else 0)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / np.float32(about.input.scale)) + shift, limits.min, limits.max).astype(dtype)


def _onnxruntime(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    dtype = {"tensor(float)": np.float32, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8}[source.type]
    return lambda values, about: session.run(None, {source.name: _quantized(values, dtype, about)})


def _litert(path, manifest):
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()

    def run(values, about):
        found = runner(input=values.transpose(0, 2, 3, 1).copy())
        return [found[output.name] for output in manifest.given]

    return run


def files(path):
    return [export.file for export in open_bundle(path).manifest.exports]


@pytest.fixture(scope="module")
def images():
    test = open_dataset("sample").test.images[:IMAGES]
    photos = np.random.default_rng(2).integers(0, 256, (24, 20, 24, 3), np.uint8)
    return {
        "pixels": photos,
        **dict.fromkeys(("standard", "falcon", "integers"), np.asarray(test).reshape(-1, 28, 28, 1)),
    }


@pytest.mark.parametrize("name", ["standard", "falcon", "integers", "pixels"])
def test_answers_are_pythons(browser, site, bundles, images, name):
    path = bundles[name]
    manifest = open_bundle(path).manifest
    browser.open(site.address)
    ran = 0
    for export in manifest.exports:
        found = in_page(browser, name, export.file, images[name])
        if name == "integers" and export.target == "tflite":
            assert "integers" in found["refusal"]
            continue
        expected = in_python(path / export.file, export, manifest, images[name])
        ran += 1
        for place, output in enumerate(manifest.given):
            one = np.array([row[place] for row in found["answers"]], np.float64)
            other = np.array([row[place] for row in expected], np.float64)
            off, largest = np.abs(one - other).max(), np.abs(other).max()
            if export.precision == "int8":
                step = manifest.quantization.outputs[output.name].scale
                assert off <= STEPS * step * 1.001, (export.file, output.name, off / step)
            else:
                assert off <= RELATIVE * largest, (export.file, output.name, off / largest)
            if output.kind == "classes":
                assert np.mean(one.argmax(1) == other.argmax(1)) >= (0.99 if export.precision == "int8" else 1.0)
    assert ran >= 1
    assert browser.errors == []


def test_threads_answer_the_same(browser, site, bundles, images):
    browser.open(site.address)
    assert browser.run("crossOriginIsolated")
    one, two = (
        in_page(browser, "standard", "exports/model.fp32.onnx", images["standard"][:20], threads) for threads in (1, 2)
    )
    assert [each["about"]["threads"] for each in (one, two)] == [1, 2]
    difference = np.abs(np.array(one["answers"]) - np.array(two["answers"])).max()
    assert difference <= RELATIVE * np.abs(np.array(one["answers"])).max()
