"""A save converts only what is new since the last one, and writes the same bytes as a conversion of the whole reading."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ratui import reading as rd
from ratui.errors import EntryError, StoreError
from ratui.reading import DisplayRecord, Reading, TerminalSize
from ratui.study import (
    ReadingSession,
)
from ratui.study.readings import reading_session
from ratui.study.readings.reading_session import DisplayUse, reading_to_tables
from ratui.study.store import seal, tables
from ratui.study.store.open_folder import OpenFolder
from tests.study.test_rater_changes import drawn_study

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DISPLAYS = (
    None,
    DisplayRecord(("a", "b"), "kitty", 10.5, True, ("", ""), 3.25, "terminal"),
    DisplayRecord(("a", "b"), "sixel", 3.5, False, ("", "inverted"), 0.5, "multiplexer", TerminalSize(120, 40, 10, 20)),
)


def step(reading: Reading, draw: random.Random) -> Reading:
    """Return `reading` after a random command, or as it is if the rules refuse it."""
    field, now = draw.choice(reading.fields), AT + timedelta(seconds=len(reading.log))
    entry = draw.choice(
        [*map(rd.GradeEntry, (0, 0, 1, 2)), rd.FindingEntry("ankylosis"), rd.NotAssessableEntry("film")]
    )
    try:
        match draw.choice(["enter"] * 6 + ["normal", "undo", "undo", "clear", "flag", "note", "sign", "reopen"]):
            case "enter":
                display = draw.choice(DISPLAYS)
                return rd.enter(reading, field, entry, timestamp=now, key="k", display=display, confirmed=True)
            case "normal":
                return rd.enter_normal(reading, field.site, timestamp=now, key="n")
            case "undo":
                return rd.undo(reading, timestamp=now)
            case "clear":
                return rd.clear(reading, field, timestamp=now)
            case "flag":
                return rd.toggle_flag(reading, field.site, timestamp=now)
            case "note":
                return rd.set_note(reading, field.site, draw.choice(["", "unklar", "手"]), timestamp=now)
            case "sign":
                return rd.sign(reading, timestamp=now)
            case _:
                return rd.reopen(reading, "again", timestamp=now)
    except EntryError:
        return reading


def full_conversion(session: ReadingSession) -> bytes:
    """Return the bytes of the file of `session`, converted without anything from the saves before."""
    tables = reading_to_tables(session.reading, session.seconds, session.displays, session._evidence)
    numbered = {name: {str(n): row for n, row in enumerate(rows, 1)} for name, rows in tables.items()}
    return seal(numbered, "anna/C-0")


@pytest.mark.parametrize("seed", range(2))
def test_the_file_is_that_of_a_full_conversion_after_each_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    study, draw = drawn_study(tmp_path, ("anna", "bert"), cases=1, each=2).as_rater("anna"), random.Random(seed)
    file, seconds, kinds, failed = study.path / "readings" / "anna" / "C-0.json", 0.0, set(), 0

    def refuse(*_: object, **__: object) -> None:
        raise StoreError("not saved: No space left on device", file)

    for _ in range(3):  # the reading is opened again, and continued
        with study.open_reading("anna", "C-0") as session:
            reading = session.reading
            for _ in range(45):
                for _ in range(draw.choice([1, 1, 1, 3])):
                    reading = step(reading, draw)
                seconds += draw.choice([0, 0, 0.3, 7])
                displays = (DisplayUse("kitty", len(reading.log), 0, 10.5),)
                with monkeypatch.context() as disk:
                    if draw.random() < 0.1:
                        disk.setattr(OpenFolder, "write", refuse)
                        with pytest.raises(StoreError, match="No space left"):
                            session.save(reading, seconds=seconds, displays=displays)
                        failed += 1
                        continue
                    session.save(reading, seconds=seconds, displays=displays)
                assert file.read_bytes() == full_conversion(session)
            reading = session.reading
            kinds |= {entry.kind for entry in reading.log}
            assert study.reading("anna", "C-0") == reading
    assert failed > 3
    assert kinds >= {"enter", "normal", "undo", "clear", "flag", "note"}


def test_a_save_converts_only_the_new_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = drawn_study(tmp_path, ("anna", "bert"), cases=1, each=2).as_rater("anna")
    converted: list[int] = []
    convert = reading_session.log_entry_to_record

    def count(entry: rd.LogEntry) -> dict[str, object]:
        converted.append(entry.number)
        return convert(entry)

    monkeypatch.setattr(reading_session, "log_entry_to_record", count)
    with study.open_reading("anna", "C-0") as session:
        for field in session.reading.fields[:5]:
            session.save(rd.enter(session.reading, field, rd.GradeEntry(0), timestamp=AT))
        assert converted == [1, 2, 3, 4, 5]
        session.save(session.reading, seconds=5.0)
        assert converted == [1, 2, 3, 4, 5], "the time of a reading is no new entry"


class Interruption(BaseException):
    """A signal that arrives while a reading is converted."""


@pytest.mark.parametrize("place", ["log_entry_to_record", "field_to_record", "_checksum", "dump", "write"])
def test_an_interrupted_conversion_loses_nothing_at_the_next_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    study, draw = drawn_study(tmp_path, ("anna", "bert"), cases=1, each=2).as_rater("anna"), random.Random(3)
    file = study.path / "readings" / "anna" / "C-0.json"
    module: object = reading_session if place.endswith("record") else sys.modules["ratui.study.store.seal"]
    if place == "write":  # of TinyDB, which has chosen the IDs of the new records by then
        module = tables._MemoryStorage
    convert, left = getattr(module, place), [0]

    def interrupt(*values: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            raise Interruption
        return convert(*values)

    monkeypatch.setattr(module, place, lambda *values: interrupt(*values))
    interrupted = 0
    with study.open_reading("anna", "C-0") as session:
        reading = session.reading
        for number in range(60):
            for _ in range(2):
                reading = step(reading, draw)
            left[0] = 1 + number % 5
            try:
                session.save(reading)
            except Interruption:
                interrupted += 1
            left[0] = 0
            session.save(reading)
            assert file.read_bytes() == full_conversion(session)
    assert interrupted > 10


def test_a_save_that_is_interrupted_after_it_has_written_does_not_end_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = drawn_study(tmp_path, ("anna", "bert"), cases=1, each=2).as_rater("anna")
    write = OpenFolder.write

    def interrupt(folder: OpenFolder, inside: str, data: bytes) -> None:
        write(folder, inside, data)
        raise Interruption

    with study.open_reading("anna", "C-0") as session:
        first, second = session.reading.fields[:2]
        reading = rd.enter(session.reading, first, rd.GradeEntry(0), timestamp=AT)
        with monkeypatch.context() as signal:
            signal.setattr(OpenFolder, "write", interrupt)
            with pytest.raises(Interruption):
                session.save(reading)
        session.save(rd.enter(reading, second, rd.GradeEntry(0), timestamp=AT))
        assert study.reading("anna", "C-0") == session.reading
