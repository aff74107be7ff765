"""The check of a whole study: its files, then its journals, then its newest root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ratui.errors import RatuiError
from ratui.study.campaign.study_closing import compare_with_lock
from ratui.study.check.checker import StudyChecker
from ratui.study.check.journals import add_journal_faults
from ratui.study.check.report import CheckFault, CheckReport
from ratui.study.check.roots import check_roots
from ratui.study.config_files import CONSENSUS, read_settings
from ratui.study.readings.late_changes import changes_after_release
from ratui.study.store.file_systems import mounts_below
from ratui.study.study import Study

__all__ = ["check_study"]


def check_study(
    path: Path,
    *,
    repair: bool = False,
    progress: Callable[[int, int], None] | None = None,
    signers: Path | None = None,
    root: str = "",
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
    root
        Digest of a root that was written down; if given, there must be such a root.

    Raises
    ------
    StudyError
        If there is no study that this version can open, or signatures can't be verified.
    """
    path = Path(path)
    # A folder that is mounted from the same disk looks like a part of the study. A repair must not act on it.
    mounts = tuple(_make_mount_fault(str(place)) for place in mounts_below(path))
    repair = repair and not mounts
    before = read_settings(path)[0].stored_format
    report = StudyChecker(path, repair, progress or (lambda done, of: None)).run()
    study = Study.open(path)
    report = add_journal_faults(report, study, format_before=before, repair=repair)
    report = check_roots(report, study, signers, root, repair=repair)
    faults = (*mounts, *report.faults, *_find_lock_faults(study))
    return replace(report, faults=faults, notes=(*report.notes, *_late_notes(study)))


def _find_lock_faults(study: Study) -> list[CheckFault]:
    """Return a fault for each difference of a locked study to the state in which it was locked."""
    if study.config.lock is None:
        return []
    try:
        differences = compare_with_lock(study)[1]
    except RatuiError as error:
        return [CheckFault("study.toml", error.problem, advice=error.remedy)]
    advice = "Find out who changed it, and why"
    return [
        CheckFault(name, f"since the study was locked: {problem}", advice=advice)
        for name, _, problem in (line.rpartition(": ") for line in differences)
    ]


def _late_notes(study: Study) -> list[str]:
    """Return a note for the lock, each reading that was reopened after its case was released, and each older consensus."""
    lock = study.config.lock
    notes = [f"the study is locked since {lock.at[:16].replace('T', ' ')} UTC: {lock.reason}"] if lock else []
    try:
        late = changes_after_release(study)
    except RatuiError:
        return notes  # a folder can't be listed, which is reported as a fault
    notes += [f"readings/{each.rater}/{each.case}.json: {each}" for found in late.readings.values() for each in found]
    for case, raters in late.consensus.items():
        notes.append(f"readings/{CONSENSUS}/{case}.json: signed before {', '.join(raters)} reopened the case")
    return notes


def _make_mount_fault(place: str) -> CheckFault:
    advice = "Unmount it. Nothing is repaired before that"
    return CheckFault(place, "something is mounted here; a study contains no mounts", advice=advice)
