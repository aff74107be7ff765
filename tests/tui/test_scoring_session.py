"""The scoring session without a screen: questions, refusals with reasons, and requests to press a key again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from ratui.errors import StoreError
from ratui.reading import (
    Field,
    FindingEntry,
    GradeEntry,
    Reading,
    clear,
    enter,
    enter_normal,
    find_resume_field,
    start_reading,
    toggle_flag,
    undo,
)
from ratui.scheme import load_scheme
from ratui.study import AutoSaver, DisplayUse
from ratui.study.readings.reading_session import MAX_PAUSE
from ratui.tui.entry.joint_search import find_site_by_name
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap
from tests.support.displays import make_gate

FINGERS = load_scheme("fingers")


class Disk:
    """A session whose disk can be full."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.seconds = 0.0
        self.displays: tuple[DisplayUse, ...] = ()
        self.full = False

    def save(self, reading: Reading, *, seconds: float | None = None, displays: Sequence[DisplayUse] = ()) -> None:
        if self.full:
            raise StoreError("No space left on device", "study")
        self.reading = reading
        self.displays = tuple(displays)
        self.seconds = seconds or 0.0


def session_of(reading: Reading | None = None, *, blinded: bool = False) -> tuple[ScoringSession, Disk]:
    disk = Disk(reading or start_reading(FINGERS, "C", "anna", FINGERS.sites, blinded=blinded))
    keymap = Keymap(scheme=FINGERS)
    return ScoringSession(AutoSaver(disk), keymap, Catalog("en"), make_gate()), disk  # type: ignore[arg-type]


def send_keys(session: ScoringSession, keys: str) -> None:
    """Pass keys as the scoring screen does."""
    actions = {
        "n": session.enter_normal,
        "=": session.enter_same,
        "u": session.undo,
        "x": session.ask_reason,
        "f": session.toggle_flag,
        "/": session.ask_joint,
    }
    actions |= {
        "m": session.ask_note,
        "<": lambda: session.move_by(-1),
        ">": lambda: session.move_by(1),
        "\t": session.next_field,
    }
    names = {"\n": "enter", "\x1b": "escape", "\b": "backspace", " ": "space"}
    for character in keys:
        name = names.get(character, character)
        if session.mode in ("go_to", "note") and name not in ("enter", "escape"):
            # The widget of the line edits the text.
            session.typed_text = session.typed_text[:-1] if name == "backspace" else session.typed_text + character
        elif not session.process_key(name):
            if character in actions:
                actions[character]()
            else:
                session.explain_refusal(character)


def scores(session: ScoringSession, site: str) -> list[int | None]:
    return [session.reading.score(field) for field in session.reading.joint_fields(site)]


class TestAsking:
    def test_field_by_field_and_the_next_joint_by_itself(self) -> None:
        session, disk = session_of()
        assert session.field == Field("L.IP1", "ERO", 0)
        send_keys(session, "0")
        assert session.field == Field("L.IP1", "ERO", 1)
        send_keys(session, "1")
        assert session.field == Field("L.PIP2", "ERO", 0)
        send_keys(session, "12")
        assert session.field == Field("L.PIP2", "JSN", 0)
        send_keys(session, "n")
        assert session.field.site == "L.PIP3"
        assert scores(session, "L.PIP2") == [1, 2, 0, 0]
        assert disk.reading is session.reading

    def test_a_finding_fixes_the_joint_at_that_time_point(self) -> None:
        session, _ = session_of()
        send_keys(session, "na")
        assert session.field == Field("L.PIP2", "ERO", 1)
        assert not session.options.grades
        send_keys(session, "c")
        assert session.field.site == "L.PIP3"

    def test_a_reason_for_the_whole_joint_fills_all_its_fields_at_that_time_point(self) -> None:
        session, _ = session_of()
        send_keys(session, "nxr")
        assert session.field == Field("L.PIP2", "ERO", 1)
        assert len(session.reading.values) == 4
        send_keys(session, "xu")
        assert session.field == Field("L.PIP2", "JSN", 1), "an unreadable field leaves the other one open"

    def test_the_last_answer_says_so(self) -> None:
        session, _ = session_of()
        send_keys(session, "n" * 19)
        assert not session.is_finished
        send_keys(session, "n")
        assert session.is_finished

    def test_a_wrong_reason_key_changes_nothing_and_the_question_stays(self) -> None:
        session, _ = session_of()
        send_keys(session, "x5")
        assert session.mode == "reasons"
        assert not session.reading.log
        send_keys(session, "\x1b")
        assert session.mode == "entry"


class TestOneAnswerForBoth:
    def test_an_unchanged_damaged_joint_takes_three_keys(self) -> None:
        session, _ = session_of()
        send_keys(session, "n=21")
        assert scores(session, "L.PIP2") == [2, 2, 1, 1]
        assert session.field == Field("L.PIP3", "ERO", 0)
        assert not session.is_paired, "the next joint is asked field by field again"
        assert [entry.kind for entry in session.reading.log] == ["normal", "enter", "same", "enter", "same"]

    def test_at_the_other_time_point_it_copies_the_existing_answer(self) -> None:
        session, _ = session_of()
        send_keys(session, "n3=")
        assert scores(session, "L.PIP2") == [3, 3, None, None]
        assert not session.is_paired

    def test_only_answers_possible_in_both_fields_are_offered(self) -> None:
        reading = start_reading(FINGERS, "C", "anna", FINGERS.sites)
        reading = enter(reading, Field("L.PIP2", "ERO", 1), FindingEntry("ankylosis"))
        session, _ = session_of(reading)
        session.go_to_site("L.PIP2")
        assert not session.can_pair
        send_keys(session, "=")
        assert scores(session, "L.PIP2") == [5, 5, 4, 4]

    def test_a_second_press_separates_the_time_points(self) -> None:
        session, _ = session_of()
        send_keys(session, "n==2")
        assert scores(session, "L.PIP2") == [2, None, None, None]

    def test_one_answer_for_both_is_not_offered_where_it_saves_no_key(self) -> None:
        session, _ = session_of()
        assert not session.is_possible("same"), "IP1 has one field at each time point"
        send_keys(session, "n12")
        assert not session.is_possible("same"), "only JSN is left"

    def test_a_finding_and_a_reason_count_for_both_too(self) -> None:
        session, _ = session_of()
        send_keys(session, "n=a")
        assert scores(session, "L.PIP2") == [5, 5, 4, 4]
        send_keys(session, "=xr")
        assert session.field.site == "L.PIP4"

    def test_one_answer_for_both_is_not_offered_in_a_blinded_study(self) -> None:
        session, _ = session_of(blinded=True)
        assert not session.is_possible("same")
        send_keys(session, "=")
        assert not session.is_paired
        assert session.field_hint == "nothing to copy"
        send_keys(session, "2=")
        assert scores(session, "L.IP1") == [2, None]


class TestHardToGetWrong:
    @pytest.mark.parametrize(
        ("keys", "near"),
        [
            ("6", "0 to 5 here"),
            ("s", "no score here"),
            ("na3", "irreversible"),
            ("q", "q: no function here"),
            ("u", "nothing to undo"),
            ("n125", "0 to 4 here"),
            ("nan", "0 not possible"),
        ],
    )
    def test_an_impossible_key_does_nothing_and_gives_the_reason(self, keys: str, near: str) -> None:
        session, _ = session_of()
        send_keys(session, keys[:-1])
        before = session.reading
        send_keys(session, keys[-1])
        assert session.reading is before
        assert session.field_hint == near
        assert session.message

    def test_the_message_disappears_with_the_next_key(self) -> None:
        session, _ = session_of()
        send_keys(session, "60")
        assert (session.field_hint, session.message) == ("", "")

    @pytest.mark.parametrize("keys", ["03", "30", "20"])
    def test_enter_confirms_a_jump_or_a_fall(self, keys: str) -> None:
        session, disk = session_of()
        send_keys(session, keys)
        assert session.field == Field("L.IP1", "ERO", 1)
        assert session.field_hint == "Enter confirms"
        assert len(session.reading.log) == 1
        send_keys(session, "\n")
        assert scores(session, "L.IP1") == [int(keys[0]), int(keys[1])]
        assert disk.reading.log[-1].is_confirmed
        assert not disk.reading.log[0].is_confirmed

    def test_a_grade_confirms_nothing(self) -> None:
        session, _ = session_of()
        send_keys(session, "0333")
        assert scores(session, "L.IP1") == [0, None]
        send_keys(session, "2")
        assert scores(session, "L.IP1") == [0, 2]
        assert not session.reading.log[-1].is_confirmed

    def test_four_grades_typed_quickly_and_the_next_joint_stay_apart(self) -> None:
        session, _ = session_of()
        send_keys(session, "n1000")
        assert scores(session, "L.PIP2") == [1, 0, 0, 0]
        send_keys(session, "2")
        assert scores(session, "L.PIP2") == [1, 0, 0, 0]
        assert scores(session, "L.PIP3")[0] == 2

    def test_a_confirmation_counts_for_its_own_field_only(self) -> None:
        session, _ = session_of()
        send_keys(session, "03")
        session.process_key("\t")
        session.next_field()
        session.next_field()
        session.process_key("enter")
        assert scores(session, "L.IP1") == [0, None]

    def test_normal_asks_too_where_it_would_be_a_fall(self) -> None:
        session, _ = session_of()
        send_keys(session, "3n")
        assert scores(session, "L.IP1") == [3, None]
        send_keys(session, "n")
        assert scores(session, "L.IP1") == [3, None], "the same key confirms nothing"
        send_keys(session, "\n")
        assert scores(session, "L.IP1") == [3, 0]
        assert session.reading.log[-1].is_confirmed

    def test_a_blinded_rater_confirms_jumps_in_both_directions_but_no_falls(self) -> None:
        session, _ = session_of(blinded=True)
        send_keys(session, "10")
        assert scores(session, "L.IP1") == [1, 0]
        send_keys(session, "30")
        assert session.pending is not None
        assert session.pending.unlikely.kind == "jump"


class TestUndoAndMoving:
    def test_undo_goes_back_through_everything(self) -> None:
        session, _ = session_of()
        send_keys(session, "n12=3" + "u" * 5)
        assert not session.reading.values
        assert session.field == Field("L.IP1", "ERO", 0)
        assert not session.is_paired

    def test_a_joint_is_found_by_its_name_and_side(self) -> None:
        reading = start_reading(FINGERS, "C", "anna", FINGERS.sites)
        expected = {
            "mcp3": "L.MCP3",
            "MCP3": "L.MCP3",
            "mp3": "L.MCP3",
            "rmcp3": "R.MCP3",
            "r mcp3": "R.MCP3",
            "R.MCP3": "R.MCP3",
            "右mcp3": "R.MCP3",
            "左pip2": "L.PIP2",
            "ip": "L.IP1",
            "mcp": "L.MCP1",
            "r": None,
            "elbow": None,
            "": None,
            "  ": None,
        }
        assert {text: find_site_by_name(reading, "L", text) for text in expected} == expected
        hands = load_scheme("mtss-hands")
        wrist = start_reading(hands, "C", "anna", hands.sites)
        assert find_site_by_name(wrist, "L", "radius") == "L.RAD"
        assert find_site_by_name(wrist, "L", "rradius") == "R.RAD"

    def test_going_there_asks_for_its_first_open_field(self) -> None:
        session, _ = session_of()
        send_keys(session, "/rmcp4\n")
        assert session.field == Field("R.MCP4", "ERO", 0)
        send_keys(session, "11/rmcp4\n")
        assert session.field == Field("R.MCP4", "JSN", 0)
        send_keys(session, "/elbow\n")
        assert "elbow" in session.message
        assert session.field == Field("R.MCP4", "JSN", 0)

    def test_digits_of_a_name_are_not_answers(self) -> None:
        session, _ = session_of()
        send_keys(session, "/mcp3\x1b")
        assert not session.reading.log

    def test_flag_and_note_stay_with_the_joint(self) -> None:
        session, disk = session_of()
        send_keys(session, "fmosteophyte?\n")
        assert disk.reading.flags == {"L.IP1"}
        assert disk.reading.notes == {"L.IP1": "osteophyte?"}
        assert session.field == Field("L.IP1", "ERO", 0)
        send_keys(session, "m" + "\b" * 11 + "\nf")
        assert not disk.reading.flags
        assert not disk.reading.notes


class TestResuming:
    def test_the_session_resumes_where_the_log_ends(self) -> None:
        reading = start_reading(FINGERS, "C", "anna", FINGERS.sites)
        assert find_resume_field(reading) == Field("L.IP1", "ERO", 0)
        reading = enter(reading, Field("R.MCP4", "ERO", 0), GradeEntry(1))
        assert find_resume_field(reading) == Field("R.MCP4", "ERO", 1), "not back at the first joint"
        reading = toggle_flag(reading, "L.PIP2")
        assert find_resume_field(reading) == Field("R.MCP4", "ERO", 1)
        assert find_resume_field(undo(reading)) == Field("R.MCP4", "ERO", 0)
        reading = enter_normal(reading, "R.MCP4")
        assert find_resume_field(reading) == Field("R.MCP5", "ERO", 0)
        assert find_resume_field(clear(reading, Field("R.MCP4", "JSN", 1))) == Field("R.MCP4", "JSN", 1)

    def test_a_complete_reading_is_opened_where_it_ended(self) -> None:
        reading = start_reading(FINGERS, "C", "anna", FINGERS.sites)
        for site in reading.sites:
            reading = enter_normal(reading, site.key)
        assert find_resume_field(reading).site == "R.MCP5"


class TestKeeping:
    def test_time_runs_with_the_keys_and_stops_with_the_rater(self) -> None:
        now = 100.0
        disk = Disk(start_reading(FINGERS, "C", "anna", FINGERS.sites))
        disk.seconds = 30.0
        auto_saver = AutoSaver(disk, clock=lambda: now)  # type: ignore[arg-type]
        now += 5
        auto_saver.count_time()
        now += 3600
        auto_saver.count_time()
        now += 2
        auto_saver.count_time()
        assert auto_saver.seconds == 30 + 5 + MAX_PAUSE + 2

    def test_what_the_disk_refuses_is_kept_and_tried_again_at_the_next_key(self) -> None:
        session, disk = session_of()
        disk.full = True
        send_keys(session, "1")
        assert session._auto_saver.save_error == "No space left on device"
        assert session.field == Field("L.IP1", "ERO", 1), "reading goes on"
        send_keys(session, "2")
        assert not disk.reading.log
        disk.full = False
        send_keys(session, "6")
        assert disk.reading is session.reading
        assert scores(session, "L.IP1") == [1, 2]
        assert not session._auto_saver.save_error

    def test_the_time_of_the_last_save_is_known(self) -> None:
        session, _ = session_of()
        assert session._auto_saver.saved_at is None
        send_keys(session, "1")
        assert session._auto_saver.saved_at is not None
        assert abs((session._auto_saver.saved_at - datetime.now(UTC)).total_seconds()) < 60
