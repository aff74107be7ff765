"""The difference of the bones of a joint in the viewer, and what the screen says about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from textual.widgets import Static

from benchmarks.joint_space_films import draw_pair
from ratui import imaging
from ratui.imaging import BoneDifference, Box, Film, make_rotation
from ratui.tui.graphics import film_store
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.viewport import AlignedView, Viewport
from ratui.tui.screens.film_screen import FilmScreen
from tests.films import make_study
from tests.tui.conftest import label_text, reading_as, settle

SIZE = (160, 160)


class TwoFilms:
    """A study of two films of a joint."""

    def __init__(self) -> None:
        pair = next(each for each in draw_pair(2_011) if each.joint == "MCP3")
        self.boxes = dict(zip("ab", pair.boxes, strict=True))
        self.films = {
            id: Film(crop, 12, spacing=(mm, mm)) for id, crop, mm in zip("ab", pair.crops, pair.spacings, strict=True)
        }

    def film(self, case: str, id: str, orientation: object) -> Film:
        return self.films[id]


@pytest.fixture(scope="module")
def study() -> TwoFilms:
    return TwoFilms()


def request(study: TwoFilms, **changes: object) -> AlignedView:
    view = Viewport("case", "a", study.boxes["a"], SIZE, joint=study.boxes["a"])
    aligned = AlignedView(view, "b", study.boxes["b"], is_difference=True, has_two_bones=True)
    return replace(aligned, **changes)  # type: ignore[arg-type]


def grey(store: FilmStore, aligned: AlignedView) -> np.ndarray:
    picture = store.render_aligned(aligned)
    assert picture is not None
    return np.asarray(picture, int) - 128


def test_the_difference_of_a_finger_joint_is_that_of_its_bones(study: TwoFilms) -> None:
    store = FilmStore(study)  # type: ignore[arg-type]
    bones, joint = request(study), request(study, has_two_bones=False)
    assert store.shows_bones(bones) is None, "nothing is known before the picture is made"
    assert (grey(store, joint) != 0).mean() > 0.5, "the difference of a whole joint shows motion and noise"
    assert store.shows_bones(joint) is None
    assert (grey(store, bones) != 0).mean() < 0.05
    assert store.shows_bones(bones) is True
    assert store.find_problem(bones) == ""


def test_bones_are_compared_once_for_all_zooms(study: TwoFilms, monkeypatch: pytest.MonkeyPatch) -> None:
    store, calls = FilmStore(study), []  # type: ignore[arg-type]
    real = imaging.compare_bones

    def count(*arguments: object) -> object:
        calls.append(arguments)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(imaging, "compare_bones", count)
    for size in (SIZE, (80, 80)):
        view = Viewport("case", "a", study.boxes["a"], size, joint=study.boxes["a"])
        store.render_aligned(request(study, view=view))
    assert len(calls) == 1


def test_without_reliable_bones_the_joint_is_shown_and_said_so(
    study: TwoFilms, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FilmStore(study)  # type: ignore[arg-type]
    monkeypatch.setattr(imaging, "compare_bones", lambda *_: "turned")
    assert (grey(store, request(study)) == grey(store, request(study, has_two_bones=False))).all()
    assert store.find_problem(request(study)) == "bones"
    assert store.find_problem(request(study, has_two_bones=False)) == ""
    assert store.find_problem(request(study, is_difference=False)) == ""
    assert store.shows_bones(request(study)) is False


def test_memory_is_bounded(study: TwoFilms, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FilmStore(study)  # type: ignore[arg-type]
    monkeypatch.setattr(film_store, "_MAX_BONES", 2)
    monkeypatch.setattr(imaging, "compare_bones", lambda *_: "turned")
    shifted = [request(study, joint=study.boxes["b"].shift(n, 0)) for n in range(3)]
    for aligned in shifted:
        store.compare_bones(aligned)
    assert [store.shows_bones(aligned) for aligned in shifted] == [None, False, False]


def test_a_turned_picture_is_turned_about_the_joint() -> None:
    levels = np.zeros((200, 200), np.float32)
    levels[40:60, 95:105] = 100  # above the middle
    found = BoneDifference(levels, np.eye(2, 3))
    box = Box(0, 0, 200, 200)
    plain, turned = (
        np.asarray(found.render(box, (200, 200), matrix), int) - 128
        for matrix in (None, make_rotation(-90, box.centre))
    )
    assert np.argwhere(plain > 50).mean(axis=0) == pytest.approx([49.5, 99.5], abs=1)
    assert np.argwhere(turned > 50).mean(axis=0) == pytest.approx([99.5, 149.5], abs=1)


@pytest.mark.slow
@pytest.mark.parametrize("are_found", [True, False])
async def test_the_title_says_what_is_aligned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, are_found: bool) -> None:
    found = BoneDifference(np.zeros((40, 40), np.float32), np.eye(2, 3)) if are_found else "turned"
    monkeypatch.setattr(imaging, "compare_bones", lambda *_: found)
    monkeypatch.setattr(film_store, "align_joints", lambda *_: np.eye(2, 3))
    blinded = make_study(tmp_path, sides="L", blinded=True)
    async with reading_as(blinded, "anna", case=blinded.cases()[0], size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("d")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, FilmScreen)
        assert isinstance(screen.joint_viewer.views[0].key, AlignedView)
        title = str(screen.joint_viewer.query_one("#title0", Static).content)
        aligned = "bone by bone" if are_found else "whole joint"
        assert title.strip() == f"right minus left · {aligned}"
        assert ("can't be aligned one by one" in label_text(pilot)) != are_found
