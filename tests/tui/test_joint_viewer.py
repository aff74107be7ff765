"""Both time points of a joint: the same scale, at once where ready, and never another joint's film under this one's name."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image
from textual.app import App, ComposeResult

from ratui.study import Study
from ratui.terminal import Display, FrameCache
from ratui.tui.graphics.film_store import Library, View
from ratui.tui.graphics.viewport import WHOLE, ZOOMS, CaseFilms, Sight, case_films
from ratui.tui.widgets.joint_viewer import JointFilms, outlined
from tests.films import make_study
from tests.tui.conftest import settle

DISPLAY = Display("halfcell")
SIZES = ((40, 36), (40, 36))


def films_of(study: Study) -> CaseFilms:
    return case_films(study, study.case(study.cases()[0]), (0, 1))


class TestShots:
    def test_the_same_length_of_bone_has_the_same_length_on_both_films(self, tmp_path: Path) -> None:
        films = films_of(make_study(tmp_path, sides="L"))
        record, box = films.boxes["L.MCP2", 1]
        # The later film has finer pixels: its box is larger in pixels, and must not be larger on the screen.
        finer = type(record)(**{**vars(record), "spacing": (0.4, 0.4)})
        films = CaseFilms(films.case, (0, 1), {**films.boxes, ("L.MCP2", 1): (finer, tuple(2 * v for v in box))})  # type: ignore[dict-item]
        for zoom in range(len(ZOOMS)):
            left, right = films.shots("L.MCP2", SIZES, DISPLAY, Sight(zoom))
            assert left is not None
            assert right is not None
            spans = [shot.view.box[3] - shot.view.box[1] for shot in (left, right)]
            assert spans[0] * 0.8 == pytest.approx(spans[1] * 0.4)

    def test_a_joint_that_is_not_on_its_film_has_no_view(self, tmp_path: Path) -> None:
        films = films_of(make_study(tmp_path, sides="L"))
        rest = {key: value for key, value in films.boxes.items() if key != ("L.MCP2", 0)}
        films = CaseFilms(films.case, (0, 1), rest)
        left, right = films.shots("L.MCP2", SIZES, DISPLAY, Sight())
        assert left is None
        assert right is not None
        assert not films.has("L.MCP2", 0)

    def test_the_whole_film_marks_the_joint(self, tmp_path: Path) -> None:
        films = films_of(make_study(tmp_path, sides="L"))
        shot, _ = films.shots("L.MCP2", SIZES, DISPLAY, Sight(WHOLE))
        assert shot is not None
        record, box = films.boxes["L.MCP2", 0]
        assert shot.mark == box
        x0, y0, x1, y1 = shot.view.box
        assert x0 <= 0
        assert y0 <= 0
        assert x1 >= record.columns
        assert y1 >= record.rows
        picture = np.asarray(outlined(Image.new("L", shot.view.size), shot.view, box))
        rows, columns = np.nonzero(picture)
        across = (shot.view.box[2] - x0) / shot.view.size[0]
        down = (shot.view.box[3] - y0) / shot.view.size[1]
        assert abs((x0 + columns.mean() * across) - (box[0] + box[2]) / 2) < 2 * across
        assert abs((y0 + rows.mean() * down) - (box[1] + box[3]) / 2) < 2 * down


class SlowLibrary(Library):
    """A library that hands out nothing before `gate` is open."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.gate = Event()

    def image(self, view: View) -> Image.Image:
        self.gate.wait(10)
        return super().image(view)


class Alone(App[None]):
    def __init__(self, library: Library) -> None:
        super().__init__()
        self.joint = JointFilms(DISPLAY, FrameCache(), library)
        self.failures: list[str] = []

    def compose(self) -> ComposeResult:
        yield self.joint

    def on_joint_films_failed(self, event: JointFilms.Failed) -> None:
        self.failures.append(event.why)


async def test_what_is_not_ready_is_black_and_comes_by_itself(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    films, library = films_of(study), SlowLibrary(study)
    library.gate.set()
    app = Alone(library)
    async with app.run_test(size=(80, 24)) as pilot:
        app.joint.show(films, "L.MCP2", ahead=["L.MCP3"])
        await settle(pilot)
        shots = films.shots("L.MCP2", [view.pixel_size for view in app.joint.views], DISPLAY, Sight())
        assert [view.key for view in app.joint.views] == [shot and shot.key for shot in shots]
        library.gate.clear()
        app.joint.show(films, "L.MCP3")
        following = films.shots("L.MCP3", [view.pixel_size for view in app.joint.views], DISPLAY, Sight())
        assert [view.key for view in app.joint.views] == [shot and shot.key for shot in following], "it was prepared"
        app.joint.show(films, "L.MCP5")
        assert [view.key for view in app.joint.views] == [None, None], "not MCP3 under the name of MCP5"
        app.joint.show(films, "L.MCP4")
        library.gate.set()
        await settle(pilot)
        wanted = films.shots("L.MCP4", [view.pixel_size for view in app.joint.views], DISPLAY, Sight())
        assert [view.key for view in app.joint.views] == [shot and shot.key for shot in wanted], "MCP5 was overtaken"


async def test_a_film_that_cannot_be_read_is_told_and_the_other_one_is_shown(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    films = films_of(study)
    record = films.record("L.MCP2", 0)
    assert record is not None
    study.film_path(films.case.id, record.id).unlink()
    app = Alone(Library(study))
    async with app.run_test(size=(80, 24)) as pilot:
        app.joint.show(films, "L.MCP2")
        await settle(pilot)
        assert app.joint.views[0].key is None
        assert app.joint.views[1].key is not None
        assert len(app.failures) == 1
        assert "no such file" in app.failures[0]


async def test_zoom_and_window_stay_from_joint_to_joint(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    films = films_of(study)
    app = Alone(Library(study))
    async with app.run_test(size=(80, 24)) as pilot:
        app.joint.show(films, "L.MCP2")
        app.joint.next_zoom()
        app.joint.next_preset()
        app.joint.show(films, "L.MCP3")
        await settle(pilot)
        assert (app.joint.sight.zoom, app.joint.sight.look.preset) == (1, "film")
        app.joint.show_whole(True)
        assert app.joint.whole
        app.joint.next_zoom()
        assert not app.joint.whole
