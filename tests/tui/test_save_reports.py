"""Reports of saves that the disk refuses: the screen never calls an entry or a signature saved that is not."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from ratui.study import Study
from ratui.study.check import check_study
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from tests.films import make_study
from tests.support.fake_terminal import GRAPHICS, FakeTerminal
from tests.tui.conftest import full_disk, label_text, reading_as, settle
from tests.tui.readings import store_reading
from tests.tui.test_scoring import text_of


def complete_study(folder: Path) -> tuple[Study, str]:
    """Return a study whose only case anna has scored completely, without a joint to review."""
    study = make_study(folder)
    (case,) = study.cases()
    store_reading(study, case)
    return study, case


class TestSignature:
    async def test_a_refused_signature_is_called_refused_until_it_succeeds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        study, case = complete_study(tmp_path)
        async with reading_as(study, "anna", case=case) as pilot:
            await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
            with full_disk(monkeypatch):
                await pilot.press("S")
                await settle(pilot)
                assert isinstance(pilot.app.screen, OverviewScreen), "the rater stays where the signature is"
                assert "NOT SIGNED: No space left on device. S tries again" in label_text(pilot)
                assert "All entries are saved" in label_text(pilot)
                assert "✓" not in label_text(pilot)
            stored = study.reading("anna", case)
            assert stored is not None
            assert stored.signed_at is None
            await pilot.press("S")
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)
        stored = study.reading("anna", case)
        assert stored is not None
        assert stored.signed_at is not None

    async def test_a_signature_that_reached_the_disk_before_the_refusal_is_replaced(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The last step of a save fails once: the signed file is in place, and the screen says not signed."""
        study, case = complete_study(tmp_path)
        replace, fsync, replaced, failed = os.replace, os.fsync, [0], [False]

        def count(*arguments: object, **more: object) -> None:
            replaced[0] += 1
            replace(*arguments, **more)  # type: ignore[arg-type]

        def refuse_once(descriptor: int) -> None:
            if replaced[0] == 2 and not failed[0]:
                failed[0] = True
                raise OSError(5, "Input/output error")
            fsync(descriptor)

        async with reading_as(study, "anna", case=case) as pilot:
            await settle(pilot)
            with monkeypatch.context() as patched:
                patched.setattr(os, "replace", count)
                patched.setattr(os, "fsync", refuse_once)
                await pilot.press("S")
                await settle(pilot)
            assert failed[0], "the fault was not injected"
            assert "NOT SIGNED" in label_text(pilot)
            stored = study.reading("anna", case)
            assert stored is not None
            assert stored.signed_at is None
        assert check_study(study.path).is_intact


async def test_saved_is_never_shown_beside_entries_that_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading_as(make_study(tmp_path), "anna", size=(120, 30)) as pilot:
        await pilot.press("enter", "1")
        await settle(pilot)
        assert "✓" in text_of(pilot, "message")
        with full_disk(monkeypatch):
            await pilot.press("2")
            assert "NOT SAVED: No space left on device. 1 entry kept in memory" in text_of(pilot, "message")
            await pilot.press("2")
            assert "2 entries kept in memory; the next key tries again" in text_of(pilot, "message")
            pilot.app.screen.show_message("another message")  # type: ignore[attr-defined]
            assert text_of(pilot, "message").strip() == "NOT SAVED · another message"
            await pilot.press("escape")
            assert "2 entries are not saved: No space left on device. Press Esc again" in text_of(pilot, "message")
            assert "✓" not in text_of(pilot, "message")
            assert "NOT SAVED" not in text_of(pilot, "message"), "the message says it already"
            pilot.app.screen.show_message("another message")  # type: ignore[attr-defined]
            assert text_of(pilot, "message").strip() == "NOT SAVED · another message"


async def test_saves_that_fail_without_a_new_entry_say_that_the_entries_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna", size=(120, 30)) as pilot:
        await pilot.press("enter", "1")
        saver = pilot.app.key_queue.open_reading.auto_saver  # type: ignore[attr-defined]
        with full_disk(monkeypatch):
            assert not saver.save(saver.reading)
            pilot.app.screen.redraw()  # type: ignore[attr-defined]
            assert "Cannot save now: No space left on device. All entries are saved" in label_text(pilot)


class TestNoRetry:
    async def test_a_file_changed_by_another_program_is_never_tried_again(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        async with reading_as(study, "anna", size=(140, 30)) as pilot:
            await pilot.press("enter", "1")
            file = study.reading_path("anna", case)
            file.write_bytes(file.read_bytes()[:-1] + b" ")
            for _ in range(2):
                await pilot.press("2")
                assert "only here: note" in label_text(pilot)
                assert "tries again" not in label_text(pilot)


class TestQuitting:
    async def test_ctrl_q_warns_once_and_reports_what_is_lost(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        with ExitStack() as disk:
            async with reading_as(study, "anna", size=(120, 30)) as pilot:
                await pilot.press("enter")
                disk.enter_context(full_disk(monkeypatch))  # to the end: the last attempt comes when the app closes
                await pilot.press("2", "ctrl+q")
                assert pilot.app.is_running
                assert isinstance(pilot.app.screen, ScoringScreen)
                warning = text_of(pilot, "message").strip()
                assert warning.startswith("The last entry is not saved: No space left on device. Press Ctrl-Q again")
                await pilot.press("3", "ctrl+q")
                assert "2 entries are not saved" in label_text(pilot), "a new entry needs a new warning"
                await pilot.press("ctrl+q")
            assert pilot.app.unsaved_readings == [f"{case}: 2 entries were not saved: No space left on device"]  # type: ignore[attr-defined]

    async def test_ctrl_q_saves_if_the_disk_takes_it_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter")
            with full_disk(monkeypatch):
                await pilot.press("2")
            await pilot.press("ctrl+q")
        assert not pilot.app.unsaved_readings  # type: ignore[attr-defined]
        reading = study.reading("anna", case)
        assert reading is not None
        assert len(reading.values) == 1

    async def test_a_case_left_without_its_entries_is_named_on_the_worklist(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter")
            with full_disk(monkeypatch):
                await pilot.press("2", "escape", "escape")
                await settle(pilot)
                assert isinstance(pilot.app.screen, WorklistScreen)
                assert f"1 entry of {case} was not saved" in label_text(pilot)


FAULTY = """
import os, sys
from pathlib import Path
real = os.fsync
def fsync(descriptor):
    if Path({flag!r}).exists():
        raise OSError(28, "No space left on device")
    real(descriptor)
os.fsync = fsync
from ratui.cli.main import main
sys.argv = ["ratui", "read", {study!r}, "--rater", "anna", "--case", {case!r}]
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pseudo-terminals of Linux")
@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda terminal: terminal.press("\x11\x11"), 1),
        (lambda terminal: os.kill(terminal.process.pid, signal.SIGTERM), 128 + signal.SIGTERM),
    ],
    ids=["Ctrl-Q twice", "SIGTERM"],
)
def test_the_program_names_lost_entries_when_it_ends(
    tmp_path: Path, end: Callable[[FakeTerminal], object], code: int
) -> None:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    flag = tmp_path / "disk is full"
    program = FAULTY.format(flag=str(flag), study=str(study.path), case=case)
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "LANG": "C.UTF-8"}
    terminal = FakeTerminal([sys.executable, "-c", program], "halfcell", environment=environment)
    try:
        assert terminal.wait_for(GRAPHICS, patience=60) is not None or b"LEFT" in terminal.data
        time.sleep(1.5)
        flag.touch()
        since = terminal.press("2")
        assert terminal.burst(since, quiet=1.0)
        assert b"NOT SAVED" in terminal.data, terminal.describe()
        end(terminal)
        if code == 1:
            time.sleep(0.5)
            terminal.press("\x11")
        assert terminal.process.wait(30) == code
        time.sleep(0.2)
        after = terminal.data[terminal.data.rindex(b"\x1b[?1049l") :].decode()
        assert f"ratui: {case}: 1 entry was not saved: No space left on device" in after
    finally:
        terminal.close()
