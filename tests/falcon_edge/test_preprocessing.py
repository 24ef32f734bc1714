"""Pre-processing against the written specification (docs/formats.md), which is executed here without Pillow."""

import base64
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from falcon_edge.preprocessing import InputSpec, batch_pixels, input_spec_for, normalise, to_pixels

VECTORS = Path(__file__).parents[2] / "docs" / "conformance" / "preprocessing.json"
PRECISION = 22


def coefficients(size, target):
    """For every output pixel: where its taps start, and their integer weights (section "resize")."""
    scale = size / target
    filter_scale = max(scale, 1.0)
    rows = []
    for index in range(target):
        centre = (index + 0.5) * scale
        first = max(int(centre - filter_scale + 0.5), 0)
        last = min(int(centre + filter_scale + 0.5), size)
        weights = [max(0.0, 1.0 - abs((tap + first - centre + 0.5) / filter_scale)) for tap in range(last - first)]
        total = sum(weights)
        rows.append((first, [math.floor(0.5 + weight / total * (1 << PRECISION)) for weight in weights]))
    return rows


def resize_rows(image, height):
    """One pass, over the first axis."""
    if image.shape[0] == height:
        return image
    result = np.empty((height, *image.shape[1:]), np.uint8)
    for index, (first, weights) in enumerate(coefficients(image.shape[0], height)):
        taps = image[first : first + len(weights)].astype(np.int64)
        total = np.tensordot(np.array(weights), taps, 1) + (1 << (PRECISION - 1))
        result[index] = np.clip(total >> PRECISION, 0, 255)
    return result


def reference_pixels(image, spec):
    """The steps as docs/formats.md states them."""
    for step in spec.steps:
        height, width, channels = image.shape
        if step.op == "channels" and channels != step.to:
            if channels == 1:
                image = np.concatenate([image] * 3, 2)
            else:
                r, g, b = (image[..., index].astype(int) for index in range(3))
                image = ((19595 * r + 38470 * g + 7471 * b + 32768) // 65536).astype(np.uint8)[..., None]
        elif step.op == "pad":
            padded = np.full((height + step.top + step.bottom, width + step.left + step.right, channels), step.value)
            padded[step.top : step.top + height, step.left : step.left + width] = image
            image = padded.astype(np.uint8)
        elif step.op in ("resize", "resize_shorter"):
            if step.op == "resize":
                to = step.height, step.width
            else:
                shorter = min(height, width)
                to = step.size * height // shorter, step.size * width // shorter
            image = resize_rows(image.transpose(1, 0, 2), to[1]).transpose(1, 0, 2)
            image = resize_rows(image, to[0])
        elif step.op == "crop":
            canvas_height, canvas_width = max(height, step.height), max(width, step.width)
            canvas = np.zeros((canvas_height, canvas_width, channels), np.uint8)
            top, left = (canvas_height - height) // 2, (canvas_width - width) // 2
            canvas[top : top + height, left : left + width] = image
            top, left = half_even(canvas_height - step.height), half_even(canvas_width - step.width)
            image = canvas[top : top + step.height, left : left + step.width]
    return image


def half_even(remainder):
    """remainder / 2, a half to the even neighbour."""
    return remainder // 2 + (remainder % 2 and (remainder // 2) % 2)


def reference_input(pixels, spec):
    """Normalisation, value by value, each operation rounded to float32."""
    channels, height, width = spec.shape
    result = np.empty((channels, height, width), "<f4")
    for channel in range(channels):
        mean, std = np.float32(spec.mean[channel]), np.float32(spec.std[channel])
        table = [(np.float32(value) / np.float32(255) - mean) / std for value in range(256)]
        result[channel] = np.array(table, "<f4")[pixels[..., channel]]
    return result


@st.composite
def cases(draw):
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.sampled_from([1, 3]))
    image = random.integers(0, 256, shape, dtype=np.uint8)
    size = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    channels = draw(st.sampled_from([1, 3]))
    steps = [{"op": "channels", "to": channels}]
    kind = draw(st.sampled_from(["resize", "photo", "pad"]))
    if kind == "photo":
        steps.append({"op": "resize_shorter", "size": draw(st.integers(1, 40))})
    elif kind == "pad":
        steps.append({"op": "pad", "left": 1, "top": 2, "right": 3, "bottom": 0, "value": 9})
    last = "crop" if kind != "resize" else draw(st.sampled_from(["resize", "crop"]))
    steps.append({"op": last, "height": size[0], "width": size[1]})
    spec = InputSpec(shape=(channels, *size), mean=(0.485,) * channels, std=(0.229,) * channels, steps=steps)
    return image, spec


@given(cases())
def test_equals_the_written_specification(case):
    image, spec = case
    pixels = to_pixels(image, spec)
    assert np.array_equal(pixels, reference_pixels(image, spec))
    found = normalise(pixels[None], spec)
    assert found.dtype == np.float32
    assert found[0].tobytes() == reference_input(pixels, spec).tobytes()


def test_the_width_is_resized_first_whatever_shrinks_more():
    chance = np.random.default_rng(3)
    for _ in range(200):
        height, width, to_height, to_width = map(int, chance.integers(1, 70, 4))
        image = chance.integers(0, 256, (height, width, int(chance.choice([1, 3]))), dtype=np.uint8)
        steps = [{"op": "resize", "height": to_height, "width": to_width}]
        channels = image.shape[2]
        shape = (channels, to_height, to_width)
        spec = InputSpec(shape=shape, mean=(0.5,) * channels, std=(0.5,) * channels, steps=steps)
        assert np.array_equal(to_pixels(image, spec), reference_pixels(image, spec))


def example_cases():
    """What the conformance vectors are made of."""
    random = np.random.default_rng(7)
    grey, colour, photo = (
        random.integers(0, 256, shape, dtype=np.uint8) for shape in ((6, 5, 1), (7, 9, 3), (13, 21, 3))
    )
    yield grey, input_spec_for((6, 5, 1), 1, (1, 6, 5), (0.2884,), (0.353884,))
    yield grey, input_spec_for((6, 5, 1), 1, (3, 6, 5), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    yield colour, input_spec_for((7, 9, 3), 3, (1, 7, 9), (0.5,), (0.25,))
    yield colour, input_spec_for((7, 9, 3), 3, (3, 8, 10), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for size in ((3, 4), (14, 5), (20, 30), (1, 1)):
        yield colour, input_spec_for((7, 9, 3), 3, (3, *size), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for shorter, crop in ((8, (8, 8)), (9, (6, 7)), (5, (6, 7))):
        steps = [{"op": "resize_shorter", "size": shorter}, {"op": "crop", "height": crop[0], "width": crop[1]}]
        yield photo, InputSpec(shape=(3, *crop), mean=(0.5,) * 3, std=(0.5,) * 3, steps=steps)
    # Its height shrinks more than its width, which then comes first all the same.
    tall = random.integers(0, 256, (61, 12, 3), dtype=np.uint8)
    yield tall, input_spec_for((61, 12, 3), 3, (3, 14, 17), (0.5,) * 3, (0.5,) * 3)


def text(data):
    return base64.b64encode(data).decode()


def conformance():
    return [
        {
            "image_shape": list(image.shape),
            "image": text(image.tobytes()),
            "spec": spec.model_dump(mode="json"),
            "pixels": text(to_pixels(image, spec).tobytes()),
            "input": text(normalise(to_pixels(image, spec)[None], spec).astype("<f4").tobytes()),
        }
        for image, spec in example_cases()
    ]


def test_conformance_vectors():
    if os.environ.get("FALCON_EDGE_REGENERATE"):
        VECTORS.write_text(json.dumps(conformance(), indent=1) + "\n")
    vectors = json.loads(VECTORS.read_text())
    assert vectors == conformance()
    for vector in vectors:
        spec = InputSpec.model_validate(vector["spec"])
        image = np.frombuffer(base64.b64decode(vector["image"]), np.uint8).reshape(vector["image_shape"])
        pixels = reference_pixels(image, spec)
        assert text(pixels.tobytes()) == vector["pixels"]
        assert text(reference_input(pixels, spec).tobytes()) == vector["input"]


@pytest.mark.parametrize(
    ("image_shape", "channels", "input_shape", "steps"),
    [
        ((28, 28, 1), 1, (1, 28, 28), []),
        ((28, 28, 1), 1, (3, 32, 32), ["channels", "pad"]),
        ((32, 32, 3), 3, (3, 32, 32), []),
        ((32, 32, 3), 3, (3, 64, 64), ["resize"]),
        (None, 3, (3, 32, 32), ["resize"]),
        (None, 3, (3, 224, 224), ["resize_shorter", "crop"]),
        ((500, 400, 3), 3, (3, 224, 224), ["resize_shorter", "crop"]),
    ],
)
def test_steps_by_default(image_shape, channels, input_shape, steps):
    spec = input_spec_for(image_shape, channels, input_shape, (0.5,) * input_shape[0], (0.5,) * input_shape[0])
    assert [step.op for step in spec.steps] == steps
    image = np.zeros(image_shape or (300, 200, channels), np.uint8)
    assert to_pixels(image, spec).shape == (*input_shape[1:], input_shape[0])


def test_224_takes_the_usual_256():
    spec = input_spec_for(None, 3, (3, 224, 224), (0.5,) * 3, (0.5,) * 3)
    assert spec.steps[0].size == 256


def test_batches():
    spec = input_spec_for((5, 5, 1), 1, (1, 8, 8), (0.5,), (0.5,))
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 1), dtype=np.uint8)
    assert np.array_equal(batch_pixels(images, spec)[1], to_pixels(images[1], spec))


@pytest.mark.parametrize(
    "change",
    [
        {"mean": (0.5,)},
        {"std": (0.5, 0.5, 0.0)},
        {"std": (0.5, 0.5, math.inf)},
        {"std": (math.nan, 0.5, 0.5)},
        {"mean": (0.5, math.nan, 0.5)},
        {"shape": (3, 0, 4)},
        {"steps": [{"op": "rotate"}]},
        {"steps": [{"op": "crop", "height": 0, "width": 4}]},
        {"extra": 1},
    ],
)
def test_wrong_specifications(change):
    good = {"shape": (3, 4, 4), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    InputSpec.model_validate(good)
    with pytest.raises(ValidationError):
        InputSpec.model_validate(good | change)


def test_a_grey_image_for_a_network_of_coloured_ones_is_repeated():
    spec = InputSpec(shape=(3, 4, 4), mean=(0.5,) * 3, std=(0.5,) * 3)
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    assert np.array_equal(to_pixels(grey, spec), np.dstack([grey] * 3))
    assert np.array_equal(batch_pixels(grey[None], spec)[0], to_pixels(grey, spec))
    with pytest.raises(ValueError, match="came out"):
        to_pixels(np.zeros((4, 4, 3), np.uint8), spec.model_copy(update={"shape": (1, 4, 4)}))


def test_steps_that_lead_elsewhere():
    spec = InputSpec(shape=(3, 4, 4), mean=(0.5,) * 3, std=(0.5,) * 3)
    with pytest.raises(ValueError, match="came out"):
        to_pixels(np.zeros((5, 4, 3), np.uint8), spec)
