"""Validation of boxes: impossible boxes are detected, and true boxes are never rejected."""

import json

import numpy as np
import pytest

from ratui.imaging import Box
from ratui.phantom import render, simulate_patient
from ratui.regions import RegionFault, find_faults, is_mirrored
from ratui.scheme import Scheme, load_scheme
from ratui.study import FilmRecord
from tests.films import real_films

SCHEME = load_scheme("mtss")


def record(side: str = "L", view: str = "hand", size: tuple[int, int] = (500, 410)) -> FilmRecord:
    return FilmRecord("film", 0, side, view, *size)


def by_template(film: FilmRecord, scheme: Scheme = SCHEME) -> dict[str, Box | None]:
    """Return the boxes of the template, each side in its half of the film."""
    boxes: dict[str, Box | None] = {}
    view = scheme.views[film.view]
    for site in scheme.sites:
        if site.side in film.sides and site.joint.id in view.template:
            x, y, size = view.template[site.joint.id]
            width = film.columns / len(film.sides)
            x = (1 - x if site.side == "R" else x) * width + (width if film.side == "B" and site.side == "R" else 0)
            half = size * width / 2
            boxes[site.key] = Box(x - half, y * film.rows - half, x + half, y * film.rows + half)
    return boxes


def check(film: FilmRecord, boxes: dict[str, Box | None], **more: bool) -> list[RegionFault]:
    return list(find_faults(SCHEME, film, [site for site in SCHEME.sites if site.key in boxes], boxes, **more))


def mirror(boxes: dict[str, Box | None], film: FilmRecord) -> dict[str, Box | None]:
    return {k: b and b.mirror(Box.from_size(film.columns, film.rows)) for k, b in boxes.items()}


class TestTrueBoxesPass:
    def test_of_forty_phantom_films_from_healthy_to_crippled(self) -> None:
        for name in ("mtss-hands", "fingers"):
            scheme = load_scheme(name)
            for patient in range(10):
                rng = np.random.default_rng([71, patient])
                who = simulate_patient(rng, scheme, severity=(0.0, 1.0, 2.0, 4.0, None)[patient % 5])
                for side in ("L", "R"):
                    film = render(who, side, patient % 2, rng, size=(250, 205))  # type: ignore[arg-type]
                    sites = [site for site in scheme.sites if site.side == side]
                    assert find_faults(scheme, record(side, size=(250, 205)), sites, film.boxes) == (), (
                        name,
                        patient,
                        side,
                    )

    @pytest.mark.parametrize("view", ["hand", "wrist", "foot"])
    @pytest.mark.parametrize("side", ["L", "R", "B"])
    def test_of_the_template(self, view: str, side: str) -> None:
        film = record(side, view)
        assert check(film, by_template(film)) == []

    @pytest.mark.parametrize("turn", [30, 90, 180, -60])
    def test_of_a_film_that_lies_turned(self, turn: int) -> None:
        film = record(size=(500, 500))
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        turned: dict[str, Box | None] = {}
        for key, box in by_template(film).items():
            assert box is not None
            x, y, half = (box[0] + box[2]) / 2 - 250, (box[1] + box[3]) / 2 - 250, (box[2] - box[0]) / 2
            x, y = 0.7 * (c * x - s * y) + 250, 0.7 * (s * x + c * y) + 250
            turned[key] = Box(x - 0.7 * half, y - 0.7 * half, x + 0.7 * half, y + 0.7 * half)
        assert check(film, turned) == []

    def test_of_a_real_hand(self) -> None:
        folder = real_films()
        if folder is None:
            pytest.skip("the real hand is not here")
        truth = json.loads((folder / "hand_dicom" / "joint_boxes_by_eye.json").read_text())
        scheme = load_scheme("fingers")
        boxes = {f"R.{j['joint'].replace('MP', 'MCP')}": Box(*j["box"]) for j in truth["joints"]}
        film = record("R", size=(truth["height"], truth["width"]))
        assert find_faults(scheme, film, [scheme.site(key) for key in boxes], boxes) == ()


class TestRefused:
    def test_a_box_that_is_missing(self) -> None:
        film = record()
        boxes = by_template(film)
        sites = [site for site in SCHEME.sites if site.key in boxes]
        del boxes["L.PIP3"]
        assert find_faults(SCHEME, film, sites, boxes) == (RegionFault("missing", "L.PIP3"),)

    def test_a_box_marked_absent_is_accepted(self) -> None:
        film = record()
        assert check(film, {**by_template(film), "L.PIP3": None}) == []

    def test_a_box_off_the_film(self) -> None:
        film = record()
        for box in (Box(-60.0, 100.0, -10.0, 150.0), Box(380.0, 470.0, 440.0, 530.0), Box(-28.0, 100.0, 12.0, 140.0)):
            assert RegionFault("off film", "L.PIP5") in check(film, {**by_template(film), "L.PIP5": box})

    def test_a_box_over_the_edge_is_accepted(self) -> None:
        film = record()
        assert check(film, {**by_template(film), "L.PIP5": Box(-10.0, 250.0, 20.0, 280.0)}) == []

    def test_two_joints_on_one_place(self) -> None:
        film = record()
        boxes = by_template(film)
        kinds = {(f.kind, f.site, f.other) for f in check(film, {**boxes, "L.PIP3": boxes["L.PIP2"]})}
        assert ("overlap", "L.PIP3", "L.PIP2") in kinds

    def test_two_joints_of_different_hands_on_one_place(self) -> None:
        film = record("B", size=(500, 800))
        boxes = by_template(film)
        assert any(f.kind == "overlap" for f in check(film, {**boxes, "R.MCP2": boxes["L.MCP2"]}))

    @pytest.mark.parametrize("view", ["hand", "wrist", "foot"])
    @pytest.mark.parametrize("side", ["L", "R"])
    def test_a_hand_the_wrong_way_round(self, view: str, side: str) -> None:
        film = record(side, view)
        wrong = mirror(by_template(film), film)
        assert [fault.kind for fault in check(film, wrong)] == ["mirrored"]
        assert check(film, wrong, expect_mirrored=True) == []
        assert is_mirrored(SCHEME, film, wrong, side) is True
        assert is_mirrored(SCHEME, film, by_template(film), side) is False

    def test_two_hands_with_exchanged_names(self) -> None:
        film = record("B", size=(500, 800))
        boxes = by_template(film)
        swapped = {("R" if key[0] == "L" else "L") + key[1:]: box for key, box in boxes.items()}
        assert [fault.kind for fault in check(film, swapped)] == ["mirrored", "mirrored"]

    @pytest.mark.parametrize(
        ("one", "other"), [("PIP2", "PIP3"), ("MCP3", "MCP4"), ("PIP4", "PIP5"), ("PIP3", "MCP3"), ("IP1", "MCP1")]
    )
    def test_two_joints_with_exchanged_names(self, one: str, other: str) -> None:
        for patient in range(5):
            rng = np.random.default_rng([72, patient])
            film = render(simulate_patient(rng, SCHEME), "L", 0, rng, size=(250, 205))
            boxes: dict[str, Box | None] = dict(film.boxes)
            boxes[f"L.{one}"], boxes[f"L.{other}"] = boxes[f"L.{other}"], boxes[f"L.{one}"]
            found = check(record(size=(250, 205)), boxes)
            assert any(f.kind == "order" and {f.site, f.other} == {f"L.{one}", f"L.{other}"} for f in found), patient

    def test_too_few_boxes_give_no_side(self) -> None:
        film = record()
        few = dict(list(mirror(by_template(film), film).items())[:3])
        assert check(film, few) == []
        assert is_mirrored(SCHEME, film, few, "L") is None
