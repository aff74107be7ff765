"""The editor of the boxes of one film: changes, undo, mirroring, and rejected boxes."""

import numpy as np
import pytest

from ratui.imaging import Box
from ratui.regions.editor import RegionEditor
from ratui.regions.initial import make_initial_regions
from ratui.scheme import load_scheme
from ratui.study import FilmRecord, Region, RegionSource

SCHEME = load_scheme("mtss-hands")


def boxes(side: str = "L", source: RegionSource = RegionSource.TEMPLATE) -> RegionEditor:
    """Return a film with the boxes of the template."""
    film = FilmRecord("film", 0, side, "hand", 1000, 1600 if side == "B" else 820)
    sites = [site for site in SCHEME.sites if site.side in film.sides]
    regions = make_initial_regions(SCHEME, film, sites, confirmed={}, proposed={}, other={})
    regions = {key: Region(key, "film", region.box, source) for key, region in regions.items()}
    return RegionEditor.create(SCHEME, film, sites, regions)


def centre_across(film_boxes: RegionEditor, side: str) -> float:
    """Return the centre of a hand's boxes across the film, from 0 to 1."""
    found = [r.box for key, r in film_boxes.regions.items() if key[0] == side and r.box]
    return float(np.mean([(box[0] + box[2]) / 2 for box in found])) / film_boxes.film.columns


def thumb(film_boxes: RegionEditor, side: str) -> float:
    """Return how far the thumb is to the right of the little finger, in film pixels."""
    one, five = (film_boxes.regions[f"{side}.MCP{n}"].box for n in (1, 5))
    assert one is not None
    assert five is not None
    return one[0] - five[0]


def test_a_change_has_to_be_accepted_again_and_can_be_taken_back() -> None:
    before = boxes().accept(["L.IP1"], "anna")
    assert before.accepted_count == 1
    box = before.regions["L.IP1"].box
    assert box is not None
    changed = before.select_site("L.IP1").with_box(box.shift(9, 0))
    assert changed.accepted_count == 0
    assert changed.region.source == RegionSource.RATER
    back = changed.step(5).undo()
    assert back.regions == before.regions
    assert back.site.key == "L.IP1", "where the change was"
    assert back.undo() is back


def test_undo_goes_back_through_every_change() -> None:
    states = [boxes()]
    for index in range(5):
        now = states[-1].step(1)
        states.append(now.toggle_absent() if index % 2 else now.with_box(Box(1.0 + index, 2.0, 30.0, 40.0)))
    now = states[-1]
    for before in reversed(states[:-1]):
        now = now.undo()
        assert now.regions == before.regions


def test_a_site_marked_absent_returns_to_its_place() -> None:
    placed = boxes().with_box(Box(100.0, 200.0, 160.0, 260.0))
    gone = placed.toggle_absent()
    assert gone.region.box is None
    assert gone.toggle_absent().region.box == Box(100.0, 200.0, 160.0, 260.0)


def test_a_film_opens_at_the_first_uncertain_box() -> None:
    start = boxes(source=RegionSource.REGISTERED)
    regions = dict(start.regions)
    regions["L.MCP4"] = Region("L.MCP4", "film", regions["L.MCP4"].box, RegionSource.ESTIMATED)
    opened = RegionEditor.create(SCHEME, start.film, start.sites, regions)
    assert opened.site.key == "L.MCP4"
    assert [opened.sites[i].key for i in opened.uncertain_indices] == ["L.MCP4"]


class TestWaysToLie:
    def test_a_film_of_one_hand_is_turned_over_and_back(self) -> None:
        start = boxes()
        over = start.next_arrangement()
        assert thumb(over, "L") == pytest.approx(-thumb(start, "L"))
        assert over.arrangement == "mirrored"
        back = over.next_arrangement()
        assert back.arrangement == "plain"
        assert thumb(back, "L") == pytest.approx(thumb(start, "L"))
        assert over.undo().arrangement == "plain"

    def test_a_film_of_two_hands_goes_through_all_four_ways(self) -> None:
        now = boxes("B")
        width = thumb(now, "L")
        expected = {"mirrored": (True, -1), "crossed": (True, 1), "turned": (False, -1), "plain": (False, 1)}
        for name, (left_is_right, way) in expected.items():
            now = now.next_arrangement()
            assert now.arrangement == name
            assert (centre_across(now, "L") > 0.5) == left_is_right
            assert (centre_across(now, "R") < 0.5) == left_is_right
            assert thumb(now, "L") == pytest.approx(way * width)
            assert thumb(now, "R") == pytest.approx(-way * width)
            assert now.find_acceptance_faults(now.unaccepted) == ()

    def test_accepted_boxes_stay(self) -> None:
        start = boxes().accept(["L.MCP1"], "anna")
        assert start.next_arrangement().regions["L.MCP1"] == start.regions["L.MCP1"]
        everything = start.accept(start.unaccepted, "anna")
        assert everything.next_arrangement() is everything

    def test_boxes_in_the_right_arrangement_stay(self) -> None:
        mirror = boxes().next_arrangement()
        # The boxes as a model proposes them that finds the mirrored arrangement by itself.
        proposed = RegionEditor.create(SCHEME, mirror.film, mirror.sites, mirror.regions)
        assert [fault.kind for fault in proposed.find_acceptance_faults(proposed.unaccepted)] == ["mirrored"]
        said = proposed.next_arrangement()
        assert said.regions == proposed.regions
        assert said.find_acceptance_faults(said.unaccepted) == ()

    def test_a_film_confirmed_as_mirrored_opens_as_mirrored(self) -> None:
        mirror = boxes().next_arrangement()
        accepted = mirror.accept(mirror.unaccepted, "anna")
        opened = RegionEditor.create(SCHEME, accepted.film, accepted.sites, accepted.regions)
        assert opened.arrangement == "mirrored"
        assert opened.with_box(opened.region.box).find_acceptance_faults([opened.site.key]) == ()


class TestRefused:
    def test_the_template_is_accepted(self) -> None:
        for side in ("L", "R", "B"):
            start = boxes(side)
            assert start.find_acceptance_faults(start.unaccepted) == ()

    def test_a_box_on_another_is_rejected(self) -> None:
        start = boxes(source=RegionSource.REGISTERED)
        wrong = start.select_site("L.PIP3").with_box(start.regions["L.PIP2"].box)
        kinds = {
            (fault.kind, frozenset((fault.site, fault.other)))
            for fault in wrong.find_acceptance_faults(wrong.unaccepted)
        }
        assert ("overlap", frozenset(("L.PIP2", "L.PIP3"))) in kinds

    def test_another_box_can_still_be_accepted(self) -> None:
        start = boxes(source=RegionSource.REGISTERED)
        wrong = start.select_site("L.PIP3").with_box(start.regions["L.PIP2"].box)
        assert wrong.find_acceptance_faults(["L.MCP5"]) == ()

    def test_a_box_is_checked_against_accepted_boxes(self) -> None:
        start = boxes().accept(["L.PIP2"], "anna")
        wrong = start.select_site("L.PIP3").with_box(start.regions["L.PIP2"].box)
        assert any(fault.kind == "overlap" for fault in wrong.find_acceptance_faults(["L.PIP3"]))

    def test_a_joint_without_a_box_must_be_marked_absent(self) -> None:
        start = boxes()
        regions = {**start.regions, "L.PIP4": Region("L.PIP4", "film", None, RegionSource.MODEL, model="ssd")}
        proposed = RegionEditor.create(SCHEME, start.film, start.sites, regions)
        assert [(fault.kind, fault.site) for fault in proposed.find_acceptance_faults(proposed.unaccepted)] == [
            ("missing", "L.PIP4")
        ]
        said = proposed.select_site("L.PIP4").with_box(None)
        assert said.find_acceptance_faults(said.unaccepted) == ()
