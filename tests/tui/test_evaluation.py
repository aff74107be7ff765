"""The evaluation of models in the app: pages and pictures, for raters who have signed the evaluated cases."""

from __future__ import annotations

import io
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ratui.errors import StoreError
from ratui.study import Study
from ratui.study.model_results.model_reports import (
    Evaluation,
    Heading,
    Paragraph,
    Picture,
    ReportTable,
    save_evaluation,
)
from ratui.tui.screens.evaluation.screen import EvaluationScreen
from ratui.tui.screens.evaluation.text import fit_picture, make_pages
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.widgets.film_view import FilmView
from tests.films import make_study
from tests.tui.conftest import cells, label_text, offered_keys, reading_as, settle
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow


def png(width: int = 60, height: int = 30, level: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), level).save(buffer, "PNG")
    return buffer.getvalue()


BLOCKS = (
    Heading("What the models are worth", 1),
    Paragraph("The loss was `pair`. " + "It was measured with care. " * 12),
    ReportTable(("measure", "here"), (("ERO, mean error of the difference " * 4, "0.206"),), strong=1),
    Heading("Errors of the ERO difference"),
    Picture("differences.png", png(), "How far it was off"),
)


def measured(tmp_path: Path, *, signed: bool = True, models: tuple[str, ...] = ("scorer",)) -> Study:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    store_reading(study, case, {}, signed=signed)
    for model in models:
        save_evaluation(study, Evaluation(model, datetime(2026, 3, 1, tzinfo=UTC), (case,), BLOCKS))
    return study


class TestPages:
    def test_a_heading_begins_a_page_and_a_second_picture_another(self) -> None:
        found = make_pages((*BLOCKS, Picture("more.png", png(), "more"), Paragraph("said")))
        assert [page.title for page in found] == [BLOCKS[0].text, BLOCKS[3].text, BLOCKS[3].text]  # type: ignore[union-attr]
        assert [page.picture and page.picture.file for page in found] == [None, "differences.png", "more.png"]

    def test_a_heading_of_nothing_is_no_page(self) -> None:
        assert [page.title for page in make_pages((Heading("empty"), Heading("full"), Paragraph("words")))] == ["full"]


class TestPicture:
    def test_it_is_as_large_as_fits_and_not_distorted(self) -> None:
        image = fit_picture(Picture("p.png", png(60, 30, 255), ""), (200, 200))
        bright = np.argwhere(np.asarray(image) > 128)
        assert image.size == (200, 200)
        assert bright.min(axis=0).tolist() == [50, 0]
        assert bright.max(axis=0).tolist() == [149, 199]

    def test_its_surroundings_have_the_grey_of_the_background(self) -> None:
        image = fit_picture(Picture("p.png", png(60, 30, 255), ""), (200, 200), "#dcdcd6")
        assert image.getpixel((0, 0)) == image.getpixel((100, 199)) == 219
        assert image.getpixel((100, 100)) == 255

    @pytest.mark.parametrize("data", [b"", b"rubbish", png()[:-30], b"GIF89a" + png()])
    def test_what_is_no_picture_is_refused(self, data: bytes) -> None:
        with pytest.raises(StoreError, match="can't be read"):
            fit_picture(Picture("p.png", data, ""), (20, 20))

    def test_a_picture_with_a_huge_declared_size_is_not_unpacked(self) -> None:
        data = bytearray(png())
        data[16:24] = (30_000).to_bytes(4, "big") * 2
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
        with pytest.raises(StoreError):
            fit_picture(Picture("p.png", bytes(data), ""), (20, 20))


async def test_whoever_has_signed_reads_it_page_by_page(tmp_path: Path) -> None:
    async with reading_as(measured(tmp_path), "anna", size=(100, 30)) as pilot:
        await settle(pilot)
        assert "Ctrl-E" in offered_keys(pilot)
        await pilot.press("ctrl+e")
        await settle(pilot)
        assert "page 1 of 2" in label_text(pilot)
        assert offered_keys(pilot) == {"→", "?", "Esc"}
        assert "0.206" in cells(pilot)
        assert "pair" in cells(pilot)
        await pilot.press("right")
        await settle(pilot)
        assert "page 2 of 2" in label_text(pilot)
        assert "─ Errors of the ERO difference ─" in cells(pilot)
        assert offered_keys(pilot) == {"←", "?", "Esc"}, "the last page has no next one"
        await pilot.press("right", "left", "left")
        await settle(pilot)
        assert "page 1 of 2" in label_text(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)


async def test_the_title_of_a_page_is_no_markup(tmp_path: Path) -> None:
    study = measured(tmp_path)
    blocks = (Heading("[red]Errors"), Paragraph("few"))
    save_evaluation(study, Evaluation("scorer", datetime(2026, 3, 1, tzinfo=UTC), tuple(study.cases()), blocks))
    async with reading_as(study, "anna", size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+e")
        await settle(pilot)
        assert "─ [red]Errors ─" in cells(pilot)


async def test_before_the_signature_it_only_lists_the_cases_to_sign(tmp_path: Path) -> None:
    study = measured(tmp_path, signed=False)
    async with reading_as(study, "anna", size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+e")
        await settle(pilot)
        assert isinstance(pilot.app.screen, EvaluationScreen)
        assert study.cases()[0] in cells(pilot)
        assert "sign" in cells(pilot)
        await pilot.press("right", "down", "tab")
        await settle(pilot)
        assert "0.206" not in cells(pilot)
        assert "page" not in cells(pilot)


@pytest.mark.parametrize(("protocol", "drawn"), [("kitty", True), ("sixel", True), ("halfcell", False)])
async def test_a_picture_is_drawn_where_its_figures_can_be_read(tmp_path: Path, protocol: str, drawn: bool) -> None:
    async with reading_as(measured(tmp_path), "anna", size=(100, 30), protocol=protocol) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+e", "right")
        await settle(pilot)
        view = pilot.app.screen.query_one("#picture", FilmView)
        assert (view.key is not None) is drawn
        assert ("report.html" in cells(pilot)) is not drawn
        await pilot.press("left")
        await settle(pilot)
        assert view.key is None, "no picture under another heading"


async def test_from_model_to_model(tmp_path: Path) -> None:
    async with reading_as(measured(tmp_path, models=("first", "second")), "anna", size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+e")
        await settle(pilot)
        assert "Model second" in label_text(pilot)
        await pilot.press("right", "tab")
        await settle(pilot)
        assert "Model first" in label_text(pilot)
        assert "page 1 of 2" in label_text(pilot)


async def test_without_an_evaluation_the_command_is_not_offered(tmp_path: Path) -> None:
    async with reading_as(measured(tmp_path, models=()), "anna", size=(100, 30)) as pilot:
        await settle(pilot)
        assert "Ctrl-E" not in offered_keys(pilot)
        await pilot.press("ctrl+e")
        await settle(pilot)
        assert "evaluated" in label_text(pilot)


async def test_a_damaged_evaluation_is_reported_in_a_line(tmp_path: Path) -> None:
    study = measured(tmp_path)
    for file in (study.path / "models" / "scorer").glob("evaluation.json*"):
        file.write_bytes(b"rubbish")
    async with reading_as(study, "anna", size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+e")
        await settle(pilot)
        assert "evaluation.json" in label_text(pilot)
