"""The app's core in Java, as it runs on a JVM and as it runs on phones: byte for byte what Python computes."""

import functools
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import of_bytes, of_json
from PIL import Image, ImageOps
from probe import ROOT, JavaMessage, Probe, compiled, dexed, junit, received, sent

from falcon_edge.preprocessing import (
    Channels,
    Crop,
    InputSpec,
    Pad,
    Resize,
    ResizeShorter,
    _apply,
    input_spec_for,
    normalise,
    to_pixels,
)
from runtime_bench import worker
from runtime_bench.environment import Environment, local_environment
from runtime_bench.outputs import Meaning, as_meant

pytestmark = pytest.mark.xdist_group("java")
MANIFEST = (ROOT / "docs/examples/manifest.json").read_text()
INDEX = (ROOT / "docs/examples/embedded.json").read_text()
FLOATS = ("float16", "float32", "float64")
INTEGERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


@pytest.fixture(scope="module", params=[compiled, dexed])
def classpath(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp(request.param.__name__))


@pytest.fixture(scope="module")
def java(classpath):
    probe = Probe(classpath)
    yield probe
    probe.close()


def drawn(shape, seed, dtype=np.uint8):
    """Numbers with edges among them, which noise alone does not have."""
    numbers = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        values = numbers.standard_normal(shape) * 10.0 ** numbers.integers(-8, 6, shape)
        values = np.where(numbers.random(shape) < 0.1, numbers.choice([0, -0.0, np.inf, -np.inf, 65520], shape), values)
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    if dtype == "bool":
        return numbers.integers(0, 2, shape).astype(bool)
    limits = np.iinfo(dtype)
    edges = numbers.choice(np.array([limits.min, limits.max], dtype), shape)
    return np.where(numbers.random(shape) < 0.2, edges, numbers.integers(limits.min, limits.max, shape, dtype, True))


SIZES = st.integers(1, 60)
PADS = st.builds(Pad, **dict.fromkeys(("left", "top", "right", "bottom"), st.integers(0, 9)), value=st.integers(0, 255))
CROPS = st.builds(Crop, height=SIZES, width=SIZES)
STEPS = st.one_of(
    st.builds(Channels, to=st.sampled_from([1, 3])),
    PADS,
    st.builds(Resize, height=SIZES, width=SIZES),
    st.builds(ResizeShorter, size=st.integers(1, 40)),
    CROPS,
)


@st.composite
def cases(draw):
    """An image, and an input with steps that lead to its size; now and then to another one."""
    image = drawn((draw(SIZES), draw(SIZES), draw(st.sampled_from([1, 3]))), draw(st.integers(0, 999)))
    steps = draw(st.lists(STEPS, max_size=4))
    height, width, channels = functools.reduce(_apply, steps, image).shape
    shape = (channels, height + draw(st.sampled_from([0] * 9 + [1])), width)
    numbers = st.lists(st.floats(0.05, 1), min_size=channels, max_size=channels)
    return image, InputSpec(shape=shape, mean=draw(numbers), std=draw(numbers), steps=steps)


def test_the_tests_in_java_pass(classpath):
    said = junit(classpath)
    assert "OK (" in said


@settings(max_examples=300)
@given(cases())
def test_images_are_prepared_bit_for_bit(java, case):
    image, spec = case
    fields = {"shape": image.shape, "pixels": sent(image), "spec": spec.model_dump(mode="json")}
    try:
        pixels = to_pixels(image, spec)
    except ValueError:
        with pytest.raises(JavaMessage, match="comes out of the model's steps as"):
            java.ask("prepared", **fields)
        return
    found = java.ask("prepared", **fields)
    assert found["shape"] == list(pixels.shape)
    np.testing.assert_array_equal(received(found["pixels"], np.uint8).reshape(pixels.shape), pixels)
    assert received(found["input"], "<f4").tobytes() == normalise(pixels[None], spec).tobytes()


@pytest.mark.parametrize(("size", "to"), [((1200, 900), (224, 224)), ((37, 3001), (300, 299)), ((8, 8), (511, 3))])
def test_large_images_are_resized_bit_for_bit(java, size, to):
    image, step = drawn((*size, 3), 1), Resize(height=to[0], width=to[1])
    spec = InputSpec(shape=(3, *to), mean=(0, 0, 0), std=(1, 1, 1), steps=(step,))
    found = java.ask("prepared", shape=image.shape, pixels=sent(image), spec=spec.model_dump(mode="json"))
    np.testing.assert_array_equal(received(found["pixels"], np.uint8).reshape(*to, 3), to_pixels(image, spec))


def placed(java, image, steps):
    """The input that steps make of a grey image, and the image, both at the places where the one lies in the other."""
    pixels = functools.reduce(_apply, steps, image)
    spec = InputSpec(shape=(1, *pixels.shape[:2]), mean=(0,), std=(1,), steps=tuple(steps))
    found = java.ask("prepared", shape=image.shape, pixels=sent(image), spec=spec.model_dump(mode="json"))
    rows, columns = np.array(found["rows"]), np.array(found["columns"])
    return pixels[np.ix_(rows[rows >= 0], columns[columns >= 0])], image[np.ix_(rows >= 0, columns >= 0)]


@given(SIZES, SIZES, st.lists(PADS, max_size=3), st.lists(CROPS, max_size=1), st.integers(0, 99))
def test_pixels_lie_where_steps_move_them(java, height, width, pads, crops, seed):
    found, expected = placed(java, drawn((height, width, 1), seed), [*pads, *crops])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize(
    "steps",
    [
        [ResizeShorter(size=96), Crop(height=80, width=70)],
        [Crop(height=100, width=90), Resize(height=60, width=45)],
        [Resize(height=300, width=500)],
        [Resize(height=50, width=30), Crop(height=60, width=60)],
    ],
)
def test_pixels_lie_where_steps_scale_them(java, steps, direction):
    """A ramp stays one: each pixel is found beside pixels of nearly its value."""
    image = np.zeros((120, 200, 1), np.uint8)
    image += (
        np.linspace(0, 255, image.shape[direction])
        .astype(np.uint8)
        .reshape((1,) * direction + (-1,) + (1,) * (2 - direction))
    )
    found, expected = placed(java, image, steps)
    assert found.size >= 4000
    assert np.abs(found.astype(int) - expected).max() <= 9  # a pixel of the smallest input is 8 levels


@pytest.mark.parametrize("input_shape", [(1, 28, 28), (3, 32, 48), (3, 224, 192)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_photo_gets_the_steps_of_a_data_set_of_any_size(java, input_shape, channels):
    image, means = drawn((301, 222, channels), 2), [0.5] * input_shape[0]
    document = {"shape": input_shape, "mean": means, "std": means, "steps": []}
    spec = input_spec_for(None, channels, input_shape, means, means)
    found = java.ask("prepared", shape=image.shape, pixels=sent(image), spec=document, fitting=True)
    assert received(found["pixels"], np.uint8).tobytes() == to_pixels(image, spec).tobytes()


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.integers(1, 8))
def test_images_are_turned_as_pillow_turns_them(java, height, width, channels, orientation):
    image = drawn((height, width, channels), height * width)
    picture = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    picture.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(picture)).reshape(-1)
    found = java.ask("upright", shape=image.shape, pixels=sent(image), orientation=orientation)
    np.testing.assert_array_equal(received(found["pixels"], np.uint8), expected)


@settings(max_examples=200)
@given(st.sampled_from(["int8", "uint8"]), st.floats(1e-6, 10), st.integers(-128, 127), st.integers(0, 999))
def test_numbers_are_quantized_as_the_worker_does(java, dtype, scale, zero_point, seed):
    zero_point += 128 if dtype == "uint8" else 0
    ties = (np.arange(-300, 300) / 2).astype("float32") * np.float32(scale)
    values = np.concatenate([drawn(100, seed, "float32"), ties])
    limits = np.iinfo(dtype)
    expected = np.clip(np.rint(values / np.float32(scale)) + zero_point, limits.min, limits.max).astype(dtype)
    found = java.ask("quantized", values=sent(values), scale=scale, zero_point=zero_point, dtype=dtype)
    np.testing.assert_array_equal(received(found, dtype), expected)


@given(
    st.sampled_from(["int8", "uint8"]),
    st.sampled_from([(4,), (1, 5), (1, 3, 2, 4)]),
    st.sampled_from(["NCHW", "NHWC"]),
    st.floats(1e-6, 10),
    st.integers(-128, 127),
)
def test_outputs_are_read_as_they_were_meant(java, dtype, shape, layout, scale, zero_point):
    values = drawn(shape, 3, dtype)
    meaning = Meaning("output", scale, zero_point)
    expected = as_meant(values, meaning, layout, "none")
    found = java.ask(
        "as_meant", values=sent(values), dtype=dtype, shape=shape, layout=layout, scale=scale, zero_point=zero_point
    )
    assert received(found, "<f4").tobytes() == expected.astype("<f4").tobytes()


def test_floats_become_the_nearest_halves(java):
    values = np.concatenate([drawn(20_000, 4, "float64"), np.arange(0, 70_000, 7.3), [np.nan, 5.9604644775390625e-8]])
    with np.errstate(over="ignore"):
        expected = values.astype("float16")
    found = received(java.ask("halves", values=sent(values)), "float16")
    np.testing.assert_array_equal(found.view("uint16")[:-2], expected.view("uint16")[:-2])
    assert np.isnan(found[-2])


@given(
    st.sampled_from([*FLOATS, *INTEGERS]),
    st.sampled_from(
        [(), (7,), (1, 10), (1, 256), (1, 257), (1, 300), (1, 4, 3, 5), (1, 300, 2, 2), (1, 3, 4), (2, 3, 2, 2)]
    ),
    st.sampled_from(["NCHW", "NHWC"]),
    st.sampled_from(["none", "half", "classes"]),
    st.integers(0, 99),
)
def test_outputs_are_reduced_as_the_worker_does(java, dtype, shape, layout, reduction, seed):
    values = np.asarray(drawn(shape, seed, dtype))
    with np.errstate(over="ignore"):
        expected = b"".join(each.tobytes() for each in worker.reduced([values], reduction, layout))
    found = java.ask("reduced", values=sent(values), dtype=dtype, shape=shape, layout=layout, reduction=reduction)
    assert received(found, np.uint8).tobytes() == expected


def test_a_class_that_is_no_number_is_the_highest_as_in_numpy(java):
    values = np.array([[1, np.nan, 9, np.nan]], "float32")
    found = java.ask("reduced", values=sent(values), dtype="float32", shape=values.shape, reduction="classes")
    assert received(found, np.uint8).tolist() == [int(np.argmax(values))]


@given(st.lists(st.integers(1, 2**40), min_size=1, max_size=200))
def test_percentiles_are_those_of_numpy(java, samples):
    values = np.array(samples, np.float64)
    p25, p50, p75, p90, p95, p99 = map(float, np.percentile(values, (25, 50, 75, 90, 95, 99)))
    expected = [len(samples), values.min(), p25, p50, p75, p90, p95, p99, values.max(), p75 - p25]
    assert java.ask("summary", samples=samples) == expected


@given(st.lists(st.integers(1, 60), max_size=40))
def test_stable_is_what_the_worker_calls_so(java, samples):
    assert java.ask("stable", samples=samples) == worker.stable(samples)


@given(st.lists(st.sampled_from([-1.5, 0.0, 0.25, 0.5, 3.0]), min_size=1, max_size=30), st.integers(0, 40))
def test_the_highest_come_first_and_of_equal_ones_the_first(java, scores, k):
    values = np.array(scores, "float32")
    found = java.ask("top", values=sent(values), k=k)
    assert found["top"] == np.argsort(-values, kind="stable")[:k].tolist()
    assert found["argmax"] == int(np.argmax(values))
    shares = received(found["softmax"], "<f4")
    exponentials = np.exp(values.astype(np.float64) - values.max())
    np.testing.assert_allclose(shares, exponentials / exponentials.sum(), rtol=1e-6)


TEXTS = st.text(st.characters(codec="utf-8"))
NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(TEXTS, inner)),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_json_is_read_and_written_as_in_python(java, value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=1)
    assert json.loads(java.ask("json", text=text)) == value


@given(st.text('[]{}",:0123456789.eE+-truefalsn\\ "ab', max_size=30))
def test_what_python_refuses_java_refuses(java, text):
    try:
        expected = json.loads(text, parse_constant=lambda word: 1 / 0)
    except (ValueError, ZeroDivisionError):
        with pytest.raises(JavaMessage):
            java.ask("json", text=text)
        return
    said = refusal(java, "json", text=text)
    if said is None:
        assert json.loads(java.ask("json", text=text)) == expected
    else:
        assert "number" in said  # of more than 63 bits, or 1e999


def refusal(java, question, **fields):
    """What Java tells its user instead of an answer, on one line; None where it answers."""
    try:
        java.ask(question, **fields)
    except JavaMessage as error:
        said = str(error)
    else:
        return None
    assert "\n" not in said
    assert len(said) < 500
    return said


def test_the_device_is_described_as_in_python(java):
    found, expected = java.ask("environment"), local_environment().model_dump(mode="json")
    assert list(found) == list(expected)
    Environment.model_validate(found)
    changing = {"python", "frequencies_mhz", "load_1min", "temperatures_c", "throttled"}
    assert {key: found[key] for key in found if key not in changing} == {
        key: expected[key] for key in expected if key not in changing
    }
    assert len(found["frequencies_mhz"]) == len(expected["frequencies_mhz"])
    assert list(found["temperatures_c"]) == sorted(expected["temperatures_c"])


def test_mutations_of_a_manifest_are_read_or_are_messages(java):
    source, found = random.Random(0), []
    for number in range(400):
        data = of_json(MANIFEST, source) if number % 2 else of_bytes([MANIFEST.encode()], source)
        found.append(refusal(java, "manifest", text=sent(np.frombuffer(data, np.uint8))))
    assert sum(each is not None for each in found) > 150


def test_mutations_of_what_is_embedded_are_read_or_are_messages(java, tmp_path):
    source, found = random.Random(1), []
    (tmp_path / "falcon/exports").mkdir(parents=True)
    (tmp_path / "falcon/manifest.json").write_text(MANIFEST)
    for number in range(250):
        data = of_json(INDEX, source) if number % 2 else of_bytes([INDEX.encode()], source)
        (tmp_path / "index.json").write_bytes(data)
        found.append(refusal(java, "models", folder=str(tmp_path)))
    assert sum(each is not None for each in found) > 200


def test_the_memory_is_enough_for_whatever_a_file_claims(classpath, tmp_path):
    """A JVM with 24 MB: what is claimed and not there costs nothing."""
    probe = Probe(classpath, memory="24m")
    claims = json.loads(INDEX)
    claims["models"][0]["files"]["manifest.json"]["bytes"] = 2**31 - 9
    (tmp_path / "index.json").write_text(json.dumps(claims))
    (tmp_path / "falcon").mkdir()
    (tmp_path / "falcon/manifest.json").write_text(MANIFEST)
    with pytest.raises(JavaMessage, match="larger than any manifest"):
        probe.ask("models", folder=str(tmp_path))
    step = {"op": "resize", "height": 32768, "width": 32768}
    document = {"shape": [1, 1, 1], "mean": [0], "std": [1], "steps": [step]}
    with pytest.raises(JavaMessage, match="too large"):
        probe.ask("prepared", shape=[1, 1, 1], pixels="AA==", spec=document)
    with pytest.raises(JavaMessage, match="more than 100 lists"):
        probe.ask("json", text="[" * 100_000)
    probe.close()
