"""Locks that another account keeps, so that raters can't save and the manager can't make a backup."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from ratui.errors import RatuiError
from ratui.reading import set_note
from ratui.study import Study
from ratui.study.store import study_lock
from tests.support.accounts import MANAGER, OTHER, as_account, started_as
from tests.support.attacks.repair import shared_study
from tests.support.attacks.table import Outcome, attack

TRIALS = 5
SITE = "L.MCP2"


def keep_locks(study: Path) -> None:
    """Lock every file of the study that can be opened, in every way, and keep the locks."""
    kept = []
    for path in study.rglob("*"):
        for flags in (os.O_RDWR, os.O_RDONLY):
            with contextlib.suppress(OSError):
                kept.append(os.open(path, flags | os.O_NONBLOCK))
    for descriptor in kept:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for kind in (fcntl.F_WRLCK, fcntl.F_RDLCK):
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", kind, 0, 0, 0, 0))
                break
    time.sleep(600)


@contextmanager
def study_with_locks_of_another() -> Iterator[Study]:
    """Yield a study with a reading, every file of which a member of the group has locked as far as possible."""
    with shared_study() as (study, _):
        as_account(MANAGER, lambda: save(study.path, "before"))
        with started_as(OTHER, lambda: keep_locks(study.path)):
            time.sleep(0.5)
            yield study


def save(path: Path, text: str) -> bool:
    study = Study.open(path)
    try:
        with study.open_reading("anna", study.cases()[0]) as session:
            session.save(set_note(session.reading, SITE, text))
    except RatuiError:
        return False
    return True


@attack("all files of a study locked that can be opened (flock, fcntl): saves", by="group member")
def block_saves(_: Path) -> Outcome:
    """Keep locks while a rater saves."""
    with study_with_locks_of_another() as study:
        saved = as_account(MANAGER, lambda: [save(study.path, f"note {number}") for number in range(TRIALS)])
        lost = Study.open(study.path).reading("anna", study.cases()[0])
    last = lost.notes.get(SITE) if lost else ""
    return Outcome(TRIALS, refused=sum(saved), lost=int(last != f"note {TRIALS - 1}"))


@attack("all files of a study locked that can be opened (flock, fcntl): snapshots", by="group member")
def block_snapshots(_: Path) -> Outcome:
    """Keep locks while the manager makes snapshots, such as for a backup."""

    def count(path: Path) -> int:
        made = 0
        with mock.patch.object(study_lock, "_TIMEOUT", 0.1):
            for _ in range(TRIALS):
                with contextlib.suppress(RatuiError), Study.open(path).snapshot() as frozen:
                    made += frozen.reading("anna", frozen.cases()[0]) is not None
        return made

    with study_with_locks_of_another() as study:
        return Outcome(TRIALS, refused=as_account(MANAGER, lambda: count(study.path)))
