"""Folders of images with masks, and of images alone."""

import numpy as np
import pytest
from PIL import Image

from falcon_edge.data import from_pairs, open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.preprocessing import Crop, InputSpec, Pad, Resize, ResizeShorter, to_mask, to_pixels


def images(folder, names, size=(6, 5)):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(np.full((*size, 3), 20 * number, np.uint8)).save(folder / name)


def masks(folder, names, size=(6, 5), palette=False):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        picture = Image.fromarray(np.full(size, number, np.uint8), "P" if palette else "L")
        if palette:
            picture.putpalette([255 - value for value in range(256) for _ in range(3)])
        picture.save(folder / name)


@pytest.mark.parametrize("palette", [True, False])
def test_masks_are_the_numbers_of_classes_whatever_their_colours(tmp_path, palette):
    for split in ("train", "val", "test"):
        images(tmp_path / split / "images", ["a.jpg", "b.png"])
        masks(tmp_path / split / "masks", ["a.png", "b.png"], palette=palette)
    (tmp_path / "labels.txt").write_text("ground\ncat\n")
    dataset = open_dataset(tmp_path)
    assert dataset.class_names == ("ground", "cat")
    assert dataset.kind == "masks"
    for split in dataset.splits.values():
        assert [np.unique(split.targets[index]).tolist() for index in range(2)] == [[0], [1]]
        assert split.all_targets().shape == (2, 6, 5)
    assert len(dataset.test.subset(np.array([1])).targets) == 1


def test_a_folder_alone_is_for_the_test(tmp_path):
    images(tmp_path / "images", ["a.jpg"])
    masks(tmp_path / "masks", ["a.png"])
    dataset = open_dataset(tmp_path)
    assert (dataset.train, len(dataset.test), dataset.class_names) == (None, 1, ())


@pytest.mark.parametrize("places", [["."], ["images"], ["train", "test"], ["train/images", "test/images"]])
def test_images_without_targets(tmp_path, places):
    for place in places:
        images(tmp_path / "set" / place, ["a.jpg", "b.jpg"])
    dataset = open_dataset(tmp_path / "set")
    assert dataset.kind is None
    assert len(dataset.test) == 2
    with pytest.raises(BadInput, match="has no targets"):
        _ = dataset.test.labels


def test_classes_beside_images_without_one_stay_classes(tmp_path):
    for name in ("cat", "dog"):
        images(tmp_path / "train" / name, ["a.jpg"])
    images(tmp_path / "test", ["a.jpg"])
    dataset = open_dataset(tmp_path)
    assert (dataset.kind, dataset.class_names, dataset.test) == ("classes", ("cat", "dog"), None)


def no_mask(folder):
    (folder / "masks" / "b.png").unlink()


def no_image(folder):
    masks(folder / "masks", ["c.png"])


def coloured(folder):
    Image.new("RGB", (5, 6)).save(folder / "masks" / "b.png")


def twice(folder):
    images(folder / "images", ["b.png"])


def jpeg(folder):
    (folder / "masks" / "b.png").unlink()
    Image.new("L", (5, 6)).save(folder / "masks" / "b.jpg")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_mask, r"images/b\.jpg: has no mask; .*masks/b\.png would be it"),
        (no_image, r"masks/c\.png: is the mask of no image"),
        (coloured, r"masks/b\.png: a mask is a PNG of class numbers"),
        (jpeg, r"masks/b\.jpg: a mask is a PNG of class numbers"),
        (twice, "several images of this name share one mask"),
    ],
)
def test_pairs_that_are_none(tmp_path, spoil, said):
    images(tmp_path / "images", ["a.jpg", "b.jpg"])
    masks(tmp_path / "masks", ["a.png", "b.png"])
    spoil(tmp_path)
    with pytest.raises(BadInput, match=said):
        open_dataset(tmp_path).test.all_targets()


@pytest.mark.parametrize(
    "steps",
    [
        (Pad(left=1, top=2, right=3, bottom=4),),
        (Resize(height=16, width=18),),
        (ResizeShorter(size=20), Crop(height=16, width=18)),
        (Crop(height=30, width=30),),
    ],
)
def test_a_mask_is_moved_as_its_image_and_never_mixed(steps):
    mask = np.zeros((10, 14), np.uint8)
    mask[3:8, 4:11] = 7
    picture = np.where(mask[:, :, None] > 0, 200, 40).astype(np.uint8)
    shape = next((1, *image.shape[:2]) for image in [moved(picture, steps)])
    spec = InputSpec(shape=shape, mean=(0.5,), std=(0.5,), steps=steps)
    found = to_mask(mask, spec, 255)
    assert set(np.unique(found)) <= {0, 7, 255}
    pixels = to_pixels(picture, spec)[:, :, 0].astype(int)
    sure = (np.abs(pixels - 200) < 5) | (np.abs(pixels - 40) < 5)
    assert (found[sure & (pixels > 100)] == 7).all()
    inside = sure & (found != 255)
    assert (found[inside & (pixels < 100)] == 0).all()


def moved(picture, steps):
    """The image after the steps, whatever size that is."""
    from falcon_edge.preprocessing import _apply

    for step in steps:
        picture = _apply(picture, step)
    return picture


# -- any loader --


def test_any_loader_of_pairs_is_a_data_set():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    classes = from_pairs(zip(images, [0, 1, 0, 1, 0], strict=True), "mine", class_names=("a", "b"))
    assert (classes.kind, classes.name, classes.test.labels.dtype) == ("classes", "mine", np.int64)
    boxes = from_pairs(((image, random.random((2, 5))) for image in images), "mine", split="train")
    assert (boxes.kind, boxes.test, boxes.train.all_targets().shape) == ("values", None, (5, 2, 5))
    assert from_pairs(images, "mine").kind is None
    assert from_pairs([images[0], images[1][:3]], "mine").image_shape is None
    assert from_pairs(zip(images[..., 0], images[..., 0] % 2, strict=True), "mine").kind == "masks"
    assert open_dataset(classes) is classes


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([], "mine: holds no images|has 0 images"),
        ([np.zeros((4, 4))], r"mine: image 0 is float64 \(4, 4\); it must be uint8"),
        ([np.zeros((3, 4, 4), np.uint8)], "must be uint8"),
        ([(np.zeros((4, 4), np.uint8), 0), np.zeros((4, 4), np.uint8)], "not there for all images"),
        ([(np.zeros((4, 4), np.uint8), np.zeros(n)) for n in (1, 2)], "of several shapes"),
        ([(np.zeros((4, 4), np.uint8), 3)], "labels 3 to 3, but there are 0 classes"),
    ],
)
def test_loaders_that_give_something_else(pairs, said):
    with pytest.raises(BadInput, match=said):
        from_pairs(pairs, "mine")
