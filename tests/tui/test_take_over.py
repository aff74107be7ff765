"""Taking over in the app: one key takes one's own reading over, and the other session becomes read-only at once."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen

from ratui.errors import StoreError
from ratui.reading import set_note
from ratui.study import LockedByOther, LockHolder, ReadingSession, Study
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.rater_changes import remove_rater
from ratui.study.campaign.study_closing import lock_study
from ratui.study.store.tables import TableWriter
from ratui.tui.screens.help.screen import HelpScreen
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.regions.screen import RegionsScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from tests.films import make_study
from tests.tui.conftest import label_text, offered_keys, reading_as, settle
from tests.tui.readings import store_reading

SITE = "L.MCP2"


@contextmanager
def taken_over(study: Study, case: str) -> Iterator[ReadingSession]:
    """Take the reading of `case` by anna over from whoever has it."""
    other = Study.open(study.path)
    with pytest.raises(LockedByOther) as held, other.open_reading("anna", case):
        pass
    with other.open_reading("anna", case, take_over=held.value.holder) as session:
        yield session


async def wait_for_screen(pilot: Pilot[None], screen: type[Screen[object]], seconds: float = 60.0) -> None:
    """Wait without a key until `screen` is on top."""
    until = time.monotonic() + seconds
    while not isinstance(pilot.app.screen, screen) and time.monotonic() < until:
        await asyncio.sleep(0.02)
    assert isinstance(pilot.app.screen, screen)
    await settle(pilot)


@pytest.mark.parametrize(
    ("keys", "screen"),
    [
        ((), ScoringScreen),
        (("m", "a"), ScoringScreen),
        (("r",), RegionsScreen),
        (("o",), OverviewScreen),
        (("?",), HelpScreen),
        (("ctrl+p",), CommandPalette),
        (("r", "?"), HelpScreen),
    ],
)
async def test_the_other_session_becomes_read_only_on_every_screen(
    tmp_path: Path, keys: tuple[str, ...], screen: type[Screen[object]]
) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, joints=4)
    async with reading_as(study, "anna", case=case) as pilot:
        await settle(pilot)
        if keys:
            await pilot.press(*keys)
            await settle(pilot)
        assert isinstance(pilot.app.screen, screen)
        with taken_over(study, case) as session:
            before = study.reading("anna", case)
            deadline = time.monotonic() + 60
            while "Taken over at" not in label_text(pilot) and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
            assert re.search(r"Taken over at \d\d:\d\d from .+: this session is read-only", label_text(pilot))
            assert "All entries that were made here are saved" in label_text(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
            assert not {"S", "T", "r"} & offered_keys(pilot)
            await pilot.press("1", "n", "S", "T", "r")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
            await pilot.press("enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, ReviewScreen)
            await pilot.press("1", "n", "escape", "escape")
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)
            assert "Taken over at" in label_text(pilot)
            assert study.reading("anna", case) == before
            session.save(set_note(session.reading, SITE, "saved by the new session"))


async def test_the_review_is_closed_too(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, flags=(SITE,))
    async with reading_as(study, "anna", case=case) as pilot:
        await settle(pilot)
        assert isinstance(pilot.app.screen, ReviewScreen)
        with taken_over(study, case):
            await wait_for_screen(pilot, OverviewScreen)
            assert "this session is read-only" in label_text(pilot)


async def test_a_key_after_the_take_over_enters_nothing(tmp_path: Path) -> None:
    """Press the key before the timer can have noticed anything."""
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, joints=2)
    async with reading_as(study, "anna", case=case) as pilot:
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        before = screen.reading
        with taken_over(study, case):
            await pilot.press("1")
            assert screen.reading == before
            await wait_for_screen(pilot, OverviewScreen)
            assert "All entries that were made here are saved" in label_text(pilot)


async def test_regions_are_not_saved_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the checks off that run before: the save itself refuses."""
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, joints=2)
    async with reading_as(study, "anna", case=case) as pilot:
        await settle(pilot)
        await pilot.press("r")
        await settle(pilot)
        with taken_over(study, case):
            monkeypatch.setattr(ReadingSession, "check_lock", lambda self: None)
            before = study.regions(case)
            await pilot.press("right", "enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, RegionsScreen)
            assert "it was taken over" in label_text(pilot)
            assert study.regions(case) == before


@pytest.mark.parametrize("language", ["en", "ja"])
async def test_entries_that_were_not_saved_are_reported(
    tmp_path: Path, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, joints=2)

    def fail(*_: object) -> None:
        raise StoreError("not saved: No space left on device", "", "")

    async with reading_as(study, "anna", case=case, language=language) as pilot:
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        with monkeypatch.context() as patch:
            patch.setattr(TableWriter, "write", fail)
            await pilot.press("1")
            await settle(pilot)
        unsaved = screen.reading
        with taken_over(study, case) as session:
            assert len(unsaved.log) == len(session.reading.log) + 1
            await wait_for_screen(pilot, OverviewScreen)
            text = label_text(pilot)
            assert ("1 entry was not saved: " if language == "en" else "1 件の入力は保存されていません：") in text
            assert re.search(r"ERO \w+(: |：)· → 1$", text, re.MULTILINE)


async def test_typed_keys_do_not_reach_the_screens_behind(tmp_path: Path) -> None:
    """Let a rater type on for a moment: Enter must not open a case again."""
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, joints=2)
    async with reading_as(study, "anna", case=case) as pilot:
        await settle(pilot)
        pilot.app.key_queue.reaction_seconds = 60.0  # type: ignore[attr-defined]  # a busy machine is slow
        with taken_over(study, case):
            await pilot.press("1", "enter", "escape", "enter", "T")
            await wait_for_screen(pilot, OverviewScreen)
            assert "this session is read-only" in label_text(pilot)


_SESSION = """
import sys
from pathlib import Path
from ratui.errors import StoreError
from ratui.reading import set_note
from ratui.study import Study
with Study.open(Path(sys.argv[1])).open_reading("anna", sys.argv[2]) as session:
    print("open", flush=True)
    for line in sys.stdin:
        try:
            session.save(set_note(session.reading, "L.MCP2", line.strip()))
            print("saved", flush=True)
        except StoreError as error:
            print(error, flush=True)
"""


@pytest.mark.parametrize("site", ["", SITE])
@pytest.mark.parametrize("is_begun", [False, True])
async def test_one_key_takes_over_from_a_living_process(tmp_path: Path, is_begun: bool, site: str) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    if is_begun:
        store_reading(study, case, joints=3)
    command = [sys.executable, "-c", _SESSION, str(study.path), case]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin
        assert other.stdout
        assert other.stdout.readline() == "open\n"
        try:
            async with reading_as(study, "anna") as pilot:
                await settle(pilot)
                screen = pilot.app.screen
                assert isinstance(screen, WorklistScreen)
                screen.open_case(case, site)
                await settle(pilot)
                assert isinstance(pilot.app.screen, OverviewScreen)
                text = label_text(pilot)
                me = LockHolder.current()
                for word in ("T takes it over", f"{me.user} on {me.host}", "since "):
                    assert word in text
                assert "T" in offered_keys(pilot)
                await pilot.press("T")
                await settle(pilot)
                scoring = pilot.app.screen
                assert isinstance(scoring, ScoringScreen)
                if site:
                    assert scoring.scoring_session.site == site
                print("late", file=other.stdin, flush=True)
                assert "it was taken over by" in other.stdout.readline()
                await pilot.press("1")
                await settle(pilot)
        finally:
            with suppress(BrokenPipeError):
                other.stdin.close()
    reading = study.reading("anna", case)
    assert reading
    assert not reading.notes
    assert [change.new for change in reading.log[-1].changes]


async def test_a_case_is_closed_when_its_rater_has_left_and_the_entry_that_came_too_late_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, joints=2)
    async with reading_as(study, "anna", case=case, size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("1")
        await settle(pilot)
        before = study.reading("anna", case)
        assert before is not None
        with monkeypatch.context() as patched:  # the rater leaves between the check of a key and the save
            patched.setattr(ReadingSession, "check_lock", lambda self: None)
            remove_rater(Study.open(study.path), "anna", "moved away")
            await pilot.press("2")
            await settle(pilot)
            assert "NOT SAVED: anna has left the study" in label_text(pilot)
        await wait_for_screen(pilot, WorklistScreen)
        assert "The case was closed: anna has left the study" in label_text(pilot)
        assert re.search(r"1 entry was not saved: LEFT \S+ .*· → 2", label_text(pilot))
        assert case not in label_text(pilot).replace(f"{case}: ", "")
    assert Study.open(study.path).reading("anna", case) == before


@pytest.mark.parametrize("rule", ["lock", "days"])
async def test_a_closed_case_can_be_looked_at(tmp_path: Path, rule: str) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, joints=2)
    async with reading_as(study, "anna", case=case, language="ja" if rule == "days" else "en") as pilot:
        await settle(pilot)
        if rule == "lock":
            lock_study(Study.open(study.path), "data cleaned")
            await wait_for_screen(pilot, OverviewScreen)
            assert "The case was closed: the study was locked on" in label_text(pilot)
        else:
            set_charter(Study.open(study.path), {"windows": [{"closes": "2020-01-01"}]}, "as agreed")
            await wait_for_screen(pilot, WorklistScreen)
            assert "症例を閉じました：読影期間は 2020-01-01" in label_text(pilot)
            await pilot.press("enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
            assert "読影期間は 2020-01-01" in label_text(pilot)
        assert not {"S", "T", "r"} & offered_keys(pilot)
