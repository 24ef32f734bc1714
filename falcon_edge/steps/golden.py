"""Golden vectors: inputs that travel with a model, and what every exported file must answer to them."""

from collections.abc import Sequence

import numpy as np

from falcon_edge.bundle import GOLDEN, Bundle
from falcon_edge.data import Dataset
from falcon_edge.errors import BadInput
from falcon_edge.manifest import GoldenVector
from falcon_edge.preprocessing import InputSpec, batch_pixels, normalise

COUNT = 8
SMALL_IMAGE_BYTES = 64 * 1024


def golden_inputs(
    spec: InputSpec, dataset: Dataset | None, earlier: Sequence[np.ndarray] = ()
) -> tuple[tuple[GoldenVector, ...], dict[str, bytes]]:
    """COUNT inputs and the files that hold them: images spread over the test split.

    Without data these are the raw images that an earlier bundle kept, or seeded noise of the input's size. The first
    vector always keeps its raw image, the others where it is small, so that pre-processing is replayed too; inputs that
    somebody else prepared have none.
    """
    vectors: list[GoldenVector] = []
    files: dict[str, bytes] = {}
    for index, image in enumerate(_images(spec, dataset, earlier)):
        name = f"{GOLDEN}/{index:02d}.input.bin"
        files[name] = golden_input(image, spec).astype("<f4").tobytes()
        pixels, shape = None, None
        if image.dtype == np.uint8 and (index == 0 or image.nbytes <= SMALL_IMAGE_BYTES):
            pixels, shape = f"{GOLDEN}/{index:02d}.pixels.bin", image.shape
            files[pixels] = np.ascontiguousarray(image).tobytes()
        vectors.append(GoldenVector(input=name, pixels=pixels, pixels_shape=shape))
    return tuple(vectors), files


def golden_input(image: np.ndarray, spec: InputSpec) -> np.ndarray:
    """The network's input (1, C, H, W) float32 of a raw image (height, width, channels) uint8, or of a prepared one.

    Raises BadInput for an image that does not fit.
    """
    try:
        return normalise(batch_pixels(image[None], spec), spec)
    except ValueError as error:
        raise BadInput(f"the data does not fit the network's input: {error}") from error


def raw_images(bundle: Bundle) -> tuple[np.ndarray, ...]:
    """The raw images of a bundle's golden vectors. Raises BadInput for one of another size than its manifest says."""
    try:
        return tuple(
            np.fromfile(bundle.file(vector.pixels), np.uint8).reshape(vector.pixels_shape)
            for vector in bundle.manifest.golden.vectors
            if vector.pixels is not None and vector.pixels_shape is not None
        )
    except ValueError as error:
        raise BadInput(f"{bundle.path}: a golden image is not as large as its manifest says; make it again") from error


def _images(spec: InputSpec, dataset: Dataset | None, earlier: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    split = None if dataset is None else (dataset.test or dataset.val or dataset.train)
    if split is None and len(earlier) == COUNT:
        return earlier
    if split is None or len(split) == 0:
        channels, height, width = spec.shape
        random = np.random.default_rng(0)
        return [random.integers(0, 256, (height, width, channels), dtype=np.uint8) for _ in range(COUNT)]
    indices = np.linspace(0, len(split) - 1, COUNT).round().astype(int)
    return [np.asarray(split.images[int(index)]) for index in indices]
