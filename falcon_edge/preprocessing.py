"""How an image becomes a network's input: the normative specification of docs/formats.md, executed.

The steps work on uint8 and are exact in integers; the normalisation works in float32, one rounding per operation, in a
fixed order. So Python, Java and JavaScript can agree bit for bit (docs/conformance/preprocessing.json).
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

PHOTO_SIZE = 160
CROP_SHARE = 0.875
# What a manifest may ask for: images of 2,300 x 2,300 pixels, and steps of 32,768. More would only fill the memory.
MAXIMUM_VALUES, MAXIMUM_PIXELS = 2**24, 2**15


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Channels(_Step):
    """Grey repeated to three channels, or colour to grey by ITU-R 601-2 in integers."""

    op: Literal["channels"] = "channels"
    to: Literal[1, 3]


class Pad(_Step):
    """A border of one value."""

    op: Literal["pad"] = "pad"
    left: int = Field(ge=0)
    top: int = Field(ge=0)
    right: int = Field(ge=0)
    bottom: int = Field(ge=0)
    value: int = Field(default=0, ge=0, le=255)


class Resize(_Step):
    """To exactly height x width, by the triangle filter."""

    op: Literal["resize"] = "resize"
    height: int = Field(gt=0)
    width: int = Field(gt=0)


class ResizeShorter(_Step):
    """The shorter side to `size`, the longer one to floor(size * longer / shorter), by the triangle filter."""

    op: Literal["resize_shorter"] = "resize_shorter"
    size: int = Field(gt=0)


class Crop(_Step):
    """The centre, height x width; a smaller image gets a border of zeros first."""

    op: Literal["crop"] = "crop"
    height: int = Field(gt=0)
    width: int = Field(gt=0)


Step = Annotated[Channels | Pad | Resize | ResizeShorter | Crop, Field(discriminator="op")]


class InputSpec(BaseModel):
    """A network's input, and the steps that bring an image to it. shape is (C, H, W); mean and std are in 0..1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "input"
    shape: tuple[int, int, int]
    dtype: Literal["float32"] = "float32"
    layout: Literal["NCHW"] = "NCHW"
    mean: tuple[float, ...]
    std: tuple[float, ...]
    steps: tuple[Step, ...] = ()

    @model_validator(mode="after")
    def _one_mean_and_std_a_channel(self) -> "InputSpec":
        if min(self.shape) <= 0:
            raise ValueError("the shape must be positive")
        numbers = [number for step in self.steps for number in step.model_dump().values() if isinstance(number, int)]
        if math.prod(self.shape) > MAXIMUM_VALUES or max(numbers, default=0) > MAXIMUM_PIXELS:
            raise ValueError("images of this size are too large")
        if len(self.mean) != self.shape[0] or len(self.std) != self.shape[0]:
            raise ValueError(f"mean and std need {self.shape[0]} numbers each")
        if not (all(map(math.isfinite, self.mean)) and all(0 < number < math.inf for number in self.std)):
            raise ValueError("mean and std are finite numbers, std above 0")
        return self


def input_spec_for(
    image_shape: tuple[int, int, int] | None,
    channels: int,
    input_shape: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
) -> InputSpec:
    """The steps that bring images (height, width, channels; None: sizes vary) to an input (C, H, W).

    Slightly smaller images (MNIST's 28 for 32) are padded evenly, photos for inputs of at least 160 get the usual
    resize of the shorter side and centre crop, all others are resized.
    """
    target_channels, height, width = input_shape
    steps: list[Channels | Pad | Resize | ResizeShorter | Crop] = []
    if channels != target_channels:
        if target_channels not in (1, 3):
            raise ValueError(f"images have 1 or 3 channels; an input of {target_channels} cannot be made of them")
        steps.append(Channels(to=3 if target_channels == 3 else 1))
    size = None if image_shape is None else image_shape[:2]
    if size is not None and all(0 <= 8 * (to - have) <= to for to, have in zip((height, width), size, strict=True)):
        extra_y, extra_x = height - size[0], width - size[1]
        if extra_y or extra_x:
            top, left = extra_y // 2, extra_x // 2
            steps.append(Pad(left=left, top=top, right=extra_x - left, bottom=extra_y - top))
    elif min(height, width) >= PHOTO_SIZE:
        steps += [
            ResizeShorter(size=round(max(height, width) / CROP_SHARE)),
            Crop(height=height, width=width),
        ]
    else:
        steps.append(Resize(height=height, width=width))
    return InputSpec(shape=input_shape, mean=tuple(mean), std=tuple(std), steps=tuple(steps))


def in_words(spec: InputSpec) -> str:
    """What is done to images, as in 'resized to 32 x 32, whatever their proportions'; empty where nothing is."""
    return " and ".join(_said(step, spec) for step in spec.steps)


def to_pixels(image: np.ndarray, spec: InputSpec) -> np.ndarray:
    """uint8 (H, W, C) of an image (height, width, channels) uint8. Raises ValueError if the steps do not lead there."""
    for step in spec.steps:
        image = _apply(image, step)
    channels, height, width = spec.shape
    if image.shape[2] == 1 and channels == 3:
        image = np.repeat(image, 3, axis=2)  # a network of coloured images has no step for this
    if image.shape != (height, width, channels):
        raise ValueError(f"an image came out of its steps as {image.shape}, not as {(height, width, channels)}")
    return image


def to_mask(mask: np.ndarray, spec: InputSpec, ignored: int) -> np.ndarray:
    """uint8 (H, W) of an image's mask (height, width): moved as `to_pixels` moves the image, to the nearest pixel.

    What lies beside the image is `ignored`. Raises ValueError if the steps do not lead to the size of the input.
    """
    mask = mask[:, :, None]
    for step in spec.steps:
        if not isinstance(step, Channels):
            mask = _apply(mask, step, ignored)
    if mask.shape[:2] != spec.shape[1:]:
        raise ValueError(f"a mask came out of its steps as {mask.shape[:2]}, not as {spec.shape[1:]}")
    return mask[:, :, 0]


def batch_pixels(images: Sequence[np.ndarray] | np.ndarray, spec: InputSpec) -> np.ndarray:
    """uint8 (N, H, W, C) of N images; float32 (N, C, H, W), which are prepared already, as they are.

    Raises ValueError for images that do not come out as the input.
    """
    channels, height, width = spec.shape
    if are_prepared(images):
        if images[0].shape != spec.shape:
            raise ValueError(f"its inputs are {images[0].shape}, the network's {spec.shape}")
        return np.asarray(images)
    if not spec.steps and isinstance(images, np.ndarray) and images.shape[1:] == (height, width, channels):
        return images
    pixels = np.empty((len(images), height, width, channels), np.uint8)
    for index in range(len(images)):
        pixels[index] = to_pixels(np.asarray(images[index]), spec)
    return pixels


def are_prepared(images: Sequence[np.ndarray] | np.ndarray) -> bool:
    """Whether images are what a network eats, float32 (N, C, H, W), and not pixels."""
    return isinstance(images, np.ndarray) and images.dtype == np.float32


def normalise(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    """float32 (N, C, H, W) of uint8 (N, H, W, C): p / 255, minus mean, divided by std, each rounded to float32.

    float32, which is prepared already, as it is.
    """
    if are_prepared(pixels):
        return np.ascontiguousarray(pixels)
    x: np.ndarray = pixels.astype(np.float32) / np.float32(255)
    x = x - np.asarray(spec.mean, np.float32)
    x = x / np.asarray(spec.std, np.float32)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def _said(step: Channels | Pad | Resize | ResizeShorter | Crop, spec: InputSpec) -> str:
    match step:
        case Channels(to=to):
            return "made grey" if to == 1 else "made coloured"
        case Pad():
            return f"padded to {spec.shape[1]} x {spec.shape[2]}"
        case Resize():
            return f"resized to {step.height} x {step.width}, whatever their proportions"
        case ResizeShorter(size=size):
            return f"resized to {size} at the shorter side"
        case Crop():
            return f"cropped to the middle {step.height} x {step.width}"


def _apply(
    image: np.ndarray, step: Channels | Pad | Resize | ResizeShorter | Crop, ignored: int | None = None
) -> np.ndarray:
    """A step of an image; ignored: of a mask, whose values are never mixed, and what it has where no image is."""
    height, width, channels = image.shape
    nearest = ignored is not None
    match step:
        case Channels(to=to):
            if to == channels:
                return image
            if channels == 1:
                return np.repeat(image, 3, axis=2)
            red, green, blue = (image[:, :, index].astype(np.int64) for index in range(3))
            return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)[:, :, None]
        case Pad():
            border = ((step.top, step.bottom), (step.left, step.right), (0, 0))
            return np.pad(image, border, constant_values=step.value if ignored is None else ignored)
        case Resize():
            return _resize(image, step.height, step.width, nearest)
        case ResizeShorter(size=size):
            if height <= width:
                return _resize(image, size, size * width // height, nearest)
            return _resize(image, size * height // width, size, nearest)
        case Crop():
            missing_y, missing_x = max(step.height - height, 0), max(step.width - width, 0)
            before = (missing_y // 2, missing_x // 2)
            border = ((before[0], missing_y - before[0]), (before[1], missing_x - before[1]), (0, 0))
            image = np.pad(image, border, constant_values=0 if ignored is None else ignored)
            # Half of an odd remainder goes to the even neighbour, as Python's round() and so torchvision do.
            top = round((image.shape[0] - step.height) / 2)
            left = round((image.shape[1] - step.width) / 2)
            return image[top : top + step.height, left : left + step.width]


def _resize(image: np.ndarray, height: int, width: int, nearest: bool) -> np.ndarray:
    """Pillow's 8-bit BILINEAR: a triangle filter, widened when reducing, in 22-bit integer coefficients; or NEAREST."""
    if image.shape[:2] == (height, width):
        return image
    grey = image.shape[2] == 1
    picture = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if grey else image))
    how = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
    for size in ((width, image.shape[0]), (width, height)):  # both at once, Pillow 13 chooses which one is first
        picture = picture.resize(size, how)
    resized = np.asarray(picture)
    return resized[:, :, None] if grey else resized
