"""The bandwidth is measured from answers, and an unmeasured line counts as fast."""

import pytest

from ratui.terminal import FENCE, Bandwidth


def test_an_unknown_line_is_fast() -> None:
    assert Bandwidth().transfer_seconds(1_000_000) < 0.05
    assert not Bandwidth().is_busy(0.0)


def measured(link: Bandwidth, rate: float, times: int = 1) -> Bandwidth:
    for _ in range(times):
        link.record_sent(50_000, 10.0)
        link.record_answer(10.0 + (link.round_trip or 0.0) + 50_000 / rate)
    return link


def test_large_answers_give_the_rate() -> None:
    link = Bandwidth(round_trip=0.06)
    assert link.record_sent(50_000, 10.0) == FENCE
    assert link.is_busy(10.1)
    link.record_answer(10.26)
    assert not link.is_busy(10.3)
    measured(link, 250_000)
    assert link.rate == pytest.approx(250_000)
    assert link.transfer_seconds(25_000) == pytest.approx(0.1)
    assert link.bytes_within(0.1) == pytest.approx(25_000, abs=1)


def test_a_small_answer_gives_the_round_trip_only() -> None:
    link = Bandwidth(round_trip=0.06, rate=1e6)
    link.record_sent(100, 1.0)
    link.record_answer(1.04)
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
    link.record_answer(1.0)
    link.record_answer(2.0)
    assert link.rate == 1e6
    assert link.is_busy(2.0)


def test_waiting_for_an_answer_has_a_limit() -> None:
    link = Bandwidth()
    link.record_sent(50_000, 0.0)
    assert link.is_busy(5.0)
    assert not link.is_busy(60.0)
    link.record_answer(61.0)  # and an unexpected one is no error
