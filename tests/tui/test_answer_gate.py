"""A key is an answer only if the films that it answers were displayed before it was pressed."""

from __future__ import annotations

import pytest

from ratui.reading import DisplayRecord, Field, Reading, TerminalSize, start_reading
from ratui.scheme import load_scheme
from ratui.terminal import Display, Resolution
from ratui.tui.entry.answer_gate import AnswerGate, name_film
from ratui.tui.input.unpressed_keys import KeyRepeats
from tests.support.displays import ScriptedFilms

FINGERS = load_scheme("fingers")
EARLIER, LATER = Field("L.MCP2", "ERO", 0), Field("L.MCP2", "ERO", 1)


class Desk:
    """A gate whose keys arrive at given times."""

    def __init__(
        self, films: ScriptedFilms, *, order: tuple[int, ...] = (0, 1), display: Display | None = None
    ) -> None:
        self.repeats = KeyRepeats()
        self.reading: Reading = start_reading(FINGERS, "C-1", "anna", FINGERS.sites, order=order)
        films.display = display or Display("sixel", round_trip=0.02)
        self.gate = AnswerGate(films, self.repeats)

    def press(self, at: float, *fields: Field, key: str = "n") -> str | None:
        """Press a key at the time `at`, and return why it is no answer for `fields`."""
        self.repeats.note_key(key, at)
        return self.gate.find_refusal(self.reading, fields)

    def record(self, *fields: Field) -> DisplayRecord | None:
        return self.gate.record_display(self.reading, fields)


def test_an_answer_counts_150_ms_after_its_film_was_painted() -> None:
    desk = Desk(ScriptedFilms({0: 10.0, 1: 10.0}))
    assert desk.press(9.9, EARLIER) == "too_early"
    assert desk.press(10.14, EARLIER, key="1") == "too_early"
    assert desk.press(10.16, EARLIER, key="2") is None


def test_every_film_that_is_answered_must_have_been_displayed() -> None:
    desk = Desk(ScriptedFilms({0: 10.0}))
    assert desk.press(20.0, EARLIER) is None
    assert desk.press(21.0, LATER) == "not_painted"
    assert desk.press(22.0, EARLIER, LATER) == "not_painted"


def test_of_more_than_two_films_those_that_were_not_displayed_yet_have_no_answer() -> None:
    last = LATER._replace(time=2)
    desk = Desk(ScriptedFilms({0: 10.0, 1: 10.0}), order=(0, 1, 2))
    assert desk.press(20.0, EARLIER, LATER) is None
    assert desk.press(21.0, EARLIER, LATER, last) == "unseen"
    assert desk.gate.find_unseen_field(desk.reading, [EARLIER, LATER, last]) == last
    assert desk.gate.find_unseen_field(desk.reading, [EARLIER, LATER]) is None


def test_the_later_of_two_films_counts() -> None:
    desk = Desk(ScriptedFilms({0: 10.0, 1: 20.0}))
    assert desk.press(15.0, EARLIER, LATER) == "too_early"


def test_films_are_meant_by_their_place_not_by_their_time() -> None:
    desk = Desk(ScriptedFilms({0: 10.0}), order=(1, 0))
    assert desk.press(20.0, LATER) is None
    assert desk.press(21.0, EARLIER) == "not_painted"


@pytest.mark.parametrize("problem", ["not_painted", "difference"])
def test_nothing_is_answered_while_no_film_is_displayed(problem: str) -> None:
    films = ScriptedFilms()
    films.problem = problem  # type: ignore[assignment]
    assert Desk(films).press(20.0, EARLIER) == problem


def test_a_run_of_equal_keys_does_not_go_on_to_the_next_joint() -> None:
    films = ScriptedFilms({0: 10.0, 1: 10.0})
    desk = Desk(films)
    assert [desk.press(at, EARLIER) for at in (20.0, 20.1, 20.2)] == [None] * 3
    films.since = {0: 20.12, 1: 20.12}
    assert desk.press(20.3, EARLIER) == "held"
    assert desk.press(21.0, EARLIER) is None, "a press of its own"


def test_a_key_that_is_held_down_is_no_answer() -> None:
    desk = Desk(ScriptedFilms())
    assert [desk.press(20 + number / 30, EARLIER) for number in range(8)][-1] == "held"


class TestRecord:
    def test_it_says_what_was_displayed(self) -> None:
        films = ScriptedFilms({0: 10.0, 1: 10.5})
        films.resolution = Resolution(3.456, is_sufficient=False)
        films.grey_changes = ("invert",)
        desk = Desk(films)
        desk.press(12.0, EARLIER, LATER)
        record = desk.record(EARLIER, LATER)
        assert record is not None
        names = (name_film("anna", "C-1", "film-0"), name_film("anna", "C-1", "film-1"))
        assert record == DisplayRecord(
            names, "sixel", 3.46, False, ("invert",), 1.5, "terminal", TerminalSize(120, 40, 10, 20)
        )

    @pytest.mark.parametrize(
        ("display", "expected"),
        [
            (Display("kitty", round_trip=0.01), "terminal"),
            (Display("halfcell", round_trip=0.01, multiplexer="tmux"), "multiplexer"),
            (Display("halfcell"), "nothing"),
        ],
    )
    def test_it_says_what_confirmed_that_the_films_were_painted(self, display: Display, expected: str) -> None:
        desk = Desk(ScriptedFilms(), display=display)
        desk.press(12.0, EARLIER)
        record = desk.record(EARLIER)
        assert record is not None
        assert record.acknowledged_by == expected

    def test_the_names_of_films_reveal_no_repeated_case_and_no_other_rater(self) -> None:
        names = [name_film(rater, case, "film") for rater in ("anna", "ben") for case in ("C-1", "C-2")]
        assert len(set(names)) == 4
        assert name_film("anna", "C-1", "film") == names[0]
        assert name_film("anna", "C-1", "other") != names[0]
        assert all("film" not in name for name in names)
