"""Readings of one, three and four visits: slots without a film, the visit to copy from, and the stored document."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ratui.errors import EntryError, StoreError
from ratui.reading import (
    DisplayRecord,
    Field,
    FindingEntry,
    GradeEntry,
    NotAssessableEntry,
    Reading,
    ReviewItem,
    ReviewReason,
    Slot,
    apply_films,
    apply_regions,
    copy_entry,
    enter,
    enter_normal,
    find_compared_place,
    find_field_to_change,
    find_problems,
    find_resume_field,
    find_unlikely,
    list_options,
    list_review_items,
    reading_from_document,
    reading_to_document,
    start_reading,
    to_positions,
    undo,
)
from ratui.scheme import load_scheme

SCHEME = load_scheme("fingers")
SITES = tuple(site for site in SCHEME.sites if site.key in ("L.MCP2", "R.MCP2"))
WITHOUT = frozenset({Slot("R.MCP2", 1)})
ANKYLOSIS = FindingEntry("ankylosis")


def reading(*, order: tuple[int, ...] = (0, 1, 2), blinded: bool = False) -> Reading:
    without = WITHOUT if len(order) > 2 else ()
    return start_reading(SCHEME, "C-1", "anna", SITES, order=order, blinded=blinded, unfilmed=without)


def at(time: int, scale: str = "ERO", site: str = "L.MCP2") -> Field:
    return Field(site, scale, time)


def test_a_slot_without_a_film_has_no_fields() -> None:
    found = reading(order=(2, 0, 1))
    assert [field.time for field in found.joint_fields("R.MCP2")] == [2, 0, 2, 0]
    assert found.slot_fields(Slot("R.MCP2", 1)) == ()
    assert len(found.fields) == 2 * 3 + 2 * 2
    assert found.counterparts(at(0, site="R.MCP2")) == (at(2, site="R.MCP2"),)
    assert found.fields == tuple(field for site in SITES for field in found.joint_fields(site.key))
    with pytest.raises(EntryError):
        enter(found, at(1, site="R.MCP2"), GradeEntry(0))
    assert apply_regions(found, WITHOUT) is found, "what has no film is not outside its film"
    for site in SITES:
        found = enter_normal(found, site.key)
    assert found.is_complete
    assert found.total(1) == (0, 2)
    assert found.total(2) == (0, 4)


def test_the_entry_of_the_previous_visit_with_a_film_is_copied() -> None:
    start = enter(enter(reading(), at(0), GradeEntry(1)), at(2), GradeEntry(2))
    assert copy_entry(start, at(1)).values[at(1)] == GradeEntry(1)
    assert not list_options(start, at(0)).can_copy
    over = enter(reading(), at(0, site="R.MCP2"), GradeEntry(3))
    assert copy_entry(over, at(2, site="R.MCP2")).values[at(2, site="R.MCP2")] == GradeEntry(3)
    for one in (reading(order=(0,)), reading(blinded=True)):
        begun = enter(one, at(0), GradeEntry(1))
        assert not any(list_options(begun, field).can_copy for field in begun.fields)


def test_an_irreversible_finding_binds_all_later_visits() -> None:
    given = enter(enter(reading(), at(1), GradeEntry(2)), at(2), GradeEntry(2))
    after = enter(given, at(0), ANKYLOSIS)
    assert {field.time for field in after.values} == {0}
    assert [list_options(after, at(time)).grades == () for time in (0, 1, 2)] == [True] * 3
    middle = enter(given, at(1), ANKYLOSIS)
    assert {field.time for field in middle.values} == {1}
    assert list_options(middle, at(0)).grades


def test_a_change_is_compared_with_the_visits_beside_it() -> None:
    risen = enter(enter(reading(), at(0), GradeEntry(0)), at(1), GradeEntry(2))
    assert find_unlikely(risen, at(2), GradeEntry(4)) is None, (
        "two small steps, although 4 grades since the first visit"
    )
    fall = find_unlikely(risen, at(2), GradeEntry(0))
    assert fall is not None
    assert (fall.kind, fall.size, fall.other) == ("fall", 2, at(1))
    unreadable = enter(risen, at(1), NotAssessableEntry("unreadable"))
    jump = find_unlikely(unreadable, at(2), GradeEntry(4))
    assert jump is not None
    assert (jump.kind, jump.size, jump.other) == ("jump", 4, at(0))
    hidden = enter(enter(reading(blinded=True), at(0), GradeEntry(0)), at(1), GradeEntry(2))
    assert find_unlikely(hidden, at(2), GradeEntry(4)) is not None, "the visits beside it would reveal the order"


def test_one_visit_is_read_without_comparison() -> None:
    found = reading(order=(0,))
    for site in SITES:
        found = enter_normal(enter(found, at(0, site=site.key), GradeEntry(4)), site.key)
    assert found.is_complete
    assert {reason.kind for item in list_review_items(found) for reason in item.reasons} == {"high"}


def graded(of: Reading, *grades: int) -> Reading:
    for place, grade in enumerate(grades):
        of = enter(of, at(of.order[place]), GradeEntry(grade), confirmed=True)
    return of


@pytest.mark.parametrize(
    ("grades", "kind", "size", "places"),
    [
        ((0, 1, 1), "change", 1, (0, 1)),
        ((0, 0, 1), "change", 1, (1, 2)),
        ((0, 1, 2), "change", 2, (0, 2)),
        ((2, 1, 1), "fall", 1, (0, 1)),
        ((1, 2, 1), "fall", 1, (1, 2)),
        ((0, 4, 4), "jump", 4, (0, 1)),
    ],
)
def test_a_reason_of_three_visits_names_the_two_concerned(
    grades: tuple[int, ...], kind: str, size: int, places: tuple[int, int]
) -> None:
    found = graded(reading(), *grades)
    item = next(item for item in list_review_items(found) if item.site == "L.MCP2")
    assert (item.reasons[0].kind, item.reasons[0].size, item.reasons[0].places) == (kind, size, places)
    for time in found.order:
        found = enter(found, at(time, "JSN"), GradeEntry(0))
    assert find_field_to_change(found, item) == at(places[1]), "the film before it is shown beside it"


def test_every_reason_about_some_visits_names_them() -> None:
    display = DisplayRecord(("a",), "sixel", 6.0, True, ("invert",), 0.2, "terminal")
    found = enter(reading(), at(0), GradeEntry(3), display=display)
    found = enter(enter(found, at(1), NotAssessableEntry("unreadable")), at(2), GradeEntry(3))
    places = {reason.kind: reason.places for reason in list_review_items(found)[0].reasons}
    assert places == {"brief": (0,), "greys": (0,), "high": (0, 2), "one_sided": (1,)}
    fused = enter(reading(), at(2, site="R.MCP2"), ANKYLOSIS)
    assert list_review_items(fused)[0].reasons[0].places == (2,)
    fused = enter(fused, at(0, site="R.MCP2"), ANKYLOSIS)
    assert list_review_items(fused)[0].reasons[0].places == (), "at every visit"


def test_a_reason_about_the_visit_at_a_place_names_the_one_to_compare_with_it() -> None:
    change, high = ReviewReason("change", "ERO", 2, places=(0, 2)), ReviewReason("high", "JSN", 3, places=(1, 2))
    item = ReviewItem("L.MCP2", (change, high, ReviewReason("greys", places=(1,))))
    found = [[find_compared_place(reading(), item, place, scale) for place in range(3)] for scale in ("ERO", "JSN")]
    assert found == [[2, 2, 0], [2, 2, 1]]
    assert find_compared_place(reading(), ReviewItem("L.MCP2", ()), 2) is None


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_blinded_reason_names_places_and_no_order(order: tuple[int, ...]) -> None:
    for grades, places in (((4, 0, 0), (0, 1)), ((4, 4, 0), (1, 2)), ((2, 2, 1), (1, 2)), ((4, 2, 0), (0, 2))):
        item = list_review_items(graded(reading(order=order, blinded=True), *grades))[0]
        assert item.reasons[0].places == places


@pytest.mark.parametrize("order", [(2, 0, 1), (0, 1, 2)])
def test_a_document_of_several_visits_is_restored(order: tuple[int, ...]) -> None:
    given = enter(enter(reading(order=order, blinded=True), at(2), ANKYLOSIS), at(0, site="R.MCP2"), GradeEntry(1))
    document = json.loads(json.dumps(reading_to_document(given)))
    assert document["meta"]["format"] == 5
    assert document["meta"]["unfilmed"] == [["R.MCP2", order.index(1)]]
    assert reading_from_document(SCHEME, document, order=order) == given
    assert reading_from_document(SCHEME, document) == to_positions(given)


def test_a_reading_with_all_films_is_stored_for_earlier_versions_too() -> None:
    document = reading_to_document(replace(reading(), unfilmed=frozenset()))
    assert document["meta"]["format"] == 4
    assert "unfilmed" not in document["meta"]


@pytest.mark.parametrize(
    ("slots", "problem"),
    [
        ([["L.MCP2", 3]], "not a slot of this reading"),
        ([["R.MCP2", 0], ["R.MCP2", 1]], "films of too few time points"),
        ([["L.MCP2", 0]], "is not a field of this reading"),
    ],
)
def test_impossible_slots_without_a_film_are_rejected(slots: list[list[object]], problem: str) -> None:
    document = reading_to_document(enter(reading(), at(0), GradeEntry(1)))
    document["meta"]["unfilmed"] = slots
    with pytest.raises(StoreError, match=problem):
        reading_from_document(SCHEME, document)


def test_a_slot_is_not_both_without_a_film_and_outside_it() -> None:
    assert find_problems(replace(reading(), absent=WITHOUT)) == ("R.MCP2 at 1 is without a film, but also outside it",)


def test_a_reading_is_continued_after_the_last_field_that_is_left() -> None:
    begun = enter(enter(reading(), at(0), GradeEntry(1)), at(2), GradeEntry(1))
    lost = [Slot("L.MCP2", 2), Slot("R.MCP2", 2)]
    after = apply_films(begun, SITES[:1], (0, 1), (("a",), ("b",), ()), lost, note="-c")
    assert find_resume_field(after) == at(1)
    assert after.open_fields[0] == at(1)
    with pytest.raises(EntryError):
        undo(after)
