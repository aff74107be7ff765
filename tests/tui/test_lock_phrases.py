"""The texts about locks, and all messages of the worklist: at 80 columns they are readable to their last word."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.widgets import Static

from ratui.errors import StoreError
from ratui.study import LockedByOther, LockHolder, TakenOver
from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.i18n.lock_phrases import format_busy, format_closed_case, format_closed_session, format_lock, shorten
from ratui.tui.i18n.reading_phrases import format_error
from tests.films import make_study
from tests.tui.conftest import cells, reading_as, settle

CASE = "C-" + "W" * 38
"""The longest possible name of a case."""
ME = LockHolder.current()
HOLDERS = {
    "own": replace(ME, terminal="pts/3"),
    "own, long": replace(ME, user=ME.user, terminal="pts/1234", process=4194303, host=ME.host),
    "account": replace(ME, user="somebody.else"),
    "remote": replace(ME, host="reading-room-12.radiology.university-hospital.example.org", terminal="pts/17"),
    "remote, of long names": replace(ME, user="u" * 32, host="h" * 64, terminal="t" * 32),
    "remote, wide": replace(ME, user="検査技師" * 8, host="放射線科" * 20),
    "dead": replace(ME, process=2**22 - 1, since="2026-01-02 10:00 UTC"),
    "odd": replace(ME, host="x\x1b[31m\ny", since="long ago\x1b[2J, in a text that no version of ratui has written"),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", HOLDERS)
def test_two_lines_fit_and_name_the_holder(language: str, name: str) -> None:
    t, holder = Catalog(language), HOLDERS[name]
    if holder.since == ME.since:  # from the import of this module, perhaps before midnight: a text of today has no date
        holder = replace(holder, since=LockHolder.current().since)
    held = LockedByOther(holder, "C-4X8K2M")
    for text in (
        format_lock(t, held, 78, "T"),
        format_closed_case(t, held, 78, "Enter", "T"),
        format_closed_session(t, TakenOver(holder, "C-4X8K2M"), 0, (), 78),
    ):
        lines = text.split("\n")
        assert len(lines) == 2
        assert all(cell_len(line) <= 78 for line in lines), text
        assert all(character.isprintable() for line in lines for character in line)
        assert holder.user[:10] in text
    assert cell_len(format_busy(t, held, 78)) <= 78


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", HOLDERS)
def test_the_remedy_is_complete(language: str, name: str) -> None:
    t, holder = Catalog(language), HOLDERS[name]
    held = LockedByOther(holder, CASE)
    _, remedy = format_lock(t, held, 78, "T").split("\n")
    first, _ = format_closed_case(t, replace_case(held), 78, "Enter", "T").split("\n")
    if holder.can_be_replaced:
        assert remedy == t("locks.take_over", key="T")
        assert first == t("locks.open_and_take_over", case="C-4X8K2M", open="Enter", key="T")
    else:
        assert f"kill {holder.process}" in remedy
        assert f"kill {holder.process}" in first


def replace_case(held: LockedByOther) -> LockedByOther:
    """Return the error for a case with a name as ratui makes them."""
    return LockedByOther(held.holder, "C-4X8K2M")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_lock_without_a_record_is_described(language: str) -> None:
    t, held = Catalog(language), LockedByOther(None, "C-4X8K2M")
    assert format_lock(t, held, 78, "T") == f"{t('locks.open_unknown')}\n{t('locks.close_unknown')}"
    assert "C-4X8K2M" in format_closed_case(t, held, 78, "Enter", "T")
    assert format_closed_session(t, TakenOver(None, "C-4X8K2M"), 0, (), 78).startswith(t("locks.taken_over_unknown"))


def test_what_is_left_out_first_is_the_process_and_then_the_terminal() -> None:
    t = Catalog("en")
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    holder = replace(ME, user="anna", host="desk", terminal="pts/3", process=4711, since=now)
    clock = f"{datetime.now().astimezone():%H:%M}"

    def first(width: int) -> str:
        return format_busy(t, LockedByOther(holder, ""), width)

    whole = f"Being saved in another session: anna on desk, terminal pts/3, since {clock}, process 4711"
    assert first(100) == whole
    assert first(len(whole)) == whole
    assert first(len(whole) - 1) == whole.removesuffix(", process 4711")
    assert first(len(whole) - 15) == whole.removesuffix(", process 4711").replace(", terminal pts/3", "")
    holder = replace(holder, host="desk-in-the-reading-room")
    assert first(67) == f"Being saved in another session: anna on desk-in-the-r…, since {clock}"


def test_a_time_of_another_day_has_its_date() -> None:
    then = datetime.now(UTC) - timedelta(days=3)
    holder = replace(ME, since=then.strftime("%Y-%m-%d %H:%M UTC"))
    assert f"{then.astimezone():%Y-%m-%d %H:%M}" in format_busy(Catalog("en"), LockedByOther(holder, ""), 100)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_unsaved_entries_are_listed_as_far_as_they_fit(language: str, count: int) -> None:
    t = Catalog(language)
    entries = [f"L MCP{number} ERO · → {number}" for number in range(1, count + 1)]
    _, line = format_closed_session(t, TakenOver(ME, "C-1"), count, entries, 78).split("\n")
    assert cell_len(line) <= 78
    assert str(count) in line
    assert entries[0] in line
    assert line.endswith("…") is (count > 2)


def test_a_text_is_cut_to_cells() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "ab…"
    assert cell_len(shorten("検査技師", 5)) <= 5


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_message_of_the_worklist_is_visible_at_80_columns(tmp_path: Path, language: str) -> None:
    study, t = make_study(tmp_path), Catalog(language)
    messages = [
        t("worklist.none_match", key="Esc"),
        t("worklist.nothing_read"),
        t("worklist.not_evaluated"),
        t("worklist.unreadable", case=CASE, why=t.translate_error("there are films of only one visit")),
        t("scoring.signed", case=CASE),
        t("text.input_ignored"),
        t("commands.language_saved"),
        format_error(
            t,
            StoreError(
                "the other session is in the middle of a save",
                CASE,
                "Try again; if it is stopped, end that process (kill -9 4194303)",
            ),
        ),
        format_error(
            t,
            StoreError(
                f"can't be locked: {os.strerror(28)}",
                "/data/" + "long-folder-name/" * 5 + f"readings/anna/{CASE}.lock",
                "Free some disk space",
            ),
        ),
    ]
    for holder in HOLDERS.values():
        messages.append(format_closed_case(t, LockedByOther(holder, CASE), 78, "Enter", "T"))
        messages.append(format_closed_session(t, TakenOver(holder, CASE), 3, ["L MCP2 ERO · → 1"] * 3, 78))
    async with reading_as(study, "anna", language=language) as pilot:
        await settle(pilot)
        for message in messages:
            pilot.app.screen.show_message(message)  # type: ignore[attr-defined]
            await pilot.pause()
            widget = pilot.app.screen.query_one("#message", Static)
            shown = cells(pilot).split("\n")[widget.region.y : widget.region.bottom]
            assert "".join("".join(shown).split()) == "".join(message.split())
            assert all(cell_len(line) <= 80 for line in shown)
            for other in ("#progress", "#keys"):
                assert cell_len("".join(str(pilot.app.screen.query_one(other, Static).render()).split("\n")[0])) <= 80


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", HOLDERS)
async def test_the_overview_shows_both_lines_at_80_columns(tmp_path: Path, language: str, name: str) -> None:
    from ratui.tui.screens.overview.screen import OverviewScreen

    study, t = make_study(tmp_path), Catalog(language)
    (case,) = study.cases()
    with study.open_reading("anna", case) as session:
        reading = session.reading
    held = LockedByOther(HOLDERS[name], case)
    async with reading_as(study, "anna", language=language) as pilot:
        await settle(pilot)
        pilot.app.push_screen(
            OverviewScreen(reading, notice=lambda t, width: format_lock(t, held, width, "T"), can_take_over=True)
        )
        await settle(pilot)
        shown = [line.strip() for line in cells(pilot).split("\n")]
        for line in format_lock(t, held, 78, "T").split("\n"):
            assert line in shown
        assert any(t("actions.overview.take_over.label") in line for line in shown)
