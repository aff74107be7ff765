"""The worklist screen: selection, filter, and continuing a case at the field where it was left."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from ratui.reading import Field, GradeEntry
from ratui.study import CaseState, Study
from ratui.study.model_results.reading_order import save_reading_order
from ratui.terminal import Display
from ratui.tui import RatuiApp
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from tests.films import confirm_template, exchange_positions, make_study, without_pairs
from tests.tui.conftest import cells, label_text, offered_keys, reading_as, rows, settle
from tests.tui.readings import store_reading
from tests.tui.worklists import selected, study_of, study_of_many

pytestmark = pytest.mark.slow


async def test_a_line_shows_state_joints_minutes_and_flags(tmp_path: Path) -> None:
    study = study_of(tmp_path, 3)
    one, two, three = study.cases()
    store_reading(study, one, signed=True, seconds=150)
    store_reading(study, two, joints=4, seconds=30, flags=("L.IP1",))
    study.save_regions(three, ())
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        lines = rows(pilot)
        assert lines[0].split() == ["▸" + two, "reading", "▓▓▓▓░░░░░░░░", "4/10", "0.5", "⚑", "1"]
        assert lines[1].split()[:2] == [three, "regions"]
        assert lines[2].split() == [one, "signed", "▓" * 12, "10/10", "2.5"]
        foot = label_text(pilot)
        assert "1 of 3 signed, 2 to go" in foot
        assert "minutes per case" not in foot


async def test_only_ones_own_readings_count(tmp_path: Path) -> None:
    study = study_of(tmp_path, 1)
    store_reading(study, study.cases()[0], rater="bert", signed=True, flags=("L.IP1",))
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        assert "0/10" in rows(pilot)[0]
        assert "⚑" not in rows(pilot)[0]
        assert "0 of 1 signed" in label_text(pilot)


class TestWhatIsSelected:
    async def test_the_case_that_was_begun(self, tmp_path: Path) -> None:
        study = study_of(tmp_path, 3)
        store_reading(study, study.cases()[1], joints=2)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            assert selected(pilot) == study.cases()[1]

    async def test_after_signing_the_next_so_that_enter_goes_on(self, tmp_path: Path) -> None:
        study = study_of(tmp_path, 4)
        cases = study.cases()
        store_reading(study, cases[0], joints=2)  # left unfinished
        store_reading(study, cases[1])
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("down", "enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen), "nothing to look at again: straight to the overview"
            await pilot.press("S")
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)
            assert f"{cases[1]} is signed. Next case {cases[2]}: Enter" in label_text(pilot)
            assert selected(pilot) == cases[2], "the one behind, not the one that was left for later"
            await pilot.press("enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, ScoringScreen)
            assert pilot.app.screen.reading.case == cases[2]

    async def test_a_case_that_was_left_stays_selected(self, tmp_path: Path) -> None:
        study = study_of(tmp_path, 3)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("down", "down", "enter")
            await settle(pilot)
            await pilot.press("1", "escape")
            await settle(pilot)
            assert selected(pilot) == study.cases()[2]

    async def test_one_key_goes_to_the_next_that_is_open(self, tmp_path: Path) -> None:
        study = study_of(tmp_path, 3)
        store_reading(study, study.cases()[1], signed=True)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("ctrl+n")
            assert selected(pilot) == study.cases()[2]
            await pilot.press("ctrl+n")
            assert selected(pilot) == study.cases()[0]


class TestTyping:
    async def test_filters_and_escape_shows_all_again(self, tmp_path: Path) -> None:
        study = study_of_many(tmp_path, 120)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press(*"x-010")
            assert [line[1:].split()[0] for line in rows(pilot)] == [f"X-{n:04d}" for n in range(100, 110)]
            assert "10 of 120 cases" in label_text(pilot)
            await pilot.press("backspace", "1")
            assert [line[1:].split()[0] for line in rows(pilot)] == [f"X-{n:04d}" for n in range(110, 120)]
            await pilot.press("escape")
            assert "filter" not in label_text(pilot).split("\n")[0]

    async def test_a_filter_without_matches_says_so_and_enter_opens_nothing(self, tmp_path: Path) -> None:
        study = study_of(tmp_path, 2)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press(*"z9", "enter")  # no case has a 9 in its name
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)
            assert "No case matches. Esc shows all cases" in label_text(pilot)

    async def test_a_study_without_cases_says_so_and_offers_no_key_for_them(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "empty", "fingers", ["anna"], title="Empty")
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            assert "The study has no films yet." in cells(pilot)
            assert "minutes" not in cells(pilot), "no list has no columns"
            assert offered_keys(pilot) == {"?", "Ctrl-Q"}
            assert "type to filter" not in cells(pilot)

    async def test_full_width_characters_filter_too(self, tmp_path: Path) -> None:
        study = study_of_many(tmp_path, 12)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("\uff10", "\uff11", "\uff10")
            assert [line[1:].split()[0] for line in rows(pilot)] == ["X-0010"]

    async def test_a_long_list_scrolls_with_the_cursor(self, tmp_path: Path) -> None:
        study = study_of_many(tmp_path, 120)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            last = study.cases()[-1]
            await pilot.press("end")
            assert selected(pilot) == last
            await pilot.press("home", "pagedown")
            assert selected(pilot) == study.cases()[len(rows(pilot))]


async def test_enter_typed_before_the_cases_are_known_opens_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path, 3)
    begun = study.cases()[2]
    store_reading(study, begun, joints=1)
    study = study.as_rater("anna")
    known, states = Event(), study.states
    monkeypatch.setattr("ratui.tui.screens.worklist.screen._FIRST", 1)

    def slow(rater: str, progress: Callable[[int, int], None]) -> tuple[CaseState, ...]:
        progress(2, 3)
        assert known.wait(20)
        return states(rater)

    monkeypatch.setattr(study, "states", slow)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, WorklistScreen), "the begun one isn't known yet"
        assert "loading 2 of 3 cases" in label_text(pilot)
        known.set()
        await settle(pilot)
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert screen.reading.case == begun


async def test_changes_by_others_appear_on_return_without_moving_the_selection(tmp_path: Path) -> None:
    study = study_of(tmp_path, 3)
    cases = study.cases()
    for case in cases[1:]:
        study.save_regions(case, ())
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        confirm_template(study, cases[1], "bert")
        await pilot.press("escape")
        await settle(pilot)
        lines = {line.lstrip("▸ ").split()[0]: line for line in rows(pilot)}
        assert "to read" in lines[cases[1]]
        assert "regions" in lines[cases[2]]
        assert selected(pilot) == cases[0]


class TestGoingOn:
    async def test_a_case_resumes_at_the_field_where_the_connection_was_lost(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter")
            await settle(pilot)
            await pilot.press("1", "1", "slash", *"mcp3", "enter", "2")
            # No Escape: the terminal disappears in the middle of a joint.
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            screen = pilot.app.screen
            assert isinstance(screen, ScoringScreen)
            assert screen.field == Field("L.MCP3", "ERO", 1), "not the first open field of the hand"
            assert screen.reading.score(Field("L.MCP3", "ERO", 0)) == 2
            assert screen.reading.case == case

    async def test_after_an_undo_at_the_field_that_was_undone(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter")
            await settle(pilot)
            await pilot.press("1", "1", "3", "u")
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, ScoringScreen)
            assert pilot.app.screen.field == Field("L.PIP2", "ERO", 0)


class TestASignedCase:
    async def test_is_looked_at_and_not_changed(self, tmp_path: Path) -> None:
        study = study_of(tmp_path, 1)
        (case,) = study.cases()
        before = store_reading(study, case, {Field("L.MCP2", "ERO", 0): GradeEntry(2)}, signed=True)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
            await pilot.press("S", "enter")
            await settle(pilot)
            await pilot.press("3", "n", "u", "f", "x", "escape", "escape")
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)
        assert study.reading("anna", case) == before

    async def test_is_opened_again_with_a_reason_that_stays(self, tmp_path: Path) -> None:
        study = study_of(tmp_path, 1)
        (case,) = study.cases()
        store_reading(study, case, signed=True)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            await pilot.press("R", "enter")
            assert isinstance(pilot.app.screen, OverviewScreen), "not without a reason"
            assert "Type a short reason" in label_text(pilot)
            await pilot.press(*"wrong", "space", *"hand", "enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen), "all is filled: it waits for its signature"
            await pilot.press("escape", "escape")
            await settle(pilot)
            assert "review" in rows(pilot)[0]
        reading = study.reading("anna", case)
        assert reading is not None
        assert reading.signed_at is None
        assert [(entry.kind, entry.note) for entry in reading.log[-1:]] == [("reopen", "wrong hand")]

    async def test_escape_takes_the_question_back(self, tmp_path: Path) -> None:
        study = study_of(tmp_path, 1)
        (case,) = study.cases()
        before = store_reading(study, case, signed=True)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            await pilot.press("R", *"no", "escape")
            assert isinstance(pilot.app.screen, OverviewScreen)
            assert "Why" not in label_text(pilot)
        assert study.reading("anna", case) == before

    async def test_is_not_opened_again_where_films_have_too_few_greys(self, tmp_path: Path) -> None:
        study = study_of(tmp_path, 1)
        (case,) = study.cases()
        before = store_reading(study, case, signed=True)
        async with reading_as(study, "anna") as pilot:
            assert isinstance(pilot.app, RatuiApp)
            pilot.app.graphics = Display("halfcell", levels=4, colours="16", colours_why="TERM=linux")
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen), "to look at"
            await pilot.press("R", *"wrong", "enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)
            assert "TERM=linux: no case can be scored here" in label_text(pilot)
        assert study.reading("anna", case) == before


class TestBlinded:
    async def test_no_line_and_no_place_in_the_list_depends_on_the_order(self, tmp_path: Path) -> None:
        """Compare two raters with opposite orders who entered the same answers left and right: their lists must be equal."""
        orders = {"anna": (0, 1), "bert": (1, 0)}
        study = study_of(tmp_path, 6, blinded=True)
        for rater, order in orders.items():
            for case in study.cases():
                exchange_positions(study, case, rater, order)
        seen = []
        for rater, (left, right) in orders.items():
            for case in study.cases():
                special = {Field("L.MCP2", "ERO", left): GradeEntry(3), Field("L.MCP2", "ERO", right): GradeEntry(1)}
                store_reading(study, case, special, rater=rater, joints=7)
            async with reading_as(study, rater, size=(120, 40)) as pilot:
                await settle(pilot)
                seen.append((rows(pilot), label_text(pilot).replace(rater, "RATER")))
        assert seen[0] == seen[1]


async def test_an_unreadable_case_shows_the_reason_and_counts_as_no_work(tmp_path: Path) -> None:
    study = study_of(tmp_path, 2)
    case = study.cases()[0]
    study.save_case(without_pairs(study.case(case)))
    async with reading_as(study, "anna", size=(120, 24)) as pilot:
        await settle(pilot)
        assert "no side with films at both" in rows(pilot)[-1]
        assert "0 of 1 signed" in label_text(pilot)
        assert "1 case left" in label_text(pilot)
        assert selected(pilot) == study.cases()[1]


async def test_the_list_speaks_japanese_from_one_moment_to_the_next(tmp_path: Path) -> None:
    study = study_of(tmp_path, 3)
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        await pilot.press("down")
        await pilot.app.change_language("ja")  # type: ignore[attr-defined]
        await settle(pilot)
        assert "未読影" in rows(pilot)[0]
        assert selected(pilot) == study.cases()[1], "the cursor stays"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("language", ["en", "ja"])
async def test_nothing_is_cut_off(tmp_path: Path, size: tuple[int, int], language: str) -> None:
    from rich.cells import cell_len

    study = study_of(tmp_path, 2)
    store_reading(study, study.cases()[0], signed=True)
    async with reading_as(study, "anna", size=size, language=language) as pilot:
        await settle(pilot)
        for line in (*rows(pilot), *label_text(pilot).split("\n")):
            assert cell_len(line.rstrip()) <= size[0], line


async def test_cases_follow_the_order_that_a_model_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratui.tui.screens.worklist.screen._FIRST", 1)
    study = study_of(tmp_path, 3)
    one, two, three = study.cases()
    save_reading_order(study, [three, one], "scorer")
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        assert [line.lstrip("▸ ").split()[0] for line in rows(pilot)] == [three, one, two]
        assert selected(pilot) == three
        assert "most informative for the model first" in label_text(pilot)


async def test_a_screen_handles_its_return_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(tmp_path, 2)
    store_reading(study, study.cases()[0], joints=4)
    resumed: Counter[str] = Counter()
    handler = KeyScreen.on_screen_resume

    def count(screen: KeyScreen[Any]) -> None:
        resumed[screen.NAME] += 1
        handler(screen)

    monkeypatch.setattr(KeyScreen, "on_screen_resume", count)
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        for keys in (["tab"], ["enter"], ["escape"], ["escape"]):  # the sheet, a case, and back twice
            await pilot.press(*keys)
            await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)
    assert resumed == {"worklist": 2, "contact": 2, "scoring": 1}
