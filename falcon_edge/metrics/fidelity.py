"""How true a model is to the one that it came from, which needs no labels: SNR of every output, and equal decisions."""

import math
from collections.abc import Collection

import numpy as np

from falcon_edge.errors import BadInput
from falcon_edge.metrics.metric import Outputs
from falcon_edge.metrics.quality import Quality, over_images, share

EQUAL_DB = 200.0  # what stands for no difference at all: beyond what float64 resolves of a sum of squares


def fidelity(reference: Outputs, found: Outputs, classes: Collection[str] | None = None) -> tuple[Quality, ...]:
    """For every output its SNR against the reference's in dB, and of outputs with classes the share of equal decisions.

    Outputs by name, (N, ...) each. classes: which have some, at least two along axis 1; by default all that can. A
    decision is the highest of these: of an image, or of every place of a map. Raises BadInput for outputs that are not
    alike.
    """
    qualities = []
    for name, exact in reference.items():
        other = found.get(name)
        if other is None or other.shape != exact.shape:
            shape = "nothing" if other is None else other.shape
            raise BadInput(f"fidelity: {name} is {exact.shape} in the reference and {shape} here")
        qualities.append(_signal(name, exact.astype(np.float64), other.astype(np.float64)))
        if exact.ndim >= 2 and exact.shape[1] > 1 and (classes is None or name in classes):
            qualities.append(_decisions(name, exact.argmax(axis=1), other.argmax(axis=1)))
    return tuple(qualities)


def _signal(name: str, exact: np.ndarray, other: np.ndarray) -> Quality:
    count = len(exact)
    signal = np.square(exact).reshape(count, -1).sum(axis=1)
    noise = np.square(exact - other).reshape(count, -1).sum(axis=1)

    def figure(images: np.ndarray) -> float:
        up, down = float(signal[images].sum()), float(noise[images].sum())
        if down == 0:
            return EQUAL_DB
        return 10 * math.log10(up / down) if up > 0 else -EQUAL_DB

    return Quality(f"snr:{name}", figure(np.arange(count)), over_images(figure, count), count, unit="dB")


def _decisions(name: str, exact: np.ndarray, other: np.ndarray) -> Quality:
    same = exact == other
    if same.ndim == 1:
        value, interval = share(same)
        return Quality(f"same:{name}", value, interval, len(same), unit="share")
    shares = same.reshape(len(same), -1).mean(axis=1)
    found = over_images(lambda images: float(shares[images].mean()), len(shares))
    return Quality(f"same:{name}", float(shares.mean()), found, len(shares), unit="share")
