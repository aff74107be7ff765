"""The settings of a sweep: lists, ranges and random draws, and the refusal of what is not possible."""

import json

import numpy as np
import pytest

from ratui.errors import TrainError
from trainer.experiments import sweep_settings
from trainer.experiments.sweep_settings import Convert, draw_combinations, list_combinations, parse_variations

CONVERTS: dict[str, Convert] = {"rate": float, "width": int, "loss": str}


def test_lists_are_combined_in_order() -> None:
    found = list_combinations(parse_variations(["rate=0.1,1e-3", "loss=a,b"], CONVERTS))
    assert found == (
        {"rate": 0.1, "loss": "a"},
        {"rate": 0.1, "loss": "b"},
        {"rate": 0.001, "loss": "a"},
        {"rate": 0.001, "loss": "b"},
    )


def test_draws_are_in_their_ranges_and_the_first_ones_stay() -> None:
    varied = parse_variations(["rate=1e-4..1e-2", "width=4..9", "loss=a,b"], CONVERTS)
    drawn = draw_combinations(varied, 300, 1)
    assert len({json.dumps(each) for each in drawn}) == 300
    rates = [each["rate"] for each in drawn]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert np.median(rates) == pytest.approx(1e-3, rel=0.3), "uniform in the logarithm"
    assert {each["width"] for each in drawn} == {4, 5, 6, 7, 8, 9}
    assert all(isinstance(each["width"], int) for each in drawn)
    assert {each["loss"] for each in drawn} == {"a", "b"}
    assert draw_combinations(varied, 5, 1) == drawn[:5]
    assert draw_combinations(varied, 5, 2) != drawn[:5]


def test_a_range_from_zero_is_uniform() -> None:
    drawn = draw_combinations(parse_variations(["rate=0..2"], CONVERTS), 300, 0)
    assert np.mean([each["rate"] for each in drawn]) == pytest.approx(1, abs=0.1)


def test_lists_that_are_exhausted_give_what_they_have() -> None:
    drawn = draw_combinations(parse_variations(["loss=a,b"], CONVERTS), 5, 0)
    assert sorted(each["loss"] for each in drawn) == ["a", "b"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "nothing to vary"),
        (["speed=1"], "no setting speed to vary. Take from: rate, width, loss"),
        (["rate=x"], "rate=x: could not convert"),
        (["rate="], "rate=: there are no values"),
        (["rate"], "rate: there are no values"),
        (["rate=1,1e0"], "rate=1,1e0: a value occurs twice"),
        (["rate=1", "rate=2"], "rate is given twice"),
        (["rate=2..2"], "rate=2..2: the range is empty"),
        (["loss=a..b"], "loss=a..b: it has no numbers"),
        (["width=1.5"], "width=1.5: invalid literal"),
    ],
)
def test_what_is_not_possible_is_named(texts: list[str], message: str) -> None:
    with pytest.raises(TrainError) as raised:
        parse_variations(texts, CONVERTS)
    assert message in str(raised.value)


def test_the_number_of_combinations_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_settings, "_LARGEST_SWEEP", 3)
    varied = parse_variations(["rate=1,2", "width=1,2"], CONVERTS)
    with pytest.raises(TrainError, match="more than 3 combinations"):
        list_combinations(varied)
    with pytest.raises(TrainError, match="4 combinations are too many"):
        draw_combinations(varied, 4, 0)
    with pytest.raises(TrainError, match="rate has a range"):
        list_combinations(parse_variations(["rate=1..2"], CONVERTS))
