"""Every format, written here byte by byte as its authors do."""

import contextlib
import gzip
import os
import pickle
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from falcon_edge.data import Dataset, Split, channel_statistics, open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.notices import Notice

RANDOM = np.random.default_rng(0)


def idx_bytes(array):
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder, *, packed=False, separator="-"):
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for name, count in (("train", 20), ("t10k", 10)):
        images = RANDOM.integers(0, 256, (count, 7, 5), dtype=np.uint8)
        labels = (np.arange(count) % 4).astype(np.uint8)
        arrays[name] = images, labels
        for kind, array in ((f"images{separator}idx3", images), (f"labels{separator}idx1", labels)):
            data = idx_bytes(array)
            path = folder / f"{name}-{kind}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)
    return arrays


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("separator", ["-", "."])
def test_idx(tmp_path, packed, separator):
    arrays = write_idx(tmp_path / "mnist", packed=packed, separator=separator)
    dataset = open_dataset(tmp_path / "mnist")
    assert np.array_equal(dataset.train.images[..., 0], arrays["train"][0])
    assert np.array_equal(dataset.test.labels, arrays["t10k"][1])
    assert dataset.class_names == ("0", "1", "2", "3")
    assert dataset.image_shape == (7, 5, 1)


def test_one_folder_down_and_fashion_names(tmp_path):
    write_idx(tmp_path / "downloads" / "fashion-mnist")
    dataset = open_dataset(tmp_path / "downloads")
    assert dataset.name == "downloads"
    assert dataset.class_names[0] == "T-shirt/top"


def test_the_current_folder_has_its_name(tmp_path, monkeypatch):
    write_idx(tmp_path / "fashion-mnist")
    monkeypatch.chdir(tmp_path / "fashion-mnist")
    dataset = open_dataset(".")
    assert (dataset.name, dataset.class_names[1]) == ("fashion-mnist", "Trouser")


@given(st.integers(0, 200), st.booleans())
def test_truncated_idx_is_one_line(tmp_path_factory, length, packed):
    folder = tmp_path_factory.mktemp("idx")
    write_idx(folder, packed=packed)
    victim = sorted(folder.iterdir())[0]
    data = victim.read_bytes()
    victim.write_bytes(data[: min(length, len(data) - 1)])
    with pytest.raises(BadInput) as caught:
        open_dataset(folder)
    assert victim.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data + b"x", "header says"),
        (lambda data: b"\1" + data[1:], "not an IDX file"),
        (lambda data: data[:4] + struct.pack(">3I", 2**31, 2**31, 2**31) + data[16:], "header says"),
    ],
)
def test_wrong_idx(tmp_path, change, said):
    write_idx(tmp_path)
    victim = tmp_path / "train-images-idx3-ubyte"
    victim.write_bytes(change(victim.read_bytes()))
    with pytest.raises(BadInput, match=said):
        open_dataset(tmp_path)


def test_idx_with_too_few_labels_or_none(tmp_path):
    write_idx(tmp_path)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(np.zeros(19, np.uint8)))
    with pytest.raises(BadInput, match="19 labels for 20 images"):
        open_dataset(tmp_path)
    labels.unlink()
    with pytest.raises(BadInput, match="partner"):
        open_dataset(tmp_path)


def write_cifar_binary(folder, hundred):
    folder.mkdir()
    images = RANDOM.integers(0, 256, (6, 3072), dtype=np.uint8)
    names = ["train.bin", "test.bin"] if hundred else [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]
    for name in names:
        labels = np.arange(6, dtype=np.uint8)[:, None]
        coarse = [np.full((6, 1), 9, np.uint8)] if hundred else []
        (folder / name).write_bytes(np.hstack([*coarse, labels, images]).tobytes())
    classes = "\n".join(f"class{n}" for n in range(100 if hundred else 10))
    (folder / ("fine_label_names.txt" if hundred else "batches.meta.txt")).write_text(classes + "\n\n")
    return images


@pytest.mark.parametrize("hundred", [False, True])
def test_cifar_binary(tmp_path, hundred):
    images = write_cifar_binary(tmp_path / "cifar", hundred)
    dataset = open_dataset(tmp_path / "cifar")
    assert len(dataset.train) == (6 if hundred else 30)
    assert dataset.train.labels[:6].tolist() == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(dataset.train.images[0].transpose(2, 0, 1).ravel(), images[0])
    assert dataset.class_names[3] == "class3"


def python2_pickle(value):
    """Protocol 2 as Python 2 writes it: str is bytes there. Python 3's own protocol 2 goes through _codecs.encode."""
    return pickle.dumps(value, protocol=2)


def write_cifar_python(folder, hundred):
    folder.mkdir()
    images = RANDOM.integers(0, 256, (6, 3072), dtype=np.uint8)
    key = b"fine_labels" if hundred else b"labels"
    batch = {b"data": images, key: list(range(6)), b"batch_label": b"one"}
    names = ["train", "test"] if hundred else [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    for name in names:
        (folder / name).write_bytes(python2_pickle(batch))
    classes = [f"class{n}".encode() for n in range(100 if hundred else 10)]
    meta = {b"fine_label_names" if hundred else b"label_names": classes}
    (folder / ("meta" if hundred else "batches.meta")).write_bytes(python2_pickle(meta))
    return images


@pytest.mark.parametrize("hundred", [False, True])
def test_cifar_python(tmp_path, hundred):
    images = write_cifar_python(tmp_path / "cifar", hundred)
    dataset = open_dataset(tmp_path / "cifar")
    assert len(dataset.test) == 6
    assert np.array_equal(dataset.test.images[2].transpose(2, 0, 1).ravel(), images[2])
    assert dataset.class_names[1] == "class1"


def test_cifar_pickled_by_python_2(tmp_path):
    """The real files' opcodes: protocol 2, short binary strings, numpy.core.multiarray._reconstruct."""
    write_cifar_python(tmp_path / "cifar", False)
    pixels = bytes(range(256)) * 12
    raw = (
        b"\x80\x02}q\x00(U\x04dataq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85U\x01b"
        b"\x87Rq\x04(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nq\x05U\x02u1K\x00K\x01\x87Rq\x06(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00" + pixels + b"tbU\x06labelsq\x07]q\x08K\x03au."
    )
    (tmp_path / "cifar" / "test_batch").write_bytes(raw)
    dataset = open_dataset(tmp_path / "cifar")
    assert dataset.test.labels.tolist() == [3]
    assert dataset.test.images[0].transpose(2, 0, 1).tobytes() == pixels


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_malicious_pickle_does_nothing(tmp_path):
    write_cifar_python(tmp_path / "cifar", False)
    witness = tmp_path / "witness"
    (tmp_path / "cifar" / "test_batch").write_bytes(pickle.dumps({b"data": Malicious(witness)}, protocol=2))
    with pytest.raises(BadInput, match="has no place in a CIFAR file"):
        open_dataset(tmp_path / "cifar")
    assert not witness.exists()


@given(st.integers(0, 10**6), st.sampled_from(["data_batch_3", "batches.meta", "data_batch_2.bin"]))
def test_truncated_cifar_is_one_line(tmp_path_factory, length, name):
    folder = tmp_path_factory.mktemp("cifar") / "c"
    (write_cifar_binary if name.endswith(".bin") else write_cifar_python)(folder, False)
    data = (folder / name).read_bytes()
    length %= len(data)
    (folder / name).write_bytes(data[:length])
    if name.endswith(".bin") and length and length % 3073 == 0:
        return
    with pytest.raises(BadInput, match=name.replace(".", r"\.")):
        open_dataset(folder)


def test_svhn(tmp_path):
    images = RANDOM.integers(0, 256, (32, 32, 3, 12), dtype=np.uint8)
    labels = (np.arange(12) % 10 + 1).astype(np.uint8)[:, None]
    for name in ("train_32x32.mat", "test_32x32.mat"):
        savemat(tmp_path / name, {"X": images, "y": labels}, do_compression=True)
    dataset = open_dataset(tmp_path)
    assert dataset.train.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    assert np.array_equal(dataset.train.images[5], images[..., 5])
    data = (tmp_path / "test_32x32.mat").read_bytes()
    for length in (0, 100, 300, len(data) // 2, len(data) - 9):
        (tmp_path / "test_32x32.mat").write_bytes(data[:length])
        with pytest.raises(BadInput, match="test_32x32"):
            open_dataset(tmp_path)


def write_folders(folder, mode="RGB", splits=("train", "test")):
    for split in splits:
        for label in ("cat", "dog"):
            (folder / split / label).mkdir(parents=True)
            for number in range(3):
                size = (20 + number, 30)
                pixels = RANDOM.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
                Image.fromarray(pixels).convert(mode).save(folder / split / label / f"{number}.png")


def test_image_folders(tmp_path):
    write_folders(tmp_path, splits=("train", "valid", "test"))
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    dataset = open_dataset(tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [6, 6, 6]
    assert dataset.image_shape is None
    assert dataset.train.images[1].shape == (30, 21, 3)
    assert dataset.train.subset(np.array([1])).images[0].shape == (30, 21, 3)


def test_grey_image_folders_have_one_channel(tmp_path):
    write_folders(tmp_path, mode="L")
    assert open_dataset(tmp_path).channels == 1


def test_exif_orientation_is_applied(tmp_path):
    write_folders(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by a quarter
    Image.fromarray(RANDOM.integers(0, 256, (10, 20, 3), dtype=np.uint8)).save(
        tmp_path / "train" / "cat" / "0.jpg", exif=exif
    )
    assert open_dataset(tmp_path).train.images[0].shape == (20, 10, 3)


def test_broken_image_is_named_when_it_is_read(tmp_path):
    write_folders(tmp_path)
    victim = tmp_path / "train" / "dog" / "1.png"
    victim.write_bytes(victim.read_bytes()[:200])
    dataset = open_dataset(tmp_path)
    with pytest.raises(BadInput, match=r"dog/1\.png: a broken image"):
        [dataset.train.images[index] for index in range(6)]


def test_folders_without_images_or_with_a_strange_class(tmp_path):
    (tmp_path / "train" / "cat").mkdir(parents=True)
    with pytest.raises(BadInput, match="no images"):
        open_dataset(tmp_path)
    write_folders(tmp_path / "other")
    (tmp_path / "other" / "test" / "cat").rename(tmp_path / "other" / "test" / "bird")
    with pytest.raises(BadInput, match="bird"):
        open_dataset(tmp_path / "other")


def test_npz(stripes):
    dataset = open_dataset(stripes)
    assert dataset.class_names == ("rows", "columns", "noise")
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [240, 60, 90]


@pytest.mark.parametrize("names", [np.array(["a", "b"]), np.array([b"a", b"b"]), ["a", "b", "unseen"]])
@pytest.mark.parametrize("key", ["labels", "class_names"])
def test_names_of_an_npz(tmp_path, key, names):
    x = np.zeros((4, 5, 5, 3), np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.array([0, 1, 0, 1]), **{key: names})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        assert open_dataset(tmp_path / "a.npz").class_names[:2] == ("a", "b")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": np.array([1, 2, 3, 1])}, "test has no images of 1 of its 4 classes: '0'"),
        ({"x_valid": np.zeros(1)}, "x_valid: not known in a data set, and not read"),
        ({"x": np.eye(4, dtype=np.uint8)[:, None]}, "x goes from 0 to 1, which is nearly black"),
    ],
)
def test_what_is_said_of_an_npz(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **{"x": np.zeros((4, 5, 5, 3), np.uint8), "y": np.array([0, 1, 0, 1])} | arrays)
    with pytest.warns(Notice, match=said):
        open_dataset(tmp_path / "a.npz")


def test_x_and_y_alone_are_a_test_set(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 5, 5, 3), np.uint8), y=np.array([0, 1, 0, 1]))
    dataset = open_dataset(tmp_path / "a.npz")
    assert len(dataset.test) == 4
    with pytest.raises(BadInput, match="x_train and y_train"):
        dataset.require("train")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": np.zeros(4, int)}, "x is missing"),
        ({"x": np.zeros((4, 5, 5))}, "must be uint8"),
        ({"x": np.zeros((4, 5, 5)), "y": np.zeros(4, int)}, "must be uint8"),
        ({"x": np.zeros((4, 5, 5, 2), np.uint8), "y": np.zeros(4, int)}, "1 or 3 channels"),
        ({"x": np.zeros((4, 5, 5), np.uint8), "y": np.zeros(3, int)}, "must be 4 numbers"),
        ({"x": np.zeros((4, 5, 5), np.uint16), "y": np.zeros(4, int)}, "must be uint8"),
        ({"x": np.zeros((4, 5, 5), np.int64), "y": np.zeros(4, int)}, "must be uint8"),
        ({"x": np.zeros((4, 5, 5), bool), "y": np.zeros(4, int)}, "must be uint8"),
        ({"x": np.zeros((4, 5, 5), np.float32), "y": np.zeros(4, int)}, "must be uint8"),
        ({"x": np.zeros((4, 3, 5, 5), np.uint8), "y": np.zeros(4, int)}, "1 or 3 channels, the last axis"),
        ({"x": np.zeros((4, 5, 5), np.uint8), "y": np.array(["a"] * 4)}, "must be 4 numbers"),
        ({"x": np.zeros((4, 5, 5), np.uint8), "y": np.full((4, 2), np.nan)}, "not finite"),
        ({"x": np.zeros((4, 5, 5), np.uint8), "y": np.full((4, 5, 5), 256)}, "masks of 256 to 256"),
        ({"x": np.zeros((4, 5, 5), np.uint8), "y": np.full((4, 5, 5), -1)}, "masks of -1 to -1"),
        ({"x": np.zeros((4, 5, 5), np.uint8), "y": np.full(4, 2**40)}, "classes are numbered from 0"),
        (
            {"x": np.zeros((1, 5, 5), np.uint8), "y": [0], "labels": np.zeros((1, 1), int)},
            "must be a list of class names",
        ),
        ({"x": np.zeros((1, 5, 5), np.uint8), "y": [0], "labels": [0.5]}, "a list of class names"),
        ({"x": np.zeros((1, 5, 5), np.uint8), "y": [0], "labels": [b"\xff"]}, "not texts in UTF-8"),
        ({"x": np.zeros((1, 5, 5), np.uint8), "y": [0], "labels": ["a"], "class_names": ["b"]}, "keep one"),
        ({"x": np.zeros((1, 5, 5), np.uint8), "y": [1], "labels": ["a"]}, "labels 1 to 1, but there are 1 classes"),
        ({"x": np.zeros((4, 5, 5), np.uint8), "y": np.array([0, 1, 2, -1])}, "labels -1 to 2"),
        ({"z": np.zeros(1)}, "has none of"),
        ({"x": np.array([{}], object), "y": np.zeros(1, int)}, "not a readable"),
    ],
)
def test_wrong_npz(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadInput, match=said):
        open_dataset(tmp_path / "a.npz")


@given(st.integers(0, 10**6), st.binary(max_size=3))
def test_damaged_npz_is_one_line_or_still_whole(tmp_path_factory, place, garbage):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    np.savez_compressed(path, x=np.arange(300, dtype=np.uint8)[:256].reshape(4, 8, 8), y=np.arange(4))
    data = path.read_bytes()
    place %= len(data)
    path.write_bytes(data[:place] + garbage + data[place + len(garbage) :] if garbage else data[:place])
    with contextlib.suppress(BadInput):
        assert len(open_dataset(path).test) == 4


@pytest.mark.parametrize("name", ["nothing", "file.txt", "empty"])
def test_what_is_no_data_set(tmp_path, name):
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="data set"):
        open_dataset(tmp_path / name)


def test_validation_is_cut_off_train_by_class(tmp_path):
    write_idx(tmp_path)
    dataset = open_dataset(tmp_path)
    train, val = dataset.train_and_val(fraction=0.2)
    assert (len(train), len(val)) == (16, 4)
    assert sorted(val.labels.tolist()) == [0, 1, 2, 3]
    again = dataset.train_and_val(fraction=0.2)[1]
    assert np.array_equal(again.images, val.images)
    joined = np.concatenate([train.images, val.images]).reshape(20, -1)
    assert len(np.unique(joined, axis=0)) == 20
    with pytest.raises(BadInput, match="too few"):
        dataset.train_and_val(fraction=0.01)


def test_a_share_of_all_is_cut_off_where_classes_are_small_or_none():
    images = RANDOM.integers(0, 256, (30, 6, 6, 1), dtype=np.uint8)
    names = tuple(map(str, range(30)))
    for split in (Split(images, np.arange(30)), Split(images)):
        train, val = Dataset("a", names, Path("a"), train=split).train_and_val()
        assert (len(train), len(val)) == (27, 3)
        assert len(np.unique(np.concatenate([train.images, val.images]).reshape(30, -1), axis=0)) == 30


def test_images_alone_of_one_split_are_cut_into_two():
    images = RANDOM.integers(0, 256, (30, 6, 6, 1), dtype=np.uint8)
    for name in ("test", "val"):
        with pytest.warns(Notice, match="a: has no train/, so its images were split by seed 0: 24 for training, 6 for"):
            made = Dataset("a", (), Path("a"), **{name: Split(images)}).cut()
        assert (len(made.train), made.val, len(made.test)) == (24, None, 6)
        assert len(np.unique(np.concatenate([made.train.images, made.test.images]).reshape(30, -1), axis=0)) == 30
    for whole in (
        Dataset("a", (), Path("a"), train=Split(images)),
        Dataset("a", (), Path("a"), val=Split(images), test=Split(images)),
        Dataset("a", ("x",), Path("a"), test=Split(images, np.zeros(30, int))),
    ):
        assert whole.cut() is whole
    with pytest.raises(BadInput, match="a: holds a single image"):
        Dataset("a", (), Path("a"), test=Split(images[:1])).cut()


def test_channel_statistics(tmp_path):
    pixels = RANDOM.integers(0, 256, (50, 6, 6, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=pixels, y=np.zeros(50, int))
    mean, std = channel_statistics(open_dataset(tmp_path / "a.npz").test)
    assert mean == pytest.approx((pixels / 255).mean((0, 1, 2)), abs=1e-6)
    assert std == pytest.approx((pixels / 255).std((0, 1, 2)), abs=1e-6)


def test_digest_tells_pixels_labels_and_order_apart(stripes):
    split = open_dataset(stripes).test
    digests = {split.sha256(), split.subset(np.arange(89)).sha256(), split.subset(np.arange(90)[::-1]).sha256()}
    assert len(digests) == 3
    assert split.subset(np.arange(90)).sha256() == split.sha256()
