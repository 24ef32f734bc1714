"""What a network answers, as a flat row of tensors under names that stay."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.outputs import Flat, answers, check_one_input, named, outputs_of

Pair = namedtuple("Pair", "left right")  # what users write
IMAGES = torch.zeros(1, 3, 8, 8)


@dataclass
class Found:
    """As of libraries that give objects."""

    loss: torch.Tensor | None
    boxes: torch.Tensor
    scores: list


def row(number):
    return torch.full((1, 2), float(number))


class Answering(nn.Module):
    """Answers with what it was given."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x) if callable(self.answer) else self.answer


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (row(0), ["logits"]),
        (torch.zeros(1, 4, 8, 8), ["output"]),
        (torch.zeros(1), ["output"]),
        ((row(0), row(1)), ["output.0", "output.1"]),
        ([row(0)], ["output.0"]),
        (OrderedDict(out=row(0), aux=row(1)), ["out", "aux"]),
        (Pair(row(0), row(1)), ["left", "right"]),
        (Found(None, row(0), [row(1), row(2)]), ["boxes", "scores.0", "scores.1"]),
        ({"head one": row(0), "é": row(1)}, ["head_one", "_"]),
        ({"input": row(0)}, ["output.input"]),
        ({1: {2: row(0)}}, ["output.1.2"]),
    ],
)
def test_names_are_the_way_to_each_tensor(answer, names):
    found = named(answer)
    assert list(found) == names
    assert [float(tensor.flatten()[0]) for tensor in found.values()] == sorted(
        float(tensor.flatten()[0]) for tensor in found.values()
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((), "no tensor at all"),
        ({"a": None}, "no tensor at all"),
        ({"a": 3}, "a int as a"),
        ((row(0), "text"), "a str as 1"),
        ({"a b": row(0), "a_b": row(1)}, "two tensors of the name a_b"),
        ({"output.0": row(0), "0": row(1)}, "two tensors of the name output.0"),
        ([row(0)] * 1001, "more than 1000"),
        (3.5, "a float"),
    ],
)
def test_what_is_no_row_of_tensors_is_refused(answer, said):
    with pytest.raises(BadInput, match=said):
        answers("net", Answering(answer), IMAGES)


tensors = st.builds(lambda n: torch.full((1, 1), float(n)), st.integers(0, 9))
structures = st.recursive(
    tensors,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


@given(structures)
def test_flat_gives_every_tensor_once_in_one_order(answer):
    found = named(answer)
    again = Flat(Answering(answer))(IMAGES)
    assert [float(tensor) for tensor in again] == [float(tensor) for tensor in found.values()]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: torch.zeros(7, 2), r"output logits: has the shape \(7, 2\) for 1 images; its first axis"),
        (lambda x: torch.tensor(1.0), "first axis is the images"),
        (lambda x: torch.zeros(1, 2, dtype=torch.complex64), "complex64"),
        (lambda x: torch.zeros(1, 2, device="meta"), "is on the device meta"),
        (lambda x: torch.full((1, 2), torch.nan), "not finite"),
        (lambda x: (row(0), torch.full((1, 2), torch.inf)), r"not finite \(output.1\)"),
        (lambda x: {"a": row(0), "b": torch.zeros(1, 3 if x.any() else 4)}, "its output b has the shape .* NMS"),
        (lambda x: (row(0),) * (2 if x.any() else 1), "its output output.1 has the shape None"),
        (lambda x: {}["nothing"] if x.any() else row(0), "net does not take an input of 3x8x8: 'nothing'"),
    ],
)
def test_outputs_that_cannot_be_used(answer, said):
    with pytest.raises(BadInput, match=said) as caught:
        outputs_of("net", Answering(answer), IMAGES)
    assert "\n" not in str(caught.value)


def test_shapes_and_kinds():
    answer = {"scores": torch.zeros(1, 5), "boxes": torch.zeros(1, 4), "map": torch.zeros(1, 3, 8, 8)}
    answer |= {"anchors": torch.zeros(1, 9, 6), "count": torch.zeros(1, dtype=torch.int64)}
    found = outputs_of("net", Answering(answer), IMAGES)
    assert [(each.name, each.shape, each.kind) for each in found] == [
        ("scores", (5,), "classes"),
        ("boxes", (4,), "values"),
        ("map", (3, 8, 8), "map"),
        ("anchors", (9, 6), "values"),
        ("count", (), "values"),
    ]


def test_one_image_is_the_input():
    class Two(nn.Module):
        def forward(self, image, mask):
            return image

    class Optional(nn.Module):
        def forward(self, image, mask=None, *, scale=1.0):
            return image

    with pytest.raises(BadInput, match=r"net takes 2 inputs \(image, mask\)"):
        check_one_input("net", Two())
    check_one_input("net", Optional())
