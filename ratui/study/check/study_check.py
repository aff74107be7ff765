"""The check of a whole study: its files, then its journals, then its newest root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ratui.study.check.checker import StudyChecker
from ratui.study.check.journals import add_journal_findings
from ratui.study.check.report import CheckReport
from ratui.study.check.roots import check_roots
from ratui.study.config import read_settings
from ratui.study.study import Study

__all__ = ["check_study"]


def check_study(
    path: Path,
    *,
    repair: bool = False,
    progress: Callable[[int, int], None] | None = None,
    signers: Path | None = None,
) -> CheckReport:
    """Return everything that is wrong in the study at `path`.

    Parameters
    ----------
    path
        Folder of the study.
    repair
        Repair what can be proven.
    progress
        Called with (steps done, steps in all).
    signers
        File of allowed signers; if given, the newest root must have a signature by one of them.

    Raises
    ------
    StudyError
        If there is no study that this version can open, or signatures can't be verified.
    """
    path = Path(path)
    before = read_settings(path)[0].stored_format
    report = StudyChecker(path, repair, progress or (lambda done, of: None)).run()
    study = Study.open(path)
    report = add_journal_findings(report, study, format_before=before, repair=repair)
    return check_roots(report, study, signers)
