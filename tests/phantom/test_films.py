"""Simulated films: boxes at the joints, correct sides, joints that nothing covers, and varied appearance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ratui.imaging import Box, read_film
from ratui.phantom import PhantomFilm, render, write_patient_films
from ratui.phantom.cassette import add_collimation, add_markers
from ratui.phantom.exposure import draw_machine, expose, vary_machine
from tests.phantom.hands import healthy, patient

pytestmark = pytest.mark.slow

SMALL = (420, 344)
WIDE = (344, 520)


@pytest.mark.parametrize("seed", range(10))
def test_a_whole_scheme_lies_on_the_film_with_the_box_of_every_site(seed: int) -> None:
    sick = patient(seed, severity=None, scheme="mtss-hands")
    for side in ("L", "R"):
        film = render(sick, side, seed % 2, np.random.default_rng(seed), size=SMALL)
        assert set(film.boxes) == {site.key for site in sick.scheme.sites if site.side == side}
        assert film.side == side
        assert all(lies_in(box, (0, 0, SMALL[1], SMALL[0])) for box in film.boxes.values())


@pytest.mark.parametrize("left_first", [True, False])
def test_both_hands_on_one_film_each_have_their_half(left_first: bool) -> None:
    for seed in range(5):
        sick = patient(seed, severity=None, scheme="mtss-hands")
        film = render(sick, "B", 0, np.random.default_rng(seed), size=WIDE, left_first=left_first)
        assert film.pixels.shape == WIDE
        assert set(film.boxes) == {site.key for site in sick.scheme.sites}
        assert (film.areas["L"][0] < film.areas["R"][0]) is left_first
        assert all(lies_in(box, film.areas[site[0]]) for site, box in film.boxes.items())
        for side, sign in (("L", 1), ("R", -1)):  # thumbs inwards if the left hand is at the left, else outwards
            thumb, little = (film.boxes[f"{side}.MCP{finger}"][0] for finger in (1, 5))
            assert (thumb - little) * sign > 0


def lies_in(box: tuple[float, ...], area: tuple[float, ...]) -> bool:
    return area[0] <= box[0] and area[1] <= box[1] and box[2] <= area[2] and box[3] <= area[3]


def test_bone_is_bright_in_the_boxes_whatever_the_look() -> None:
    brighter = []
    for seed in range(24):
        film = render(patient(seed, severity=0.5), "L", 0, np.random.default_rng(seed), size=SMALL)
        inside = np.concatenate([cut(film, box).ravel() for box in film.boxes.values()])
        brighter.append(np.median(inside) > np.median(film.pixels))
    assert all(brighter)


def cut(film: PhantomFilm, box: tuple[float, ...]) -> np.ndarray:
    x0, y0, x1, y1 = (max(round(value), 0) for value in box)
    return film.pixels[y0:y1, x0:x1]


def test_a_bone_is_the_same_at_both_time_points_and_the_film_is_not() -> None:
    who = healthy(6)
    before, after = (render(who, "L", time, np.random.default_rng(time), size=SMALL) for time in (0, 1))
    assert not np.array_equal(before.pixels, after.pixels)
    lengths = []
    for film in (before, after):
        centres = {site: np.array([box[0] + box[2], box[1] + box[3]]) / 2 for site, box in film.boxes.items()}
        lengths.append(float(np.hypot(*(centres["L.MCP2"] - centres["L.PIP2"]))) * film.spacing[0])
    assert lengths[0] == pytest.approx(lengths[1], rel=0.05)


def test_nothing_covers_the_box_of_a_joint() -> None:
    marked = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        levels = np.full(SMALL, 1000, np.uint16)
        boxes = [Box(float(x), float(y), x + 30.0, y + 30.0) for x, y in rng.integers(100, 220, (6, 2))]
        add_markers(levels, "R", Box.from_size(SMALL[1], SMALL[0]), boxes, 0.68, rng)
        add_collimation(levels, Box.from_size(SMALL[1], SMALL[0]), boxes, 0.68, rng)
        for x0, y0, x1, y1 in boxes:
            assert (levels[round(y0) : round(y1), round(x0) : round(x1)] == 1000).all()
        marked += bool((levels != 1000).any())
    assert marked > 45


def test_markers_come_in_many_kinds_and_are_not_always_there() -> None:
    pictures, none = set(), 0
    for seed in range(40):
        levels = np.zeros((200, 200), np.uint16)
        add_markers(levels, "L", Box(0.0, 0.0, 200.0, 200.0), [], 0.5, np.random.default_rng(seed))
        ys, xs = np.nonzero(levels)
        none += not len(ys)
        if len(ys):
            pictures.add((np.ptp(ys) // 4, np.ptp(xs) // 4))
    assert 1 <= none < 16
    assert len(pictures) > 12


def test_more_mineral_is_never_darker_on_any_machine() -> None:
    wedge = np.tile(np.linspace(0, 9, 128, dtype=np.float32), (128, 1))
    for seed in range(40):
        rng = np.random.default_rng(seed)
        look = vary_machine(draw_machine(rng), rng)
        # Test the film's response alone: without noise and without shading by place.
        plain = type(look)(**{**vars(look), "grain": (0.0, 0.0), "heel": (0.0, 0.0, 0.0), "local": 0.0, "edge": 0.0,
                              "lines": (0.0, 4.0, 0.0, False)})  # fmt: skip
        levels = expose(wedge, np.zeros((16, 16), np.float32), 0.3, plain, rng)[64].astype(int)
        assert (np.diff(levels) >= -1).all()
        assert levels[-1] - levels[0] > 800


def test_looks_differ_widely_between_clinics_and_little_within_one() -> None:
    looks = [draw_machine(np.random.default_rng(seed)) for seed in range(80)]
    ratios = np.log([look.bone / look.flesh for look in looks])
    again = np.log([(other := vary_machine(look, np.random.default_rng(1))).bone / other.flesh for look in looks])
    assert ratios.std() > 0.35
    assert (again - ratios).std() < 0.15
    assert {look.curve for look in looks} == {"knee", "sigmoid", "gamma"}
    assert 0.3 < np.mean([look.edge > 0 for look in looks]) < 0.8


def test_films_of_both_hands_arrive_as_such(tmp_path: Path) -> None:
    films = write_patient_films(
        healthy(2), tmp_path, np.random.default_rng(1), name="0008", size=SMALL, both_hands=True
    )
    assert [(film.side, film.time) for film in films] == [("B", 0), ("B", 1)]
    assert read_film(films[0].path).pixels.shape == (SMALL[0], 2 * SMALL[1])
    assert set(films[0].boxes) == {site.key for site in healthy(2).scheme.sites}
