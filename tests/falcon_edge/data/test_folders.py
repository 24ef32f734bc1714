"""Image folders as people have them: what is a class, what is no data, which images are for the test."""

import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from falcon_edge.data import open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.notices import Notice

RANDOM = np.random.default_rng(0)


def image(path, size=(4, 5), channels=1):
    """A picture whose first pixel tells it from the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size if channels == 1 else (*size, channels)
    Image.fromarray(RANDOM.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


def folder(place, classes=("cat", "dog"), splits=("train", "test"), count=3, **kind):
    for split in splits:
        for name in classes:
            for number in range(count):
                image(place / split / name / f"{number}.png", **kind)
    return place


def labels_by_class(dataset, split="train"):
    """{name of the folder that an image lies in: the class that its label says}."""
    chosen = dataset.splits[split]
    names = {path.parent.name for path in chosen.images.paths}
    found = {
        name: {
            dataset.class_names[label]
            for path, label in zip(chosen.images.paths, chosen.labels, strict=True)
            if path.parent.name == name
        }
        for name in names
    }
    return found


def test_hidden_files_and_what_systems_leave_behind_are_no_data(tmp_path):
    folder(tmp_path)
    for split in ("train", "test"):
        for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir"):
            image(tmp_path / split / name / "0.png")
        image(tmp_path / split / "cat" / "._0.png")
        image(tmp_path / split / "cat" / ".ipynb_checkpoints" / "0-checkpoint.png")
        (tmp_path / split / "cat" / "Thumbs.db").write_bytes(b"x")
        (tmp_path / split / ".DS_Store").write_bytes(b"x")
    image(tmp_path / "__MACOSX" / "train" / "aardvark" / "._0.png")
    image(tmp_path / ".Trash" / "train" / "aardvark" / "0.png")
    dataset = open_dataset(tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert [len(dataset.train), len(dataset.test)] == [6, 6]
    assert labels_by_class(dataset) == {"cat": {"cat"}, "dog": {"dog"}}


@pytest.mark.parametrize("hidden", ["__MACOSX", ".git"])
def test_a_data_set_one_folder_down_is_not_a_hidden_one(tmp_path, hidden):
    folder(tmp_path / hidden, classes=("wrong",))
    folder(tmp_path / "archive")
    assert open_dataset(tmp_path).class_names == ("cat", "dog")


def test_two_data_sets_in_a_folder_are_not_taken_by_the_alphabet(tmp_path):
    folder(tmp_path / "a")
    folder(tmp_path / "b")
    with pytest.raises(BadInput, match=r"holds several data sets \(a, b\); name one"):
        open_dataset(tmp_path)


def test_a_test_set_may_lack_classes_and_order_follows_training(tmp_path):
    folder(tmp_path, classes=("ant", "cat", "dog"))
    for path in (tmp_path / "test" / "ant").iterdir():
        path.unlink()
    (tmp_path / "test" / "cat").rename(tmp_path / "test" / "CAT")
    with pytest.warns(Notice, match="test has no images of 1 of its 3 classes: 'ant'"):
        dataset = open_dataset(tmp_path)
    assert dataset.class_names == ("ant", "cat", "dog")
    assert labels_by_class(dataset, "test") == {"CAT": {"cat"}, "dog": {"dog"}}


def test_names_in_other_unicode_signs_are_the_same(tmp_path):
    folder(tmp_path, classes=("émeu", "zèbre"))
    for name in ("émeu", "zèbre"):
        (tmp_path / "test" / name).rename(tmp_path / "test" / unicodedata.normalize("NFD", name))
    dataset = open_dataset(tmp_path)
    found = labels_by_class(dataset, "test")
    assert {unicodedata.normalize("NFC", name): classes for name, classes in found.items()} == {
        "émeu": {"émeu"},
        "zèbre": {"zèbre"},
    }
    image(tmp_path / "train" / unicodedata.normalize("NFD", "émeu") / "0.png")
    with pytest.raises(BadInput, match="another folder has this name in other Unicode signs"):
        open_dataset(tmp_path)


def test_letters_of_two_cases_are_classes_of_their_own(tmp_path):
    dataset = open_dataset(folder(tmp_path, classes=("A", "a")))
    assert dataset.class_names == ("A", "a")
    assert labels_by_class(dataset, "test") == {"A": {"A"}, "a": {"a"}}


def test_classes_1_10_2_have_their_own_names(tmp_path):
    names = tuple(map(str, range(12)))
    dataset = open_dataset(folder(tmp_path, classes=names, count=1))
    assert dataset.class_names == tuple(sorted(names))
    assert labels_by_class(dataset) == {name: {name} for name in names}


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_only_another_split_has_is_refused(tmp_path, split):
    folder(tmp_path, splits=("train", split))
    image(tmp_path / split / "bird" / "0.png")
    with pytest.raises(BadInput, match=rf"{split}: has other classes than train/: 'bird' is none of 'cat', 'dog'"):
        open_dataset(tmp_path)


def test_an_empty_class_is_refused_for_it_would_shift_the_others(tmp_path):
    folder(tmp_path)
    (tmp_path / "train" / "bird").mkdir()
    (tmp_path / "train" / "bird" / "notes.txt").write_text("none yet")
    with pytest.raises(BadInput, match=r"train/bird: no images in it .*, so that it is no class; remove it"):
        open_dataset(tmp_path)


def test_images_that_are_not_read_are_named_and_not_left_out(tmp_path):
    folder(tmp_path)
    (tmp_path / "train" / "cat" / "9.heic").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"cat/9\.heic: images of this kind are not read"):
        open_dataset(tmp_path)


def test_folders_within_a_class_and_links_are_followed_and_circles_are_not(tmp_path):
    folder(tmp_path / "data")
    image(tmp_path / "data" / "train" / "cat" / "more" / "9.tif")
    image(tmp_path / "elsewhere" / "9.gif")
    os.symlink(tmp_path / "elsewhere", tmp_path / "data" / "train" / "bird")
    os.symlink(tmp_path / "data" / "train", tmp_path / "data" / "train" / "dog" / "circle")
    (tmp_path / "data" / "train" / "dog" / "circle").unlink()
    os.symlink(tmp_path / "data" / "train" / "dog", tmp_path / "data" / "train" / "dog" / "circle")
    with pytest.warns(Notice, match="'bird'"):
        dataset = open_dataset(tmp_path / "data")
    assert dataset.class_names == ("bird", "cat", "dog")
    assert np.bincount(dataset.train.labels).tolist() == [1, 4, 3]


def test_two_folders_for_one_split_are_refused(tmp_path):
    folder(tmp_path, splits=("train", "val", "valid"))
    with pytest.raises(BadInput, match="has val/ and valid/, both for val; keep one"):
        open_dataset(tmp_path)


def test_splits_are_known_by_their_long_names_too(tmp_path):
    dataset = open_dataset(folder(tmp_path, splits=("Training", "Validation", "Testing")))
    assert [len(split) for split in dataset.splits.values()] == [6, 6, 6]


# Sizes and colours


def test_one_size_is_the_shape_and_several_are_none(tmp_path):
    folder(tmp_path / "same")
    assert open_dataset(tmp_path / "same").image_shape == (4, 5, 1)
    assert open_dataset(tmp_path / "same").train.subset(np.array([1])).image_shape == (4, 5, 1)
    folder(tmp_path / "other")
    image(tmp_path / "other" / "test" / "dog" / "2.png", size=(5, 5))
    assert open_dataset(tmp_path / "other").image_shape is None


def test_one_coloured_image_among_hundreds_makes_all_of_three_channels(tmp_path):
    folder(tmp_path, count=70)
    image(tmp_path / "train" / "dog" / "69.png", channels=3)
    dataset = open_dataset(tmp_path)
    assert dataset.channels == 3
    assert dataset.image_shape == (4, 5, 3)
    with Image.open(dataset.train.images.paths[0]) as first:
        grey = np.asarray(first)
    assert np.array_equal(dataset.train.images[0], np.dstack([grey] * 3))


@pytest.mark.parametrize("change", [{"channels": 3}, {"size": (9, 9)}])
def test_an_image_that_changed_meanwhile_is_named(tmp_path, change):
    dataset = open_dataset(folder(tmp_path))
    image(tmp_path / "train" / "cat" / "0.png", **change)
    with pytest.raises(BadInput, match=r"cat/0\.png: has another size or colour than when"):
        dataset.train.images[0]


# Class folders alone


def flat(place, counts, **kind):
    for name, count in counts.items():
        for number in range(count):
            image(place / name / f"{number:03}.png", **kind)
    return place


def names_in(split):
    return {f"{path.parent.name}/{path.name}" for path in split.images.paths}


def opened(place):
    with pytest.warns(Notice) as said:
        dataset = open_dataset(place)
    return dataset, str(said[0].message)


def test_class_folders_alone_are_split_and_that_is_said(tmp_path):
    dataset, said = opened(flat(tmp_path / "pets", {"cat": 20, "dog": 31}))
    assert said == (
        f"{tmp_path / 'pets'}: has no train/ and test/, so its images were split by seed 0: 41 for training, 10 for "
        "the test (a fifth of every class)"
    )
    assert dataset.class_names == ("cat", "dog")
    assert np.bincount(dataset.train.labels).tolist() == [16, 25]
    assert np.bincount(dataset.test.labels).tolist() == [4, 6]
    assert not names_in(dataset.train) & names_in(dataset.test)
    assert len(names_in(dataset.train) | names_in(dataset.test)) == 51
    assert labels_by_class(dataset, "test") == {"cat": {"cat"}, "dog": {"dog"}}


def test_the_same_images_are_for_the_test_wherever_the_folder_lies_and_whatever_is_added(tmp_path):
    one, _ = opened(flat(tmp_path / "one", {"cat": 30, "dog": 30}))
    other, _ = opened(flat(tmp_path / "deeper" / "other", {"cat": 30, "dog": 30}))
    assert names_in(one.test) == names_in(other.test)
    flat(tmp_path / "one", {"cat": 35, "dog": 30})
    more, _ = opened(tmp_path / "one")
    assert len(names_in(one.test) & names_in(more.train)) <= 2


def test_a_class_of_one_image_is_for_training(tmp_path):
    with pytest.warns(Notice, match="test has no images of 1 of its 3 classes: 'rare'|4 for training, 2 for the test"):
        dataset = open_dataset(flat(tmp_path, {"cat": 2, "dog": 3, "rare": 1}))
    assert np.bincount(dataset.train.labels).tolist() == [1, 2, 1]
    assert dataset.test.labels.tolist() == [0, 1]


def test_folders_that_only_look_like_classes_are_refused(tmp_path):
    flat(tmp_path / "one", {"cats": 3})
    with pytest.raises(BadInput, match="tell no classes apart"):
        open_dataset(tmp_path / "one")
    flat(tmp_path / "beside", {"cat": 2, "dog": 2})
    (tmp_path / "beside" / "annotations").mkdir()
    with pytest.raises(BadInput, match="annotations: no images in it"):
        open_dataset(tmp_path / "beside")
