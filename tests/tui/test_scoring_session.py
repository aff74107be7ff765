"""The conversation about a case, without a screen: what is asked, what is refused and why, what waits for a second key."""

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
    start_reading,
    toggle_flag,
    undo,
)
from ratui.scheme import load_scheme
from ratui.study import DisplayUse
from ratui.tui.entry.autosave import IDLE, Keeper, resumed
from ratui.tui.entry.joint_search import named_site
from ratui.tui.entry.scoring_session import Conversation
from ratui.tui.i18n.catalog import Messages
from ratui.tui.input.actions import Keymap

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


def talk_about(reading: Reading | None = None, *, blinded: bool = False) -> tuple[Conversation, Disk]:
    disk = Disk(reading or start_reading(FINGERS, "C", "anna", FINGERS.sites, blinded=blinded))
    keymap = Keymap(scheme=FINGERS)
    return Conversation(Keeper(disk), keymap, Messages("en")), disk  # type: ignore[arg-type]


def say(talk: Conversation, keys: str) -> None:
    """Keys as the scoring screen hands them on."""
    actions = {"n": talk.normal, "=": talk.same, "u": talk.undo, "x": talk.ask_why, "f": talk.flag, "/": talk.ask_where}
    actions |= {"m": talk.ask_note, "<": lambda: talk.step(-1), ">": lambda: talk.step(1), "\t": talk.next_field}
    names = {"\n": "enter", "\x1b": "escape", "\b": "backspace", " ": "space"}
    for character in keys:
        name = names.get(character, character)
        if not talk.key(name):
            if character in actions:
                actions[character]()
            else:
                talk.refuse(character)


def scores(talk: Conversation, site: str) -> list[int | None]:
    return [talk.reading.score(field) for field in talk.reading.joint_fields(site)]


class TestAsking:
    def test_field_by_field_and_the_next_joint_by_itself(self) -> None:
        talk, disk = talk_about()
        assert talk.field == Field("L.IP1", "ERO", 0)
        say(talk, "0")
        assert talk.field == Field("L.IP1", "ERO", 1)
        say(talk, "1")
        assert talk.field == Field("L.PIP2", "ERO", 0)
        say(talk, "12")
        assert talk.field == Field("L.PIP2", "JSN", 0)
        say(talk, "n")
        assert talk.field.site == "L.PIP3"
        assert scores(talk, "L.PIP2") == [1, 2, 0, 0]
        assert disk.reading is talk.reading

    def test_a_finding_fixes_the_joint_at_that_time_point(self) -> None:
        talk, _ = talk_about()
        say(talk, "na")
        assert talk.field == Field("L.PIP2", "ERO", 1)
        assert not talk.options.grades
        say(talk, "c")
        assert talk.field.site == "L.PIP3"

    def test_a_reason_for_the_whole_joint_fills_all_its_fields_at_that_time_point(self) -> None:
        talk, _ = talk_about()
        say(talk, "nxr")
        assert talk.field == Field("L.PIP2", "ERO", 1)
        assert len(talk.reading.values) == 4
        say(talk, "xu")
        assert talk.field == Field("L.PIP2", "JSN", 1), "an unreadable field leaves the other one open"

    def test_the_last_answer_says_so(self) -> None:
        talk, _ = talk_about()
        say(talk, "n" * 19)
        assert not talk.ended
        say(talk, "n")
        assert talk.ended

    def test_a_wrong_reason_key_changes_nothing_and_the_question_stays(self) -> None:
        talk, _ = talk_about()
        say(talk, "x5")
        assert talk.mode == "reasons"
        assert not talk.reading.log
        say(talk, "\x1b")
        assert talk.mode == "entry"


class TestOneAnswerForBoth:
    def test_an_unchanged_damaged_joint_takes_three_keys(self) -> None:
        talk, _ = talk_about()
        say(talk, "n=21")
        assert scores(talk, "L.PIP2") == [2, 2, 1, 1]
        assert talk.field == Field("L.PIP3", "ERO", 0)
        assert not talk.both, "the next joint is asked field by field again"
        assert [entry.kind for entry in talk.reading.log] == ["normal", "enter", "same", "enter", "same"]

    def test_at_the_other_time_point_it_takes_over_what_stands_there(self) -> None:
        talk, _ = talk_about()
        say(talk, "n3=")
        assert scores(talk, "L.PIP2") == [3, 3, None, None]
        assert not talk.both

    def test_only_what_both_fields_can_take_is_offered(self) -> None:
        reading = start_reading(FINGERS, "C", "anna", FINGERS.sites)
        reading = enter(reading, Field("L.PIP2", "ERO", 1), FindingEntry("ankylosis"))
        talk, _ = talk_about(reading)
        talk.visit("L.PIP2")
        assert not talk.may_pair
        say(talk, "=")
        assert scores(talk, "L.PIP2") == [5, 5, 4, 4]

    def test_a_second_press_parts_them(self) -> None:
        talk, _ = talk_about()
        say(talk, "n==2")
        assert scores(talk, "L.PIP2") == [2, None, None, None]

    def test_not_where_it_saves_no_key(self) -> None:
        talk, _ = talk_about()
        assert not talk.possible("same"), "IP1 has one field at each time point"
        say(talk, "n12")
        assert not talk.possible("same"), "only JSN is left"

    def test_a_finding_and_a_reason_count_for_both_too(self) -> None:
        talk, _ = talk_about()
        say(talk, "n=a")
        assert scores(talk, "L.PIP2") == [5, 5, 4, 4]
        say(talk, "=xr")
        assert talk.field.site == "L.PIP4"

    def test_not_in_a_blinded_study(self) -> None:
        talk, _ = talk_about(blinded=True)
        assert not talk.possible("same")
        say(talk, "=")
        assert not talk.both
        assert talk.near == "nothing there"
        say(talk, "2=")
        assert scores(talk, "L.IP1") == [2, None]


class TestHardToGetWrong:
    @pytest.mark.parametrize(
        ("keys", "near"),
        [
            ("6", "0 to 5 here"),
            ("s", "no score here"),
            ("na3", "doesn't heal"),
            ("q", "q: no key here"),
            ("u", "nothing to undo"),
            ("n125", "0 to 4 here"),
            ("nan", "not all can be 0"),
        ],
    )
    def test_an_impossible_key_does_nothing_and_says_why_in_a_word(self, keys: str, near: str) -> None:
        talk, _ = talk_about()
        say(talk, keys[:-1])
        before = talk.reading
        say(talk, keys[-1])
        assert talk.reading is before
        assert talk.near == near
        assert talk.told

    def test_the_word_goes_with_the_next_key(self) -> None:
        talk, _ = talk_about()
        say(talk, "60")
        assert (talk.near, talk.told) == ("", "")

    @pytest.mark.parametrize("keys", ["03", "30", "10"])
    def test_a_jump_or_a_fall_asks_for_the_same_key_once_more(self, keys: str) -> None:
        talk, disk = talk_about()
        say(talk, keys)
        assert talk.field == Field("L.IP1", "ERO", 1)
        assert talk.near == f"{keys[1]} once more?"
        assert len(talk.reading.log) == 1
        say(talk, keys[1])
        assert scores(talk, "L.IP1") == [int(keys[0]), int(keys[1])]
        assert disk.reading.log[-1].is_confirmed
        assert not disk.reading.log[0].is_confirmed

    def test_any_other_key_drops_the_doubt_and_is_taken_as_it_is(self) -> None:
        talk, _ = talk_about()
        say(talk, "032")
        assert scores(talk, "L.IP1") == [0, 2]
        assert not talk.reading.log[-1].is_confirmed

    def test_the_key_once_more_does_not_count_for_another_field(self) -> None:
        talk, _ = talk_about()
        say(talk, "03")
        talk.key("\t")
        talk.next_field()
        talk.next_field()
        say(talk, "3")
        assert scores(talk, "L.IP1") == [0, None]

    def test_normal_asks_too_where_it_would_be_a_fall(self) -> None:
        talk, _ = talk_about()
        say(talk, "3n")
        assert scores(talk, "L.IP1") == [3, None]
        say(talk, "n")
        assert scores(talk, "L.IP1") == [3, 0]
        assert talk.reading.log[-1].is_confirmed

    def test_blinded_a_fall_of_one_is_nothing_and_a_jump_counts_either_way(self) -> None:
        talk, _ = talk_about(blinded=True)
        say(talk, "10")
        assert scores(talk, "L.IP1") == [1, 0]
        say(talk, "30")
        assert talk.pending is not None
        assert talk.pending.doubt.kind == "jump"


class TestUndoAndMoving:
    def test_undo_goes_back_through_everything(self) -> None:
        talk, _ = talk_about()
        say(talk, "n12=3" + "u" * 5)
        assert not talk.reading.values
        assert talk.field == Field("L.IP1", "ERO", 0)
        assert not talk.both

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
        assert {text: named_site(reading, "L", text) for text in expected} == expected
        hands = load_scheme("mtss-hands")
        wrist = start_reading(hands, "C", "anna", hands.sites)
        assert named_site(wrist, "L", "radius") == "L.RAD"
        assert named_site(wrist, "L", "rradius") == "R.RAD"

    def test_going_there_asks_for_its_first_open_field(self) -> None:
        talk, _ = talk_about()
        say(talk, "/rmcp4\n")
        assert talk.field == Field("R.MCP4", "ERO", 0)
        say(talk, "11/rmcp4\n")
        assert talk.field == Field("R.MCP4", "JSN", 0)
        say(talk, "/elbow\n")
        assert "elbow" in talk.told
        assert talk.field == Field("R.MCP4", "JSN", 0)

    def test_digits_of_a_name_are_not_answers(self) -> None:
        talk, _ = talk_about()
        say(talk, "/mcp3\x1b")
        assert not talk.reading.log

    def test_flag_and_note_stay_with_the_joint(self) -> None:
        talk, disk = talk_about()
        say(talk, "fmosteophyte?\n")
        assert disk.reading.flags == {"L.IP1"}
        assert disk.reading.notes == {"L.IP1": "osteophyte?"}
        assert talk.field == Field("L.IP1", "ERO", 0)
        say(talk, "m" + "\b" * 11 + "\nf")
        assert not disk.reading.flags
        assert not disk.reading.notes


class TestResuming:
    def test_where_the_log_stopped(self) -> None:
        reading = start_reading(FINGERS, "C", "anna", FINGERS.sites)
        assert resumed(reading) == Field("L.IP1", "ERO", 0)
        reading = enter(reading, Field("R.MCP4", "ERO", 0), GradeEntry(1))
        assert resumed(reading) == Field("R.MCP4", "ERO", 1), "not back at the first joint"
        reading = toggle_flag(reading, "L.PIP2")
        assert resumed(reading) == Field("R.MCP4", "ERO", 1)
        assert resumed(undo(reading)) == Field("R.MCP4", "ERO", 0)
        reading = enter_normal(reading, "R.MCP4")
        assert resumed(reading) == Field("R.MCP5", "ERO", 0)
        assert resumed(clear(reading, Field("R.MCP4", "JSN", 1))) == Field("R.MCP4", "JSN", 1)

    def test_a_complete_reading_is_opened_where_it_ended(self) -> None:
        reading = start_reading(FINGERS, "C", "anna", FINGERS.sites)
        for site in reading.sites:
            reading = enter_normal(reading, site.key)
        assert resumed(reading).site == "R.MCP5"


class TestKeeping:
    def test_time_runs_with_the_keys_and_stops_with_the_rater(self) -> None:
        now = 100.0
        disk = Disk(start_reading(FINGERS, "C", "anna", FINGERS.sites))
        disk.seconds = 30.0
        keeper = Keeper(disk, clock=lambda: now)  # type: ignore[arg-type]
        now += 5
        keeper.touched()
        now += 3600
        keeper.touched()
        now += 2
        keeper.touched()
        assert keeper.seconds == 30 + 5 + IDLE + 2

    def test_what_the_disk_refuses_is_kept_and_tried_again_at_the_next_key(self) -> None:
        talk, disk = talk_about()
        disk.full = True
        say(talk, "1")
        assert talk._keeper.refusal == "No space left on device"
        assert talk.field == Field("L.IP1", "ERO", 1), "reading goes on"
        say(talk, "2")
        assert not disk.reading.log
        disk.full = False
        say(talk, "6")
        assert disk.reading is talk.reading
        assert scores(talk, "L.IP1") == [1, 2]
        assert not talk._keeper.refusal

    def test_when_it_was_saved(self) -> None:
        talk, _ = talk_about()
        assert talk._keeper.saved_at is None
        say(talk, "1")
        assert talk._keeper.saved_at is not None
        assert abs((talk._keeper.saved_at - datetime.now(UTC)).total_seconds()) < 60
