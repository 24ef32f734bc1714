"""The best plan within a budget, against all plans there are."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falcon_edge.falcon.forms.form import Replacement
from falcon_edge.falcon.search import Offer, Rest, best, least, useful

KEPT = None
NUMBERS = st.floats(0, 1e3, allow_subnormal=False).map(lambda value: round(value, 6))
SCALES = st.sampled_from((1e-9, 1e-4, 1.0, 1e9))


@st.composite
def layers(draw):
    """Offers of up to four layers; costs in any unit."""
    cost, loss = draw(SCALES), draw(SCALES)
    offer = st.builds(
        Offer,
        st.sampled_from((KEPT, Replacement("falcon", (1,)), Replacement("tucker2", (8, 8)))),
        NUMBERS.map(lambda value: value * cost),
        NUMBERS.map(lambda value: value * loss),
        st.integers(0, 1000).map(float),
    )
    return {
        f"layer{number}": draw(st.lists(offer, min_size=1, max_size=5)) for number in range(draw(st.integers(1, 4)))
    }


@st.composite
def rests(draw, unit=1.0):
    """What a network costs beside up to four layers, by their weights."""
    weights = sorted(draw(st.sets(st.integers(0, 4000), min_size=1, max_size=4)))
    steps = draw(st.lists(st.sampled_from((0.0, 1.0, 30.0, 500.0)), min_size=len(weights), max_size=len(weights)))
    return Rest(tuple(map(float, weights)), tuple(unit * float(each) for each in np.cumsum(steps)))


def all_choices(offers, rest):
    for chosen in product(*offers.values()):
        cost, loss, weights = (sum(getattr(each, name) for each in chosen) for name in ("cost", "loss", "weights"))
        yield cost + rest.at(weights), loss


@settings(max_examples=150, deadline=None)
@given(layers(), rests(), st.floats(0.01, 1.5))
def test_no_choice_within_the_budget_loses_less(offers, rest, share):
    dearest = sum(max(each.cost for each in given) for given in offers.values())
    rest = Rest(rest.weights, tuple(each * dearest / 500 for each in rest.costs))
    budget = share * dearest
    found = best(offers, budget, rest)
    slack = 1e-5 * max(budget, max(each.cost for given in offers.values() for each in given))
    choices = [*all_choices(offers, rest)]
    within = [loss for cost, loss in choices if cost <= budget - slack]
    if found is None:
        assert not within
        return
    assert found.cost <= budget * (1 + 1e-9)
    weights = sum(each.weights for each in found.offers.values())
    assert found.cost == pytest.approx(sum(each.cost for each in found.offers.values()) + rest.at(weights))
    assert all(each in offers[name] for name, each in found.offers.items())
    assert found.offers.keys() == offers.keys()
    if within:
        most = max(each.loss for given in offers.values() for each in given)
        assert found.loss <= min(within) + 1e-5 * most
    assert found.bound <= found.loss


def beats(one, other):
    return one.cost <= other.cost and one.loss <= other.loss and one.weights <= other.weights


@given(layers())
def test_what_another_offer_beats_is_of_no_use(offers):
    for given_ in offers.values():
        kept = useful(given_)
        assert all(one.cost <= other.cost for one, other in pairwise(kept))
        assert not any(beats(one, other) for one in kept for other in kept if one is not other)
        assert all(any(beats(one, each) for one in kept) for each in given_)


def test_a_budget_below_all_has_no_choice():
    offers = {"a": [Offer(KEPT, 3.0, 0.0), Offer(Replacement("falcon", (1,)), 1.0, 0.5)], "b": [Offer(KEPT, 2.0, 0.0)]}
    assert least(offers) == 3
    assert best(offers, 2.9) is None
    found = best(offers, 3.0)
    assert (found.cost, found.loss, found.replaced) == (3.0, 0.5, {"a": Replacement("falcon", (1,))})
    assert best(offers, 100.0).replaced == {}


def test_without_layers_nothing_is_chosen():
    assert best({}, 1.0).offers == {}
    assert best({}, 1.0, Rest(costs=(2.0,))) is None


def test_a_dear_rest_is_escaped_by_fewer_weights():
    offers = {"a": [Offer(KEPT, 1.0, 0.0, 100.0), Offer(Replacement("falcon", (1,)), 2.0, 0.5, 10.0)]}
    rest = Rest((20.0, 50.0), (1.0, 9.0))
    assert best(offers, 10.0, rest).replaced == {}
    found = best(offers, 9.9, rest)
    assert (found.cost, found.loss, found.bound) == (3.0, 0.5, 0.5)
    assert best(offers, 2.9, rest) is None


@settings(max_examples=150, deadline=None)
@given(layers(), rests(), st.floats(0.01, 10))
def test_nothing_costs_less_than_the_least(offers, rest, share):
    dearest = sum(max(each.cost for each in given) for given in offers.values())
    rest = Rest(rest.weights, tuple(each * share * dearest / 500 for each in rest.costs))
    cheapest = min(cost for cost, _ in all_choices(offers, rest))
    found = least(offers, rest)
    assert cheapest * (1 - 1e-9) <= found <= cheapest * (1 + 1e-9) + 1e-6 * dearest
    assert best(offers, found, rest).cost <= found * (1 + 1e-9)


def test_the_least_cost_may_be_that_of_a_dearer_offer_whose_weights_nothing_waits_for():
    offers = {"layer": [Offer(KEPT, 1.0, 0.0, 100.0), Offer(Replacement("falcon", (1,)), 2.0, 1.0, 10.0)]}
    rest = Rest((50.0, 100.0), (0.0, 5.0))
    assert least(offers, rest) == 2.0
    assert best(offers, 2.0, rest).cost == 2.0
    assert best(offers, 1.9, rest) is None
