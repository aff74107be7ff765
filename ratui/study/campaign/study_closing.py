"""Lock a study, so that nothing in it can change, with a sealed state; compare it with that state, and unlock it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ratui.errors import StudyError
from ratui.study.campaign.charter_changes import change_settings
from ratui.study.evidence import FolderSource, Root, StudyState, read_root, read_state, root_numbers, write_root
from ratui.study.store.journal import parse_journal
from ratui.study.study import Study
from ratui.study.study_config import check_reason, new_event

__all__ = ["compare_with_lock", "find_lock_root", "lock_study", "unlock_study"]


def lock_study(study: Study, reason: str, key: Path | None = None) -> Root:
    """Lock `study`: no entry, region, film or setting can change from now on. Return the sealed state.

    Write down the digest of the returned root, or sign it with the SSH key at `key`: the study's owner could replace an
    unsigned one. Sessions that are open save nothing more.

    Raises
    ------
    StudyError
        If the study is locked already, there is no reason, or this account is not the study's owner.
    StoreError
        If a save does not end, or the state can't be sealed. The study is then locked, and the call can be repeated.
    """
    reason = check_reason(reason, "lock a study")
    study.check_manager("lock it")
    if study.config.lock is None:
        change_settings(study, replace(study.config, events=(*study.config.events, new_event("locked", reason))))
    elif find_lock_root(study) is not None:
        problem = f"the study is locked already, since {study.config.lock.at[:10]}"
        raise StudyError(problem, study.path, "To compare it with its locked state: ratui lock STUDY --check")
    return write_root(study, key)


def unlock_study(study: Study, reason: str) -> None:
    """Unlock `study`; the reason is recorded. Errors are those of `lock_study`."""
    reason = check_reason(reason, "unlock a study")
    study.check_manager("unlock it")
    if study.config.lock is None:
        raise StudyError("the study is not locked", study.path, "Nothing is to be done")
    change_settings(study, replace(study.config, events=(*study.config.events, new_event("unlocked", reason))))


def find_lock_root(study: Study) -> Root | None:
    """Return the state that was sealed when the study was locked; None if it is not locked or was not sealed then."""
    lock = study.config.lock
    numbers = root_numbers(study.folder)
    if lock is None or not numbers:
        return None
    root = read_root(study.folder, numbers[-1], study.config.id)
    return root if root.at >= lock.at else None


def compare_with_lock(study: Study) -> tuple[Root, list[str]]:
    """Return the state that was sealed when `study` was locked, and a line for each difference of the study to it.

    Exports and other uses of a locked study are recorded in its journals and are no difference. The pixels of films are not
    compared: ``ratui check`` does that.

    Raises
    ------
    StudyError
        If the study is not locked, or its locked state is missing.
    """
    if study.config.lock is None:
        raise StudyError("the study is not locked", study.path, "Lock it: ratui lock STUDY --reason TEXT")
    root = find_lock_root(study)
    if root is None:
        problem = "the state that was sealed when the study was locked is missing"
        raise StudyError(problem, study.path, "Compare with a backup: ratui check STUDY --against BACKUP")
    source = FolderSource(study.folder)
    now = read_state(source)
    if root.state.split_private()[1] == StudyState():  # this account can't open the private folder
        now = now.split_private()[0]
    damaged = [f"{name}: the file is damaged; its second copy was compared" for name in source.damaged()]
    return root, [*damaged, *_compare(root.state, now, source)]


def _compare(before: StudyState, now: StudyState, source: FolderSource) -> Iterator[str]:
    for kind, earlier, later in (
        ("fact", before.facts, now.facts),
        ("file", before.files, now.files),
        ("reading", {name: each.digest for name, each in before.readings.items()}, _digests(now)),
    ):
        for name in sorted(earlier.keys() | later.keys()):
            if earlier.get(name) == later.get(name):
                continue
            change = "is new" if name not in earlier else "is missing" if name not in later else "differs"
            yield f"{name}: the {kind} {change}"
    for name in sorted(before.journals.keys() | now.journals.keys()):
        count, head = before.journals.get(name, (0, ""))
        records = parse_journal(source.read(name) or b"")[0]
        if len(records) < count or (count and records[count - 1].chain != head):
            yield f"{name}: the journal does not continue that of the locked study"
        elif any(record.kind != "event" for record in records[count:]):
            yield f"{name}: the journal records changes after the lock"


def _digests(state: StudyState) -> dict[str, str]:
    return {name: each.digest for name, each in state.readings.items()}
