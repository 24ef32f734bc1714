"""Golden vectors: inputs that travel with a model, and what every exported file must answer to them."""

import numpy as np

from falcon_edge.bundle import GOLDEN, GoldenVector
from falcon_edge.data import Dataset
from falcon_edge.errors import BadInput
from falcon_edge.preprocessing import InputSpec, normalise, to_pixels

COUNT = 8
SMALL_IMAGE_BYTES = 64 * 1024


def golden_inputs(spec: InputSpec, dataset: Dataset | None) -> tuple[tuple[GoldenVector, ...], dict[str, bytes]]:
    """COUNT inputs and the files that hold them: images spread over the test split, or seeded noise without data.

    The first vector always keeps its raw image, the others where it is small, so that pre-processing is replayed too.
    """
    vectors: list[GoldenVector] = []
    files: dict[str, bytes] = {}
    for index, image in enumerate(_images(spec, dataset)):
        name = f"{GOLDEN}/{index:02d}.input.bin"
        files[name] = golden_input(image, spec).astype("<f4").tobytes()
        pixels, shape = None, None
        if index == 0 or image.nbytes <= SMALL_IMAGE_BYTES:
            pixels, shape = f"{GOLDEN}/{index:02d}.pixels.bin", image.shape
            files[pixels] = np.ascontiguousarray(image).tobytes()
        vectors.append(GoldenVector(input=name, pixels=pixels, pixels_shape=shape))
    return tuple(vectors), files


def golden_input(image: np.ndarray, spec: InputSpec) -> np.ndarray:
    """The network's input (1, C, H, W) float32 of a raw image (height, width, channels) uint8.

    Raises BadInput for an image that does not fit.
    """
    try:
        return normalise(to_pixels(image, spec)[None], spec)
    except ValueError as error:
        raise BadInput(f"the data does not fit the network's input: {error}") from error


def _images(spec: InputSpec, dataset: Dataset | None) -> list[np.ndarray]:
    split = None if dataset is None else (dataset.test or dataset.val or dataset.train)
    if split is None or len(split) == 0:
        channels, height, width = spec.shape
        random = np.random.default_rng(0)
        return [random.integers(0, 256, (height, width, channels), dtype=np.uint8) for _ in range(COUNT)]
    indices = np.linspace(0, len(split) - 1, COUNT).round().astype(int)
    return [np.asarray(split.images[int(index)]) for index in indices]
