"""The line is measured by what comes back, and a line that nothing is known of counts as fast."""

import pytest

from ratui.terminal import FENCE, Link


def test_an_unknown_line_is_fast() -> None:
    assert Link().seconds(1_000_000) == 0.0
    assert not Link().busy(0.0)


def test_a_large_answer_tells_the_rate() -> None:
    link = Link(round_trip=0.06)
    assert link.sent(50_000, 10.0) == FENCE
    assert link.busy(10.1)
    link.answered(10.26)
    assert not link.busy(10.3)
    assert link.rate == pytest.approx(250_000)
    assert link.seconds(25_000) == pytest.approx(0.1)
    assert link.bytes_in(0.1) == pytest.approx(25_000)


def test_a_small_answer_tells_the_round_trip_only() -> None:
    link = Link(round_trip=0.06)
    link.sent(100, 1.0)
    link.answered(1.04)
    assert link.round_trip == pytest.approx(0.04)
    assert link.rate is None


def test_slower_counts_at_once_and_faster_by_and_by() -> None:
    link = Link(round_trip=0.0, rate=1_000_000.0)
    link.sent(100_000, 0.0)
    link.answered(1.0)
    assert link.rate == pytest.approx(100_000)
    link.sent(100_000, 2.0)
    link.answered(2.1)
    assert 100_000 < link.rate < 1_000_000


def test_answers_that_overlap_tell_nothing_of_the_rate() -> None:
    link = Link(round_trip=0.0)
    link.sent(50_000, 0.0)
    link.sent(50_000, 0.01)
    link.answered(1.0)
    assert link.rate is None
    assert link.busy(1.0)


def test_an_answer_that_never_comes_is_not_waited_for_for_ever() -> None:
    link = Link()
    link.sent(50_000, 0.0)
    assert link.busy(5.0)
    assert not link.busy(60.0)
    link.answered(61.0)  # and a stray one is no error
