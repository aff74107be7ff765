"""Open boxes follow the boxes that a rater confirms or moves, and never the other way round."""

import math

import numpy as np
import pytest

from ratui.imaging import Box
from ratui.regions.corrections import follow_corrections
from ratui.regions.editor import RegionEditor
from ratui.regions.initial import find_template_box, make_initial_regions
from ratui.scheme import load_scheme
from ratui.study import FilmRecord, Region, RegionSource

SCHEME = load_scheme("mtss-hands")
FINGERS = ("IP1", "PIP2", "PIP3", "PIP4", "PIP5", "MCP1", "MCP2", "MCP3", "MCP4", "MCP5")


def make_film(side: str = "L") -> FilmRecord:
    return FilmRecord("film", 0, side, "hand", 1000, 1640 if side == "B" else 820)


def make_truth(film: FilmRecord, scale: float = 0.9, degrees: float = 10.0) -> dict[str, Box]:
    """Return the template's boxes after a similarity about the middle of each hand, by site key."""
    truth = {}
    for site in SCHEME.sites:
        box = find_template_box(SCHEME, film, site) if site.side in film.sides else None
        if box is not None:
            x, y = film.area(site.side).centre
            factor = scale * complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
            place = factor * complex(box.centre[0] - x, box.centre[1] - y)
            truth[site.key] = Box.from_centre(place.real + x + 30, place.imag + y - 40, scale * box.width)
    return truth


def open_film(
    side: str = "L", found: dict[str, Region] | None = None, confirmed: dict[str, Region] | None = None
) -> RegionEditor:
    """Return a film with the boxes of the template, except those `found` by a model or `confirmed`."""
    film = make_film(side)
    sites = [site for site in SCHEME.sites if site.side in film.sides]
    regions = make_initial_regions(SCHEME, film, sites, confirmed=confirmed or {}, proposed=found or {}, other={})
    return RegionEditor.create(SCHEME, film, sites, regions)


def find(truth: dict[str, Box], joints: tuple[str, ...] = FINGERS) -> dict[str, Region]:
    """Return regions of the joints, as a model proposes them."""
    return {
        key: Region(key, "film", box, RegionSource.MODEL, "", 0.9, "ssd")
        for key, box in truth.items()
        if key[2:] in joints
    }


def distances(editor: RegionEditor, truth: dict[str, Box], keys: tuple[str, ...] | None = None) -> list[float]:
    """Return the distances of the centres from the truth, in boxes."""
    found = []
    for key in keys or tuple(truth):
        box = editor.regions[key].box
        assert box is not None
        found.append(math.dist(box.centre, truth[key].centre) / truth[key].width)
    return found


def correct(editor: RegionEditor, truth: dict[str, Box], *keys: str) -> RegionEditor:
    for key in keys:
        editor = editor.select_site(key).with_box(truth[key])
    return editor


class TestAnOpenBoxFollows:
    def test_after_each_correction_the_others_are_nearer_to_the_truth(self) -> None:
        editor, truth = open_film(), make_truth(make_film())
        errors = [np.mean(distances(editor, truth))]
        for key in ("L.CMC3", "L.PIP3", "L.MCP1"):
            editor = correct(editor, truth, key)
            errors.append(np.mean(distances(editor, truth)))
        assert errors[0] > 0.8
        assert errors == sorted(errors, reverse=True)
        assert max(distances(editor, truth)) < 0.25
        assert editor.regions["L.ULN"].source is RegionSource.ESTIMATED
        assert editor.regions["L.ULN"].confirmed_by == ""
        assert editor.regions["L.PIP3"].source is RegionSource.RATER

    def test_the_opened_box_is_the_most_informative_one_and_so_is_the_next(self) -> None:
        editor, truth = open_film(), make_truth(make_film())
        for _ in range(2):
            editor = editor.with_box(truth[editor.site.key]).accept([editor.site.key], "anna")
            editor = editor.select_next_unaccepted()
        assert max(distances(editor, truth)) < 0.3, "two corrections are enough for a whole hand"

    def test_undo_takes_all_boxes_back(self) -> None:
        before = open_film()
        after = correct(before, make_truth(make_film()), "L.CMC3")
        assert after.regions["L.PIP5"] != before.regions["L.PIP5"]
        assert after.undo().regions == before.regions

    def test_a_box_moved_back_leaves_the_others_where_they_were(self) -> None:
        before = open_film()
        box = before.region.box
        assert box is not None
        after = before.with_box(box.shift(20, 0)).with_box(box)
        assert all(after.regions[key].box == region.box for key, region in before.regions.items())

    def test_each_hand_follows_its_own_corrections(self) -> None:
        before = open_film("B")
        after = correct(before, make_truth(make_film("B")), "L.CMC3", "L.PIP3")
        assert all(after.regions[key] == region for key, region in before.regions.items() if key[0] == "R")
        assert after.regions["L.ULN"] != before.regions["L.ULN"]

    def test_an_accepted_box_holds_its_neighbours(self) -> None:
        truth = make_truth(make_film())
        moved = correct(open_film(), truth, "L.CMC3", "L.PIP3")
        accepted = moved.accept(["L.CMC3"], "anna")
        away = accepted.select_site("L.PIP5").with_box(truth["L.PIP5"].shift(60, 0))
        box = away.regions["L.CMC4"].box
        assert box is not None
        assert math.dist(box.centre, truth["L.CMC4"].centre) < 0.25 * truth["L.CMC4"].width

    def test_boxes_stay_on_the_film(self) -> None:
        editor = open_film()
        box = editor.regions["L.CMC3"].box
        assert box is not None
        far = editor.select_site("L.CMC3").with_box(box.shift(-2000, -3000))
        for region in far.regions.values():
            if region.source is RegionSource.ESTIMATED:
                assert region.box is not None
                assert 0 <= region.box.centre[0] <= 820
                assert 0 <= region.box.centre[1] <= 1000


class TestOtherBoxesStay:
    def test_confirmed_and_placed_boxes_never_move(self) -> None:
        truth = make_truth(make_film())
        editor = open_film().accept(["L.PIP2", "L.ULN"], "anna")
        before = correct(editor, truth, "L.MCP2")
        after = correct(before, truth, "L.CMC3", "L.PIP3", "L.MCP5").accept(["L.PIP3"], "anna")
        for key in ("L.PIP2", "L.ULN", "L.MCP2"):
            assert after.regions[key] == before.regions[key]

    def test_boxes_that_a_model_found_do_not_follow(self) -> None:
        truth = make_truth(make_film())
        before = open_film(found=find(truth))
        after = correct(before, truth, "L.CMC3").select_site("L.PIP3").with_box(truth["L.PIP3"].shift(50, 0))
        for joint in FINGERS:
            if joint != "PIP3":
                assert after.regions[f"L.{joint}"] == before.regions[f"L.{joint}"]

    def test_a_site_that_is_not_on_the_film_stays_so_and_moves_nothing(self) -> None:
        before = open_film().select_site("L.PIP5").toggle_absent()
        assert all(r.source is RegionSource.TEMPLATE for key, r in before.regions.items() if key != "L.PIP5")
        after = correct(before, make_truth(make_film()), "L.CMC3", "L.PIP3")
        assert after.regions["L.PIP5"].box is None

    def test_a_site_marked_present_again_follows_again(self) -> None:
        truth = make_truth(make_film())
        gone = open_film().select_site("L.PIP5").toggle_absent()
        back = correct(gone, truth, "L.CMC3", "L.PIP3", "L.MCP1").select_site("L.PIP5").toggle_absent()
        assert max(distances(back, truth)) < 0.25
        assert back.region.source is RegionSource.ESTIMATED


class TestEvidenceOfTheImage:
    def test_the_wrist_opens_below_the_fingers_that_a_model_found(self) -> None:
        truth = make_truth(make_film())
        wrist = tuple(key for key in truth if key[2:] not in FINGERS)
        editor = open_film(found=find(truth))
        assert max(distances(open_film(), truth, wrist)) > 1.0
        assert max(distances(editor, truth, wrist)) < 0.4
        assert set(editor.unsupported) == set(wrist)
        assert editor.site.key in wrist
        assert {editor.regions[key].source for key in wrist} == {RegionSource.ESTIMATED}

    def test_a_doubtful_finding_weighs_less(self) -> None:
        truth = make_truth(make_film())
        found = find(truth)
        wrong = truth["L.MCP3"].shift(0, 25)
        errors = []
        for confidence in (0.95, 0.05):
            found["L.MCP3"] = Region("L.MCP3", "film", wrong, RegionSource.MODEL, "", confidence, "ssd")
            some = {key: found[key] for key in ("L.MCP2", "L.MCP3")}
            errors.append(np.mean(distances(open_film(found=some), truth, ("L.CMC3", "L.CMC4"))))
        assert errors[1] < errors[0]

    @pytest.mark.parametrize("mirrored", [False, True])
    def test_a_reopened_film_places_the_open_boxes_by_the_confirmed_ones(self, mirrored: bool) -> None:
        film = make_film()
        truth = make_truth(film, degrees=5.0)
        if mirrored:
            truth = {key: box.mirror(Box.from_size(820, 1000)) for key, box in truth.items()}
        done = {
            key: Region(key, "film", truth[key], RegionSource.RATER, "anna")
            for key in ("L.CMC3", "L.PIP3", "L.MCP1", "L.PIP5", "L.ULN")
        }
        assert max(distances(open_film(confirmed=done), truth)) < 0.3


class TestTheWholeHand:
    def test_all_open_boxes_of_one_hand_move_together(self) -> None:
        before = open_film("B").accept(["L.PIP2"], "anna").select_site("L.PIP3")
        after = before.shift_hand(1.0, 0.0)
        for key, region in before.regions.items():
            now, box = after.regions[key].box, region.box
            assert now is not None
            assert box is not None
            moves = key[0] == "L" and key != "L.PIP2"
            assert now.centre[0] - box.centre[0] == (pytest.approx(72, abs=10) if moves else 0)
        assert after.undo().regions == before.regions

    def test_scale_and_rotation_keep_the_middle_and_the_shape(self) -> None:
        before = open_film()
        after = before.scale_hand(1.1).rotate_hand(15.0)
        a, b = (
            np.array([complex(*e.regions[key].box.centre) for key in before.regions])  # type: ignore[union-attr]
            for e in (before, after)
        )
        factor = 1.1 * np.exp(1j * np.radians(15))
        assert np.allclose(b - b.mean(), factor * (a - a.mean()))
        assert np.isclose(a.mean(), b.mean())
        assert after.rotate_hand(-15.0).scale_hand(1 / 1.1).regions["L.PIP5"].box == pytest.approx(
            before.regions["L.PIP5"].box
        )

    def test_later_corrections_are_relative_to_the_moved_hand(self) -> None:
        truth = make_truth(make_film(), scale=1.0, degrees=0.0)
        moved = open_film().shift_hand(30 / 62.32, -40 / 62.32).rotate_hand(20.0)
        after = moved.select_site("L.CMC3").with_box(moved.regions["L.CMC3"].box)
        assert all(after.regions[key].box == region.box for key, region in moved.regions.items())
        assert truth.keys() == after.regions.keys()

    def test_sources_stay_honest(self) -> None:
        truth = make_truth(make_film())
        found = find(truth)
        found["L.MCP5"] = Region("L.MCP5", "film", truth["L.MCP5"], RegionSource.REGISTERED, "", 0.9)
        before = correct(open_film(found=found), truth, "L.PIP2")
        after = before.shift_hand(0.1, 0.0)
        sources = {key: after.regions[f"L.{key}"].source for key in ("PIP2", "PIP3", "MCP5", "ULN")}
        assert sources == {
            "PIP2": RegionSource.RATER,
            "PIP3": RegionSource.MODEL,
            "MCP5": RegionSource.ESTIMATED,
            "ULN": RegionSource.ESTIMATED,
        }

    def test_a_hand_cannot_leave_the_film_or_vanish(self) -> None:
        editor = open_film()
        for _ in range(60):
            editor = editor.shift_hand(-1.0, -1.0).scale_hand(1 / 1.1)
        boxes = [region.box for region in editor.regions.values() if region.box is not None]
        assert min(box.width for box in boxes) >= 0.015 * 820
        assert np.mean([box.centre for box in boxes], axis=0) == pytest.approx([0, 0], abs=1e-6)

    def test_without_open_boxes_nothing_happens(self) -> None:
        editor = open_film()
        done = editor.accept(editor.unaccepted, "anna")
        assert done.shift_hand(1.0, 0.0) is done
        assert done.scale_hand(1.1) is done
        assert done.rotate_hand(5.0) is done


def test_only_boxes_without_support_are_unsupported() -> None:
    truth = make_truth(make_film())
    editor = open_film(found=find(truth))
    assert len(editor.unsupported) == 12
    placed = correct(editor, truth, "L.CMC3")
    assert "L.CMC3" not in placed.unsupported
    assert len(placed.unsupported) == 11, "boxes that follow are still not seen in the image"
    gone = placed.select_site("L.RC").toggle_absent()
    assert "L.RC" not in gone.unsupported
    assert gone.accept(gone.unaccepted, "anna").unsupported == ()


def test_a_site_without_an_initial_box_takes_no_part() -> None:
    film, truth = make_film(), make_truth(make_film())
    sites = [site for site in SCHEME.sites if site.side == "L"]
    initial = {site.key: Region(site.key, "film", truth[site.key], RegionSource.TEMPLATE) for site in sites}
    initial["L.PIP3"] = Region("L.PIP3", "film", None, RegionSource.TEMPLATE)
    regions = {**initial, "L.PIP3": Region("L.PIP3", "film", truth["L.PIP3"].shift(99, 0), RegionSource.RATER)}
    assert follow_corrections(film, sites, regions, initial) == regions


class TestBothHands:
    def test_the_next_box_is_one_of_the_same_hand(self) -> None:
        editor = open_film("B").select_site("R.PIP2").select_next_unaccepted()
        assert editor.site.side == "R"

    def test_the_active_hand_is_accepted_first_if_the_other_can_be_placed_from_it(self) -> None:
        editor = open_film("B").select_site("R.PIP2")
        assert set(editor.hand_to_accept) == {key for key in editor.regions if key[0] == "R"}
        accepted = editor.accept(editor.hand_to_accept, "anna")
        assert accepted.other_hand_is_next
        assert accepted.hand_to_accept == ()

    def test_both_hands_are_accepted_at_once_if_the_other_has_boxes_of_its_own(self) -> None:
        truth = make_truth(make_film("B"))
        right = {key: region for key, region in find(truth).items() if key[0] == "R"}
        assert open_film("B", found=right).select_site("L.PIP2").hand_to_accept == ()
        moved = correct(open_film("B"), truth, "R.CMC3").select_site("L.PIP2")
        assert moved.hand_to_accept == ()
        assert open_film("L").hand_to_accept == ()


def test_a_direction_leads_to_the_box_beside_the_current_one() -> None:
    editor = open_film().select_site("L.MCP3")
    assert editor.step_towards(-1, 0).site.key == "L.MCP4"
    assert editor.step_towards(0, -1).site.key == "L.PIP3"
    assert editor.toggle_absent().step_towards(0, -1).site.key == "L.MCP3"
    assert editor.select_site("L.PIP3").step_towards(0, -1).site.key == "L.PIP3"
