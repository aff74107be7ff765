"""Both time points of a joint: same scale, immediate display if ready, and never the film of another joint."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image
from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import Static

from ratui.errors import FilmError
from ratui.study import Study
from ratui.terminal import Display, FrameCache
from ratui.tui.entry.answer_gate import DisplayWatch
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.marks import draw_outline
from ratui.tui.graphics.view_settings import WHOLE_FILM, ZOOMS, ViewSettings
from ratui.tui.graphics.viewport import CaseFilms, Viewport, load_case_films
from ratui.tui.widgets.film_view import FilmFailed
from ratui.tui.widgets.joint_viewer import JointViewer
from tests.films import make_study
from tests.tui.conftest import settle

DISPLAY = Display("halfcell")
SIZES = ((40, 36), (40, 36))


def films_of(study: Study) -> CaseFilms:
    return load_case_films(study, study.case(study.cases()[0]), (0, 1))


class TestShots:
    def test_the_same_length_of_bone_has_the_same_length_on_both_films(self, tmp_path: Path) -> None:
        films = films_of(make_study(tmp_path, sides="L"))
        record, box = films.boxes["L.MCP2", 1]
        # The later film has smaller pixels: its box has more pixels, but must have the same size on the screen.
        finer = type(record)(**{**vars(record), "spacing": (0.4, 0.4)})
        films = CaseFilms(films.case, (0, 1), {**films.boxes, ("L.MCP2", 1): (finer, box.scale(2))})
        for zoom in range(len(ZOOMS)):
            left, right = films.make_viewports("L.MCP2", SIZES, DISPLAY, ViewSettings(zoom))
            assert left is not None
            assert right is not None
            spans = [viewport.box[3] - viewport.box[1] for viewport in (left, right)]
            assert spans[0] * 0.8 == pytest.approx(spans[1] * 0.4)

    def test_kept_viewports_are_those_of_the_same_request_only(self, tmp_path: Path) -> None:
        films = films_of(make_study(tmp_path, sides="L"))
        fresh = films_of(make_study(tmp_path / "again", sides="L"))
        requests = [
            (site, sizes, display, ViewSettings(zoom))
            for site in ("L.MCP2", "L.MCP3")
            for sizes in (SIZES, ((60, 36), (40, 36)))
            for display in (DISPLAY, Display("sixel"))
            for zoom in (0, 1, WHOLE_FILM)
        ]
        for request in requests * 2:
            first = [viewport and viewport.box for viewport in films.make_viewports(*request)]
            fresh._viewports.clear()
            assert first == [viewport and viewport.box for viewport in fresh.make_viewports(*request)]
        assert films.make_viewports(*requests[0]) is films.make_viewports(*requests[0])
        for width in range(10, 200):
            films.make_viewports("L.MCP2", ((width, 36), (40, 36)), DISPLAY, ViewSettings())
        assert len(films._viewports) < 100

    def test_a_joint_that_is_not_on_its_film_has_no_view(self, tmp_path: Path) -> None:
        films = films_of(make_study(tmp_path, sides="L"))
        rest = {key: value for key, value in films.boxes.items() if key != ("L.MCP2", 0)}
        films = CaseFilms(films.case, (0, 1), rest)
        left, right = films.make_viewports("L.MCP2", SIZES, DISPLAY, ViewSettings())
        assert left is None
        assert right is not None
        assert not films.has("L.MCP2", 0)

    def test_the_whole_film_marks_the_joint(self, tmp_path: Path) -> None:
        films = films_of(make_study(tmp_path, sides="L"))
        viewport, _ = films.make_viewports("L.MCP2", SIZES, DISPLAY, ViewSettings(WHOLE_FILM))
        assert viewport is not None
        record, box = films.boxes["L.MCP2", 0]
        assert viewport.outline == box
        x0, y0, x1, y1 = viewport.box
        assert x0 <= 0
        assert y0 <= 0
        assert x1 >= record.columns
        assert y1 >= record.rows
        picture = np.asarray(draw_outline(Image.new("L", viewport.size), box.to_image(viewport.box, SIZES[0])))
        rows, columns = np.nonzero(picture)
        across = (viewport.box[2] - x0) / viewport.size[0]
        down = (viewport.box[3] - y0) / viewport.size[1]
        assert abs((x0 + columns.mean() * across) - (box[0] + box[2]) / 2) < 2 * across
        assert abs((y0 + rows.mean() * down) - (box[1] + box[3]) / 2) < 2 * down


class SlowLibrary(FilmStore):
    """A library that returns nothing until `gate` is open."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.gate = Event()

    def render(self, view: Viewport) -> Image.Image:
        self.gate.wait(10)
        return super().render(view)


class Alone(App[None]):
    def __init__(self, film_store: FilmStore, frame_cache: FrameCache | None = None) -> None:
        super().__init__()
        self.joint = JointViewer(DISPLAY, frame_cache or FrameCache(), film_store, DisplayWatch())
        self.failures: list[FilmError] = []

    def compose(self) -> ComposeResult:
        yield self.joint

    def on_film_failed(self, event: FilmFailed) -> None:
        self.failures.append(event.error)


async def test_films_that_do_not_fit_into_the_cache_together_are_shown(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    app = Alone(FilmStore(study), FrameCache(limit=1))
    async with app.run_test(size=(80, 24)) as pilot:
        for site in ("L.MCP2", "L.MCP3"):
            app.joint.show(films_of(study), site)
            await settle(pilot)
            assert all(view.painted_at is not None for view in app.joint.views)
            assert not any(app.joint.is_loading(place) for place in (0, 1))


async def test_titles_and_lines_are_drawn_only_if_their_text_or_its_colour_changes(tmp_path: Path) -> None:
    app = Alone(FilmStore(make_study(tmp_path, sides="L")))
    async with app.run_test(size=(80, 24)) as pilot:
        for set_text, id in ((app.joint.set_title, "#title0"), (app.joint.set_line, "#fields0")):
            widget = app.query_one(id, Static)
            for text, is_new in (("a", True), (Text("b", "bold"), True), (Text("b", "bold"), False), (Text("b"), True)):
                before = widget.visual
                set_text(0, text)
                await pilot.pause()
                assert (widget.visual is not before) is is_new
                assert str(widget.visual) == str(text)


async def test_the_image_of_a_hidden_view_is_removed_and_comes_back(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    app = Alone(FilmStore(study))
    async with app.run_test(size=(80, 24)) as pilot:
        app.joint.show(films_of(study), "L.MCP2")
        await settle(pilot)
        assert all(view.painted_at is not None for view in app.joint.views)
        app.joint.set_mode("alone")
        await settle(pilot)
        assert [view.painted_at is not None for view in app.joint.views] == [True, False]
        app.joint.set_mode("pair")
        await settle(pilot)
        assert all(view.painted_at is not None for view in app.joint.views)


async def test_a_film_without_a_visible_row_is_not_drawn_over_its_neighbours(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    app = Alone(FilmStore(study))
    async with app.run_test(size=(80, 1)) as pilot:
        app.joint.show(films_of(study), "L.MCP2")
        await settle(pilot)
        assert all(view.size.height for view in app.joint.views), "the layout gives each film a row below the screen"
        assert all(view.painted_at is None for view in app.joint.views)
        await pilot.resize_terminal(80, 4)
        await settle(pilot)
        assert all(view.painted_at is not None for view in app.joint.views)


async def test_a_film_that_is_not_ready_is_black_and_appears_later(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    films, film_store = films_of(study), SlowLibrary(study)
    film_store.gate.set()
    app = Alone(film_store)
    async with app.run_test(size=(80, 24)) as pilot:
        app.joint.show(films, "L.MCP2", ahead=["L.MCP3"])
        await settle(pilot)
        viewports = films.make_viewports(
            "L.MCP2", [view.pixel_size for view in app.joint.views], DISPLAY, ViewSettings()
        )
        assert [view.key for view in app.joint.views] == [viewport and viewport.key for viewport in viewports]
        film_store.gate.clear()
        app.joint.show(films, "L.MCP3")
        following = films.make_viewports(
            "L.MCP3", [view.pixel_size for view in app.joint.views], DISPLAY, ViewSettings()
        )
        assert [view.key for view in app.joint.views] == [viewport and viewport.key for viewport in following], (
            "it was prepared"
        )
        app.joint.show(films, "L.MCP5")
        assert [view.key for view in app.joint.views] == [None, None], "not MCP3 under the name of MCP5"
        app.joint.show(films, "L.MCP4")
        film_store.gate.set()
        await settle(pilot)
        wanted = films.make_viewports("L.MCP4", [view.pixel_size for view in app.joint.views], DISPLAY, ViewSettings())
        assert [view.key for view in app.joint.views] == [viewport and viewport.key for viewport in wanted], (
            "MCP5 was overtaken"
        )


async def test_an_unreadable_film_is_reported_and_the_other_shown(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    films = films_of(study)
    record = films.record("L.MCP2", 0)
    assert record is not None
    study.film_path(films.case.id, record.id).unlink()
    app = Alone(FilmStore(study))
    async with app.run_test(size=(80, 24)) as pilot:
        app.joint.show(films, "L.MCP2")
        await settle(pilot)
        assert app.joint.views[0].key is None
        assert app.joint.views[1].key is not None
        assert len(app.failures) == 1
        assert "no such file" in app.failures[0].problem


async def test_zoom_and_window_stay_from_joint_to_joint(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    films = films_of(study)
    app = Alone(FilmStore(study))
    async with app.run_test(size=(80, 24)) as pilot:
        app.joint.show(films, "L.MCP2")
        app.joint.next_zoom()
        app.joint.next_preset()
        app.joint.show(films, "L.MCP3")
        await settle(pilot)
        assert (app.joint.view_settings.zoom, app.joint.view_settings.display_settings.preset) == (1, "film")
        app.joint.set_whole_film(True)
        assert app.joint.shows_whole_film
        app.joint.next_zoom()
        assert not app.joint.shows_whole_film
