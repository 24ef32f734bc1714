"""What is compared with what: whatever results hold, every entry is in one pair at most, and none is forgotten."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime_bench.errors import BenchInputError
from runtime_bench.pairs import pairs

KINDS = st.tuples(
    st.sampled_from(["one", "two"]),  # the model
    st.sampled_from(["onnx", "tflite"]),
    st.sampled_from(["fp32", "int8"]),
    st.sampled_from(["local", "ssh://board"]),
    st.sampled_from([1, 2]),
    st.booleans(),  # whether it was loaded
)
SIDES = st.lists(KINDS, max_size=6, unique_by=lambda kind: kind[:5])


@pytest.fixture(scope="session")
def made(entry):
    def made(name="one", target="onnx", precision="fp32", device="local", threads=1, loaded=True, **options):
        found = entry(name, target=target, precision=precision, device=device, threads=threads, **options)
        return found if loaded else found.model_copy(update={"runtime": None})

    return made


def names(entries):
    return [entry.model.name for entry in entries]


@settings(deadline=None)
@given(new=SIDES, old=SIDES)
def test_every_entry_is_in_one_pair_or_left_over(made, new, old):
    new, old = ([made(*kind) for kind in side] for side in (new, old))
    found = pairs(new, old)
    for side, left, entries in ((0, found.added, new), (1, found.missing, old)):
        there = [id(entry) for entry in (*left, *(pair[side] for pair in found.both))]
        assert sorted(there) == sorted(map(id, entries))
    several = len({*names(new)}) > 1 or len({*names(old)}) > 1
    for one, other in found.both:
        assert (one.model.target, one.model.precision, one.device) == (
            other.model.target,
            other.model.precision,
            other.device,
        )
        assert one.runtime is None or other.runtime is None or one.runtime == other.runtime
        assert one.model.name == other.model.name or not several


@settings(deadline=None)
@given(sides=SIDES, data=st.data())
def test_the_order_of_entries_and_that_of_the_sides_do_not_matter(made, sides, data):
    """Where all was loaded: how it is with what was not is only known by what is left."""
    new = [made(*kind[:5]) for kind in sides]
    old = data.draw(st.permutations(new))
    found = pairs(new, old)
    assert all(one is other for one, other in found.both)
    assert len(found.both) == len(new)


def test_one_model_is_compared_with_one_whatever_their_names(made):
    assert len(pairs([made("head")], [made("base")]).both) == 1
    found = pairs([made("head"), made("tail")], [made("base")])
    assert (names(found.added), names(found.missing), found.both) == (["head", "tail"], ["base"], ())


def test_files_of_one_kind_are_told_apart_by_their_names(made):
    a, b = made(file="a.onnx"), made(file="b.onnx")
    found = pairs([b, a], [a, b])
    assert [(one.model.file, other.model.file) for one, other in found.both] == [("b.onnx",) * 2, ("a.onnx",) * 2]
    found = pairs([b], [a, b])
    assert ([entry.model.file for entry in found.missing], len(found.both)) == (["a.onnx"], 1)


def test_what_nothing_tells_apart_is_not_compared(made):
    said = r"has one, one.onnx \(onnxruntime, 1 thread, local\) 2 times: keep one of them"
    with pytest.raises(BenchInputError, match=f"the baseline {said}"):
        pairs([made()], [made(), made(bytes=5)])
    with pytest.raises(BenchInputError, match=f"NEW {said}"):
        pairs([made(), made(bytes=5)], [made()])


def test_what_was_never_loaded_goes_with_what_is_left(made):
    old = [made(), made(threads=2), made(target="tflite")]
    found = pairs([made(), made(loaded=False)], old)
    assert [other.runtime.threads for _, other in found.both] == [1, 2]
    assert [entry.model.target for entry in found.missing] == ["tflite"]
    found = pairs([made(file="b.onnx", loaded=False)], [made(file="a.onnx"), made(file="b.onnx")])
    assert found.both[0][1].model.file == "b.onnx"
