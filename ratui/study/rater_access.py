"""The rule of who may read in a study: its raters, from their own accounts, and qualified if the charter says so."""

from __future__ import annotations

from ratui.errors import StudyError, clean_text
from ratui.study.accounts import check_account
from ratui.study.qualifications import check_qualified
from ratui.study.store import StudyFolder
from ratui.study.study_config import StudyConfig

__all__ = ["check_is_rater", "check_rater_access"]


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
