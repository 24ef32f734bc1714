"""Make what ships with us: a few thousand Fashion-MNIST images, and a network trained on the full training set.

    falcon-edge train vgg8 --data FASHION_MNIST --epochs 18 -o vgg8
    python tools/make_sample.py --data FASHION_MNIST --network vgg8.falcon

FASHION_MNIST is a folder with the four official IDX files. The training images of the sample are drawn from those that
the network was trained on, its validation images from those that were held out, its test images from the test set.
"""

import argparse
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np

from falcon_edge.bundle import open_bundle
from falcon_edge.data import Split, open_dataset

SAMPLE = Path(__file__).parents[1] / "falcon_edge" / "data" / "sample"
COUNTS = {"train": 5000, "val": 1000, "test": 2000}


def draw(split: Split, count: int) -> Split:
    """`count` images, the same number of every class, by a fixed seed, in their order."""
    classes = np.unique(split.labels)
    random = np.random.default_rng(0)
    chosen = [random.permutation(np.flatnonzero(split.labels == label))[: count // len(classes)] for label in classes]
    return split.subset(np.sort(np.concatenate(chosen)))


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """np.savez_compressed at the highest level, with the same bytes every time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(array))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getvalue(), zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """Write the sample into the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--network", type=Path, required=True)
    options = parser.parse_args()
    dataset = open_dataset(options.data)
    train, val = dataset.train_and_val()
    arrays: dict[str, np.ndarray] = {"labels": np.array(dataset.class_names)}
    for name, split in {"train": train, "val": val, "test": dataset.require("test")}.items():
        sample = draw(split, COUNTS[name])
        arrays[f"x_{name}"] = np.asarray(sample.images)[:, :, :, 0]
        arrays[f"y_{name}"] = sample.labels.astype(np.uint8)
    SAMPLE.mkdir(exist_ok=True)
    write_npz(SAMPLE / "fashion-mnist.npz", arrays)
    network = open_bundle(options.network)
    target = SAMPLE / "vgg8.falcon"
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(network.path, target)
    size = sum(file.stat().st_size for file in SAMPLE.rglob("*") if file.is_file())
    print(f"{SAMPLE.name}: {size / 1e6:.2f} MB, network {network.manifest.quality[0].value:.4f} on the full test set")


if __name__ == "__main__":
    main()
