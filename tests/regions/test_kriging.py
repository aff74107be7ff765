"""Boxes that follow observed boxes: exact cases, plausible limits, an outlier, and hostile input."""

import math

import numpy as np
import pytest

from ratui.imaging import Box
from ratui.regions.initial import find_template_box
from ratui.regions.kriging import MAX_TURN, SCALE_LIMITS, Observation, find_most_informative, predict_boxes
from ratui.scheme import load_scheme
from ratui.study import FilmRecord

SCHEME = load_scheme("mtss-hands")
FILM = FilmRecord("film", 0, "L", "hand", 1000, 820)
EXPECTED = {
    site.key: box for site in SCHEME.sites if site.side == "L" and (box := find_template_box(SCHEME, FILM, site))
}
FLEXIBILITY = dict.fromkeys(EXPECTED, 0.12)
WIDTH = float(np.median([box.width for box in EXPECTED.values()]))


def moved(box: Box, scale: float = 1.0, degrees: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)) -> Box:
    """Return `box` after a similarity about (400, 500)."""
    factor = scale * complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    place = factor * complex(box.centre[0] - 400, box.centre[1] - 500)
    return Box.from_centre(place.real + 400 + shift[0], place.imag + 500 + shift[1], scale * box.width)


def errors(predicted: dict[str, Box], truth: dict[str, Box]) -> list[float]:
    """Return the distances of the centres, in typical boxes."""
    return [math.dist(predicted[key].centre, truth[key].centre) / WIDTH for key in truth]


def observe(truth: dict[str, Box], *keys: str, error: float = 0.05) -> dict[str, Observation]:
    return {key: Observation(truth[key], error) for key in keys}


def test_one_observed_box_moves_all_others_by_nearly_the_same() -> None:
    truth = {key: box.shift(60, -40) for key, box in EXPECTED.items()}
    predicted = predict_boxes(EXPECTED, observe(truth, "L.CMC3"), FLEXIBILITY)
    assert max(errors(predicted, truth)) < 0.1
    assert predicted["L.ULN"].width == pytest.approx(EXPECTED["L.ULN"].width, rel=0.05)


@pytest.mark.parametrize(("scale", "degrees"), [(1.15, 0.0), (0.85, 12.0), (1.0, -20.0), (1.1, 8.0)])
def test_two_observed_boxes_determine_scale_and_rotation(scale: float, degrees: float) -> None:
    truth = {key: moved(box, scale, degrees, (50, 30)) for key, box in EXPECTED.items()}
    predicted = predict_boxes(EXPECTED, observe(truth, "L.PIP3", "L.ULN"), FLEXIBILITY)
    assert max(errors(predicted, truth)) < 0.2, "all lie within a quarter of a box"
    assert predicted["L.MCP5"].width == pytest.approx(truth["L.MCP5"].width, rel=0.05)


def test_an_own_offset_is_shared_with_neighbours_only() -> None:
    truth = dict(EXPECTED)
    truth["L.MULT"] = EXPECTED["L.MULT"].shift(0.3 * WIDTH, 0)
    others = ("L.PIP2", "L.PIP4", "L.MCP5", "L.ULN", "L.RAD")
    predicted = predict_boxes(EXPECTED, observe(truth, "L.MULT", *others), FLEXIBILITY)
    by = {key: (box.centre[0] - EXPECTED[key].centre[0]) / WIDTH for key, box in predicted.items()}
    assert by["L.CMC1"] > 0.1
    assert abs(by["L.PIP5"]) < 0.05


def test_one_wrong_observation_is_outvoted() -> None:
    truth = {key: moved(box, 1.1, 8.0, (50, 30)) for key, box in EXPECTED.items()}
    observed = observe(truth, "L.PIP3", "L.PIP5", "L.MCP1", "L.ULN", "L.CMC3")
    observed["L.MCP1"] = Observation(truth["L.MCP1"].shift(2.5 * WIDTH, WIDTH), 0.05)
    predicted = predict_boxes(EXPECTED, observed, FLEXIBILITY)
    del truth["L.MCP1"]
    assert max(errors(predicted, truth)) < 0.25


def test_precise_observations_outweigh_vague_ones() -> None:
    precise = {"L.PIP3": Observation(EXPECTED["L.PIP3"], 0.05)}
    vague = {"L.PIP2": Observation(EXPECTED["L.PIP2"].shift(WIDTH, 0), 1.0)}
    predicted = predict_boxes(EXPECTED, precise | vague, FLEXIBILITY)
    assert math.dist(predicted["L.MCP3"].centre, EXPECTED["L.MCP3"].centre) < 0.1 * WIDTH


def test_a_measured_size_is_evidence_of_the_scale() -> None:
    larger = Box.from_centre(*EXPECTED["L.CMC3"].centre, 1.2 * EXPECTED["L.CMC3"].width)
    unmeasured = predict_boxes(EXPECTED, {"L.CMC3": Observation(larger, 0.05)}, FLEXIBILITY)
    assert unmeasured["L.PIP3"].width == pytest.approx(EXPECTED["L.PIP3"].width)
    predicted = predict_boxes(EXPECTED, {"L.CMC3": Observation(larger, 0.05, has_size=True)}, FLEXIBILITY)
    assert 1.1 < predicted["L.PIP3"].width / EXPECTED["L.PIP3"].width < 1.2


class TestHostile:
    def test_no_observation_moves_nothing(self) -> None:
        assert predict_boxes(EXPECTED, {}, FLEXIBILITY) == EXPECTED
        assert predict_boxes({}, {"L.PIP3": Observation(Box(0, 0, 1, 1), 0.1)}, {}) == {}

    def test_unknown_joints_are_ignored(self) -> None:
        observed = {"X": Observation(Box(0, 0, 9, 9), 0.1)}
        assert predict_boxes(EXPECTED, observed, FLEXIBILITY) == EXPECTED

    @pytest.mark.parametrize("turn", [90.0, 180.0, -120.0])
    def test_rotation_and_scale_stay_plausible(self, turn: float) -> None:
        truth = {key: moved(box, 4.0, turn) for key, box in EXPECTED.items()}
        predicted = predict_boxes(EXPECTED, observe(truth, "L.PIP3", "L.PIP5", "L.MCP1", "L.ULN"), FLEXIBILITY)
        ratios = [predicted[key].width / box.width for key, box in EXPECTED.items()]
        assert SCALE_LIMITS[0] - 1e-9 <= min(ratios)
        assert max(ratios) <= SCALE_LIMITS[1] + 1e-9
        assert pytest.approx(math.radians(50)) == MAX_TURN

    def test_two_boxes_on_one_point_neither_turn_nor_shrink_the_hand(self) -> None:
        place = EXPECTED["L.PIP2"]
        observed = {key: Observation(place, 0.05) for key in ("L.PIP2", "L.PIP3")}
        predicted = predict_boxes(EXPECTED, observed, FLEXIBILITY)
        assert all(math.isfinite(value) for box in predicted.values() for value in box)
        assert min(box.width / EXPECTED[key].width for key, box in predicted.items()) > 0.8

    def test_boxes_of_size_zero_and_far_outside_give_finite_places(self) -> None:
        point = Box(50.0, 50.0, 50.0, 50.0)
        assert predict_boxes({"a": point}, {"a": Observation(point, 0.1)}, {"a": 0.1}) == {"a": point}
        expected = {**EXPECTED, "zero": point}
        observed = {
            "zero": Observation(point, 0.0),
            "L.PIP3": Observation(Box(-1e6, -1e6, -1e6 + 50, -1e6 + 50), 0.0),
            "L.PIP2": Observation(Box(7.0, 7.0, 7.0, 7.0), 0.0),
        }
        predicted = predict_boxes(expected, observed, {**FLEXIBILITY, "zero": 0.0})
        assert all(math.isfinite(value) for box in predicted.values() for value in box)


class TestInformation:
    def test_the_first_box_is_central_and_the_second_far_from_it(self) -> None:
        first = find_most_informative(EXPECTED, {}, FLEXIBILITY, EXPECTED)
        assert first in ("L.MCP3", "L.CMC3", "L.MCP4", "L.MCP2", "L.CMC4")
        second = find_most_informative(EXPECTED, {first: 0.05}, FLEXIBILITY, [key for key in EXPECTED if key != first])
        assert second is not None
        assert math.dist(EXPECTED[second].centre, EXPECTED[first].centre) > 2 * WIDTH

    def test_only_candidates_are_returned(self) -> None:
        assert find_most_informative(EXPECTED, {}, FLEXIBILITY, ["L.ULN"]) == "L.ULN"
        assert find_most_informative(EXPECTED, {}, FLEXIBILITY, []) is None
