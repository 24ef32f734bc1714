"""What is said of the paper's claims, on made-up figures."""

import math

import pytest
from made_up_studies import networks, study
from scipy.stats import ttest_rel

from falcon_edge.steps.study.claims import claims_of
from falcon_edge.steps.study.groups import main_groups

COSTS = {"standard": (8000, 80_000), "falcon-1": (1000, 10_000), "unit-dsconv-as-falcon-1": (900, 10_100)}
WORDS = [
    "rank 1 has at least",
    "is ahead of every other",
    "rank 2 or 3 is at or above",
    "begun by the SVD",
]


def found(figures, *sweeps, costs=COSTS, **options):
    """The claims by their first words."""
    claims = claims_of(networks(study(*sweeps, **options), figures, costs))
    assert all(any(words in claim.claimed for words in WORDS) for claim in claims)
    return {words: claim for words in WORDS for claim in claims if words in claim.claimed}


FALCON = {"form": ("falcon",), "rank": (1,)}


@pytest.mark.parametrize(
    ("top1", "parameters", "word"),
    [(0.898, 1000, "holds"), (0.896, 1000, "does not hold"), (0.898, 1200, "does not hold")],
)
def test_rank_1_is_small_and_near(top1, parameters, word):
    costs = COSTS | {"falcon-1": (parameters, 10_000)}
    claim = found({"standard-20-s0": 0.9, "falcon-1-svd-10-s0": top1}, FALCON, costs=costs)[WORDS[0]]
    assert claim.word == word
    assert f"{8000 / parameters:.2f} times fewer parameters, 8.00 times fewer MACs" in claim.says
    assert f"{100 * (top1 - 0.9):+.2f} points" in claim.says


def test_resnet34_may_have_more_macs():
    costs = {"standard": (8000, 80_000), "falcon-1": (1000, 14_000)}
    for model, word in (("vgg19", "does not hold"), ("resnet34", "holds")):
        figures = {"standard-20-s0": 0.9, "falcon-1-svd-10-s0": 0.9}
        assert found(figures, FALCON, costs=costs, models=(model,))[WORDS[0]].word == word


def test_several_seeds_are_compared_seed_by_seed():
    standard, falcon = [0.90, 0.91, 0.93], [0.898, 0.911, 0.926]
    figures = {f"standard-20-s{seed}": value for seed, value in enumerate(standard)}
    figures |= {f"falcon-1-svd-10-s{seed}": value for seed, value in enumerate(falcon)}
    claim = found(figures, FALCON | {"seeds": (0, 1, 2)})[WORDS[0]]
    low, high = ttest_rel(falcon, standard).confidence_interval(0.95)
    assert f"-0.17 points ({100 * low:+.2f}..{100 * high:+.2f}; t, by seed)" in claim.says


@pytest.mark.parametrize("seeds", [(0, 1), (0,)])
def test_only_seeds_that_both_have_are_compared(seeds):
    """The third seed makes the standard network's mean low, and says nothing of FALCON."""
    figures = {"standard-20-s0": 0.90, "standard-20-s1": 0.91, "standard-20-s2": 0.5}
    figures |= {f"falcon-1-svd-10-s{seed}": 0.88 for seed in seeds}
    claim = found(figures, FALCON | {"seeds": seeds}, seeds=(0, 1, 2))[WORDS[0]]
    assert claim.word == "does not hold"
    assert f"{-2.5 if len(seeds) > 1 else -2:+.2f} points" in claim.says


def test_of_a_single_seed_that_both_have_the_interval_is_that_of_its_images():
    """Not that of a mean over seeds of which one network has none."""
    figures = {"standard-20-s0": 0.90, "standard-20-s1": 0.91, "standard-20-s2": 0.5, "falcon-1-svd-10-s0": 0.88}
    claim = found(figures, FALCON | {"seeds": (0,)}, seeds=(0, 1, 2))[WORDS[0]]
    half = math.hypot(0.5, 0.5)  # of both, in points: see made_up_studies
    assert f"-2.00 points ({-2 - half:+.2f}..{-2 + half:+.2f}; binomial, 10,000 images)" in claim.says


def test_a_form_and_a_unit_of_one_name_are_two_structures():
    figures = {"standard-20-s0": 0.9, "falcon-1-svd-10-s0": 0.89, "unit-falcon-1-20-s0": 0.5}
    (network,) = networks(study(FALCON, {"unit": ("falcon",), "rank": (1,)}), figures, COSTS)
    assert {group.name: group.mean for group in main_groups(network.groups)} == {
        "standard": 0.9,
        "falcon-1": 0.89,
        "unit-falcon-1": 0.5,
    }


@pytest.mark.parametrize(("rival", "word"), [(0.88, "holds"), (0.90, "does not hold")])
def test_others_at_the_same_macs(rival, word):
    sweep = {"unit": ("dsconv", "falcon_branch"), "macs_of": "falcon-1"}
    figures = {
        "falcon-1-svd-10-s0": 0.89,
        "unit-dsconv-as-falcon-1-20-s0": rival,
        "falcon_branch-1-as-falcon-1-20-s0": 0.99,  # FALCON too
    }
    claim = found(figures, FALCON, sweep)[WORDS[1]]
    assert claim.word == word
    assert "of unit-dsconv-as-falcon-1 (1.01 of the MACs)" in claim.says
    assert "falcon_branch" not in claim.says
    assert "binomial, 10,000 images" in claim.says


@pytest.mark.parametrize(("ranks", "word"), [((0.89, 0.9), "holds"), ((0.89, 0.899), "does not hold")])
def test_rank_2_or_3_reaches_the_standard(ranks, word):
    figures = {"standard-20-s0": 0.9} | {f"falcon-{2 + place}-svd-10-s0": top1 for place, top1 in enumerate(ranks)}
    assert found(figures, FALCON | {"rank": (2, 3)})[WORDS[2]].word == word


def test_the_svd_is_compared_where_the_budget_is_short():
    sweep = {"form": ("falcon",), "rank": (1,), "init": ("svd", "random"), "epochs": (1, 10)}
    figures = {"falcon-1-svd-1-s0": 0.8, "falcon-1-random-1-s0": 0.7, "falcon-1-svd-10-s0": 0.8}
    claim = found(figures | {"falcon-1-random-10-s0": 0.9}, sweep)[WORDS[3]]
    assert claim.word == "holds"
    assert claim.says.startswith("at rank 1 after 1 epoch +10.00 points")


def test_what_was_not_made_is_not_measured():
    claims = found({"standard-20-s0": 0.9}, FALCON)
    assert {claim.word for claim in claims.values()} == {"not measured"}
    assert {claim.says for claim in claims.values()} == {""}
