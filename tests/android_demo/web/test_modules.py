"""The page's modules in a browser, against what Python computes."""

import base64
import functools
import hashlib
import json
import random

import mutations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page import WEB
from PIL import Image
from pydantic import TypeAdapter

from falcon_edge.data.decoding import decode
from falcon_edge.preprocessing import InputSpec, Step, _apply, normalise, to_pixels
from runtime_bench.results import Burst, summarise

pytestmark = pytest.mark.xdist_group("page")

DOCS = WEB.parents[1] / "docs"
CASES = 400
STEP = TypeAdapter(Step)
# What scripts below have at hand: modules, and bytes from and to base64.
TOOLS = """
const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
const text = (array) => {
  const all = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let found = "";
  for (const byte of all) found += String.fromCharCode(byte);
  return btoa(found);
};
"""


@pytest.fixture(scope="module")
def opened(browser, site):
    browser.open(site.address)
    return browser


def call(browser, script, value=None):
    """What an async function's body makes of `given`."""
    return browser.run(f"(async () => {{ {TOOLS} const given = {json.dumps(value)}; {script} }})()")


def encoded(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def decoded(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype)


PREPARE = """
const { prepare, normalise } = await import("./js/pixels.js");
return given.map(({ image, image_shape: [height, width, channels], spec }) => {
  try {
    const made = prepare({ height, width, channels, pixels: bytes(image) }, spec);
    return { pixels: text(made.pixels), input: text(normalise(made, spec)) };
  } catch (error) {
    return { error: error.constructor.name, message: error.message };
  }
});
"""


def test_pixels_pass_the_conformance_vectors(opened):
    cases = json.loads((DOCS / "conformance" / "preprocessing.json").read_text())
    assert len(cases) > 10
    for case, found in zip(cases, call(opened, PREPARE, cases), strict=True):
        assert found == {"pixels": case["pixels"], "input": case["input"]}, case["spec"]


def some_case(chance):
    """An image and a specification that leads somewhere."""
    channels, to = chance.choice((1, 3)), chance.choice((1, 3))
    height, width = chance.randint(1, 60), chance.randint(1, 60)
    target = chance.randint(1, 70), chance.randint(1, 70)
    crop = {"op": "crop", "height": target[0], "width": target[1]}
    steps = [{"op": "channels", "to": to}] if channels != to and (to == 1 or chance.random() < 0.5) else []
    kind = chance.randrange(3)
    if kind == 0:
        steps.append({"op": "resize", "height": target[0], "width": target[1]})
    elif kind == 1:
        steps += [{"op": "resize_shorter", "size": chance.randint(1, 80)}, crop]
    else:
        sides = {side: chance.randint(0, 9) for side in ("left", "top", "right", "bottom")}
        steps += [{"op": "pad", **sides, "value": chance.randint(0, 255)}, crop]
    if channels == 3 and to == 1 and not steps[0].get("to"):
        to = 3
    mean, std = ([chance.uniform(*ends) for _ in range(to)] for ends in ((0, 1), (0.01, 1)))
    spec = {"shape": [to, *target], "mean": mean, "std": std, "steps": steps}
    image = np.random.default_rng(chance.randrange(2**32)).integers(0, 256, (height, width, channels), np.uint8)
    return {"image": encoded(image), "image_shape": image.shape, "spec": spec}, image


def test_pixels_are_pythons_for_any_size_and_step(opened):
    cases = [some_case(random.Random(seed)) for seed in range(CASES)]
    for (case, image), found in zip(cases, call(opened, PREPARE, [case for case, _ in cases]), strict=True):
        spec = InputSpec.model_validate(case["spec"])
        expected = to_pixels(image, spec)
        assert found.get("pixels") == encoded(expected), (case["image_shape"], case["spec"], found)
        assert found["input"] == encoded(normalise(expected[None], spec))


def test_an_image_that_does_not_fit_is_refused_in_words(opened):
    spec = {"shape": [1, 4, 4], "mean": [0], "std": [1], "steps": []}
    huge = spec | {"steps": [{"op": "resize", "height": 32768, "width": 32768}]}
    thin = spec | {"steps": [{"op": "resize_shorter", "size": 3}]}
    image = {"image": encoded(np.zeros((2, 4000), np.uint8)), "image_shape": [2, 4000, 1]}
    tall = {"image": encoded(np.zeros((4000, 2), np.uint8)), "image_shape": [4000, 2, 1]}
    cases = [image | {"spec": spec}, image | {"spec": huge}, tall | {"spec": thin}]
    assert [found["error"] for found in call(opened, PREPARE, cases)] == ["Message"] * 3


PLACED = """
const { prepare, placement } = await import("./js/pixels.js");
return given.map(({ image, image_shape: [height, width, channels], spec }) => {
  const picked = { height, width, channels, pixels: bytes(image) };
  const made = prepare(picked, spec);
  const { down, across, top, left } = placement(picked, spec);
  let [seen, off] = [0, 0];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const [y, x] = [Math.floor(down * (row + 0.5) + top), Math.floor(across * (column + 0.5) + left)];
      if (y < 0 || x < 0 || y >= made.height || x >= made.width) continue;
      seen++;
      off = Math.max(off, Math.abs(made.pixels[y * made.width + x] - picked.pixels[row * width + column]));
    }
  }
  return [seen, off];
});
"""


def placed_case(image, *steps):
    shape = functools.reduce(_apply, (STEP.validate_python(step) for step in steps), image).shape
    spec = {"shape": [1, *shape[:2]], "mean": [0], "std": [1], "steps": steps}
    return {"image": encoded(image), "image_shape": image.shape, "spec": spec}


def test_pixels_lie_where_steps_move_and_scale_them(opened):
    chance = np.random.default_rng(7)
    moved = []
    for _ in range(50):
        image = chance.integers(0, 256, (*chance.integers(1, 60, 2), 1), np.uint8)
        sides = dict(zip(("left", "top", "right", "bottom"), chance.integers(0, 9, 4).tolist(), strict=True))
        height, width = chance.integers(1, 60, 2).tolist()
        moved.append(placed_case(image, {"op": "pad", **sides}, {"op": "crop", "height": height, "width": width}))
    found = call(opened, PLACED, moved)
    assert all(seen > 0 and off == 0 for seen, off in found)
    across = np.tile(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], (120, 1, 1))
    steps = {"op": "resize_shorter", "size": 96}, {"op": "crop", "height": 80, "width": 70}
    ramps = [placed_case(image, *steps) for image in (across, np.ascontiguousarray(across.transpose(1, 0, 2)))]
    for seen, off in call(opened, PLACED, ramps):  # each pixel beside pixels of nearly its value
        assert seen > 8000
        assert off <= 3


IMAGES = """
const { imageOf } = await import("./js/images.js");
return Promise.all(given.map(async (each) => {
  const { height, width, channels, pixels } = await imageOf(new File([bytes(each)], "picture"));
  return { shape: [height, width, channels], pixels: text(pixels) };
}));
"""


def test_pictures_are_decoded_as_in_python(opened, tmp_path):
    chance = np.random.default_rng(6)
    colour = Image.fromarray(chance.integers(0, 256, (31, 44, 3), np.uint8))
    grey = Image.fromarray(chance.integers(0, 256, (20, 30), np.uint8))
    turned = colour.getexif()
    turned[0x0112] = 6
    colour.save(tmp_path / "colour.png")
    colour.save(tmp_path / "turned.png", exif=turned)
    colour.convert("P").save(tmp_path / "palette.png")
    grey.save(tmp_path / "grey.png")
    grey.convert("1").save(tmp_path / "bits.png")
    colour.save(tmp_path / "colour.bmp")
    paths = sorted(tmp_path.iterdir())
    found = call(opened, IMAGES, [base64.b64encode(path.read_bytes()).decode() for path in paths])
    for path, each in zip(paths, found, strict=True):
        expected = decode(path)
        assert each == {"shape": list(expected.shape), "pixels": encoded(expected)}, path.name


QUANTIZE = """
const { quantize, dequantize } = await import("./js/quantization.js");
return given.map(({ values, scale, zeroPoint, dtype }) => {
  const floats = new Float32Array(bytes(values).buffer);
  const integers = quantize(floats, { scale, zeroPoint }, dtype);
  return { integers: text(integers), floats: text(dequantize(integers, { scale, zeroPoint }, dtype)) };
});
"""


def test_quantization_is_numpys(opened):
    chance = np.random.default_rng(1)
    cases, expected = [], []
    for number in range(CASES // 4):
        scale, zero_point = float(chance.uniform(1e-4, 0.2)), int(chance.integers(-128, 128))
        dtype, shift = (("int8", 0), ("uint8", 128))[number % 2]
        halves = (np.arange(-20, 20) + 0.5).astype(np.float32) * np.float32(scale)
        values = np.concatenate([chance.normal(0, 10, 200).astype(np.float32), halves])
        rounded = np.rint(values / np.float32(scale)) + zero_point + shift
        integers = np.clip(rounded, *np.array([np.iinfo(dtype).min, np.iinfo(dtype).max])).astype(dtype)
        floats = (integers.astype(np.float32) - np.float32(zero_point + shift)) * np.float32(scale)
        cases.append({"values": encoded(values), "scale": scale, "zeroPoint": zero_point, "dtype": dtype})
        expected.append({"integers": encoded(integers), "floats": encoded(floats)})
    assert call(opened, QUANTIZE, cases) == expected


def test_summaries_are_those_of_results(opened):
    chance = random.Random(2)
    samples = [[chance.randint(1, 10**9) for _ in range(chance.randint(1, 60))] for _ in range(100)]
    found = call(opened, 'const { summary } = await import("./js/statistics.js"); return given.map(summary);', samples)
    for each, row in zip(found, samples, strict=True):
        assert each == summarise((Burst(process=0, round=0, samples_ns=tuple(row)),)).model_dump()


def test_sha256_without_the_browsers_own_is_sha256(opened):
    chance = random.Random(3)
    data = [chance.randbytes(size) for size in (*range(0, 140), 1000, 100_003)]
    script = (
        'const { plainSha256 } = await import("./js/sha256.js"); return given.map((each) => plainSha256(bytes(each)));'
    )
    found = call(opened, script, [base64.b64encode(each).decode() for each in data])
    assert found == [hashlib.sha256(each).hexdigest() for each in data]


def test_the_best_classes_are_stable_and_maps_have_the_first_of_equal_ones(opened):
    chance = np.random.default_rng(4)
    scores = chance.integers(0, 4, (50, 12)).tolist()
    found = call(
        opened, 'const { topK } = await import("./js/outputs.js"); return given.map((row) => topK(row, 5));', scores
    )
    assert found == [np.argsort(-np.array(row), kind="stable")[:5].tolist() for row in scores]
    maps = chance.integers(0, 3, (20, 4, 5, 6))
    script = """
    const { classesOf } = await import("./js/outputs.js");
    return given.map((map) => Array.from(classesOf(Float32Array.from(map), [4, 5, 6])));
    """
    found = call(opened, script, [each.ravel().tolist() for each in maps])
    assert found == [each.argmax(0).ravel().tolist() for each in maps]
    script = 'const { softmax } = await import("./js/outputs.js"); return Array.from(softmax(given));'
    row = chance.normal(0, 100, 10)
    powers = np.exp(row - row.max())
    assert call(opened, script, row.tolist()) == pytest.approx((powers / powers.sum()).tolist())


@settings(max_examples=20)
@given(st.binary(max_size=300))
def test_sha256_of_anything(opened, data):
    script = 'const { plainSha256 } = await import("./js/sha256.js"); return plainSha256(bytes(given));'
    assert call(opened, script, base64.b64encode(data).decode()) == hashlib.sha256(data).hexdigest()


READ = """
const { readManifest } = await import("./js/manifest.js");
const { Model } = await import("./js/models.js");
return given.map(({ kind, json }) => {
  try {
    if (kind === "manifest") readManifest(json, "x/manifest.json");
    else JSON.parse(json).models.forEach((each) => new Model(each, new URL("models/", location.href), "index.json"));
    return "read";
  } catch (error) {
    return error.constructor.name === "Message" && !error.message.includes("\\n") ? "Message" : `${error.stack}`;
  }
});
"""


def test_a_damaged_manifest_is_a_message(opened, bundles):
    chance = random.Random(5)
    texts = [(path / "manifest.json").read_bytes() for path in bundles.values()]
    damaged = [mutations.of_json(chance.choice(texts), chance) for _ in range(300)]
    damaged += [mutations.of_bytes(texts, chance) for _ in range(100)]
    given = [{"kind": "manifest", "json": each.decode(errors="replace")} for each in damaged]
    found = call(opened, READ, given)
    assert set(found) == {"read", "Message"}, next(each for each in found if each not in ("read", "Message"))
    assert found.count("Message") > 100
    whole = [{"kind": "manifest", "json": each.decode()} for each in texts]
    assert call(opened, READ, whole) == ["read"] * len(texts)
