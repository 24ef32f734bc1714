"""Images that are made: things on noisy grounds, with the mask of each pixel's kind, and with boxes.

    python examples/shapes.py OUTPUT [--fashion FASHION_MNIST]

Writes OUTPUT/masks.npz and OUTPUT/boxes.npz, 5,000 images of 64 x 64 pixels each: circles, squares, triangles and
rings; or with --fashion the garments of Fashion-MNIST, its training images for training, its test images for the rest.

x is uint8 (N, 64, 64, 3). In masks.npz y is the class of each pixel (N, 64, 64): 0 is the ground, kinds begin at 1. In
boxes.npz it is (N, 4, 5) float32: kind (from 0; -1 where there is no thing) and the box x0, y0, x1, y1 in pixels.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import falcon_edge

SIZE, MOST, SCALE = 64, 4, 4
KINDS = ("circle", "square", "triangle", "ring")
COUNTS = {"train": 4000, "val": 500, "test": 500}
# What draws a thing: its kind, which pixels it covers, and how light these are, in -1..1 (H, W).
Draw = Callable[[np.random.Generator], tuple[int, np.ndarray, np.ndarray]]


def image(random: np.random.Generator, draw: Draw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One image, its mask and its boxes. A thing of which a fifth would lie on another one is left out."""
    ground = random.normal(random.uniform(60, 200, 3), random.uniform(5, 30), (SIZE, SIZE, 3))
    mask, boxes = np.zeros((SIZE, SIZE), np.uint8), []
    for _ in range(random.integers(1, MOST + 1)):
        kind, covered, light = draw(random)
        if not covered.any() or (mask[covered] > 0).mean() > 0.2:
            continue
        colour = ground.mean((0, 1)) + random.choice([-1, 1], 3) * random.uniform(40, 110, 3)
        noise = random.normal(0, random.uniform(3, 15), (int(covered.sum()), 3))
        ground[covered] = colour + 60 * light[covered][:, None] + noise
        mask[covered] = kind + 1
        rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
        boxes.append((kind, columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    boxes += [(-1, 0, 0, 0, 0)] * (MOST - len(boxes))
    return np.clip(ground, 0, 255).astype(np.uint8), mask, np.array(boxes, np.float32)


def shape(random: np.random.Generator) -> tuple[int, np.ndarray, np.ndarray]:
    """A shape of any kind, size, place and turn: drawn four times as large, and the pixels that are covered by half."""
    kind, radius = int(random.integers(len(KINDS))), random.uniform(6, 15)
    x, y = SCALE * random.uniform(radius, SIZE - radius, 2)
    radius *= SCALE
    picture = Image.new("L", (SIZE * SCALE, SIZE * SCALE))
    draw = ImageDraw.Draw(picture)
    if kind in (0, 3):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        if kind == 3:
            inner = 0.55 * radius
            draw.ellipse((x - inner, y - inner, x + inner, y + inner), fill=0)
    else:
        corners = 4 if kind == 1 else 3
        angles = random.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
        draw.polygon([(x + radius * np.cos(angle), y + radius * np.sin(angle)) for angle in angles], fill=255)
    small = picture.resize((SIZE, SIZE), Image.Resampling.BOX)
    return kind, np.asarray(small) >= 128, np.zeros((SIZE, SIZE))


def garments(images: np.ndarray, labels: np.ndarray) -> Draw:
    """What puts one of these garments (N, 28, 28, 1) somewhere, somewhat smaller or larger."""

    def garment(random: np.random.Generator) -> tuple[int, np.ndarray, np.ndarray]:
        chosen, size = int(random.integers(len(images))), int(random.integers(20, 34))
        picture = Image.fromarray(images[chosen, :, :, 0]).resize((size, size), Image.Resampling.BILINEAR)
        x, y = random.integers(0, SIZE - size + 1, 2)
        grey = np.zeros((SIZE, SIZE))
        grey[y : y + size, x : x + size] = np.asarray(picture)
        return int(labels[chosen]), grey > 40, grey / 127.5 - 1

    return garment


def split(name: str, count: int, draw: Draw = shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The images of a split, their masks and their boxes: the same ones whenever it is called."""
    random = np.random.default_rng([len(name), *name.encode()])
    images, masks, boxes = zip(*(image(random, draw) for _ in range(count)), strict=True)
    return np.stack(images), np.stack(masks), np.stack(boxes)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--fashion", type=Path, help="Fashion-MNIST in its own files")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    kinds, draws = KINDS, dict.fromkeys(COUNTS, shape)
    if options.fashion is not None:
        dataset = falcon_edge.open_dataset(options.fashion)
        kinds = dataset.class_names
        draws = {
            name: garments(np.asarray(found.images), found.labels)
            for name in COUNTS
            for found in [dataset.require("train" if name == "train" else "test")]
        }
    made = {name: split(name, count, draws[name]) for name, count in COUNTS.items()}
    for file, place, labels in (("masks", 1, ("ground", *kinds)), ("boxes", 2, kinds)):
        arrays = {f"x_{name}": found[0] for name, found in made.items()}
        arrays |= {f"y_{name}": found[place] for name, found in made.items()} | {"labels": np.array(labels)}
        np.savez_compressed(options.output / f"{file}.npz", **arrays)


if __name__ == "__main__":
    main()
