"""Possible entries and their effects."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ratui.errors import EntryError, Refusal
from ratui.reading import (
    Field,
    FindingEntry,
    GradeEntry,
    NotAssessableEntry,
    Reading,
    Slot,
    apply_regions,
    clear,
    copy_entry,
    enter,
    enter_normal,
    find_next_open_field,
    find_refusal,
    find_undoable,
    list_options,
    reopen,
    set_note,
    sign,
    start_reading,
    toggle_flag,
    undo,
)
from ratui.scheme import load_scheme

SCHEME = load_scheme("fingers")
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
ANKYLOSIS, COLLAPSE, SUBLUXATION = FindingEntry("ankylosis"), FindingEntry("collapse"), FindingEntry("subluxation")


def reading(*, blinded: bool = False, order: tuple[int, int] = (0, 1)) -> Reading:
    return start_reading(SCHEME, "C-1", "anna", SCHEME.sites, blinded=blinded, order=order)


def at(scale: str, time: int, site: str = "L.MCP2") -> Field:
    return Field(site, scale, time)


def ids(values: object) -> set[str]:
    return {value.id for value in values}  # type: ignore[attr-defined]


def test_the_repr_of_a_reading_is_short() -> None:
    r = enter(reading(), at("ERO", 0), ANKYLOSIS)
    assert repr(r) == "Reading(C-1 by anna, fingers, 2 of 76 fields filled, not signed)"


class TestOrder:
    def test_a_joint_is_asked_scale_by_scale_both_time_points_together(self) -> None:
        r = reading()
        asked = []
        while (field := find_next_open_field(r, asked[-1] if asked else None)) and len(asked) < 6:
            asked.append(field)
            r = enter(r, field, GradeEntry(0))
        assert asked == [
            at("ERO", 0, "L.IP1"),
            at("ERO", 1, "L.IP1"),  # the thumb IP has no JSN
            at("ERO", 0, "L.PIP2"),
            at("ERO", 1, "L.PIP2"),
            at("JSN", 0, "L.PIP2"),
            at("JSN", 1, "L.PIP2"),
        ]

    def test_the_time_point_shown_left_is_asked_first(self) -> None:
        assert find_next_open_field(reading(order=(1, 0), blinded=True)) == at("ERO", 1, "L.IP1")

    def test_skipped_fields_are_asked_at_the_end(self) -> None:
        r = reading()
        for field in r.fields[1:]:
            r = enter(r, field, GradeEntry(0))
        assert find_next_open_field(r, r.fields[-1]) == r.fields[0]


class TestFindings:
    def test_ankylosis_fixes_both_scores_and_is_skipped(self) -> None:
        r = enter(reading(), at("ERO", 0), ANKYLOSIS)
        assert (r.score(at("ERO", 0)), r.score(at("JSN", 0))) == (5, 4)
        assert find_next_open_field(r, at("ERO", 0)) == at("ERO", 1)

    def test_a_fixed_score_cannot_be_typed(self) -> None:
        r = enter(reading(), at("ERO", 0), ANKYLOSIS)
        assert list_options(r, at("JSN", 0)).grades == ()
        with pytest.raises(EntryError, match="fixed by ankylosis"):
            enter(r, at("JSN", 0), GradeEntry(2))

    def test_ankylosis_and_collapse_do_not_heal(self) -> None:
        r = enter(reading(), at("ERO", 0), ANKYLOSIS)
        later = list_options(r, at("ERO", 1))
        assert later.grades == ()
        assert ids(later.findings) == {"ankylosis", "collapse"}
        assert ids(later.reasons) == {reason.id for reason in SCHEME.reasons}
        assert not later.can_enter_normal

    def test_a_finding_given_first_at_the_later_film_rules_nothing_out_at_the_earlier(self) -> None:
        r = enter(reading(), at("ERO", 1), ANKYLOSIS)
        assert len(list_options(r, at("ERO", 0)).grades) == 6

    def test_a_lasting_finding_reopens_what_it_rules_out_later(self) -> None:
        r = enter(enter(reading(), at("ERO", 0), GradeEntry(4)), at("ERO", 1), GradeEntry(5))
        r = enter(r, at("JSN", 0), COLLAPSE)
        assert at("ERO", 1) not in r.values
        assert find_next_open_field(r, at("JSN", 0)) == at("ERO", 1)

    def test_subluxation_sets_jsn_and_leaves_erosion_open(self) -> None:
        r = enter(reading(), at("ERO", 0), SUBLUXATION)
        assert r.score(at("JSN", 0)) == 3
        assert find_next_open_field(r, at("ERO", 0)) == at("ERO", 0)
        r = enter(r, at("ERO", 0), GradeEntry(1))
        assert r.score(at("ERO", 0)) == 1
        assert len(list_options(r, at("ERO", 1)).grades) == 6  # it heals

    def test_a_finding_that_sets_nothing_here_is_not_offered(self) -> None:
        assert ids(list_options(reading(), at("ERO", 0, "L.IP1")).findings) == {"ankylosis", "collapse"}

    def test_another_finding_replaces_the_first(self) -> None:
        r = enter(enter(reading(), at("ERO", 0), ANKYLOSIS), at("ERO", 0), SUBLUXATION)
        assert r.score(at("JSN", 0)) == 3
        assert at("ERO", 0) not in r.values

    def test_clearing_a_finding_opens_all_that_it_fixed(self) -> None:
        r = clear(enter(reading(), at("ERO", 0), ANKYLOSIS), at("JSN", 0))
        assert r.values == {}


class TestNotAssessable:
    def test_a_replaced_joint_has_no_score_on_any_scale(self) -> None:
        r = enter(reading(), at("JSN", 1), NotAssessableEntry("replaced"))
        assert set(r.values) == {at("ERO", 1), at("JSN", 1)}
        assert r.score(at("ERO", 1)) is None
        with pytest.raises(EntryError, match="fixed by replaced"):
            enter(r, at("ERO", 1), GradeEntry(0))

    def test_unreadable_applies_to_its_field_only(self) -> None:
        r = enter(reading(), at("JSN", 1), NotAssessableEntry("unreadable"))
        assert set(r.values) == {at("JSN", 1)}
        assert enter(r, at("JSN", 1), GradeEntry(2)).score(at("JSN", 1)) == 2

    def test_slots_without_a_region_are_filled_and_reopened(self) -> None:
        r = apply_regions(reading(), {Slot("L.MCP2", 1)})
        assert r.values[at("ERO", 1)] == NotAssessableEntry("outside")
        assert list_options(r, at("ERO", 1)).entries == ()
        with pytest.raises(EntryError, match="not on this film"):
            enter(r, at("ERO", 1), GradeEntry(0))
        assert apply_regions(r, set()).values == {}

    def test_an_entry_outside_film_stays_when_the_regions_change(self) -> None:
        r = enter(reading(), at("ERO", 0), NotAssessableEntry("outside"))
        r = apply_regions(apply_regions(r, {Slot("L.MCP3", 0)}), set())
        assert r.values[at("ERO", 0)] == NotAssessableEntry("outside")


class TestShortcuts:
    def test_normal_fills_the_open_fields_only(self) -> None:
        r = enter_normal(enter(reading(), at("ERO", 1), GradeEntry(2)), "L.MCP2")
        assert [r.score(field) for field in r.joint_fields("L.MCP2")] == [0, 2, 0, 0]
        assert undo(r).values == {at("ERO", 1): GradeEntry(2)}

    def test_normal_is_not_offered_where_a_field_cannot_be_0(self) -> None:
        r = enter(reading(), at("ERO", 0), ANKYLOSIS)
        with pytest.raises(EntryError):
            enter_normal(r, "L.MCP2")

    def test_same_takes_over_a_finding_with_what_it_fixes(self) -> None:
        r = copy_entry(enter(reading(), at("ERO", 0), ANKYLOSIS), at("ERO", 1))
        assert r.score(at("JSN", 1)) == 4

    def test_same_is_not_offered_to_a_blinded_reader(self) -> None:
        r = enter(reading(blinded=True), at("ERO", 0), GradeEntry(2))
        assert not list_options(r, at("ERO", 1)).can_copy


class TestUndo:
    def test_undo_goes_back_to_the_beginning_and_is_logged(self) -> None:
        r = reading()
        for field in r.fields[:5]:
            r = enter(r, field, GradeEntry(1))
        for _ in range(5):
            r = undo(r)
        assert r.values == {}
        assert [entry.kind for entry in r.log] == ["enter"] * 5 + ["undo"] * 5
        with pytest.raises(EntryError, match="nothing to undo"):
            undo(r)

    def test_undo_brings_back_what_a_finding_replaced(self) -> None:
        before = enter(enter(reading(), at("ERO", 0), GradeEntry(3)), at("ERO", 1), GradeEntry(4))
        assert undo(enter(before, at("JSN", 0), COLLAPSE)).values == before.values

    def test_undo_skips_entries_without_effect(self) -> None:
        r = enter(enter(reading(), at("ERO", 0), GradeEntry(1)), at("ERO", 0), GradeEntry(1))
        assert len(r.log) == 2
        assert undo(r).values == {}
        assert find_undoable(undo(r)) is None

    def test_undo_leaves_flags_and_notes_alone(self) -> None:
        r = set_note(toggle_flag(enter(reading(), at("ERO", 0), GradeEntry(1)), "L.MCP3"), "L.MCP2", "margin?")
        r = undo(r)
        assert r.values == {}
        assert r.flags == {"L.MCP3"}
        assert r.notes == {"L.MCP2": "margin?"}
        assert find_undoable(r) is None


class TestFlagsAndNotes:
    def test_the_same_key_sets_a_flag_and_takes_it_away(self) -> None:
        r = toggle_flag(reading(), "L.MCP2", timestamp=NOW, key="f")
        assert r.flags == {"L.MCP2"}
        assert (r.log[-1].kind, r.log[-1].site, r.log[-1].timestamp, r.log[-1].key) == ("flag", "L.MCP2", NOW, "f")
        assert toggle_flag(r, "L.MCP2").flags == set()

    def test_a_note_is_one_clean_line(self) -> None:
        r = set_note(reading(), "L.MCP2", "  erosion at the\n radial\tmargin? ")
        assert r.notes == {"L.MCP2": "erosion at the radial margin?"}
        assert r.log[-1].note == "erosion at the radial margin?"
        assert "\x1b" not in set_note(r, "L.MCP2", "\x1b[2J").notes["L.MCP2"]
        assert len(set_note(r, "L.MCP2", "x" * 500).notes["L.MCP2"]) == 200

    def test_an_empty_text_removes_it_and_the_same_text_leaves_no_trace(self) -> None:
        r = set_note(reading(), "L.MCP2", "margin?")
        assert set_note(r, "L.MCP2", " margin? ") is r
        assert set_note(r, "L.MCP2", " ").notes == {}
        assert [entry.note for entry in set_note(r, "L.MCP2", "").log] == ["margin?", ""]

    def test_both_name_a_site_of_the_reading(self) -> None:
        for command in (lambda: toggle_flag(reading(), "L.NOSE"), lambda: set_note(reading(), "L.NOSE", "big")):
            with pytest.raises(EntryError, match="not part of this reading"):
                command()


class TestRefusals:
    def test_a_refusal_has_kind_parameters_and_english_text(self) -> None:
        r = enter(reading(), at("ERO", 0), ANKYLOSIS)
        cases = {
            "fixed": (at("ERO", 0), GradeEntry(1), {"id": "ankylosis", "label": "ankylosis"}, "fixed by ankylosis"),
            "does_not_heal": (
                at("ERO", 1),
                GradeEntry(1),
                {"id": "ankylosis", "label": "ankylosis"},
                "ankylosis does not heal",
            ),
            "out_of_range": (
                at("JSN", 1),
                GradeEntry(5),
                {"scale": "JSN", "maximum": 4},
                "JSN here goes from 0 to 4",
            ),
            "sets_nothing": (at("ERO", 0, "L.IP1"), SUBLUXATION, {}, "sets no score here"),
            "no_finding": (at("ERO", 0), FindingEntry("unheard"), {}, "no such finding"),
            "no_reason": (at("ERO", 0), NotAssessableEntry("unheard"), {}, "no such reason"),
        }
        for kind, (field, entry, parameters, text) in cases.items():
            why = find_refusal(r, field, entry)
            assert why == Refusal(kind, parameters)  # type: ignore[arg-type]
            assert str(why) == text
            with pytest.raises(EntryError) as caught:
                enter(r, field, entry)
            assert caught.value.refusal == why
            assert text in str(caught.value)

    def test_a_command_says_that_the_reading_is_signed_before_anything_else(self) -> None:
        r = reading()
        for site in r.sites:
            r = enter_normal(r, site.key)
        signed = sign(r, timestamp=NOW)
        for command in (
            lambda: undo(signed),
            lambda: clear(signed, at("ERO", 0)),
            lambda: copy_entry(signed, at("ERO", 0)),
            lambda: enter_normal(signed, "L.MCP2"),
            lambda: toggle_flag(signed, "L.MCP2"),
            lambda: set_note(signed, "L.MCP2", "margin?"),
        ):
            with pytest.raises(EntryError) as caught:
                command()
            assert caught.value.refusal == Refusal("signed")

    def test_one_open_field_is_named_in_the_singular(self) -> None:
        assert str(Refusal("still_open", {"count": 1})) == "1 field is still open"
        assert str(Refusal("still_open", {"count": 2})) == "2 fields are still open"


class TestSigning:
    def complete(self) -> Reading:
        r = reading()
        for site in r.sites:
            r = enter_normal(r, site.key)
        return r

    def test_only_a_complete_reading_is_signed(self) -> None:
        with pytest.raises(EntryError, match="76 fields are still open"):
            sign(reading(), timestamp=NOW)

    def test_a_signed_reading_cannot_change(self) -> None:
        r = sign(self.complete(), timestamp=NOW)
        assert list_options(r, at("ERO", 0)).entries == ()
        for change in (
            lambda: enter(r, at("ERO", 0), GradeEntry(1)),
            lambda: undo(r),
            lambda: clear(r, at("ERO", 0)),
            lambda: apply_regions(r, {Slot("L.MCP2", 0)}),
            lambda: sign(r, timestamp=NOW),
        ):
            with pytest.raises(EntryError):
                change()

    def test_reopening_is_recorded_with_its_reason(self) -> None:
        r = reopen(sign(self.complete(), timestamp=NOW), "wrong film", timestamp=NOW)
        assert r.signed_at is None
        assert r.log[-1].note == "wrong film"
        assert enter(r, at("ERO", 0), GradeEntry(1)).score(at("ERO", 0)) == 1
        with pytest.raises(EntryError):
            reopen(sign(self.complete(), timestamp=NOW), "  ")


class TestBlinding:
    def test_no_option_depends_on_the_order(self) -> None:
        """Check that swapping the time points of a blinded reading swaps its options and changes nothing else."""
        for entry in (ANKYLOSIS, COLLAPSE, GradeEntry(5), NotAssessableEntry("replaced")):
            first = enter(reading(blinded=True), at("ERO", 0), entry)
            second = enter(reading(blinded=True), at("ERO", 1), entry)
            for scale in ("ERO", "JSN"):
                for time in (0, 1):
                    assert list_options(first, at(scale, time)) == list_options(second, at(scale, 1 - time))

    def test_a_finding_on_one_film_rules_nothing_out_on_the_other(self) -> None:
        r = enter(reading(blinded=True), at("ERO", 0), ANKYLOSIS)
        assert len(list_options(r, at("ERO", 1)).grades) == 6


def test_a_changed_reading_shares_the_tables_of_its_sites_and_no_values() -> None:
    here = reading()
    after = enter(here, here.fields[0], GradeEntry(1))
    assert after.fields is here.fields
    assert not here.values
    assert after == replace(here, values=after.values, log=after.log)
    with pytest.raises(TypeError, match="order"):
        here._with_state(order=(1, 0))
