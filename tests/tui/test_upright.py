"""The proximal bone of a joint stands upright on all of its films or on none, in every view, and one key ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.errors import FilmError
from ratui.imaging import BoneAxis, BoneAxisFailure, BoneSearch, Box, Film, Orientation
from ratui.regions import upright_bones
from ratui.regions.upright_bones import Turns, UprightJoint, find_turns
from ratui.study import Case, FilmRecord, Study
from ratui.terminal import Display
from ratui.tui.graphics import film_store
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.marks import hatch_outside
from ratui.tui.graphics.view_settings import WHOLE_FILM, ZOOMS, ViewSettings, read_view_settings, save_view_settings
from ratui.tui.graphics.viewport import CaseFilms, Viewport
from ratui.tui.screens.film_screen import FilmScreen
from ratui.tui.user_settings import UserSettings
from tests.films import make_study
from tests.tui.conftest import reading_as, settle
from tests.tui.visit_films import CASE, make_visits

SITE, PIXELS = "L.IP1", (220, 200)
ANGLES = {"f0": 30.0, "f1": 52.0, "f2": -14.0}
"""Direction of the thumb on each film."""
JOINT = (210.0, 190.0)
BLOB = 14.0
"""Distance in pixels from the joint, along the bone beyond it, of a bright spot."""


def draw_thumb(degrees: float) -> npt.NDArray[np.uint16]:
    """Return a film with the proximal phalanx of a thumb that points `degrees` clockwise from up, and a spot beyond it."""
    rows, columns = np.indices((400, 420), dtype=np.float64) + 0.5
    x, y = columns - JOINT[0], rows - JOINT[1]
    angle = np.radians(degrees)
    along, across = -np.sin(angle) * x + np.cos(angle) * y, np.cos(angle) * x + np.sin(angle) * y
    levels = np.full((400, 420), 600.0)
    levels += 1200 * (np.abs(across) < 14) * (along > 3) * (along < 130)
    levels += 3000 * (np.hypot(across, along + BLOB) < 4)
    return np.clip(levels + np.random.default_rng(3).normal(0, 15, levels.shape), 0, 4095).astype(np.uint16)


class Films:
    """A study of drawn films."""

    def __init__(self, pixels: Mapping[str, npt.NDArray[np.uint16] | None]) -> None:
        self._pixels = pixels

    def film(self, case: str, id: str, orientation: Orientation) -> Film:
        pixels = self._pixels[id]
        if pixels is None:
            raise FilmError("the file is damaged", id, "Restore it")
        return Film(pixels, 12, spacing=(0.3, 0.3))


def make_films(order: tuple[int, ...] = (0, 1), ids: tuple[str, ...] = ("f0", "f1")) -> CaseFilms:
    """Return a case with the boxes of a thumb on the films `ids`."""
    boxes: dict[tuple[str, int], tuple[FilmRecord, Box]] = {}
    records = tuple(FilmRecord(id, time, "L", "hand", 400, 420, 0, (0.3, 0.3)) for time, id in enumerate(ids))
    for time, record in enumerate(records):
        angle = np.radians(ANGLES[record.id])
        knuckle = (JOINT[0] - 150 * np.sin(angle), JOINT[1] + 150 * np.cos(angle))
        boxes[SITE, time] = (record, Box.from_centre(*JOINT, 60))
        boxes["L.MCP1", time] = (record, Box.from_centre(*knuckle, 66))
    return CaseFilms(Case("C-1", records), order, boxes)


def make_store(**pixels: npt.NDArray[np.uint16] | None) -> FilmStore:
    drawn: dict[str, Any] = {id: draw_thumb(angle) for id, angle in ANGLES.items()}
    return FilmStore(cast(Study, Films({**drawn, **pixels})))


SETTINGS = ViewSettings(has_marks=False)


def request(films: CaseFilms, place: int, settings: ViewSettings = SETTINGS) -> Viewport:
    viewport = films.make_viewport(SITE, place, PIXELS, Display("sixel"), settings)
    assert viewport is not None
    return viewport


def find_spot(image: Image.Image | None) -> tuple[float, float]:
    """Return the centre of the brightest spot, relative to the middle of the picture and in its height."""
    assert image is not None
    levels = np.asarray(image, float)
    rows, columns = np.nonzero(levels > 0.97 * levels.max())
    height, width = levels.shape
    return (columns.mean() + 0.5 - width / 2) / height, (rows.mean() + 0.5 - height / 2) / height


def assert_upright(image: Image.Image | None, settings: ViewSettings = SETTINGS) -> None:
    """Check that the spot beyond the joint is straight above it, at the distance that it has on the film."""
    x, y = find_spot(image)
    assert abs(x) < 0.012
    assert y == pytest.approx(-BLOB / (60 * 1.7) * PIXELS[1] / PIXELS[1], abs=0.012)


class TestPictures:
    def test_all_films_are_turned_by_their_own_angle(self) -> None:
        films, store = make_films((0, 1, 2), ("f0", "f1", "f2")), make_store()
        views = [request(films, place) for place in range(3)]
        assert [store.known_turns("C-1", view.upright) for view in views] == [None] * 3
        for view in views:
            assert_upright(store.render(view))
        turns = store.known_turns("C-1", views[0].upright)
        assert turns is not None
        assert {id: -angle for id, angle in turns.angles.items()} == pytest.approx(ANGLES, abs=0.5)

    def test_without_the_setting_the_films_are_as_they_are(self) -> None:
        films, store = make_films(), make_store()
        view = request(films, 1, replace(SETTINGS, is_upright=False))
        assert view != request(films, 1), "another picture in the cache"
        x, y = find_spot(store.render(view))
        assert np.degrees(np.arctan2(x, -y)) == pytest.approx(ANGLES["f1"], abs=3)

    def test_the_order_of_the_films_changes_nothing(self) -> None:
        store = make_store()
        one, other = (request(make_films(order), place) for order, place in (((0, 1), 0), ((1, 0), 1)))
        assert one.film == other.film
        assert np.array_equal(np.asarray(store.render(one)), np.asarray(make_store().render(other)))

    @pytest.mark.parametrize("settings", [replace(SETTINGS, pan=(0.0, -0.15)), replace(SETTINGS, pan=(0.15, 0.0))])
    def test_the_view_moves_along_the_picture(self, settings: ViewSettings) -> None:
        films, store = make_films(), make_store()
        x, y = find_spot(store.render(request(films, 1, settings)))
        assert (x + settings.pan[0], y + settings.pan[1]) == pytest.approx((0.0, -BLOB / 102), abs=0.012)

    def test_the_lens_enlarges_what_it_covers(self) -> None:
        films, store = make_films(), make_store()
        spot = find_spot(store.render(request(films, 1)))
        centre = (0.5 + spot[0] * PIXELS[1] / PIXELS[0], 0.5 + spot[1])
        lens = np.asarray(store.render(request(films, 1, replace(SETTINGS, lens=centre))))
        plain = np.asarray(store.render(request(films, 1)))
        x, y = (round(at * side) for at, side in zip(centre, PIXELS, strict=True))
        assert (lens[y - 20 : y + 20, x - 20 : x + 20] > 240).sum() > 4 * (
            plain[y - 20 : y + 20, x - 20 : x + 20] > 240
        ).sum()
        assert lens[y, x] > 240

    def test_marks_are_at_the_same_place_on_all_films(self) -> None:
        films, store = make_films(), make_store()
        found = []
        for place in (0, 1):
            pictures = [
                np.asarray(store.render(request(films, place, replace(SETTINGS, has_marks=marks))))
                for marks in (True, False)
            ]
            found.append(pictures[0] == 255)
            assert (pictures[0] != pictures[1]).any()
        assert (found[0] & found[1]).sum() > 60

    def test_the_whole_film_is_not_turned(self) -> None:
        assert request(make_films(), 0, replace(SETTINGS, zoom=WHOLE_FILM)).upright == ()


class TestComparedFilms:
    def test_the_aligned_film_stands_like_the_first(self) -> None:
        films, store = make_films(), make_store()
        first = request(films, 0)
        aligned = films.make_aligned_view(first, SITE, 1)
        assert aligned is not None
        picture = store.render_aligned(aligned)
        assert_upright(picture)
        difference = films.make_aligned_view(first, SITE, 1, is_difference=True)
        assert difference is not None
        levels = np.asarray(store.render_aligned(difference), float)
        middle = levels[40:-40, 40:-40]
        assert np.abs(middle - 128).mean() < 4, "the same bone on both films"

    def test_films_that_cannot_be_aligned_are_turned_each_by_its_own_angle(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ratui.imaging import AlignmentFailure
        from ratui.tui.graphics import film_store

        monkeypatch.setattr(film_store, "align_joints", lambda *films: AlignmentFailure("unlike"))
        films, store = make_films(), make_store()
        aligned = films.make_aligned_view(request(films, 0), SITE, 1)
        assert aligned is not None
        assert_upright(store.render_aligned(aligned))


class TestUnclearAxes:
    def test_one_unclear_film_leaves_all_as_they_are(self) -> None:
        noise = np.random.default_rng(1).integers(0, 900, (400, 420)).astype(np.uint16)
        films, store = make_films(), make_store(f1=noise)
        view, plain = request(films, 0), request(films, 0, replace(SETTINGS, is_upright=False))
        assert np.array_equal(np.asarray(store.render(view)), np.asarray(store.render(plain)))
        turns = store.known_turns("C-1", view.upright)
        assert turns is not None
        assert turns.unclear == ("f1",)
        assert not turns.angles

    def test_a_film_that_cannot_be_read_is_tried_again(self) -> None:
        pixels: dict[str, Any] = {"f0": draw_thumb(30.0), "f1": None}
        films, store = make_films(), FilmStore(cast(Study, Films(pixels)))
        view = request(films, 0)
        store.render(view)
        assert store.find_turns("C-1", view.upright).unclear == ("f1",)
        pixels["f1"] = draw_thumb(52.0)
        assert_upright(store.render(view))

    def test_a_joint_of_the_wrist_has_no_bone(self) -> None:
        films = make_films()
        record, box = films.boxes[SITE, 0]
        wrist = CaseFilms(films.case, (0, 1), {**films.boxes, ("L.RC", 0): (record, box)})
        assert wrist.find_bones("L.RC") == ()
        assert len(wrist.find_bones(SITE)) == 2


class TestHatching:
    def test_the_area_beside_a_film_is_hatched_and_the_film_unchanged(self) -> None:
        shift, wide = -120, replace(SETTINGS, zoom=ZOOMS.index(3.0))
        boxes = {key: (record, box.shift(shift, 0)) for key, (record, box) in make_films().boxes.items()}
        near = CaseFilms(make_films().case, (0, 1), boxes)
        store = make_store(**{id: draw_thumb(angle)[:, -shift:] for id, angle in ANGLES.items()})
        image, whole = (
            np.asarray(each.render(request(films, 0, wide)), int)
            for each, films in ((store, near), (make_store(), make_films()))
        )
        outside = np.isin(image, (0, 90)) & (np.abs(image - whole) > 1)
        assert 0.005 < outside.mean() < 0.2
        assert 0.05 < (image[outside] == 90).mean() < 0.3
        # The contrast is that of the joint's box, which both films show. Only pixels at the edge itself differ.
        assert (np.abs(image - whole)[~outside] > 1).mean() < 0.02

    def test_a_picture_within_the_film_is_returned_as_it_is(self) -> None:
        image = Image.new("L", (30, 20), 77)
        inside = np.array([[1.0, 0.0, 5.0], [0.0, 1.0, 5.0]])
        assert hatch_outside(image, (100, 100), inside) is image
        beside = np.asarray(hatch_outside(image, (100, 100), np.array([[1.0, 0.0, -10.0], [0.0, 1.0, 5.0]])))
        assert (beside[:, 10:] == 77).all()
        assert set(np.unique(beside[:, :10])) == {0, 90}


def test_the_choice_is_kept_for_each_rater(tmp_path: Path) -> None:
    file = tmp_path / "view_settings.json"
    save_view_settings("anna", ViewSettings(is_upright=False), file)
    assert not read_view_settings("anna", file).is_upright
    assert read_view_settings("bert", file).is_upright
    file.write_text(file.read_text().replace('"upright"', '"other"'))
    assert read_view_settings("anna", file).is_upright, "a file of an earlier version"


def titles(pilot: Pilot[None]) -> list[str]:
    viewer = cast(FilmScreen[object], pilot.app.screen).joint_viewer
    return [str(viewer.query_one(f"#title{slot}", Static).content) for slot in range(len(viewer.window))]


def message(pilot: Pilot[None]) -> str:
    return str(pilot.app.screen.query_one("#message", Static).content)


def fake_axes(monkeypatch: pytest.MonkeyPatch, *found: BoneAxis | BoneAxisFailure) -> None:
    """Let the films of each joint have the axes `found`, in this order. Several threads may search at the same time."""
    search = threading.local()

    def find_of_joint(joint: UprightJoint, load: Callable[[str, Orientation], Film]) -> Turns:
        search.count = 0
        return find_turns(joint, load)

    def find(film: Film, box: Box, expected: BoneSearch) -> BoneAxis | BoneAxisFailure:
        search.count += 1
        return found[(search.count - 1) % len(found)]

    monkeypatch.setattr(film_store, "find_turns", find_of_joint)
    monkeypatch.setattr(upright_bones, "find_bone_axis", find)


@pytest.mark.slow
class TestScreen:
    async def test_one_key_turns_the_films_and_the_titles_say_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_axes(monkeypatch, BoneAxis(30.2, 1.0), BoneAxis(-50.0, 1.0))
        settings = UserSettings("en", source=tmp_path / "config" / "settings.toml")
        async with reading_as(make_study(tmp_path, blinded=True), "anna", settings=settings, size=(120, 40)) as pilot:
            await pilot.press("enter")
            await settle(pilot)
            shown = titles(pilot)
            assert sorted("turned -30°" in each or "turned +50°" in each for each in shown) == [True, True]
            await pilot.press("T")
            await settle(pilot)
            assert not any("turned" in each for each in titles(pilot))
            assert "films as they are" in message(pilot)
            await pilot.press("right")
            await settle(pilot)
            assert not any("turned" in each for each in titles(pilot)), "it stays from joint to joint"
            await pilot.press("T")
            await settle(pilot)
            assert all("turned" in each for each in titles(pilot))
            assert "upright" in message(pilot)
            screen = cast(FilmScreen[object], pilot.app.screen)
            assert screen.select_site("R.MCP5")  # it was not prepared: its turns are known only when it is displayed
            await settle(pilot)
            assert all("turned" in each for each in titles(pilot))

    async def test_without_room_on_one_title_all_titles_state_the_turn_by_a_sign(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_axes(monkeypatch, BoneAxis(30.2, 1.0), BoneAxis(-50.0, 1.0))
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            await pilot.press("enter")
            await settle(pilot)
            assert [each.strip(" ▼") for each in titles(pilot)] == [
                "earlier · turned -30°",
                "later · +14 months · turned +50°",
            ]
            await pilot.press("z", "z", "z")  # the films are too coarse then, and the titles say so
            await settle(pilot)
            assert [each.strip(" ▼") for each in titles(pilot)] == [
                "earlier · ↺30° · too coarse",
                "later · ↻50° · too coarse",
            ]

    async def test_an_unclear_axis_is_stated_with_its_film(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_axes(monkeypatch, BoneAxis(30.0, 1.0), BoneAxisFailure("unclear"), BoneAxis(20.0, 1.0))
        async with reading_as(make_visits(tmp_path, 3), "anna", case=CASE, size=(160, 40)) as pilot:
            await settle(pilot)
            assert message(pilot).startswith(" not turned: bone axis unclear on ")
            marked = ["axis unclear" in each for each in titles(pilot)]
            assert marked == [False, True, False]
            assert not any("turned" in each for each in titles(pilot))
            await pilot.press("v")
            await settle(pilot)
            assert "not turned" not in message(pilot), "the whole film is never turned"

    async def test_an_unclear_axis_pushes_neither_the_last_entry_nor_the_save_out_of_80_columns(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_axes(monkeypatch, BoneAxisFailure("unclear"))
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            await pilot.press("enter")
            await settle(pilot)
            assert "not turned" in message(pilot), "there is no last entry yet"
            await pilot.press("1")
            await settle(pilot)
            assert message(pilot).startswith(" last: LEFT IP1 ERO earlier: · → 1 ")
            assert "saved" in message(pilot)
            await pilot.press("z", "z", "z")
            await settle(pilot)
            assert [each.strip(" ▼") for each in titles(pilot)] == [
                "earlier · ↻? · too coarse",
                "later · +14 months · ↻? · too coarse",
            ]

    async def test_a_site_of_the_wrist_is_not_turned_and_only_the_key_for_it_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_axes(monkeypatch, BoneAxis(30.0, 1.0))
        async with reading_as(make_study(tmp_path, scheme="mtss-hands"), "anna", size=(120, 40)) as pilot:
            await pilot.press("enter")
            await settle(pilot)
            assert "no long bone" not in message(pilot)
            assert cast(FilmScreen[object], pilot.app.screen).select_site("L.RC")
            await settle(pilot)
            assert "no long bone" not in message(pilot)
            assert not any("turned" in each for each in titles(pilot))
            await pilot.press("T")
            await settle(pilot)
            assert "no long bone" not in message(pilot)
            await pilot.press("T")
            await settle(pilot)
            assert "no long bone here: not turned" in message(pilot)
            await pilot.press("z")
            assert "no long bone" not in message(pilot)
