"""The list and the pictures of the screen with the plan of an import: projection, messages, folded lines."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from PIL import Image
from rich.cells import cell_len

from ratui.errors import FilmError
from ratui.terminal import Display
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.import_app import ImportApp
from ratui.tui.screens.import_review.cell import FilmCell
from ratui.tui.screens.import_review.films import CompetingFilms
from ratui.tui.screens.import_review.pictures import FilmPictures
from ratui.tui.screens.import_review.text import format_head, format_row
from ratui.tui.theme import NOTE, PLAIN
from ratui.tui.user_settings import UserSettings
from tests.films import film_file
from tests.tui.conftest import cells, label_text, rows, settle
from tests.tui.test_import_review import plan_of, reviewing, select

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]

VIEWS = {
    "a": {"ViewPosition": ""},
    "b": {"ViewPosition": "PA"},
    "c": {"ViewPosition": "LL"},
    "d": {"SeriesDescription": "Hand L Spezial"},
}


@pytest.fixture(autouse=True)
def films(tmp_path: Path) -> Path:
    """Write films of four patients with different projections."""
    for seed, (name, elements) in enumerate(VIEWS.items()):
        film_file(tmp_path / "h" / f"{name}.dcm", patient=f"PAT-{name}", seed=seed, **elements)
    return tmp_path / "h"


async def test_the_projection_is_shown(films: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert {row.path.stem: row.projection for row in plan.rows} == {"a": "", "b": "PA", "c": "lateral", "d": ""}
    async with reviewing(plan, tmp_path, size=(120, 40)) as pilot:
        assert len(rows(pilot)) == 1, "one film is doubtful, because words may state its projection"
        await pilot.press("a")
        for person, short, text in (
            (1, "·", "left · projection not stated"),
            (2, "PA", "left · PA"),
            (3, "lat", "left · lateral"),
            (4, "·", "left · projection not stated"),
        ):
            await select(pilot, f"#{person}")
            line = next(line for line in rows(pilot) if f"#{person}" in line)
            assert f"whole hand    {short:3}  L" in line
            assert text in label_text(pilot)


def test_the_decision_and_its_reason_stand_out_and_not_the_whole_line(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    row = next(row for row in plan.rows if row.path.stem == "d")
    line = format_row(Catalog("en"), plan.scheme, row, 120, is_selected=False, is_entered=False)
    styled = {str(span.style): line.plain[span.start : span.end].strip() for span in line.spans}
    assert styled[PLAIN].startswith("#4")
    assert next(line.plain[span.start : span.end].strip() for span in line.spans if span.style == NOTE) == "?"
    assert len(styled[NOTE]) > 20, "the reason has the style of the mark"


async def test_a_message_is_shown_while_a_film_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    prepare = CompetingFilms._prepare

    def note_texts(shown: CompetingFilms, jobs: list[tuple[FilmCell, Path]], ahead: list[Path]) -> None:
        seen.extend(shown.app.call_from_thread(lambda: [cell.view.render_line(1).text.strip() for cell, _ in jobs]))
        prepare(shown, jobs, ahead)

    monkeypatch.setattr(CompetingFilms, "_prepare", note_texts)
    async with reviewing(plan_of(tmp_path), tmp_path) as pilot:
        assert "Reading the film …" in seen
        (cell,) = [cell for cell in pilot.app.screen.query(FilmCell) if cell.display]
        assert cell.view.key is not None
        assert cell.view.render_line(1).text.strip() == "", "the text is gone when the picture is there"


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("shows_all", [False, True])
def test_the_place_in_a_long_list_is_never_cut_off(tmp_path: Path, language: str, shows_all: bool) -> None:
    plan = plan_of(tmp_path)
    row = plan.rows[0]
    plan = replace(plan, rows=tuple(replace(row, path=Path(str(number))) for number in range(12345)))
    head = format_head(Catalog(language), plan, 80, "12345/12345", shows_all=shows_all)
    assert cell_len(head) <= 80
    assert head.endswith(" 12345/12345")


@pytest.mark.parametrize("count", [5, 6])
async def test_many_files_with_one_reason_are_one_line(films: Path, tmp_path: Path, count: int) -> None:
    for number in range(count):
        (films / f"letter{number}.txt").write_text("Dear colleague")
    async with reviewing(plan_of(tmp_path), tmp_path, size=(120, 40)) as pilot:
        assert "doubtful only 1/1" in label_text(pilot)
        await pilot.press("a", "end")
        letters = [line for line in rows(pilot) if "it is not a DICOM file" in line]
        place = "all files 5/5" if count == 6 else "all files 9/9"
        assert place in label_text(pilot)
        assert len(letters) == (1 if count == 6 else 5)
        if count == 6:
            assert letters[0].startswith("▸- 6 files  it is not a DICOM file")
            assert "6 files\nit is not a DICOM file" in label_text(pilot)
            await pilot.press("x", "u")
            assert place in label_text(pilot)


async def test_a_film_that_is_being_read_says_so(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_read = Event()
    load = FilmPictures.load

    def wait(pictures: FilmPictures, path: Path) -> Image.Image | FilmError:
        is_read.wait(30)
        return load(pictures, path)

    monkeypatch.setattr(FilmPictures, "load", wait)
    plan = plan_of(tmp_path)
    app = ImportApp(plan, {}, Display("halfcell"), UserSettings("en"), draft=tmp_path / "draft.json", folder=tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(100):
            await pilot.pause(0.02)
            if "Reading the film" in cells(pilot):
                break
        assert cells(pilot).count("Reading the film") == 1, "in one line alone"
        is_read.set()
        await settle(pilot)
        await settle(pilot)
        assert "Reading the film" not in cells(pilot)
