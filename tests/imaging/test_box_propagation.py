"""Propagation of boxes to another film of the same hand: accuracy, and cases without propagation."""

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from ratui.imaging import Box, Film, PropagatedBox, propagate_boxes
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.scheme import load_scheme

pytestmark = pytest.mark.slow


@cache
def visits(patient: int, side: str = "L") -> tuple[PhantomFilm, PhantomFilm]:
    """Return the films of one hand at both time points: another pose, exposure and pixel size, and progressed damage."""
    rng = np.random.default_rng([47, patient, ord(side)])
    who = simulate_patient(np.random.default_rng([47, patient]), load_scheme("mtss-hands"))
    first, second = (render(who, side, time, rng, size=(1000, 820)) for time in (0, 1))  # type: ignore[arg-type]
    return first, second


def film(phantom: PhantomFilm) -> Film:
    return Film(phantom.pixels, 12, spacing=phantom.spacing)


def distance_from_truth(box: Box, truth: Box) -> float:
    """Return the distance of the centres of two boxes, in widths of the true box."""
    dx, dy = ((box[i] + box[i + 2] - truth[i] - truth[i + 2]) / 2 for i in (0, 1))
    return float(np.hypot(dx, dy)) / (truth[2] - truth[0])


def errors(propagated: dict[str, PropagatedBox], truth: PhantomFilm) -> npt.NDArray[np.float64]:
    return np.array([distance_from_truth(each.box, truth.boxes[name]) for name, each in propagated.items()])


def test_boxes_reach_their_joints_in_any_pose() -> None:
    all_errors: list[float] = []
    for patient in range(4):
        side = "LR"[patient % 2]
        before, after = visits(patient, side)
        propagated = propagate_boxes(film(before), film(after), before.boxes)
        assert propagated.keys() == before.boxes.keys()
        assert sum(each.is_found for each in propagated.values()) >= 0.9 * len(propagated)
        all_errors += list(errors(propagated, after))
        plain = np.array([distance_from_truth(before.boxes[name], after.boxes[name]) for name in before.boxes])
        assert np.median(errors(propagated, after)) < 0.1 * np.median(plain)
        for name, each in propagated.items():
            width, true_width = each.box[2] - each.box[0], after.boxes[name][2] - after.boxes[name][0]
            assert width == pytest.approx(true_width, rel=0.08)
    assert np.median(all_errors) < 0.05
    assert np.quantile(all_errors, 0.97) < 0.3


def test_pixel_size_polarity_and_resolution_make_no_difference() -> None:
    before, after = visits(0)
    half = Image.fromarray(after.pixels.astype(np.int32)).resize((410, 500), Image.Resampling.BOX)
    inverted = Film(
        4095 - np.asarray(half).astype(np.uint16), 12, is_inverted=True
    )  # the other film has no pixel spacing
    propagated = propagate_boxes(film(before), inverted, before.boxes)
    doubled = {k: replace(c, box=c.box.scale(2)) for k, c in propagated.items()}
    assert np.median(errors(doubled, after)) < 0.06


def test_boxes_reach_a_film_scanned_upside_down() -> None:
    before, after = visits(0)
    rows, columns = after.pixels.shape
    turned = Film(np.ascontiguousarray(after.pixels[::-1, ::-1]), 12, spacing=after.spacing)
    propagated = propagate_boxes(film(before), turned, before.boxes)
    back = {
        name: replace(c, box=(columns - c.box[2], rows - c.box[3], columns - c.box[0], rows - c.box[1]))
        for name, c in propagated.items()
    }
    assert np.median(errors(back, after)) < 0.06


class TestTwoHandsOnOneFilm:
    @pytest.mark.parametrize("left_first", [True, False])
    def test_each_hand_matches_itself_also_in_swapped_places(self, left_first: bool) -> None:
        left, left_after = visits(0, "L")
        right_after = visits(0, "R")[1]
        pair = (left_after, right_after) if left_first else (right_after, left_after)
        both = Film(np.hstack([each.pixels for each in pair]), 12, spacing=left_after.spacing)
        propagated = propagate_boxes(film(left), both, left.boxes)
        shift = 0 if left_first else right_after.pixels.shape[1]
        placed = {
            name: replace(c, box=(c.box[0] - shift, c.box[1], c.box[2] - shift, c.box[3]))
            for name, c in propagated.items()
        }
        assert np.median(errors(placed, left_after)) < 0.06

    def test_a_left_hand_gives_boxes_of_the_right_hand(self) -> None:
        left, right = visits(2, "L")[0], visits(2, "R")[0]  # for some patients the two hands differ too much
        propagated = propagate_boxes(film(left), film(right), left.boxes, mirrored=True)
        named = {f"R{name[1:]}": each for name, each in propagated.items()}
        assert len(named) == len(left.boxes)
        assert np.median(errors(named, right)) < 0.06


class TestNothingIsPropagated:
    def test_nothing_reaches_a_mirrored_hand(self) -> None:
        for patient in range(3):
            before, after = visits(patient)
            mirror = Film(np.ascontiguousarray(after.pixels[:, ::-1]), 12, spacing=after.spacing)
            assert propagate_boxes(film(before), mirror, before.boxes) == {}

    def test_nothing_reaches_noise_or_an_empty_film(self) -> None:
        before, _ = visits(0)
        noise = np.random.default_rng(1).integers(0, 4000, (1000, 820)).astype(np.uint16)
        assert propagate_boxes(film(before), Film(noise, 12), before.boxes) == {}
        assert propagate_boxes(film(before), Film(np.full((1000, 820), 300, np.uint16), 12), before.boxes) == {}
        assert propagate_boxes(film(before), film(before), {}) == {}


def test_a_hidden_joint_is_placed_by_its_neighbours_and_not_marked_found() -> None:
    before, after = visits(2)
    x0, y0, x1, y1 = (round(v) for v in after.boxes["L.PIP3"])
    pad = x1 - x0
    pixels = after.pixels.copy()
    pixels[max(y0 - pad, 0) : y1 + pad, x0 - pad // 4 : x1 + pad // 4] = 300  # covered by a lead apron, for example
    propagated = propagate_boxes(film(before), Film(pixels, 12, spacing=after.spacing), before.boxes)
    assert not propagated["L.PIP3"].is_found
    assert distance_from_truth(propagated["L.PIP3"].box, after.boxes["L.PIP3"]) < 0.8
    assert propagated["L.PIP4"].is_found


def test_the_same_films_give_the_same_boxes() -> None:
    before, after = visits(2)
    assert propagate_boxes(film(before), film(after), before.boxes) == propagate_boxes(
        film(before), film(after), before.boxes
    )
