"""How texts of options are read."""

import pytest

from falcon_edge.cli.options import arguments
from falcon_edge.errors import BadInput


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("depth=3", 3),
        ("depth=-1", -1),
        ("rate=0.5", 0.5),
        ("rate=1e-3", 1e-3),
        ("bias=true", True),
        ("kind='small net'", "small net"),
        ('kind="a=b"', "a=b"),
        ("kind=''", ""),
        ("kind=small", "small"),  # as it comes from a shell, which takes quotation marks away
        ("kind=vgg-16.small/x", "vgg-16.small/x"),
        ("blocks=[1, 2]", [1, 2]),
        ("blocks={first = 1, second = [true]}", {"first": 1, "second": [True]}),
    ],
)
def test_values_of_arguments(text, value):
    found = arguments([text])
    assert list(found.values()) == [value]
    assert type(next(iter(found.values()))) is type(value)


def test_several_arguments_and_none():
    assert arguments(["depth=3", "kind=small"]) == {"depth": 3, "kind": "small"}
    assert arguments(None) == {}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["depth"], "--model-arg depth: write NAME=VALUE, as in depth=3"),
        (["=3"], "--model-arg =3: write NAME=VALUE"),
        (["depth="], "--model-arg depth=: write NAME=VALUE"),
        (["a b=3"], "write NAME=VALUE"),
        (["depth=3", "depth=4"], "--model-arg depth: is given twice"),
        *(
            ([f"depth={value}"], f"--model-arg depth={value}: its value is none of TOML, as in 3, 0.5, true, word")
            for value in ("True", "None", "nan", "-inf", "[1", "1, 2", "3x3", "2026-01-01", "small net", "1\nmore = 2")
        ),
    ],
)
def test_what_is_no_argument(texts, said):
    with pytest.raises(BadInput) as caught:
        arguments(texts)
    assert said in str(caught.value)
