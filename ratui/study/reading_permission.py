"""The permission to change one reading: the rules that hold when it is opened hold at each of its saves too.

A rater may leave, an amendment may change the days of reading or require an examination, and a manager may lock the study
while a reading is open. So each save compares the signatures of the files with these rules, and reads only files that have
changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from ratui.errors import StoreError, StudyError
from ratui.study.qualifications import RESULTS
from ratui.study.store import StudyLock

if TYPE_CHECKING:
    from ratui.study.study import Study

__all__ = ["ReadingClosed", "ReadingPermission"]


class ReadingClosed(StoreError):
    """The rules of the study do not let the rater change this reading any more, such as after they have left the study."""


class ReadingPermission:
    """The permission of a rater to change the reading of a case.

    Parameters
    ----------
    study
        The study; its settings are read again if they have changed.
    lock
        The lock of the study.
    rater, case
        Names of the rater and of the case.
    """

    def __init__(self, study: Study, lock: StudyLock, rater: str, case: str) -> None:
        self._study = study
        self._lock = lock
        self._rater = rater
        self._case = case
        self._permitted: object = None
        """The day and the signatures of the files at the last check that found no objection."""

    def check_opening(self) -> None:
        """Raise StudyError, or the class of it that names the rule, if the rater may not change the reading now."""
        study, others = self._study, self._other_files()
        study.refresh_settings()
        study.check_rater(self._rater)
        self._lock.check_unlocked()
        study.check_open(self._rater, self._case)
        self._permitted = study.settings_read, others

    def check(self) -> None:
        """Raise an error if the reading, which is open, can't be changed any more.

        Raises
        ------
        StudyLocked
            If a manager has locked the study.
        ReadingClosed
            If the rater has left or is not qualified, or the case is not assigned to them or can't be read on this day.
        StoreError
            If a file with these rules can't be read; a later check may succeed.
        """
        self._lock.check_unlocked()
        self._check_rules()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Lock the study for one save, as `StudyLock.shared` does, with a `check`, whose errors it raises.

        A check before the save, such as at the key press, does not replace this one: the rules may change between them, and
        what changes the settings needs the lock too.
        """
        with self._lock.shared():  # it has refused a study that a manager has locked
            self._check_rules()
            yield

    def _check_rules(self) -> None:
        """Raise ReadingClosed or StoreError as `check` does, in a study that is known not to be locked."""
        if self._permitted == (self._lock.settings, self._other_files()):
            return
        try:
            self.check_opening()
        except StoreError:
            raise
        except StudyError as error:
            raise ReadingClosed(error.problem, error.location, error.remedy) from error

    def _other_files(self) -> object:
        """Return the day, and the signatures of the other files than the settings that decide."""
        is_required = self._study.config.charter.qualification.required
        names = [f"films/{self._case}/films.json", *([RESULTS] if is_required else [])]
        return date.today(), [self._study.folder.signature(name) for name in names]
