"""Check that the journals of a study explain the present content of every recorded file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ratui.errors import RatuiError, StoreError, clean_text
from ratui.study.accounts import account_name, act_as_owner
from ratui.study.check.report import CheckFault, CheckReport
from ratui.study.layout import make_journal_folders
from ratui.study.store.folder import StudyFolder
from ratui.study.store.history import FileChange, changes_by_path, explain_content
from ratui.study.store.journal import JournalFile
from ratui.study.store.journaling import (
    JOURNAL,
    PRIVATE_JOURNAL,
    begin_journals,
    content_digest,
    is_recorded,
    journal_of,
    list_recorded_files,
    load_journals,
)
from ratui.study.study import Study

__all__ = ["JOURNALS_SINCE", "JournalFault", "add_journal_faults", "check_journals", "find_unrecorded_files"]

JOURNALS_SINCE = 3
"""Format of a study from which on it must have journals."""
NO_JOURNAL = "it is missing: changes of films, regions and settings can't be noticed"
_MOMENT = 0.05  # seconds that a save takes between its record and its file
_MOST_REMARKS = 10  # of one journal, which its account may fill with anything
_LARGEST_STEP = timedelta(seconds=2)
_ADVICE = "Compare it with a backup. If the change is right: ratui seal STUDY --accept "


@dataclass(frozen=True)
class JournalFault:
    """A file whose content no journal explains, or a damaged journal: its path inside, the problem, and advice."""

    file: str
    problem: str
    advice: str = ""


def check_journals(
    folder: StudyFolder, exclusive: AbstractContextManager[None], *, required: bool
) -> tuple[list[JournalFault], list[str]]:
    """Compare the journals of a study with its files.

    Parameters
    ----------
    folder
        The study's folder.
    exclusive
        Lock that prevents saves, see `Study.exclusive`. It is taken only if a fault is found, to look again; a fault counts
        if it is found both times.
    required
        True if the study must have journals: it has format 3 or a newer one.

    Returns
    -------
    tuple of list and list
        The faults, and remarks that are no faults.

    Raises
    ------
    StoreError
        The study can't be locked or listed.
    """
    journals = _load(folder)
    if not journals.get(JOURNAL):
        if not required:
            return [], []
        return [
            JournalFault(JOURNAL, NO_JOURNAL, "Restore it from a backup. To begin it anew: ratui check --repair")
        ], []
    faults = find_unrecorded_files(folder, journals)
    if faults:  # a save may have come between the look at a journal and at its file
        with _locked_if_possible(exclusive):
            time.sleep(_MOMENT)
            journals = _load(folder)
            again = find_unrecorded_files(folder, journals)
        faults = [fault for fault in again if fault in faults]
    found = [
        JournalFault(f"{above}/{journal.name}.jsonl", clean_text(problem, 200), "Compare it with a backup")
        for above, each in journals.items()
        for journal in each
        for problem in _find_faults(journal, above, folder)
    ]
    notes = [
        f"{above}/{journal.name}.jsonl: {remark}"
        for above, each in journals.items()
        for journal in each
        for remark in _find_remarks(journal)
    ]
    if PRIVATE_JOURNAL not in journals and _is_closed(folder, "private"):
        notes.append("private: not compared with its journal, because this account can't open it")
    return [*found, *faults], notes


def add_journal_faults(report: CheckReport, study: Study, *, format_before: int, repair: bool) -> CheckReport:
    """Return `report` with the faults of `check_journals`.

    With `repair`, journals are begun in a study that has none, or that had another format before the repair: the present
    content of each file is recorded as its first. Nothing is known of changes before that. Errors as in `check_journals`.
    """
    required = study.config.stored_format >= JOURNALS_SINCE
    begun: list[CheckFault] = []
    if repair and required and (format_before < JOURNALS_SINCE or not load_journals(study.folder, JOURNAL)):
        remedy = "begun: the present content of all files was recorded as the first one"
        try:
            with act_as_owner(study.folder, ""):
                make_journal_folders(study.folder, study.config.group)
                begin_journals(study.folder)
            begun = [CheckFault(JOURNAL, NO_JOURNAL, remedy, repaired=True)]
        except RatuiError as error:
            begun = [CheckFault(JOURNAL, error.problem, advice=error.remedy)]
    found, notes = check_journals(study.folder, study.exclusive(), required=required)
    faults = [*begun, *(CheckFault(each.file, each.problem, advice=each.advice) for each in found)]
    return replace(report, faults=(*report.faults, *faults), notes=(*report.notes, *notes))


@contextmanager
def _locked_if_possible(exclusive: AbstractContextManager[None]) -> Iterator[None]:
    """Enter `exclusive`; an account that may not lock the study, such as a rater's, goes on without the lock."""
    with ExitStack() as entered:
        with suppress(StoreError):
            entered.enter_context(exclusive)
        yield


def _is_closed(folder: StudyFolder, inside: str) -> bool:
    """Return whether there is a folder `inside` that this account can't open."""
    try:
        with folder.opened(inside):
            return False
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _load(folder: StudyFolder) -> dict[str, tuple[JournalFile, ...]]:
    loaded = {above: load_journals(folder, above) for above in (JOURNAL, PRIVATE_JOURNAL)}
    return {above: journals for above, journals in loaded.items() if journals is not None}


def find_unrecorded_files(folder: StudyFolder, journals: Mapping[str, Iterable[JournalFile]]) -> list[JournalFault]:
    """Return a fault for each recorded file whose content does not follow from `journals`, by the folder of each.

    Raises StoreError if the study can't be listed.
    """
    changes = {above: changes_by_path(each) for above, each in journals.items()}
    recorded = {path for above, each in changes.items() for path in each if _belongs(path, above)}
    found = []
    for path in sorted(recorded | set(list_recorded_files(folder))):
        if journal_of(path) not in journals:
            continue  # this account can't open that journal
        known = changes[journal_of(path)].get(path, ())
        try:
            problem = _explain(folder, path, known)
        except StoreError as error:
            problem = error.problem
        if problem:
            found.append(JournalFault(path, clean_text(problem, 200), f"{_ADVICE}{path}"))
    return found


def _explain(folder: StudyFolder, path: str, changes: Sequence[FileChange]) -> str:
    problem = explain_content(changes, content_digest(folder, path))
    if problem and path == "scheme.toml":
        # It has no seal of its own: if it is damaged, the second copy counts.
        try:
            return explain_content(changes, folder.digest(f"{path}.bak")) and problem
        except FileNotFoundError:
            return problem
    return problem


def _belongs(path: str, above: str) -> bool:
    return is_recorded(path) and journal_of(path) == above


def _find_faults(journal: JournalFile, above: str, folder: StudyFolder) -> list[str]:
    found = [journal.problem] if journal.problem else []
    strange = sum(bool(record.path) and not _belongs(record.path, above) for record in journal.records)
    if strange:
        found.append(f"it has {strange} records of files that ratui does not record")
    account = journal.name.partition(".")[0]
    # In a restored study, all journals belong to the account that restored it. Root may write anywhere.
    if journal.uid >= 0 and journal.uid not in (_owner(folder), 0, os.geteuid()) and journal.records:
        owner = account_name(journal.uid)
        if account not in (owner, f"uid-{journal.uid}"):
            found.append(f"it is named after the account {account} and belongs to the account {owner}")
    return found


def _owner(folder: StudyFolder) -> int:
    found = folder.find("")
    return -1 if found is None else found.st_uid


def _find_remarks(journal: JournalFile) -> list[str]:
    """Return a remark for each record whose time is before that of the record before it: the clock was set back."""
    found = []
    last: datetime | None = None
    for record in journal.records:
        try:
            at = datetime.fromisoformat(record.at)
            if last is not None and last - at > _LARGEST_STEP:
                found.append(f"the clock was set back by {last - at} before record {record.number}")
        except (ValueError, TypeError):  # no time, or one without a time zone
            found.append(f"record {record.number} has no valid time")
            continue
        last = at
    for record in journal.records:
        if record.kind == "accept":
            when = clean_text(record.at[:16].replace("T", " "), 40)
            found.append(f"an unrecorded change of {clean_text(record.path, 200)} was accepted by hand at {when} UTC")
    if len(found) > _MOST_REMARKS:
        found[_MOST_REMARKS:] = [f"{len(found) - _MOST_REMARKS} more remarks"]
    first = sum(record.kind == "first" for record in journal.records)
    if first:
        found.append(
            f"{first} files were first recorded when the journals were begun; their changes before are unknown"
        )
    return found
