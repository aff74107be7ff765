"""The permission to read in a study: its raters, from their own accounts, qualified and in time as the charter says.

The rules that hold when a reading is opened hold at each of its saves too.
A rater may leave, an amendment may change the days of reading or require an examination, and a manager may lock the study
while a reading is open. So each save compares the signatures of the files with these rules, and reads only files that have
changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from ratui.errors import StoreError, StudyError, clean_text
from ratui.study.accounts import check_account
from ratui.study.campaign.qualifications import RESULTS, check_qualified
from ratui.study.store import StudyFolder, StudyLock
from ratui.study.study_config import StudyConfig

if TYPE_CHECKING:
    from ratui.study.study import Study

__all__ = [
    "OutsideWindow",
    "ReadingClosed",
    "ReadingPermission",
    "check_is_rater",
    "check_rater_access",
    "check_window",
]


class ReadingClosed(StoreError):
    """The rules of the study do not let the rater change this reading any more, such as after they have left the study."""


class OutsideWindow(StudyError):
    """The charter does not let a rater read the case today; the rater can still view it."""


def check_is_rater(folder: StudyFolder, config: StudyConfig, rater: str) -> None:
    """Raise StudyError if the study has no rater of this name."""
    if rater not in config.raters:
        known = ", ".join(config.raters)
        raise StudyError(f"{clean_text(rater)} is not a rater of this study", folder.path, f"Its raters are: {known}")


def check_rater_access(folder: StudyFolder, config: StudyConfig, rater: str) -> None:
    """Raise StudyError if this account may not enter readings of `rater`, or they have left or are not qualified."""
    check_is_rater(folder, config, rater)
    if rater in config.departed:
        raise StudyError(f"{rater} has left the study", folder.path, "Ask a manager of the study")
    check_account(folder, rater)
    check_qualified(folder, config, rater)


def check_window(config: StudyConfig, case: str, block: int, *, is_open: bool, today: date | None = None) -> None:
    """Raise OutsideWindow if the charter does not let a rater read a case today, and StudyError if its block is not open.

    Parameters
    ----------
    config
        The settings of the study.
    case
        Name of the case.
    block
        Number of its block from 1; 0 if the study has no blocks.
    is_open
        True if the block of the case is open for the rater.
    today
        The day, that of this machine by default.
    """
    if not is_open:
        raise StudyError("its block is not open yet", case, "Ask a manager of the study")
    window, today = config.charter.find_window(max(block - 1, 0)), today or date.today()
    if window.opens is not None and today < window.opens:
        raise OutsideWindow(f"it can be read from {window.opens} on", case, "Ask a manager of the study")
    if window.closes is not None and today > window.closes:
        raise OutsideWindow(f"it could be read until {window.closes}", case, "Ask a manager of the study")


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
