"""Two machines that share a study on a network file system whose locks bind one machine only, as with two sshfs mounts."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from ratui import files
from ratui.reading import set_note
from ratui.study import LockedByOther, ReadingSession, Study, TakenOver
from ratui.study.readings.reading_session import FileChanged
from ratui.study.store import open_folder, study_lock

__all__ = ["SITE", "Mount", "network_without_locks", "orders", "stored"]

SITE = "L.MCP2"


@contextmanager
def network_without_locks() -> Iterator[None]:
    """Treat all file systems as network file systems, and let locks do nothing, during the block."""
    with (
        mock.patch.object(fcntl, "flock", return_value=None),
        mock.patch.object(study_lock, "lock_file", return_value=None),
        mock.patch.object(open_folder, "is_network_type", return_value=True),
        mock.patch.object(files.os, "fsync", return_value=None),  # only to be faster
    ):
        yield


class Mount:
    """A machine on which anna reads; each has its own view of the study.

    Attributes
    ----------
    acknowledged
        Entries that were saved according to `ReadingSession.save`.
    refused
        Number of entries that were not saved, of which a person is told.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._study = Study.open(path)
        (self._case,) = self._study.cases()
        self._name = name
        self._numbers = itertools.count()
        self._open = contextlib.ExitStack()
        self.session: ReadingSession | None = None
        self.acknowledged: list[str] = []
        self.refused = 0

    def open(self) -> ReadingSession:
        """Open the reading, and take it over from whoever has it."""
        holder = None
        for _ in range(20):
            try:
                return self._open.enter_context(self._study.open_reading("anna", self._case, take_over=holder))
            except LockedByOther as error:
                holder = error.holder
        raise AssertionError("the reading can't be opened")

    def save(self) -> None:
        """Save one more entry, in a new session if there is none."""
        self.session = self.session or self.open()
        text = f"{self._name}{next(self._numbers)}"
        try:
            self.session.save(set_note(self.session.reading, SITE, text))
            self.acknowledged.append(text)
        except (TakenOver, FileChanged):
            self.refused += 1
            self.close()

    def close(self) -> None:
        self._open.close()
        self.session = None


def stored(path: Path) -> list[str]:
    """Return all entries in the stored reading, in order."""
    study = Study.open(path)
    reading = study.reading("anna", study.cases()[0])
    return [entry.note for entry in reading.log if entry.kind == "note"] if reading else []


def orders(each: int) -> Iterator[str]:
    """Yield every order of `each` saves of machine a and as many of machine b."""
    for places in itertools.combinations(range(2 * each), each):
        yield "".join("a" if place in places else "b" for place in range(2 * each))
