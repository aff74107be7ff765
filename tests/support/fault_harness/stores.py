"""The two stores under test behind one face: a reading that entries are saved to, and what is found of them afterwards."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tinydb import TinyDB
from tinydb.storages import JSONStorage

from ratui.errors import RatuiError
from ratui.reading import MAX_NOTE_LENGTH, Field, GradeEntry, clear, enter, set_note
from ratui.study import Case, FilmRecord, HeldByOther, Study
from ratui.study.check import check_study

__all__ = ["CASE", "RATER", "SITE", "STORES", "Ours", "Session", "Stock", "Subject", "lost_of", "text_of"]

CASE, RATER, SITE = "C-AAAAAA", "anna", "L.MCP2"
_FIELD = Field(SITE, "ERO", 0)


def text_of(writer: int, number: int) -> str:
    """The entry `number` of `writer`, of a length that changes from entry to entry and tells nothing by itself."""
    return f"{writer}:{number}:{'x' * ((number * 7919 + writer * 104729) % (MAX_NOTE_LENGTH - 20))}"


class Session(Protocol):
    """One writer's hold of the store."""

    def save(self, text: str) -> None:
        """Returns when `text` is stored, raises where it can't be."""


class Subject(Protocol):
    """A store: made, written to by sessions, looked at."""

    name: str

    def make(self, folder: Path) -> Path: ...
    def session(self, place: Path) -> object: ...
    def entries(self, place: Path) -> list[str]: ...


class Ours:
    """A study with one case, read by one rater: each entry is a note in the log, and a grade that comes and goes."""

    name = "ratui"

    def make(self, folder: Path) -> Path:
        study = Study.create(folder / "study", "fingers", [RATER, "bert"])
        films = [
            FilmRecord(f"{time}{side}", time, side, "hand", 800, 600, digest="0" * 64, file="0" * 64)
            for time in (0, 1)
            for side in "LR"
        ]
        study.save_case(Case(CASE, tuple(films)))
        return study.path

    @contextmanager
    def session(self, place: Path) -> Iterator[Session]:
        with Study.open(place).open_reading(RATER, CASE) as held:

            class Saving:
                def save(self, text: str) -> None:
                    reading = held.reading
                    full = _FIELD in reading.values
                    reading = clear(reading, _FIELD) if full else enter(reading, _FIELD, GradeEntry(1), key="1")
                    held.save(set_note(reading, SITE, text))

            yield Saving()

    def entries(self, place: Path) -> list[str]:
        reading = Study.open(place).reading(RATER, CASE)
        return [] if reading is None else [entry.note for entry in reading.log if entry.kind == "note"]

    def busy(self, error: Exception) -> bool:
        return isinstance(error, HeldByOther)

    def told(self, error: Exception) -> bool:
        """Whether `error` is one that a person is told, and not a fault of the program."""
        return isinstance(error, RatuiError)

    def noticed(self, place: Path) -> bool:
        """Whether using the study, or checking it, tells that something is wrong."""
        try:
            study = Study.open(place)
            study.case(CASE)
            study.regions(CASE)
            study.reading(RATER, CASE)
            if study.notices:
                return True
        except RatuiError:
            return True
        return not check_study(place).is_intact

    def mend(self, place: Path) -> None:
        check_study(place, repair=True)


class Stock:
    """A TinyDB file with TinyDB's own JSONStorage, which writes in place: the note in one table, the log in another."""

    name = "TinyDB stock"

    def make(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "stock.json"

    @contextmanager
    def session(self, place: Path) -> Iterator[Session]:
        with TinyDB(place, storage=JSONStorage) as database:

            class Saving:
                def save(self, text: str) -> None:
                    database.table("meta").truncate()
                    database.table("meta").insert({"note": text})
                    database.table("log").insert({"text": text})

            yield Saving()

    def entries(self, place: Path) -> list[str]:
        if not place.exists() or not place.stat().st_size:
            return []
        tables = json.loads(place.read_text())
        return [record["text"] for record in tables.get("log", {}).values()]

    def busy(self, error: Exception) -> bool:
        return False

    def told(self, error: Exception) -> bool:
        """It has no errors of its own: whatever it raises is its word."""
        return True

    def noticed(self, place: Path) -> bool:
        try:
            self.entries(place)
        except Exception:
            return True
        return False

    def mend(self, place: Path) -> None:
        """There is nothing to mend it from."""


STORES = {store.name: store for store in (Ours(), Stock())}


def lost_of(store: Ours | Stock, place: Path, saved: Collection[str]) -> int:
    """How many of the acknowledged entries `saved` are not found; all of them where the store can't be read."""
    try:
        found = set(store.entries(place))
    except Exception:
        found = set()
    return sum(text not in found for text in saved)
