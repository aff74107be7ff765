"""Films in any of four rotations: all joints are found, the film is turned, and mirrored films are only reported."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ratui.detection import hand_finder
from ratui.detection.finger_joints import normalise_levels
from ratui.detection.hand_finder import FoundHand, _ProposedRotation, _Rotation, find_hands
from ratui.detection.joint_naming import NamedHand
from ratui.detection.joint_network import Proposals
from ratui.errors import TrainError
from ratui.imaging import Box, Film, Orientation, turn_film, write_film
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.regions.proposals import ProposalSummary
from ratui.scheme import load_scheme
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from trainer.inference.proposals import propose_regions
from trainer.models.detector import load_detector

pytestmark = pytest.mark.slow
SCHEME = load_scheme("fingers")
JOINTS = {joint.id for joint in SCHEME.joints}
SHIPPED = Path("shipped")
NOTHING = np.zeros((0, 4), np.float32)
NO_BOX = Proposals(NOTHING, NOTHING)


@cache
def drawn(side: str) -> PhantomFilm:
    patient = simulate_patient(np.random.default_rng([77, 1]), load_scheme("mtss-hands"))
    return render(patient, side, 0, np.random.default_rng([77, 2]), size=(640, 525) if side != "B" else (640, 1050))  # type: ignore[arg-type]


def off(found: dict[str, Box], truth: dict[str, Box]) -> float:
    """Return the largest distance of the found boxes from the true ones, in box widths."""
    assert found.keys() == truth.keys()
    distances = [
        np.hypot(*(np.array(found[key].centre) - np.array(Box(*truth[key]).centre))) / Box(*truth[key]).width
        for key in truth
    ]
    return float(max(distances))


def joints_of(hand: FoundHand) -> dict[str, Box]:
    return {joint: found.box for joint, found in hand.joints.items()}


@pytest.mark.parametrize("stored", list(Orientation))
def test_every_joint_is_found_in_every_orientation(stored: Orientation) -> None:
    film = drawn("L")
    shown = turn_film(Film(film.pixels, 12), stored)
    (hand,) = find_hands(load_detector(SHIPPED, torch.device("cpu")), normalise_levels(shown), SCHEME)
    assert hand.side == ("R" if stored.is_mirrored else "L")
    rows, columns = film.pixels.shape
    truth = {key[2:]: stored.turn_box(Box(*box), columns, rows) for key, box in film.boxes.items() if key[2:] in JOINTS}
    assert off(joints_of(hand), truth) < 0.25
    # After the turn the fingers point up, whether or not the film is mirrored.
    upright = stored.then(Orientation.of(hand.rotation))
    assert upright in (Orientation.UPRIGHT, Orientation.MIRRORED)


def one_visit(
    folder: Path, *films: tuple[str, Orientation], scheme: str = "fingers"
) -> tuple[Study, list[FilmRecord]]:  # fmt: skip
    """Return a study with one case of one visit: films of phantom hands, each stored in an orientation."""
    study = Study.create(folder / "study", scheme, ["anna", "bert"])
    records = []
    for number, (side, stored) in enumerate(films):
        pixels = turn_film(Film(drawn(side).pixels, 12), stored).pixels
        path = study.film_path("C-1", f"film{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_film(path, pixels, spacing=(0.3, 0.3))
        records.append(FilmRecord(f"film{number}", 0, side, "hand", *pixels.shape, 0, (0.3, 0.3)))
    study.save_case(Case("C-1", tuple(records)))
    return study, records


def propose(study: Study, *, every: bool = False) -> ProposalSummary:
    return propose_regions(study, SHIPPED, "shipped", torch.device("cpu"), include_confirmed=every)


def proposed(study: Study, record: FilmRecord) -> dict[str, Box]:
    return {region.site: region.box for region in study.proposals("C-1") if region.film == record.id and region.box}


def truth_of(side: str) -> dict[str, Box]:
    return {key: Box(*box) for key, box in drawn(side).boxes.items() if key[2:] in JOINTS}


def test_a_case_of_one_visit_gets_proposals_and_upright_films(tmp_path: Path) -> None:
    study, (left, right) = one_visit(tmp_path, ("L", Orientation.TURNED_180), ("R", Orientation.UPRIGHT))
    summary = propose(study)
    assert (summary.cases, summary.hands, summary.joints) == (1, 2, 20)
    assert not summary.skipped + summary.side_warnings + summary.not_turned
    assert ["turned by 180°" in line for line in summary.turned] == [True]
    films = {film.id: film for film in study.case("C-1").films}
    assert films[left.id].orientation is Orientation.TURNED_180
    assert films[right.id].orientation is Orientation.UPRIGHT
    assert off(proposed(study, left), truth_of("L")) < 0.25, "boxes are those of the upright film"
    assert off(proposed(study, right), truth_of("R")) < 0.25
    assert not propose(study).turned, "an upright film is not turned again"


def test_all_22_sites_of_a_hand_are_proposed_for_a_scheme_that_scores_them(tmp_path: Path) -> None:
    study, (left,) = one_visit(tmp_path, ("L", Orientation.TURNED_180), scheme="mtss-hands")
    summary = propose(study)
    assert (summary.hands, summary.joints) == (1, 22)
    boxes = proposed(study, left)
    assert off(boxes, {key: Box(*box) for key, box in drawn("L").boxes.items()}) < 0.25
    assert {region.source for region in study.proposals("C-1")} == {RegionSource.MODEL}


def test_a_film_of_both_hands_is_turned_as_a_whole(tmp_path: Path) -> None:
    study, (both,) = one_visit(tmp_path, ("B", Orientation.TURNED_270))
    summary = propose(study)
    assert (summary.hands, len(summary.turned)) == (2, 1)
    assert study.case("C-1").films[0].orientation is Orientation.TURNED_90
    assert off(proposed(study, both), truth_of("B")) < 0.25


def test_a_mirrored_film_is_reported_and_not_mirrored(tmp_path: Path) -> None:
    study, (film,) = one_visit(tmp_path, ("L", Orientation.MIRRORED_180))
    summary = propose(study)
    (warning,) = summary.side_warnings
    assert "recorded as side L" in warning
    assert "not mirrored" in warning
    shown = study.case("C-1").films[0]
    assert not shown.orientation.is_mirrored
    mirrored = {key: box.mirror(Box.from_size(shown.columns, shown.rows)) for key, box in proposed(study, film).items()}
    assert off(mirrored, truth_of("L")) < 0.25


def test_the_decision_of_a_person_and_confirmed_boxes_are_kept(tmp_path: Path) -> None:
    study, (film, other) = one_visit(tmp_path, ("L", Orientation.TURNED_180), ("R", Orientation.TURNED_180))
    study.set_orientation("C-1", film.id, Orientation.UPRIGHT, by="anna")
    box = Region("R.MCP2", other.id, Box(10.0, 10.0, 60.0, 60.0), RegionSource.RATER, "anna")
    study.save_regions("C-1", [box])
    summary = propose(study, every=True)
    assert not summary.turned
    assert [line.rpartition("because ")[2] for line in summary.not_turned] == [
        "a person has set its orientation",
        "a rater has confirmed regions on it",
    ]
    assert {each.orientation for each in study.case("C-1").films} == {Orientation.UPRIGHT}
    assert study.regions("C-1") == (box,)
    turned = {
        key: Orientation.TURNED_180.turn_box(each, film.columns, film.rows)
        for key, each in proposed(study, film).items()
    }
    assert off(turned, truth_of("L")) < 0.25


def test_a_study_without_hands_is_an_error_that_says_so(tmp_path: Path) -> None:
    study, _ = one_visit(tmp_path)
    with pytest.raises(TrainError, match="no film of hands or feet"):
        propose(study)


@pytest.mark.parametrize(("cost", "searches"), [(19.0, 0), (7.0, 4)])
def test_a_picture_without_a_hand_is_not_searched_twice(
    monkeypatch: pytest.MonkeyPatch, cost: float, searches: int
) -> None:
    """Count the second searches in one polarity; the best hand of the first ones has this cost in one rotation."""
    done = []

    def detect_whole(model: object, proposed: _ProposedRotation, scheme: object, sides: object) -> _Rotation:
        degrees = proposed.degrees
        hand = NamedHand({}, "L", cost if degrees == 90 else cost + degrees / 10 + 1, np.eye(2, 3))
        return _Rotation(degrees, proposed.levels, hand, ())

    def propose_whole(model: object, levels: np.ndarray, scheme: object, sides: object, degrees: int) -> Any:
        return _ProposedRotation(degrees, levels, NamedHand({}, "L", degrees / 100, np.eye(2, 3)), NOTHING, NO_BOX)

    monkeypatch.setattr(hand_finder, "_propose_whole", propose_whole)
    monkeypatch.setattr(hand_finder, "_detect_whole", detect_whole)
    monkeypatch.setattr(hand_finder, "_find_hands_in", lambda *_: done.append(1) or [])
    black = np.zeros((64, 64), np.float32)
    assert find_hands(load_detector(SHIPPED, torch.device("cpu")), black, SCHEME) == []
    assert len(done) == 2 * searches


def test_the_second_network_sees_the_likely_rotations_only_and_the_most_likely_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs, seen = {0: 11.0, 90: -20.0, 180: 30.0, 270: -25.0}, []

    def detect_whole(model: object, proposed: _ProposedRotation, scheme: object, sides: object) -> _Rotation:
        seen.append(proposed.degrees)
        return _Rotation(proposed.degrees, proposed.levels, proposed.hand, ())

    def propose_whole(model: object, levels: np.ndarray, scheme: object, sides: object, degrees: int) -> Any:
        return _ProposedRotation(degrees, levels, NamedHand({}, "L", costs[degrees], np.eye(2, 3)), NOTHING, NO_BOX)

    monkeypatch.setattr(hand_finder, "_propose_whole", propose_whole)
    monkeypatch.setattr(hand_finder, "_detect_whole", detect_whole)
    monkeypatch.setattr(hand_finder, "_find_hands_in", lambda *_: [])
    black, model = np.zeros((64, 64), np.float32), load_detector(SHIPPED, torch.device("cpu"))
    assert find_hands(model, black, SCHEME) == []
    assert seen == [270, 90] * 2, "the image and its negative"
    costs[90] = -40.0
    seen.clear()
    find_hands(model, black, SCHEME)
    assert seen == [90] * 2
