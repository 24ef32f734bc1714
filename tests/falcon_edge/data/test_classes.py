"""Which class is which: by name, by a class map, by order, or refused."""

import json
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcon_edge.data import Dataset, Split
from falcon_edge.data.classes import NoMatch, labels_of, mapped_names, match, read_class_map
from falcon_edge.errors import BadInput
from falcon_edge.notices import Notice

ANIMALS = ("cat", "dog", "émeu")
# No digits: a list of 0, 1, 2, ... is no list of names.
TEXTS = st.text(st.characters(exclude_categories=["Nd", "Cs"]), min_size=1, max_size=6)
NAMES = st.lists(TEXTS, min_size=1, max_size=12, unique_by=lambda name: unfolded(name))


def unfolded(name):
    """As the matcher sees a name when it is not there exactly, by other means."""
    return unicodedata.normalize("NFC", "".join(unicodedata.normalize("NFC", name).casefold().split()))


@given(NAMES, st.randoms(use_true_random=False))
def test_names_in_any_order_are_found_and_classes_may_lack(model, random):
    data = random.sample(model, random.randint(1, len(model)))
    written = [unicodedata.normalize(random.choice(("NFC", "NFD")), name) for name in data]
    assert [model[number] for number in match(written, model).numbers] == data


@pytest.mark.parametrize(
    ("data", "model", "numbers"),
    [
        (("dog", "émeu", "cat"), ANIMALS, (1, 2, 0)),
        ((unicodedata.normalize("NFD", "émeu"),), ANIMALS, (2,)),
        (("DOG", "Cat"), ANIMALS, (1, 0)),
        (("hot  dog", " cat"), ("cat", "Hot Dog"), (1, 0)),
        (("a", "A"), ("A", "a"), (1, 0)),
        (("2", "0"), ("0", "1", "2"), (2, 0)),
        (("0", "1"), ("0", "1", "2"), (0, 1)),
        (("crane", "crane", "x"), ("crane", "crane", "x"), (0, 1, 2)),
        (("10", "1"), ("0", "1", "10", "2"), (2, 1)),
    ],
)
def test_by_name(data, model, numbers):
    matching = match(data, model)
    assert (matching.numbers, matching.in_order) == (numbers, False)


@pytest.mark.parametrize(
    ("data", "model"), [(("cat", "dog"), ("0", "1")), (("0", "1"), ("cat", "dog")), (("00", "01"), ("0", "1"))]
)
def test_numbers_for_names_are_taken_in_order_where_there_are_as_many(data, model):
    assert match(data, model).in_order
    assert match(data, model).numbers == (0, 1)


@pytest.mark.parametrize(
    ("data", "model", "said"),
    [
        (("cat", "bird"), ANIMALS, "'bird' is none of 'cat', 'dog', 'émeu'"),
        (("0", "1"), ANIMALS, "'0', '1' are none of"),
        (("cat", "dog"), tuple("01234"), "none of '0', '1', '2' (and 2 more)"),
        (("1", "2"), ("0", "1"), "'2' is none of '0', '1'"),
        (("cat", "Cat"), ("cat", "dog"), "'cat', 'Cat' would all be 'cat'"),
        (("crane",), ("crane", "crane"), "'crane' may be each of 2 classes"),
        # Folders 0..10 in the order of their names, beside numbers: a name or a place?
        (tuple(sorted(map(str, range(11)))), tuple(map(str, range(11))), "numbers in two orders"),
        (tuple(map(str, range(11))), tuple(sorted(map(str, range(11)))), "numbers in two orders"),
    ],
)
def test_what_cannot_be_matched(data, model, said):
    with pytest.raises(NoMatch) as caught:
        match(data, model)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("data", "class_map", "numbers"),
    [
        (("tabby", "dog"), {"tabby": "cat"}, (0, 1)),
        (("tabby", "dog"), {"tabby": 2}, (2, 1)),
        (("tabby", "siamese", "rock"), {"tabby": "cat", "siamese": "CAT", "rock": None}, (0, 0, None)),
        (("cat", "dog"), {"cat": 1, "dog": 0}, (1, 0)),
    ],
)
def test_a_class_map_comes_first(data, class_map, numbers):
    assert match(data, ANIMALS, class_map).numbers == numbers


def test_a_class_map_settles_numbers_in_two_orders():
    folders = tuple(sorted(map(str, range(11))))
    by_place = {name: place for place, name in enumerate(folders)}
    assert match(folders, tuple(map(str, range(11))), by_place).numbers == tuple(range(11))


@pytest.mark.parametrize(
    ("class_map", "said"),
    [
        ({"bird": "cat"}, "names 'bird', which is no class of the data ('cat', 'dog')"),
        ({"cat": "tiger"}, "'cat' 'tiger', which is none of"),
        ({"cat": 3}, "'cat' 3, which is none of"),
        ({"cat": -1}, "'cat' -1, which is none of"),
        ({"cat": 0, "CAT": 1}, "names 'cat' twice"),
    ],
)
def test_a_class_map_of_classes_that_do_not_exist(class_map, said):
    with pytest.raises(BadInput) as caught:
        match(("cat", "dog"), ANIMALS, class_map)
    assert said in str(caught.value)


def test_a_class_map_does_not_hide_a_class_that_it_forgets():
    with pytest.raises(NoMatch, match="'rock' is none"):
        match(("tabby", "rock"), ANIMALS, {"tabby": "cat"})
    with pytest.raises(NoMatch, match="'tabby', 'cat' would all be 'cat'"):
        match(("tabby", "cat"), ANIMALS, {"tabby": "cat"})


def test_what_a_model_without_names_is_called():
    assert mapped_names(("cat", "dog", "rock"), None) == ("cat", "dog", "rock")
    assert mapped_names(("cat", "dog", "rock"), {"cat": "pet", "dog": "pet", "rock": None}) == ("pet",)
    assert mapped_names(("cat", "dog"), {"cat": 1, "dog": "0"}) == ()
    assert labels_of(("cat", "dog"), ("0", "1", "2"), {"cat": 2, "dog": 0}) == ("dog", "1", "cat")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[1]", "a class map is a JSON object"),
        ('{"a": "b", "a": "c"}', "'a' is there twice"),
        ('{"a": true}', "'a' is a name, a number or null, not true"),
        ('{"a": 1.5}', "'a' is a name, a number or null, not 1.5"),
        ('{"a": ["b"]}', "'a' is a name"),
        ("[" * 100000, "not JSON"),
        ('{"a": "\xff"', "not JSON"),
    ],
)
def test_wrong_files(tmp_path, text, said):
    (tmp_path / "map.json").write_bytes(text.encode("latin1"))
    with pytest.raises(BadInput) as caught:
        read_class_map(tmp_path / "map.json")
    assert str(caught.value).startswith(f"{tmp_path / 'map.json'}: ")
    assert said in str(caught.value)


def test_a_file_that_is_not_there_and_one_that_is_good(tmp_path):
    with pytest.raises(BadInput, match=r"map\.json: cannot be read"):
        read_class_map(tmp_path / "map.json")
    class_map = {"tabby": "cat", "dog": 3, "rock": None}
    (tmp_path / "map.json").write_text(json.dumps(class_map))
    assert read_class_map(tmp_path / "map.json") == class_map


# What becomes of a data set


def data_set(names, labels):
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    return Dataset("made", names, "made", train=Split(images, np.array(labels)), test=Split(images, np.array(labels)))


def test_labels_are_renumbered_and_images_left_out():
    data = data_set(("tabby", "dog", "rock"), [0, 1, 2, 1, 0])
    with pytest.warns(Notice, match="lacks 1 of the 3 classes of model: 'émeu'"):
        made = data.of_classes(ANIMALS, "model", {"tabby": "dog", "dog": "cat", "rock": None})
    assert made.class_names == ANIMALS
    for split in (made.train, made.test):
        assert split.labels.tolist() == [1, 0, 0, 1]
        assert [int(image[0, 0, 0]) for image in split.images] == [0, 1, 3, 4]
    assert data.train.labels.tolist() == [0, 1, 2, 1, 0]


def test_the_same_classes_change_nothing():
    data = data_set(ANIMALS, [0, 2, 1])
    assert data.of_classes(ANIMALS, "model").train is data.train


def test_an_order_is_said():
    with pytest.warns(Notice, match="model: its classes have no names, so that they are taken in their order: '0' is"):
        data_set(ANIMALS, [0, 2, 1]).of_classes(("0", "1", "2"), "model")
    with pytest.warns(Notice, match="model: the classes of the data have no names"):
        data_set(("0", "1", "2"), [0, 2, 1]).of_classes(ANIMALS, "model")


def test_a_refusal_names_the_model_and_the_way_out():
    with pytest.raises(BadInput) as caught:
        data_set(ANIMALS, [0, 2, 1]).of_classes(("cat", "dog", "emu", "fox"), "model.onnx")
    assert str(caught.value) == (
        "model.onnx: has 4 classes, but the data has 3: 'émeu' is none of 'cat', 'dog', 'emu' (and 1 more); "
        "`class_map` says which is which"
    )
    with pytest.raises(BadInput, match="holds no images"), pytest.warns(Notice, match="lacks 2 of the 3"):
        data_set(ANIMALS, [0, 1]).of_classes(ANIMALS, "model", {"cat": None, "dog": None})
