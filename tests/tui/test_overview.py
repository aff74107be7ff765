"""The overview: moving on the map, opening a joint, missing fields, taking over a session, and layout."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.widgets import Static

from ratui.reading import Field, FindingEntry, GradeEntry
from ratui.study import LockedByOther, LockHolder
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.study_closing import lock_study
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from tests.films import make_study
from tests.tui.conftest import cells, label_text, reading_as, settle
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow


async def test_arrows_choose_a_joint_and_enter_goes_there(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("o")
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)
        await pilot.press("down", "right")
        assert "RIGHT hand · MCP1" in label_text(pilot)
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert screen.field == Field("R.MCP1", "ERO", 0)


async def test_what_is_missing_is_named_and_tab_goes_there(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, joints=18)
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("o")
        await settle(pilot)
        assert "8 fields are open: RIGHT MCP4, RIGHT MCP5" in label_text(pilot)
        await pilot.press("S")
        assert "8 fields are still open" in label_text(pilot)
        await pilot.press("tab")
        assert "RIGHT hand · MCP5" in label_text(pilot)
        await pilot.press("tab")
        assert "RIGHT hand · MCP4" in label_text(pilot)


async def test_the_joint_under_the_cursor_is_described_in_words(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(
        study,
        case,
        {Field("L.MCP2", "ERO", time): FindingEntry("ankylosis") for time in (0, 1)},
        signed=True,
        notes={"L.MCP2": "old fracture"},
        flags=("L.MCP2",),
    )
    async with reading_as(study, "anna", size=(160, 40)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("down", "left")
        text = label_text(pilot)
        for word in ("LEFT hand · MCP2", "ERO 5 ankylosis", "note: old fracture", "flagged"):
            assert word in text


async def test_only_a_session_of_this_account_or_one_that_may_be_dead_can_be_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, {Field("L.MCP2", "ERO", 1): GradeEntry(1)}, joints=8)
    study = study.as_rater("anna")
    real = study.open_reading
    holder: list[LockHolder] = []

    def opened(rater: str, case: str, *, take_over: LockHolder | None = None) -> object:
        if take_over:
            assert take_over is holder[0]
            return real(rater, case)
        raise LockedByOther(holder[0], case)

    monkeypatch.setattr(study, "open_reading", opened)
    own = LockHolder.current()
    living = replace(own, user="another account")
    gone = replace(living, host="another machine")  # whether that process still runs cannot be known
    for each in (own, living, gone):
        holder[:] = [each]
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
            assert "Open in " in label_text(pilot)
            await pilot.press("T")
            await settle(pilot)
            assert isinstance(pilot.app.screen, ScoringScreen) is (each is not living)
            if each is living:
                await pilot.press("escape")
                await settle(pilot)
                assert isinstance(pilot.app.screen, WorklistScreen)


@pytest.mark.parametrize("is_locked", [True, False])
async def test_a_case_opens_to_look_at_in_a_locked_study_and_outside_its_days(tmp_path: Path, is_locked: bool) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, {Field("L.MCP2", "ERO", 1): GradeEntry(1)}, joints=8)
    if is_locked:
        lock_study(study, "data cleaned")
    else:
        set_charter(study, {"windows": [{"closes": "2020-01-31"}]}, "protocol")
    why = "the study was locked on" if is_locked else "it could be read until 2020-01-31"
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)
        assert why in label_text(pilot)
        assert "read-only" in label_text(pilot)
        assert "elsewhere" not in label_text(pilot)
        await pilot.press("T", "escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)
        assert why in label_text(pilot)


@pytest.mark.parametrize("scheme", ["fingers", "mtss-hands"])
@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_whole_map_is_on_the_screen(
    tmp_path: Path, size: tuple[int, int], language: str, scheme: str
) -> None:
    study = make_study(tmp_path, scheme=scheme)
    (case,) = study.cases()
    store_reading(study, case)
    async with reading_as(study, "anna", size=size, language=language) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)
        text = cells(pilot)
        for joint in study.scheme.joints:
            name = Catalog(language).translate_scheme(joint.id)
            assert text.count(name) >= 2 or cell_len(name) > 4, name
        for word in ("0→0", "CMC1" if scheme == "mtss-hands" else "MCP1", " S "):
            assert word in text
        assert all(cell_len(line) <= size[0] for line in text.split("\n"))
        missing = pilot.app.screen.query_one("#missing", Static)
        assert missing.size.height == -(-cell_len(str(missing.render())) // (size[0] - 2)), "nothing of it is cut off"


async def test_feet_below_the_hands_are_scrolled_to(tmp_path: Path) -> None:
    study = make_study(tmp_path, scheme="mtss")
    (case,) = study.cases()
    hands = study.case(case)
    feet = [
        replace(film, id=f"foot{number}", view="foot", side=film.side, digest="", file="")
        for number, film in enumerate(hands.films)
    ]
    study.save_case(replace(hands, films=(*hands.films, *feet)))
    from tests.films import confirm_template

    confirm_template(study, case, "anna")
    store_reading(study, case, signed=True)
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert "more below" in cells(pilot)
        assert sum(not line.strip() for line in cells(pilot).splitlines()) <= 1, "the map uses all lines"
        assert "MTP1" not in cells(pilot)
        await pilot.press(*["down"] * 6)
        assert "▸MTP" in cells(pilot)
        assert "more above" in cells(pilot)
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert "MTP1" in cells(pilot)
        assert "more" not in cells(pilot)
