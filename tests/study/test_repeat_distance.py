"""The distance of repeats from their originals: in an order of cases, and in the sorted names of each rater's cases."""

from __future__ import annotations

import random

import pytest

from ratui.study.campaign.repeat_distance import MIN_DISTANCE, find_shortest_distance, is_apart, move_apart

CASES = [f"C{number:02}" for number in range(60)]
EVERYONE = dict.fromkeys(CASES, ("anna", "bert"))


def test_the_second_of_a_pair_moves_back_and_the_others_stay_in_their_order() -> None:
    found = move_apart(CASES, {"C05": "C04", "C20": "C31"}, EVERYONE)
    assert sorted(found) == CASES
    assert MIN_DISTANCE <= found.index("C05") - found.index("C04") <= 2 * MIN_DISTANCE + 1
    assert found.index("C31") - found.index("C20") >= MIN_DISTANCE
    assert [case for case in found if case not in ("C05", "C31")] == [c for c in CASES if c not in ("C05", "C31")]


def test_pairs_that_are_apart_stay() -> None:
    assert move_apart(CASES, {"C00": "C59", "C-NOT-HERE": "C07"}, EVERYONE) == tuple(CASES)


@pytest.mark.parametrize("seed", range(20))
def test_each_rater_has_the_distance_among_their_own_cases(seed: int) -> None:
    draw = random.Random(seed)
    order = draw.sample(CASES, len(CASES))
    pairs = dict(zip(order[0:16:2], order[1:16:2], strict=True))  # beside each other, at the beginning of the list
    raters = {case: draw.sample(["anna", "bert", "cora"], 2) for case in CASES}
    for repeat, original in pairs.items():
        raters[repeat] = raters[original]
    found = move_apart(order, pairs, raters)
    assert sorted(found) == CASES
    for repeat, original in pairs.items():
        for rater in raters[repeat]:
            own = [case for case in found if rater in raters[case]]
            assert abs(own.index(repeat) - own.index(original)) >= MIN_DISTANCE


def test_at_the_end_of_the_list_it_comes_before_its_partner() -> None:
    found = move_apart(CASES, {"C59": "C58"}, EVERYONE)
    assert found.index("C58") - found.index("C59") == MIN_DISTANCE


def test_a_new_name_is_a_third_of_a_short_list_away_and_ten_places_in_a_long_one() -> None:
    assert not is_apart("C04A", "C04", [CASES])
    assert not is_apart("C13A", "C05", [CASES])
    assert is_apart("C15A", "C05", [CASES])
    assert is_apart("C15A", "C25", [CASES])
    assert not is_apart("C15A", "C24", [CASES])
    assert is_apart("C02A", "C00", [CASES[:6]])
    assert not is_apart("C00A", "C00", [CASES[:6]])
    assert not is_apart("C15A", "C05", [CASES, ["C05", *CASES[14:]]]), "in the list of each rater"


def test_the_shortest_distance_counts_pairs_in_the_list_only() -> None:
    pairs = {"C09": "C05", "C30": "C23", "C-NOT-HERE": "C07", "C08": "C-NOT-HERE"}
    assert find_shortest_distance(CASES, pairs) == 4
    assert find_shortest_distance(CASES, {"C50": "C05"}) == MIN_DISTANCE
    assert find_shortest_distance((), pairs) == MIN_DISTANCE
