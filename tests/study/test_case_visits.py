"""The sites and slots of a case that can be read, with any number of visits and with visits that lack films."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ratui.imaging import Box
from ratui.reading import Slot
from ratui.regions import propagation
from ratui.regions.propagation import BoxPropagation
from ratui.scheme import load_scheme
from ratui.study import Case, FilmRecord, Region, RegionSource

SCHEME = load_scheme("fingers")
HANDS = load_scheme("mtss-hands")


def film(time: int, side: str = "L", *, visit: int | None = None, view: str = "hand") -> FilmRecord:
    return FilmRecord(
        f"{side}{time}", time, side, view, 100, 80, day=100 * (time if visit is None else visit), visit=visit
    )


def case(*films: FilmRecord) -> Case:
    return Case("C-1", films)


def sides(of: Case) -> str:
    return "".join(sorted({site.side for site in of.sites(SCHEME)}))


@pytest.mark.parametrize(
    ("films", "expected", "reason"),
    [
        ([], "", "films of one visit only"),
        ([film(0)], "L", ""),
        ([film(0), film(1)], "L", ""),
        ([film(0), film(1, "R")], "", "no side with films at both visits"),
        ([film(0), film(1), film(1, "R")], "L", ""),
        ([film(0), film(2), film(1, "R")], "L", ""),
        ([film(0, "B"), film(1, "R"), film(2, "L")], "LR", ""),
        (
            [film(0, "L"), film(1, "R"), replace(film(2), view="foot", id="F2")],
            "",
            "no side with films at two visits",
        ),
    ],
)
def test_a_site_is_read_with_films_of_two_visits_or_of_the_only_one(
    films: list[FilmRecord], expected: str, reason: str
) -> None:
    scheme = load_scheme("mtss")
    found = case(*films)
    assert "".join(sorted({site.side for site in found.sites(scheme)})) == expected
    assert found.unreadable_reason(scheme) == reason


def test_slots_are_those_with_a_film() -> None:
    found = case(film(0), film(1, "R"), film(2, "B"), film(3, "R"))
    slots = dict(found.slots(SCHEME))
    assert {(slot.site[0], slot.time): id for slot, id in slots.items()} == {
        ("L", 0): "L0",
        ("L", 2): "B2",
        ("R", 1): "R1",
        ("R", 2): "B2",
        ("R", 3): "R3",
    }
    unfilmed = found.unfilmed_slots(SCHEME)
    assert {(slot.site[0], slot.time) for slot in unfilmed} == {("L", 1), ("L", 3), ("R", 0)}
    assert len(unfilmed) + len(slots) == 4 * len(SCHEME.sites)


def test_visits_have_the_numbers_of_the_study_and_times_count_those_present() -> None:
    found = case(film(0, visit=0), film(1, visit=3), film(2, visit=7))
    assert found.times == (0, 1, 2)
    assert found.visit_numbers == (0, 3, 7)
    assert found.days_from(0, 2) == 700
    assert found.days_from(2, 1) == -400
    assert found.days_from(0, 3) is None


def test_a_case_whose_other_visit_was_withdrawn_waits_for_the_right_films() -> None:
    assert replace(case(film(0)), withdrawn=(("x", None),)).unreadable_reason(SCHEME) == "films of one visit only"
    assert replace(case(film(0)), withdrawn=(("x", 0),)).unreadable_reason(SCHEME) == ""


def test_regions_of_a_wrist_film_are_counted_without_the_fingers() -> None:
    wrists = case(film(0, view="wrist"), film(1, view="wrist"))
    assert len(dict(wrists.slots(HANDS))) == 2 * 22
    waiting = wrists.unconfirmed_shown_slots(HANDS, ())
    assert len(waiting) == 2 * len(HANDS.views["wrist"].template) == 2 * 12
    box = Box(0, 0, 9, 9)
    done = [
        Region(slot.site, id, box, RegionSource.RATER, "anna")
        for slot, id in wrists.slots(HANDS)
        if slot in waiting or slot.time == 1
    ]
    left = wrists.unconfirmed_shown_slots(HANDS, done)
    assert {slot.time for slot in left} == {0}
    assert len(left) == 10, "the sites that the view does not show are named when nothing else is left"


def test_boxes_come_from_the_nearest_visit_with_confirmed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Films:
        def film(self, case: str, id: str, orientation: object) -> str:
            return id

    def propagate(before: str, after: str, boxes: object, *, mirrored: bool) -> dict[str, object]:
        asked.append(before)
        return {}

    monkeypatch.setattr(propagation, "propagate_boxes", propagate)
    films = {each.id: each for each in (film(0), film(1), film(2), film(3), film(0, "R"), film(2, "R"))}
    site = next(site for site in SCHEME.sites if site.key == "L.MCP2")
    confirmed = {
        id: (each, {key: Region(key, id, Box(0, 0, 9, 9), RegionSource.RATER, "anna")})
        for id, each in films.items()
        if id not in ("L3", "L2") and (key := f"{each.side}.MCP2")
    }
    found = BoxPropagation(Films(), SCHEME, "C-1").propagate(films["L3"], [site], confirmed)  # type: ignore[arg-type]
    assert asked == ["L1", "L0", "R2", "R0"]
    assert found.failed


def test_a_slot_names_its_site_and_time() -> None:
    assert next(iter(case(film(0), film(1)).slots(SCHEME)))[0] == Slot("L.IP1", 0)
