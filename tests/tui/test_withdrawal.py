"""Answers that no person gave are taken back, by their numbers in the log."""

from __future__ import annotations

from ratui.reading import Field
from tests.tui.test_scoring_session import scores, send_keys, session_of


class TestWithdrawal:
    """Answers that no person gave are taken back."""

    def test_only_the_answers_with_the_given_numbers_are_taken_back(self) -> None:
        session, _ = session_of()
        send_keys(session, "12")
        session.withdraw({2}, "held")
        assert scores(session, "L.IP1") == [1, None]
        assert session.reading.log[-1].note == "the key was held down"
        assert session.field == Field("L.IP1", "ERO", 1)

    def test_a_repeat_that_changed_nothing_does_not_take_an_earlier_answer_back(self) -> None:
        session, _ = session_of()
        send_keys(session, "12<1")
        assert session.reading.log[-1].changes == ()
        session.withdraw({3}, "held")
        assert scores(session, "L.IP1") == [1, 2]
