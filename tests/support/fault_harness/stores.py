"""The two stores under test with one interface: entries are saved to a reading and read again."""

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
from ratui.study import Case, FilmRecord, LockedByOther, Study
from ratui.study.check import check_study

__all__ = ["CASE", "RATER", "SITE", "STORES", "Ours", "Session", "Stock", "Subject", "lost_of", "text_of"]

CASE, RATER, SITE = "C-AAAAAA", "anna", "L.MCP2"
_FIELD = Field(SITE, "ERO", 0)


def text_of(writer: int, number: int) -> str:
    """Return the text of entry `number` of `writer`; its length varies from entry to entry."""
    return f"{writer}:{number}:{'x' * ((number * 7919 + writer * 104729) % (MAX_NOTE_LENGTH - 20))}"


class Session(Protocol):
    """An open store of one writer."""

    def save(self, text: str) -> None:
        """Store `text`; raise if that fails."""


class Subject(Protocol):
    """A store under test."""

    name: str

    def make(self, folder: Path) -> Path: ...
    def session(self, place: Path) -> object: ...
    def entries(self, place: Path) -> list[str]: ...


class Ours:
    """A study with one case and one rater: each entry is a note in the log, and a grade, entered and cleared in turn."""

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

    def is_locked(self, error: Exception) -> bool:
        return isinstance(error, LockedByOther)

    def is_expected(self, error: Exception) -> bool:
        """Return whether `error` is an expected one with a message for the user, and no fault of the program."""
        return isinstance(error, RatuiError)

    def is_damage_detected(self, place: Path) -> bool:
        """Return whether opening the study, or checking it, reports damage."""
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

    def repair(self, place: Path) -> None:
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

    def is_locked(self, error: Exception) -> bool:
        return False

    def is_expected(self, error: Exception) -> bool:
        """Return True, because TinyDB has no error classes of its own."""
        return True

    def is_damage_detected(self, place: Path) -> bool:
        try:
            self.entries(place)
        except Exception:
            return True
        return False

    def repair(self, place: Path) -> None:
        """Do nothing, because there is no second copy."""


STORES = {store.name: store for store in (Ours(), Stock())}


def lost_of(store: Ours | Stock, place: Path, saved: Collection[str]) -> int:
    """Return how many of the acknowledged entries `saved` are missing; all if the store cannot be read."""
    try:
        found = set(store.entries(place))
    except Exception:
        found = set()
    return sum(text not in found for text in saved)
