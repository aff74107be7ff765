"""Turning and mirroring a film by keys in the regions screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.imaging import Orientation, write_film
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from ratui.tui.screens.regions.screen import RegionsScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from tests.films import make_study
from tests.tui.conftest import reading_as, settle
from tests.tui.phantom_case import PhantomCase, phantom_case
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow


def text(pilot: Pilot[None], id: str) -> str:
    return str(pilot.app.screen.query_one(f"#{id}", Static).content)


async def opened(pilot: Pilot[None]) -> None:
    await pilot.press("enter")
    await settle(pilot)
    await settle(pilot)


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def with_stored(phantom: PhantomCase, time: int, change: Orientation) -> tuple[PhantomCase, FilmRecord]:
    """Return the case with the left film at `time` stored after `change`; its true boxes stay those of the upright film."""
    study, record = phantom.study, phantom.film(time, "L")
    pixels = np.rot90(study.film("C-1", record.id).pixels, -(change.degrees // 90))
    pixels = pixels[:, ::-1] if change.is_mirrored else pixels
    write_film(study.film_path("C-1", record.id), np.ascontiguousarray(pixels), spacing=record.spacing)
    stored = FilmRecord(record.id, time, "L", "hand", *pixels.shape, record.day, record.spacing)
    films = tuple(stored if film.id == record.id else film for film in phantom.case.films)
    case = Case("C-1", films)
    study.save_case(case)
    return PhantomCase(study, case, phantom.truth), stored


async def test_a_film_upside_down_is_turned_and_its_boxes_are_found(tmp_path: Path) -> None:
    phantom, stored = with_stored(phantom_case(tmp_path), 1, Orientation.TURNED_180)
    study = phantom.study
    phantom.confirm(phantom.film(0, "L"))
    async with reading_as(study, "anna") as pilot:
        await opened(pilot)
        assert isinstance(pilot.app.screen, RegionsScreen)
        assert "turned" not in text(pilot, "head")
        await press(pilot, "t", "t")
        assert "turned 180°" in text(pilot, "head")
        await settle(pilot)
        await press(pilot, "A")
    shown = next(film for film in study.case("C-1").films if film.id == stored.id)
    assert shown.orientation is Orientation.TURNED_180
    (record,) = study.orientations("C-1").values()
    assert (record.by, record.is_model) == ("anna", False)
    found = {region.site: region for region in study.regions("C-1") if region.film == stored.id}
    assert np.median(phantom.distances_from_truth(shown, found)) < 0.15
    assert {region.source for region in found.values()} <= {RegionSource.REGISTERED, RegionSource.ESTIMATED}


async def test_a_proposal_that_looks_mirrored_is_named_and_the_film_is_mirrored_by_a_key(tmp_path: Path) -> None:
    phantom, stored = with_stored(phantom_case(tmp_path), 0, Orientation.MIRRORED)
    study = phantom.study
    mirrored = [
        Region(
            key,
            stored.id,
            Orientation.MIRRORED.turn_box(box, stored.columns, stored.rows),
            RegionSource.MODEL,
            model="ssd",
        )
        for key, box in phantom.truth[stored.id].items()
    ]
    study.save_proposals("ssd", "C-1", mirrored)
    async with reading_as(study, "anna") as pilot:
        await opened(pilot)
        assert "looks mirrored" in text(pilot, "message")
        await press(pilot, "A")
        assert not study.regions("C-1"), "mirrored boxes are not accepted"
        await press(pilot, "m")
        assert "looks mirrored" not in text(pilot, "message")
        assert "SHOWN MIRRORED" in text(pilot, "head")
        await press(pilot, "A")
    shown = study.case("C-1").film(0, "L", "hand", study.scheme)
    assert shown is not None
    assert shown.orientation is Orientation.MIRRORED
    found = {region.site: region for region in study.regions("C-1") if region.film == stored.id}
    assert max(phantom.distances_from_truth(shown, found)) < 1e-6


async def test_the_mirrored_film_is_named_while_joints_are_scored(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    film = study.case(case).film(1, "L", "hand", study.scheme)
    assert film is not None
    study.set_orientation(case, film.id, Orientation.MIRRORED_90)
    async with reading_as(study, "anna", case=case) as pilot:
        await settle(pilot)
        assert isinstance(pilot.app.screen, ScoringScreen)
        assert "SHOWN MIRRORED" not in text(pilot, "title0")
        assert "SHOWN MIRRORED" in text(pilot, "title1")


async def test_a_turn_during_the_scoring_is_shown_when_the_regions_are_closed(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    async with reading_as(study, "anna", case=case) as pilot:
        await settle(pilot)
        await press(pilot, "r", "m", "escape")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert "SHOWN MIRRORED" in text(pilot, "title0") + text(pilot, "title1")
        films = screen.joint_viewer._films
        assert films is not None
        for record, box in films.boxes.values():
            stored = {(region.site, region.film): region.box for region in study.regions(films.case)}
            assert box in stored.values()
            assert record in films.case.films


async def test_a_film_with_a_signed_reading_is_turned_by_a_second_press_only(tmp_path: Path) -> None:
    study: Study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    store_reading(study, case, {}, rater="bert", signed=True)
    async with reading_as(study, "anna", case=case) as pilot:
        await settle(pilot)
        await press(pilot, "r", "t")
        assert "signed" in text(pilot, "message")
        await press(pilot, "tab", "t")
        assert not study.orientations(case), "another key takes the question back"
        await press(pilot, "t")
        (found,) = study.orientations(case).values()
        assert found.orientation is Orientation.TURNED_90
