"""What follows from a run's epochs: when an attempt ends, which one is kept, whether another one follows."""

import json
from pathlib import Path

import pytest
from scipy.stats import binomtest

from falcon_edge.documents import parse_document
from falcon_edge.training.history import MOST_ATTEMPTS, Attempt, Epoch, History, Line

DIVERGED = None


def epochs(*figures, loss=1.0):
    return [Epoch(place, loss, loss, figure) for place, figure in enumerate(figures, 1)]


def attempt(rate, *figures, start=0.5, loss=1.0):
    """The best is the earliest above the start, as `fit` finds it."""
    best, most = 0, start
    for place, figure in enumerate(figures, 1):
        if figure is not None and figure > most:
            best, most = place, figure
    return Attempt(rate, epochs(*figures, loss=loss), best)


def history(*attempts, start=0.5, goal=0.9, loss=2.0):
    """As it is when each attempt ended and the better ones were kept."""
    made = History(Epoch(0, None, loss, start), goal)
    for one in attempts:
        made.attempts.append(one)
        if len(made.attempts) > 1:
            made.keep_better()
    return made


@pytest.mark.parametrize(
    ("last", "serves"), [(0.9, True), (0.893, True), (0.891, False), (0.5, False), (0.3, False), (DIVERGED, False)]
)
def test_the_first_rate_serves_where_it_comes_to_its_teacher(last, serves):
    assert history(attempt(0.1, 0.4, last)).serves() is serves


def test_where_there_is_nothing_to_gain_no_other_rate_is_tried():
    assert history(attempt(0.1, 0.4, 0.5), goal=0.5).serves()
    assert history(attempt(0.1, 0.4, 0.5), goal=0.3).serves()
    assert history(attempt(0.1, 0.9, 0.9, start=1.0), start=1.0, goal=None).serves()


@pytest.mark.parametrize(("last", "loss", "serves"), [(0.7, 0.9, True), (0.7, 1.1, False), (0.4, 0.9, False)])
def test_without_a_teacher_the_loss_must_have_halved(last, loss, serves):
    assert history(attempt(0.1, last, loss=loss), goal=None).serves() is serves


def test_lower_rates_follow_until_one_brings_less():
    tried = [attempt(0.1, 0.4), attempt(0.025, 0.75), attempt(0.00625, 0.8), attempt(0.0015625, 0.79)]
    assert [history(*tried[:count]).serves() for count in range(1, 5)] == [False, False, False, True]


def test_a_network_that_is_near_chance_or_as_it_began_is_not_the_end():
    """Rates that leave a network dead are alike, and one brings no more than the other."""

    def dead(figure, other):
        return history(attempt(0.1, figure, start=0.1), attempt(0.025, other, start=0.1), start=0.1)

    assert not dead(0.11, 0.11).serves()
    assert not dead(0.44, 0.11).serves()
    assert dead(0.46, 0.11).serves()
    assert not history(attempt(0.1, 0.3), attempt(0.025, 0.4)).serves()
    assert history(attempt(0.1, 0.6), attempt(0.025, 0.59)).serves()
    hopeless = [attempt(0.1 / 4**place, DIVERGED) for place in range(MOST_ATTEMPTS)]
    assert [history(*hopeless[:count]).serves() for count in (MOST_ATTEMPTS - 1, MOST_ATTEMPTS)] == [False, True]


@pytest.mark.parametrize(("lower", "kept"), [(0.7, 0), (0.8, 0), (0.809, 0), (0.81, 1), (0.9, 1), (DIVERGED, 0)])
def test_a_lower_rate_is_kept_where_it_gains_over_three_percent_more(lower, kept):
    made = history(attempt(0.1, 0.8), attempt(0.025, lower))
    assert made.kept == kept
    assert made.learning_rate == (0.1, 0.025)[kept]
    assert made.figure == (0.8, lower)[kept]


def test_what_is_kept_is_near_the_best_of_all():
    """Many small steps do not add up."""
    tried = [attempt(0.1 / 4**place, 0.8 + 0.008 * place) for place in range(MOST_ATTEMPTS)]
    for count in range(1, MOST_ATTEMPTS + 1):
        made = history(*tried[:count])
        assert made.figure - 0.5 >= 0.97 * max(made.figure_of(one) - 0.5 for one in made.attempts)


@pytest.mark.parametrize(
    ("figures", "hopeless"),
    [
        ((0.4,), False),
        ((0.4, 0.5), True),
        ((0.4, 0.51), False),
        ((0.6, 0.4), False),
        ((0.4, 0.4, 0.4), True),
        ((0.4, 0.4, 0.4, 0.4), False),
        ((DIVERGED,), True),
    ],
)
def test_a_first_attempt_of_four_epochs_ends_half_way_without_a_gain(figures, hopeless):
    assert history(attempt(0.1, *figures)).hopeless(4) is hopeless


def test_one_epoch_is_too_few_to_judge_by():
    assert not history(attempt(0.1, 0.4)).hopeless(2)
    assert history(attempt(0.1, 0.4, 0.4)).hopeless(3)


def test_a_further_attempt_ends_half_way_where_the_kept_one_was_better():
    first = attempt(0.1, 0.6, 0.7, 0.8, 0.85)
    for figures, hopeless in (((0.65,), False), ((0.65, 0.7), True), ((0.65, 0.71), False), ((0.65, 0.71, 0.8), True)):
        assert history(first, attempt(0.025, *figures)).hopeless(4) is hopeless


def test_lines_are_every_epoch_in_its_order():
    made = history(attempt(0.1, 0.6, DIVERGED), attempt(0.025, 0.7, 0.8))
    lines = [json.loads(line) for line in made.lines().splitlines()]
    values = [None if line["quality"] is None else line["quality"]["value"] for line in lines]
    rows = [
        (line["attempt"], line["epoch"], line["learning_rate"], top1) for line, top1 in zip(lines, values, strict=True)
    ]
    assert rows == [
        (0, 0, None, 0.5),
        (1, 1, 0.1, 0.6),
        (1, 2, 0.1, None),
        (2, 1, 0.025, 0.7),
        (2, 2, 0.025, 0.8),
    ]
    assert [line["kept"] for line in lines] == [False, False, False, False, True]
    assert json.loads(history(attempt(0.1, 0.4)).lines().splitlines()[0])["kept"] is True


def test_a_line_has_top1_with_its_interval_where_the_images_are_counted():
    made = history(attempt(0.1, 0.6))
    assert json.loads(made.lines().splitlines()[0])["quality"]["interval"] is None
    made.images = 10
    quality = json.loads(made.lines().splitlines()[0])["quality"]
    found = binomtest(5, 10).proportion_ci(0.95, "wilson")
    assert quality == {
        "metric": "top1", "value": 0.5, "interval": [found.low, found.high], "samples": 10, "higher_is_better": True,
        "unit": "share",
    }  # fmt: skip


def test_lines_of_version_1_are_read():
    path = Path(__file__).with_name("training_version_1.jsonl")
    for text in path.read_text().splitlines():
        old, line = json.loads(text), parse_document(text.encode(), path, Line)
        assert old["validation_top1"] == (None if line.quality is None else line.quality.value)
        assert (old["epoch"], old["kept"]) == (line.epoch, line.kept)
