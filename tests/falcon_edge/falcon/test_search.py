"""The best plan within a budget, against all plans there are."""

from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falcon_edge.falcon.forms.form import Replacement
from falcon_edge.falcon.search import Offer, best, least, useful

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
    )
    return {
        f"layer{number}": draw(st.lists(offer, min_size=1, max_size=5)) for number in range(draw(st.integers(1, 4)))
    }


def all_choices(offers):
    for chosen in product(*offers.values()):
        yield sum(each.cost for each in chosen), sum(each.loss for each in chosen)


@settings(max_examples=150, deadline=None)
@given(layers(), st.floats(0.01, 1.5))
def test_no_choice_within_the_budget_loses_less(offers, share):
    budget = share * sum(max(each.cost for each in given) for given in offers.values())
    found = best(offers, budget)
    slack = 1e-5 * max(budget, max(each.cost for given in offers.values() for each in given))
    within = [loss for cost, loss in all_choices(offers) if cost <= budget - slack]
    assert (found is None) == (least(offers) > budget * (1 + 1e-9))
    if found is None:
        return
    assert found.cost <= budget * (1 + 1e-9)
    assert found.cost == pytest.approx(sum(each.cost for each in found.offers.values()))
    assert all(each in offers[name] for name, each in found.offers.items())
    assert found.offers.keys() == offers.keys()
    if within:
        most = max(each.loss for given in offers.values() for each in given)
        assert found.loss <= min(within) + 1e-5 * most
    assert found.bound <= found.loss


@given(layers())
def test_what_another_offer_beats_is_of_no_use(offers):
    for given_ in offers.values():
        kept = useful(given_)
        assert all(one.cost < other.cost and one.loss > other.loss for one, other in pairwise(kept))
        assert all(any(one.cost <= each.cost and one.loss <= each.loss for one in kept) for each in given_)


def test_a_budget_below_all_has_no_choice():
    offers = {"a": [Offer(KEPT, 3.0, 0.0), Offer(Replacement("falcon", (1,)), 1.0, 0.5)], "b": [Offer(KEPT, 2.0, 0.0)]}
    assert least(offers) == 3
    assert best(offers, 2.9) is None
    found = best(offers, 3.0)
    assert (found.cost, found.loss, found.replaced) == (3.0, 0.5, {"a": Replacement("falcon", (1,))})
    assert best(offers, 100.0).replaced == {}


def test_without_layers_nothing_is_chosen():
    assert best({}, 1.0).offers == {}
