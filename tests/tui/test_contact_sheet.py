"""The contact sheet: one joint of all cases of the rater, their order and pictures, and the effect of Enter."""

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from textual.pilot import Pilot

from ratui.reading import Entry, Field, FindingEntry, GradeEntry, NotAssessableEntry, start_reading
from ratui.scheme import load_scheme
from ratui.terminal import Display
from ratui.tui.screens.contact_sheet.model import (
    CaseCard,
    count_cells,
    find_width,
    make_card,
    select_cards,
)
from ratui.tui.screens.contact_sheet.screen import ContactSheetScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.widgets.joint_cell import JointCell, divide_length, paste_side_by_side
from tests.films import exchange_positions, make_study
from tests.tui.conftest import cells, label_text, reading_as, settle
from tests.tui.readings import fill_reading, store_reading

pytestmark = pytest.mark.slow

FINGERS = load_scheme("fingers")
SITE = "L.MCP2"


def ero(first: int, second: int) -> dict[Field, Entry]:
    return {Field(SITE, "ERO", 0): GradeEntry(first), Field(SITE, "ERO", 1): GradeEntry(second)}


async def sheet_of(pilot: Pilot[None]) -> ContactSheetScreen:
    """Open the contact sheet at MCP2 of the left hand."""
    await settle(pilot)
    await pilot.press("tab")
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, ContactSheetScreen)
    keys = [site.key for site in screen.ratui.study.scheme.sites]
    await pilot.press(*["tab"] * keys.index(SITE))
    await settle(pilot)
    return screen


def captions(pilot: Pilot[None]) -> list[str]:
    lines = [cell.caption[0].strip() for cell in pilot.app.screen.query(JointCell)]
    return [line for line in lines if line]


async def test_the_message_of_the_loading_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(tmp_path, patients=1, sides="L")
    store_reading(study, study.cases()[0], ero(0, 2), signed=True)
    may_load, load = threading.Event(), ContactSheetScreen._load_cards

    def load_later(screen: ContactSheetScreen) -> None:
        may_load.wait(20)
        load(screen)

    monkeypatch.setattr(ContactSheetScreen, "_load_cards", load_later)
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("tab")
        while "reading your cases" not in label_text(pilot):
            await pilot.pause(0.01)
        may_load.set()
        await settle(pilot)
        assert captions(pilot)
        assert "reading your cases" not in label_text(pilot)


async def test_it_shows_the_joint_of_every_case_that_the_rater_has_read_and_no_other(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=4, sides="L")
    one, two, three, four = study.cases()
    store_reading(study, one, ero(0, 2), signed=True)
    store_reading(study, two, ero(1, 1), joints=10)
    store_reading(study, three, joints=3)  # MCP2 is still open
    store_reading(study, four, ero(5, 5), rater="bert", signed=True)  # read by another rater
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await sheet_of(pilot)
        assert captions(pilot) == [f"▸{one}  ERO 0→2  JSN 0→0", f"{two}  ERO 1→1  JSN 0→0"]
        filled_cells = [cell for cell in pilot.app.screen.query(JointCell) if cell.view.key is not None]
        assert len(filled_cells) == 2, "both have their picture"
        all_cells = list(pilot.app.screen.query(JointCell))
        assert filled_cells == [cell for cell in all_cells if cell.visible] != all_cells, "empty places are not black"
        assert "▀" in cells(pilot)
        assert four not in cells(pilot)


async def test_a_key_goes_through_the_orders_and_the_selected_case_stays_selected(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=4, sides="L")
    one, two, three, four = study.cases()
    store_reading(study, one, ero(0, 0))
    store_reading(study, two, ero(4, 4))
    store_reading(study, three, ero(0, 3))
    store_reading(study, four, {Field(SITE, "ERO", 0): GradeEntry(5)}, joints=0)
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await sheet_of(pilot)
        await pilot.press("right", "right")
        for text, order in (
            ("highest score first (last visit)", [two, three, one, four]),
            ("largest change first", [three, one, two, four]),
            ("by case", [one, two, three, four]),
        ):
            await pilot.press("o")
            assert [line.strip("▸").split()[0] for line in captions(pilot)] == order
            assert text in label_text(pilot)
            assert next(line for line in captions(pilot) if line.startswith("▸")).startswith(f"▸{three}")
            open_ones = [line for line in captions(pilot) if "◇ open" in line]
            assert [line.split()[0] for line in open_ones] == [four]
            if text == "largest change first":
                assert "(+3)" in captions(pilot)[0]


class TestEnter:
    async def test_looks_at_a_signed_case_and_changes_nothing(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, patients=2, sides="L")
        one, two = study.cases()
        store_reading(study, one)
        before = store_reading(study, two, ero(0, 1), signed=True)
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await sheet_of(pilot)
            await pilot.press("right", "enter")
            await settle(pilot)
            screen = pilot.app.screen
            assert isinstance(screen, ReviewScreen)
            assert screen.reading.case == two
            assert screen.item.site == SITE
            await pilot.press("3", "escape")
            await settle(pilot)
            assert isinstance(pilot.app.screen, ContactSheetScreen)
        assert study.reading("anna", two) == before

    async def test_reads_an_unsigned_one_and_the_sheet_knows_it_afterwards(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, patients=1, sides="L")
        (case,) = study.cases()
        store_reading(study, case, ero(0, 1))
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await sheet_of(pilot)
            await pilot.press("enter")
            await settle(pilot)
            screen = pilot.app.screen
            assert isinstance(screen, ScoringScreen)
            assert screen.field == Field(SITE, "ERO", 0)
            await pilot.press("1", "escape")
            await settle(pilot)
            if not isinstance(pilot.app.screen, ContactSheetScreen):
                await pilot.press("escape")
                await settle(pilot)
            assert isinstance(pilot.app.screen, ContactSheetScreen)
            assert captions(pilot) == [f"▸{case}  ERO 1→1  JSN 0→0"]
            await pilot.press("escape")
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)


async def test_without_a_reading_a_message_says_why_there_is_no_sheet(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        await pilot.press("tab")
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)
        assert "You have not read a case yet" in label_text(pilot)


async def test_paging_and_the_other_side(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=6)
    for case in study.cases():
        store_reading(study, case)
    async with reading_as(study, "anna") as pilot:
        await sheet_of(pilot)
        page = len(captions(pilot))
        assert 1 < page < 6, "not all fit at 80 × 24"
        await pilot.press("pagedown")
        assert captions(pilot)[0].startswith(f"▸{study.cases()[page]}")
        await pilot.press("s")
        assert "RIGHT hand · MCP2" in label_text(pilot)
        assert captions(pilot)[0].startswith(f"▸{study.cases()[page]}"), "the same case stays under the cursor"


async def test_a_film_that_vanished_is_named_beneath_its_place(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2, sides="L")
    for case in study.cases():
        store_reading(study, case)
    for film in (study.path / "films" / study.cases()[0]).glob("*.dcm"):
        film.unlink()
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await sheet_of(pilot)
        assert "no such file" in captions(pilot)[0]
        assert "0→0" in captions(pilot)[1]


class TestBlinded:
    async def test_the_sheet_and_its_order_are_the_same_in_either_order(self, tmp_path: Path) -> None:
        orders = {"anna": (0, 1), "bert": (1, 0)}
        study = make_study(tmp_path, patients=4, sides="L", blinded=True)
        for rater, order in orders.items():
            for case in study.cases():
                exchange_positions(study, case, rater, order)
        seen = []
        for rater, (left, right) in orders.items():
            for number, case in enumerate(study.cases()):
                special: dict[Field, Entry] = {
                    Field(SITE, "ERO", left): GradeEntry(number),
                    Field(SITE, "ERO", right): GradeEntry(5 - 2 * number if number < 3 else 0),
                }
                store_reading(study, case, special, rater=rater)
            async with reading_as(study, rater, size=(120, 40)) as pilot:
                await sheet_of(pilot)
                by_case = captions(pilot)
                await pilot.press("o")
                assert "highest score first (any film)" in label_text(pilot)
                by_score = captions(pilot)
                await pilot.press("o")
                assert "largest difference first (right − left)" in label_text(pilot)
                seen.append((by_case, by_score, captions(pilot)))
        assert seen[0] == seen[1]
        assert "→" not in "".join(seen[0][0])


class TestTheCards:
    def test_only_sites_with_an_answer_are_there(self) -> None:
        reading = fill_reading(start_reading(FINGERS, "C", "anna", FINGERS.sites), joints=3)
        assert set(make_card(reading).marks) == {site.key for site in FINGERS.sites[:3]}

    def test_equal_scores_keep_the_order_of_cases(self) -> None:
        cards = [
            make_card(fill_reading(start_reading(FINGERS, case, "anna", FINGERS.sites))) for case in ("C", "A", "B")
        ]
        assert [each.case for each in select_cards(cards, SITE, "score")] == ["A", "B", "C"]

    def test_a_fall_counts_by_its_size_and_a_finding_by_its_fixed_score(self) -> None:
        def card(case: str, first: Entry, second: Entry) -> CaseCard:
            reading = start_reading(FINGERS, case, "anna", FINGERS.sites)
            special = {Field(SITE, "ERO", 0): first, Field(SITE, "ERO", 1): second}
            return make_card(fill_reading(reading, special))

        cards = [
            card("A", GradeEntry(0), GradeEntry(1)),
            card("B", GradeEntry(4), GradeEntry(1)),
            card("C", GradeEntry(0), NotAssessableEntry("unreadable")),
            card("D", GradeEntry(5), FindingEntry("ankylosis")),
        ]
        assert [each.case for each in select_cards(cards, SITE, "change")] == ["D", "B", "A", "C"]
        assert cards[1].marks[SITE].change == -3
        assert cards[2].marks[SITE].change is None
        assert select_cards(cards, SITE, "score")[0].case == "D"

    def test_two_pictures_stand_side_by_side_and_a_missing_one_is_black(self) -> None:
        white = Image.new("L", (10, 8), 255)
        both = np.asarray(paste_side_by_side((white, None), (22, 8), 2))
        assert (both[:, :10] == 255).all()
        assert (both[:, 10:] == 0).all()

    def test_the_pictures_of_four_visits_do_not_cover_each_other(self) -> None:
        white = Image.new("L", (divide_length(100, 4, 3), 8), 255)
        row = np.asarray(paste_side_by_side([white] * 4, (100, 8), 3))[0]
        assert "".join("#" if grey else "." for grey in row) == 4 * ("#" * 22 + "...")

    def test_a_row_of_more_visits_is_as_high_as_one_of_two_and_wider(self) -> None:
        two, four = count_cells(26, (80, 40), Display("halfcell")), count_cells(52, (80, 40), Display("halfcell"), 4)
        assert four[2] == two[2]
        assert (two[0], four[0]) == (2, 1)

    @pytest.mark.parametrize("room", [(80, 21), (120, 37), (200, 57), (20, 5)])
    def test_as_many_cells_as_fit(self, room: tuple[int, int]) -> None:
        across, down, high = count_cells(min(38, room[0] - 2), room, Display("halfcell"))
        assert across >= 1
        assert down >= 1
        assert down * (high + 1) <= room[1]
        assert across * (min(38, room[0] - 2) + 2) <= room[0]

    @pytest.mark.parametrize("room", [(80, 21), (120, 37), (200, 57)])
    @pytest.mark.parametrize("count", [1, 3, 6, 12])
    def test_few_cases_fill_the_screen_and_are_all_on_it(self, room: tuple[int, int], count: int) -> None:
        display = Display("halfcell")
        width = find_width(38, count, room, display)
        across, down, high = count_cells(width, room, display)
        fits = across * down >= count
        assert fits or width == 38
        wider_across, wider_down, _ = count_cells(width + 1, room, display)
        is_as_high_as_the_screen = high == room[1] - 1
        assert wider_across * wider_down < count or is_as_high_as_the_screen or width >= room[0] - 2 or width == 38
        if count == 3 and room[0] == 200:
            assert width > 60
        assert find_width(38, 1000, room, display) == 38
