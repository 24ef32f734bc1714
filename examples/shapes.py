"""Images that are made: shapes of four kinds on noisy grounds, with the mask of each pixel's kind, and with boxes.

    python examples/shapes.py OUTPUT        writes OUTPUT/masks.npz and OUTPUT/boxes.npz, 5,000 images of 64 x 64 each

x is uint8 (N, 64, 64, 3). In masks.npz y is the class of each pixel (N, 64, 64): 0 is the ground. In boxes.npz it is
(N, 4, 5) float32: class (0 to 3; -1 where there is no shape) and the box x0, y0, x1, y1 in pixels.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE, MOST, SCALE = 64, 4, 4
KINDS = ("circle", "square", "triangle", "ring")
COUNTS = {"train": 4000, "val": 500, "test": 500}
Box = tuple[float, float, float, float]


def image(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One image, its mask and its boxes. A shape that lies under another one by half is left out of both."""
    ground = random.normal(random.uniform(60, 200, 3), random.uniform(5, 30), (SIZE, SIZE, 3))
    mask, boxes = np.zeros((SIZE, SIZE), np.uint8), []
    for _ in range(random.integers(1, MOST + 1)):
        kind, radius = int(random.integers(len(KINDS))), random.uniform(6, 15)
        x, y = random.uniform(radius, SIZE - radius, 2)
        covered = drawn(kind, x, y, radius, random)
        if (mask[covered] > 0).mean() > 0.2:
            continue
        colour = ground.mean((0, 1)) + random.choice([-1, 1], 3) * random.uniform(40, 110, 3)
        ground[covered] = colour + random.normal(0, random.uniform(3, 15), (int(covered.sum()), 3))
        mask[covered] = kind + 1
        rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
        boxes.append((kind, columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    boxes += [(-1, 0, 0, 0, 0)] * (MOST - len(boxes))
    return np.clip(ground, 0, 255).astype(np.uint8), mask, np.array(boxes, np.float32)


def drawn(kind: int, x: float, y: float, radius: float, random: np.random.Generator) -> np.ndarray:
    """Which pixels a shape covers: drawn four times as large, and those that are covered by half."""
    picture = Image.new("L", (SIZE * SCALE, SIZE * SCALE))
    draw = ImageDraw.Draw(picture)
    x, y, radius = (SCALE * value for value in (x, y, radius))
    if kind in (0, 3):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        if kind == 3:
            inner = 0.55 * radius
            draw.ellipse((x - inner, y - inner, x + inner, y + inner), fill=0)
    else:
        corners = 4 if kind == 1 else 3
        turn = random.uniform(0, 2 * np.pi)
        angles = turn + 2 * np.pi * np.arange(corners) / corners
        draw.polygon([(x + radius * np.cos(angle), y + radius * np.sin(angle)) for angle in angles], fill=255)
    small = picture.resize((SIZE, SIZE), Image.Resampling.BOX)
    return np.asarray(small) >= 128


def split(name: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The images of a split, their masks and their boxes: the same ones whenever it is called."""
    random = np.random.default_rng([len(name), *name.encode()])
    images, masks, boxes = zip(*(image(random) for _ in range(count)), strict=True)
    return np.stack(images), np.stack(masks), np.stack(boxes)


def main() -> None:
    """The command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    made = {name: split(name, count) for name, count in COUNTS.items()}
    for file, place, labels in (("masks", 1, ("ground", *KINDS)), ("boxes", 2, KINDS)):
        arrays = {f"x_{name}": found[0] for name, found in made.items()}
        arrays |= {f"y_{name}": found[place] for name, found in made.items()}
        np.savez_compressed(folder / f"{file}.npz", labels=np.array(labels), **arrays)


if __name__ == "__main__":
    main()
