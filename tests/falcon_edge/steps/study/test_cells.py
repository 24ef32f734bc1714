"""The cells of studies: every one has a name of its own, and standard networks come first."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.units import UNITS
from falcon_edge.steps.compress import Init
from falcon_edge.steps.study.cells import cells_of
from falcon_edge.steps.study.document import Study, Sweep


def some(values, least=0):
    return st.lists(st.sampled_from(values), min_size=least, max_size=3, unique=True).map(tuple)


FORM_SWEEPS = st.builds(
    Sweep,
    form=some([*FORMS], 1),
    rank=some([1, 2, 11], 1),
    init=some(get_args(Init)),
    seeds=some([0, 1, 12]),
    epochs=some([1, 10]),
) | st.builds(Sweep, form=some([*FORMS], 1), macs_of=st.sampled_from(["falcon-1", "falcon-11"]), seeds=some([0, 7]))
UNIT_SWEEPS = st.builds(
    Sweep,
    unit=some([*UNITS], 1).map(lambda names: (*dict.fromkeys([*names, "mobilev2", "shuffle", "falcon"]),)),
    rank=some([1, 2]),
    expansion=st.sampled_from([None, 2, 4]),
    groups=st.sampled_from([None, 2, 4]),
    macs_of=st.sampled_from([None, "falcon-1", "falcon-2"]),
    taught=st.booleans(),
    epochs=some([1, 10, 100]),
)
STUDIES = st.builds(
    Study,
    models=some(["vgg8", "vgg19", "timm:net", "own:net", "own:net-1"], 1),
    widths=some([1.0, 0.25, 2.0, 0.2], 1),
    data=st.just("sample"),
    seeds=some([0, 1, 2], 1),
    train=st.just({"epochs": 20}),
    tune=st.just({}),
    tunings=some([1, 5, 10], 1),
    cells=st.lists(FORM_SWEEPS | UNIT_SWEEPS, max_size=3).map(tuple),
)


@given(STUDIES)
def test_names_are_unique_and_what_a_cell_begins_with_stands_before_it(study):
    cells = cells_of(study)
    names = [cell.name for cell in cells]
    assert len({*names}) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_") for name in names)
    for number, cell in enumerate(cells):
        assert cell.begins is None or cell.begins in names[:number]
    specifications = [cell.model_dump_json() for cell in cells]
    assert len({*specifications}) == len(specifications)


def test_two_cells_of_one_name_are_refused():
    study = Study(models=("own:net-1", "own-net:1"), data="sample", train={"epochs": 1})
    with pytest.raises(BadInput, match="two different cells would be called own-net-1-1-standard-1-s0"):
        cells_of(study)


def test_seeds_stand_side_by_side_in_the_order_of_the_file():
    sweep = Sweep(form=("falcon",), rank=(2, 1), init=("svd", "whitened"), seeds=(1, 0))
    study = Study(models=("vgg8",), data="sample", train={"epochs": 3}, tunings=(5, 1), cells=(sweep, sweep))
    names = [cell.name.removeprefix("vgg8-1-") for cell in cells_of(study)]
    assert names[:8] == [
        *("standard-3-s0", "standard-3-s1"),
        *("falcon-2-svd-5-s1", "falcon-2-svd-5-s0", "falcon-2-svd-1-s1", "falcon-2-svd-1-s0"),
        *("falcon-2-whitened-5-s1", "falcon-2-whitened-5-s0"),
    ]
    assert len(names) == 2 + 16
