"""The rule of who may read in a study: its raters, from their own accounts, and qualified if the charter says so."""

from __future__ import annotations

from datetime import date

from ratui.errors import StudyError, clean_text
from ratui.study.accounts import check_account
from ratui.study.qualifications import check_qualified
from ratui.study.store import StudyFolder
from ratui.study.study_config import StudyConfig

__all__ = ["OutsideWindow", "check_is_rater", "check_rater_access", "check_window"]


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
    window, today = config.charter.window(max(block - 1, 0)), today or date.today()
    if window.opens is not None and today < window.opens:
        raise OutsideWindow(f"it can be read from {window.opens} on", case, "Ask a manager of the study")
    if window.closes is not None and today > window.closes:
        raise OutsideWindow(f"it could be read until {window.closes}", case, "Ask a manager of the study")
