"""A whole case by keys: worklist, regions, scoring, overview, signature, and the files afterwards."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ratui.reading import Field
from ratui.study import Study, import_films
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.regions.screen import RegionsScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.widgets.film_view import FilmView
from tests.films import make_study, without_pairs
from tests.tui.conftest import full_disk, label_text, reading_as, rows, settle

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]


def wrist_study(tmp_path: Path) -> Study:
    """Create a study of a left wrist at two time points, from PNG files and a manifest."""
    folder = tmp_path / "wrists"
    folder.mkdir()
    with (folder / "films.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "patient", "time", "side", "view"])
        for time in (0, 1):
            noise = np.random.default_rng(time).integers(0, 255, (300, 220)).astype(np.uint8)
            Image.fromarray(noise).save(folder / f"{time}.png")
            writer.writerow([f"{time}.png", "0141", time, "L", "wrist"])
    study = Study.create(tmp_path / "study", "mtss-hands", ["anna"])
    import_films(study, [], manifest=folder / "films.csv", key=tmp_path / "key.json")
    return study


async def test_a_wrist_case_from_worklist_to_signature(tmp_path: Path) -> None:
    study = wrist_study(tmp_path)
    (case,) = study.cases()
    async with reading_as(study, "anna") as pilot:
        assert isinstance(pilot.app.screen, WorklistScreen)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, RegionsScreen)
        await pilot.press("right", "plus", "enter", "A", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, RegionsScreen), "the second film comes next"
        await pilot.press("A", "enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        # A film of the wrist does not show the fingers, so the first question is about the wrist.
        assert screen.field == Field("L.CMC1", "ERO", 0)
        await pilot.press("2", "3")
        assert screen.field is not None
        assert screen.field.site != "L.CMC1"
        for _ in range(40):
            if not isinstance(pilot.app.screen, ScoringScreen):
                break
            await pilot.press("n")
        await settle(pilot)
        look = pilot.app.screen
        assert isinstance(look, ReviewScreen), "the erosion that grew deserves a second look"
        assert look.item.site == "L.CMC1"
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)
        assert "S signs" in label_text(pilot)
        await pilot.press("S")
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)
        assert "The one case is signed" in label_text(pilot)
    reading = study.reading("anna", case)
    assert reading is not None
    assert reading.signed_at
    assert reading.score(Field("L.CMC1", "ERO", 0)) == 2
    assert reading.score(Field("L.CMC1", "ERO", 1)) == 3
    assert reading.score(Field("L.RC", "JSN", 1)) == 0
    raw = json.loads((study.path / "readings" / "anna" / f"{case}.json").read_text())
    typed = [entry["key"] for entry in raw["log"].values() if entry["kind"] in ("enter", "normal")]
    assert typed[:3] == ["2", "3", "n"]
    regions = study.regions(case)
    assert sum(region.box is not None for region in regions) == 2 * len(study.scheme.views["wrist"].template)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_films_are_there_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna", size=size) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        films = list(pilot.app.screen.query(FilmView))
        assert len(films) == 2
        for film in films:
            assert film.key is not None, "something is shown"
            assert film.size.width >= 36
            assert film.size.height >= 16
        lines = label_text(pilot)
        assert "MCP" in lines or "IP1" in lines
        assert "earlier" in lines


async def test_a_finding_fixes_the_score_and_is_not_asked_again(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        await pilot.press("0", "0", "a")
        assert screen.field == Field("L.PIP2", "ERO", 1)
        keys = str(screen.query_one("#keys").render())  # type: ignore[attr-defined]
        assert "a ankylosis" in keys
        assert "c collapse" in keys
        assert "0 none" not in keys
        await pilot.press("3")
        assert screen.field == Field("L.PIP2", "ERO", 1), "a grade is refused"
        assert "is irreversible" in label_text(pilot)
        await pilot.press("a")
        assert screen.field is not None
        assert screen.field.site == "L.PIP3"
        assert screen.reading.score(Field("L.PIP2", "JSN", 1)) == 4


async def test_leaving_and_returning_keeps_the_active_field(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("1", "1", "2")
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)
        assert "1/20" in rows(pilot)[0], "one joint of twenty has all its fields"
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert screen.field == Field("L.PIP2", "ERO", 1)


async def test_undo_goes_back_to_the_field_and_the_log_keeps_both(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("4", "u")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert screen.field == Field("L.IP1", "ERO", 0)
    reading = study.reading("anna", case)
    assert reading is not None
    assert not reading.values
    assert [entry.kind for entry in reading.log] == ["enter", "undo"]


async def test_full_width_digits_of_an_input_method_count(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("\uff13")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert screen.reading.score(Field("L.IP1", "ERO", 0)) == 3


async def test_not_assessable_asks_why_and_escape_takes_it_back(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("x", "escape")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert screen.field == Field("L.IP1", "ERO", 0)
        await pilot.press("x")
        assert "Why is there no score?" in label_text(pilot)
        await pilot.press("r")
        assert screen.field == Field("L.IP1", "ERO", 1)


async def test_going_to_a_joint_by_name(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        await pilot.press("slash", *"rmcp4", "enter")
        assert screen.field == Field("R.MCP4", "ERO", 0)
        await pilot.press("slash", *"elbow", "enter")
        assert screen.field == Field("R.MCP4", "ERO", 0)
        assert "there is no joint" in label_text(pilot)


class TestBlinded:
    async def test_nothing_on_the_screen_reveals_the_order(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True)
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await pilot.press("enter")
            await settle(pilot)
            await pilot.press("2")
            text = label_text(pilot)
            assert "◀" in text
            for word in ("earlier", "later", "month", "2020", "2021", "as earlier"):
                assert word not in text


class TestTrouble:
    async def test_a_full_disk_is_reported_and_no_entry_is_lost(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:

        study = make_study(tmp_path)
        (case,) = study.cases()
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter")
            await settle(pilot)
            with full_disk(monkeypatch):
                await pilot.press("2")
                assert "NOT SAVED" in label_text(pilot)
                await pilot.press("escape")
                assert isinstance(pilot.app.screen, ScoringScreen), "leaving needs a second Escape"
            await pilot.press("3")
            assert "NOT SAVED" not in label_text(pilot)
        reading = study.reading("anna", case)
        assert reading is not None
        assert [reading.score(Field("L.IP1", "ERO", time)) for time in (0, 1)] == [2, 3]

    async def test_a_reading_that_is_open_elsewhere_can_be_looked_at(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        with study.open_reading("anna", case) as session:
            session.save(session.reading)
            async with reading_as(study, "anna") as pilot:
                await pilot.press("enter")
                await settle(pilot)
                assert isinstance(pilot.app.screen, OverviewScreen)
                assert "open elsewhere" in label_text(pilot)
                await pilot.press("S")
                assert "cannot be signed" in label_text(pilot)

    async def test_a_film_that_vanished_is_named_and_the_app_stays(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        for film in study.path.rglob("*.dcm"):
            film.unlink()
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter")
            await settle(pilot)
            assert "no such file" in label_text(pilot)
            await pilot.press("escape")
            assert isinstance(pilot.app.screen, WorklistScreen)

    async def test_a_case_without_a_pair_of_films_is_listed_not_opened(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        study.save_case(without_pairs(study.case(case)))
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)
            assert "no side with films at both visits" in label_text(pilot)

    @pytest.mark.parametrize("protocol", ["kitty", "sixel"])
    async def test_graphics_protocols_run_the_same_case(self, tmp_path: Path, protocol: str) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", protocol=protocol) as pilot:
            await pilot.press("enter")
            await settle(pilot)
            await pilot.press("2", "z", "w", "right", "question_mark")
            await settle(pilot)
            await pilot.press("q")
            await settle(pilot)
            assert isinstance(pilot.app.screen, ScoringScreen)
