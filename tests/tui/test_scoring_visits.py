"""The scoring session with more than two visits: the order of the fields, and one key for a normal joint."""

from __future__ import annotations

from collections.abc import Sequence

from ratui.reading import Field, start_reading
from ratui.study import AutoSaver
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap
from tests.support.displays import ScriptedFilms, make_gate
from tests.tui.test_scoring_session import FINGERS, Disk, scores, send_keys


def make_session(
    *, blinded: bool = False, displayed: Sequence[int] = (0, 1, 2, 3)
) -> tuple[ScoringSession, ScriptedFilms]:
    """Return a session of four visits, and the films of which those at the places `displayed` were displayed."""
    reading = start_reading(FINGERS, "C", "anna", FINGERS.sites, order=(0, 1, 2, 3), blinded=blinded)
    films, keymap = ScriptedFilms(dict.fromkeys(displayed, 0.0)), Keymap(scheme=FINGERS)
    return ScoringSession(AutoSaver(Disk(reading)), keymap, Catalog("en"), make_gate(films)), films  # type: ignore[arg-type]


def test_scale_by_scale_through_the_visits_of_a_joint() -> None:
    session, _ = make_session()
    session.go_to_site("L.MCP2")
    asked = []
    for _ in range(8):
        asked.append(session.field)
        send_keys(session, "1")
    assert asked == [Field("L.MCP2", scale, time) for scale in ("ERO", "JSN") for time in range(4)]
    assert session.field.site == "L.MCP3"


def test_one_key_is_normal_at_all_visits_after_their_films_were_displayed() -> None:
    session, films = make_session(displayed=[0, 1])
    for place in (2, 3):
        send_keys(session, "n")
        assert not session.reading.values
        assert session.field == Field("L.IP1", "ERO", place), "the window shows this film now"
        assert "displayed" in session.message
        films.since[place] = 0.0
    send_keys(session, "n")
    assert scores(session, "L.IP1") == [0, 0, 0, 0]


def test_an_unlikely_change_names_its_two_visits() -> None:
    session, _ = make_session()
    send_keys(session, "014")
    assert session.message == "ERO changes by 3 from visit 2 to visit 3: press Enter to confirm"
    session, _ = make_session(blinded=True)
    send_keys(session, "014")
    assert "from film 1 to film 3" in session.message


def test_there_is_no_answer_for_several_visits_at_once_but_normal() -> None:
    session, _ = make_session()
    assert not session.can_pair
    assert not session.is_possible("same"), "the first visit has none before it"
