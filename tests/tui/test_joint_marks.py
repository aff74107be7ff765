"""Corner marks around the joint on the pictures: right in every view, never on the joint, and hidden by one key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from ratui.imaging import Box, DisplaySettings
from ratui.study import Study
from ratui.terminal import Display
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.marks import draw_corner_marks
from ratui.tui.graphics.view_settings import WHOLE_FILM, ZOOMS, ViewSettings, read_view_settings, save_view_settings
from ratui.tui.graphics.viewport import AlignedView, CaseFilms, load_case_films
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.user_settings import UserSettings
from tests.films import make_study
from tests.tui.conftest import label_text, reading_as, settle

SITE = "L.MCP2"
SIZES = {"halfcell": (38, 36), "sixel": (380, 360)}


def films_of(study: Study) -> CaseFilms:
    return load_case_films(study, study.case(study.cases()[0]), (0, 1))


def marked_pixels(
    store: FilmStore, films: CaseFilms, protocol: str, settings: ViewSettings, place: int = 0
) -> tuple[npt.NDArray[np.bool_], Box]:
    """Return which pixels the marks change, and the box of the joint in pixels of the picture."""
    sizes = (SIZES[protocol],) * 2
    pictures = []
    for has_marks in (True, False):
        viewport = films.make_viewports(SITE, sizes, Display(protocol), replace(settings, has_marks=has_marks))[place]  # type: ignore[arg-type]
        assert viewport is not None
        pictures.append(np.asarray(store.render(viewport)))
    assert viewport.joint is not None
    return pictures[0] != pictures[1], viewport.joint.to_image(viewport.box, viewport.size)


def assert_corners(changed: npt.NDArray[np.bool_], box: Box) -> None:
    """Check that the changed pixels touch all four corners of `box`, and that none is inside it or far from it."""
    rows, columns = np.nonzero(changed)
    inside = (columns + 1 > box.x0) & (columns < box.x1) & (rows + 1 > box.y0) & (rows < box.y1)
    assert not inside.any()
    for x in (box.x0, box.x1):
        for y in (box.y0, box.y1):
            assert np.hypot(columns + 0.5 - x, rows + 0.5 - y).min() < 5
    assert columns.min() >= box.x0 - 6
    assert columns.max() <= box.x1 + 6
    assert rows.min() >= box.y0 - 6
    assert rows.max() <= box.y1 + 6
    middle = (np.abs(columns - box.centre[0]) < box.width / 4) | (np.abs(rows - box.centre[1]) < box.height / 4)
    assert not middle.any(), "only the corners"


class TestDrawing:
    @pytest.mark.parametrize("level", [0, 128, 255])
    @pytest.mark.parametrize("size", [(40, 40), (400, 400)])
    def test_marks_differ_from_every_ground_and_leave_the_joint_alone(self, level: int, size: tuple[int, int]) -> None:
        box = Box(0.25 * size[0], 0.3 * size[1], 0.75 * size[0], 0.7 * size[1])
        plain = Image.new("L", size, level)
        drawn = np.asarray(draw_corner_marks(plain, box))
        assert np.asarray(plain).max() == level, "the given image stays"
        if level < 255 or size[0] > 150:  # small pictures have no room for a black border
            assert_corners(drawn != level, box)
        assert (drawn == 255).any()
        if size[0] > 150:
            assert (drawn == 0).any()

    def test_marks_outside_the_picture_are_not_drawn(self) -> None:
        plain = Image.new("L", (40, 40), 100)
        assert np.array_equal(np.asarray(draw_corner_marks(plain, (-9.0, -9.0, 49.0, 49.0))), np.asarray(plain))


class TestViews:
    @pytest.mark.parametrize("protocol", ["halfcell", "sixel"])
    @pytest.mark.parametrize("place", [0, 1])
    @pytest.mark.parametrize("pan", [(0.0, 0.0), (0.15, -0.15)])
    def test_the_marks_are_around_the_box_of_each_film(
        self, tmp_path: Path, protocol: str, place: int, pan: tuple[float, float]
    ) -> None:
        study = make_study(tmp_path, sides="L")
        films, store = films_of(study), FilmStore(study)
        record, box = films.boxes[SITE, 1]
        films = CaseFilms(films.case, (0, 1), {**films.boxes, (SITE, 1): (record, box.shift(7.0, -4.0))})
        for zoom in (0, ZOOMS.index(3.0)):
            assert_corners(*marked_pixels(store, films, protocol, ViewSettings(zoom, pan=pan), place))

    def test_the_lens_covers_the_marks(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        films, store = films_of(study), FilmStore(study)
        without, box = marked_pixels(store, films, "sixel", ViewSettings())
        corner = (box.x0 / SIZES["sixel"][0], box.y0 / SIZES["sixel"][1])
        changed, _ = marked_pixels(store, films, "sixel", ViewSettings(lens=corner))
        rows, columns = np.nonzero(without)
        near = (columns < box.centre[0]) & (rows < box.centre[1])
        assert near.any()
        assert not changed[rows[near], columns[near]].any(), "the lens shows the film"
        assert changed[rows[~near], columns[~near]].all()

    @pytest.mark.parametrize("protocol", ["halfcell", "sixel"])
    def test_an_aligned_film_has_the_marks_of_the_film_below_it(self, tmp_path: Path, protocol: str) -> None:
        study = make_study(tmp_path, sides="L")
        films, store = films_of(study), FilmStore(study)
        pictures = []
        for has_marks in (True, False):
            settings = ViewSettings(has_marks=has_marks)
            viewport = films.make_viewports(SITE, (SIZES[protocol],) * 2, Display(protocol), settings)[0]  # type: ignore[arg-type]
            assert viewport is not None
            aligned = films.make_aligned_view(viewport, SITE, 1)
            assert aligned is not None
            picture = store.render_aligned(aligned)
            assert picture is not None
            pictures.append(np.asarray(picture))
        assert viewport.joint is not None
        changed = pictures[0] != pictures[1]
        assert_corners(changed, viewport.joint.to_image(viewport.box, viewport.size))
        first, _ = marked_pixels(store, films, protocol, ViewSettings())
        assert (changed & first).sum() > 0.8 * max(changed.sum(), first.sum()), "they stay in place from film to film"

    def test_a_difference_has_none(self, tmp_path: Path) -> None:
        films = films_of(make_study(tmp_path, sides="L"))
        requests: list[AlignedView | None] = []
        for has_marks in (True, False):
            settings = ViewSettings(has_marks=has_marks)
            viewport = films.make_viewports(SITE, (SIZES["sixel"],) * 2, Display("sixel"), settings)[0]
            assert viewport is not None
            requests.append(films.make_aligned_view(viewport, SITE, 1, is_difference=True))
        assert requests[0] == requests[1]

    def test_pictures_with_and_without_marks_have_different_keys(self, tmp_path: Path) -> None:
        films = films_of(make_study(tmp_path, sides="L"))
        views = [
            films.make_viewports(SITE, (SIZES["sixel"],) * 2, Display("sixel"), ViewSettings(has_marks=has_marks))[0]
            for has_marks in (True, False)
        ]
        assert views[0] is not None
        assert views[1] is not None
        assert views[0].key != views[1].key
        aligned = [films.make_aligned_view(view, SITE, 1) for view in views if view is not None]
        assert aligned[0] is not None
        assert aligned[1] is not None
        assert aligned[0].key != aligned[1].key

    def test_the_whole_film_has_a_frame_and_no_marks(self, tmp_path: Path) -> None:
        films = films_of(make_study(tmp_path, sides="L"))
        view = films.make_viewports(SITE, (SIZES["sixel"],) * 2, Display("sixel"), ViewSettings(WHOLE_FILM))[0]
        assert view is not None
        assert view.outline is not None
        assert not view.is_marked


@pytest.mark.slow
class TestKey:
    async def test_one_key_hides_and_shows_them_and_the_choice_stays_with_the_rater(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        settings = UserSettings("en", source=tmp_path / "config" / "settings.toml")
        async with reading_as(study, "anna", case=case, settings=settings, protocol="sixel") as pilot:
            await settle(pilot)
            screen = pilot.app.screen
            assert isinstance(screen, ScoringScreen)
            with_marks = screen.joint_viewer.views[0].key
            await pilot.press("M")
            await settle(pilot)
            assert "marks off" in label_text(pilot)
            assert screen.joint_viewer.views[0].key not in (None, with_marks)
        async with reading_as(study, "anna", case=case, settings=settings) as pilot:
            await settle(pilot)
            screen = pilot.app.screen
            assert isinstance(screen, ScoringScreen)
            assert not screen.joint_viewer.view_settings.has_marks
            await pilot.press("M")
            assert screen.joint_viewer.view_settings.has_marks

    def test_settings_without_the_choice_have_marks(self, tmp_path: Path) -> None:
        file = tmp_path / "view_settings.json"
        save_view_settings("anna", ViewSettings(1, DisplaySettings("film"), has_marks=False), file)
        assert not read_view_settings("anna", file).has_marks
        file.write_text(file.read_text().replace('"marks"', '"other"'))
        assert read_view_settings("anna", file) == ViewSettings(1, DisplaySettings("film"))
