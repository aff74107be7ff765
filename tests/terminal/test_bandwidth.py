"""The bandwidth is measured from answers, and an unmeasured line counts as fast."""

import pytest

from ratui.terminal import FENCE, Bandwidth


def test_an_unknown_line_is_fast() -> None:
    assert Bandwidth().estimate_seconds(1_000_000) < 0.05
    assert not Bandwidth().is_busy(0.0)


def measured(link: Bandwidth, rate: float, times: int = 1) -> Bandwidth:
    for _ in range(times):
        link.record_sent(50_000, 10.0)
        link.record_answer(link.last_number, 10.0 + (link.round_trip or 0.0) + 50_000 / rate)
    return link


def test_large_answers_give_the_rate() -> None:
    link = Bandwidth(round_trip=0.06)
    assert link.record_sent(50_000, 10.0) == f"\x1b7\x1b[2;1H{FENCE}\x1b8"
    assert link.is_busy(10.1)
    link.record_answer(link.last_number, 10.26)
    assert not link.is_busy(10.3)
    measured(link, 250_000)
    assert link.rate == pytest.approx(250_000)
    assert link.estimate_seconds(25_000) == pytest.approx(0.1)
    assert link.count_bytes_within(0.1) == pytest.approx(25_000, abs=1)


def test_a_small_answer_gives_the_round_trip_only() -> None:
    link = Bandwidth(round_trip=0.06, rate=1e6)
    link.record_sent(100, 1.0)
    link.record_answer(link.last_number, 1.04)
    assert link.round_trip == pytest.approx(0.04)
    assert link.rate == 1e6


def test_one_slow_answer_makes_no_slow_line_but_two_do() -> None:
    link = measured(Bandwidth(round_trip=0.0), 100_000)
    assert link.rate > 1e7
    assert measured(link, 100_000).rate == pytest.approx(100_000)
    assert measured(link, 5_000_000, times=2).rate == pytest.approx(5_000_000)


def test_the_measurement_of_the_probe_is_used_from_the_start() -> None:
    assert Bandwidth(0.06, 250_000.0).rate == 250_000.0


def test_overlapping_answers_are_not_used_for_the_rate() -> None:
    link = Bandwidth(round_trip=0.0, rate=1e6)
    for begun in (0.0, 0.01, 0.02):
        link.record_sent(50_000, begun)
    assert link.record_answer(1, 1.0) == (1,)
    assert link.record_answer(2, 2.0) == (2,)
    assert link.rate == 1e6
    assert link.is_busy(2.0)


def test_waiting_for_an_answer_has_a_limit() -> None:
    link = Bandwidth()
    link.record_sent(50_000, 0.0)
    assert link.is_busy(5.0)
    assert not link.is_busy(60.0)
    link.record_answer(link.last_number, 61.0)  # and an unexpected one is no error


def test_an_answer_belongs_to_the_fence_whose_number_it_has() -> None:
    link = Bandwidth()
    for begun in (0.0, 0.1, 0.2):
        link.record_sent(100, begun)
    assert link.record_answer(2, 0.3) == (1, 2), "the first answer was lost, and the terminal works in order"
    assert link.record_answer(1, 0.4) == (), "too late"
    assert link.record_answer(7, 0.4) == (), "the answer to a question of somebody else"
    assert link.record_answer(3, 0.5) == (3,)
    assert not link.is_busy(0.5)


def test_numbers_begin_again() -> None:
    link = Bandwidth()
    for time in range(200):
        link.record_sent(100, time)
        assert 1 <= link.last_number <= 40, "a column that every terminal has"
        assert link.record_answer(link.last_number, time + 0.5) == (link.last_number,)
