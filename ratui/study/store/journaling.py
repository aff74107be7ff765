"""Records of the changes of a study's files in its journals, for `StudyFolder` and the check; `is_recorded` names the files.

Readings are not recorded: the log in each reading is a chain of its own. Films are not recorded one by one, because the list
of a case's films contains their digests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from ratui.errors import StoreError, clean_text
from ratui.study.store.exclusive_file import exclusive_file
from ratui.study.store.history import changes_by_path, expected_contents, first_content
from ratui.study.store.journal import JournalFile, read_journals
from ratui.study.store.journal_writer import JournalWriter
from ratui.study.store.seal import has_intact_seal

if TYPE_CHECKING:
    from ratui.study.store.folder import StudyFolder

__all__ = [
    "JOURNAL",
    "PRIVATE_JOURNAL",
    "accept_content",
    "begin_journals",
    "content_digest",
    "expected_digests",
    "find_other_content",
    "is_recorded",
    "journal_of",
    "list_recorded_files",
    "load_journals",
    "record_event",
    "recording",
]

JOURNAL = "journal"
"""Folder with the journals of the files that all members of the group can read."""
PRIVATE_JOURNAL = "private/journal"
"""Folder with the journals of the files in ``private``."""
_TIMEOUT = 10.0  # seconds that a save waits for another save by the same account on another machine
_LARGEST = 64_000_000
_LONGEST_DETAIL = 800  # characters; a line of a journal has at most 4000 bytes
_SEAL = re.compile(rb'^seal = "([0-9a-f]{64})"\n\Z', re.MULTILINE)
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}"
_RECORDED = re.compile(
    rf"study\.toml|scheme\.toml|qualifications/results\.json|films/{_NAME}/films\.json|regions/{_NAME}\.json|proposals/{_NAME}/{_NAME}\.json"
    rf"|models/order\.json|models/{_NAME}/evaluation\.json|models/{_NAME}/(?:answers|measurements)/{_NAME}\.json"
    rf"|private/{_NAME}\.(?:json|toml)|private/(?!journal/|seals/){_NAME}/{_NAME}\.json"
)
"""Paths of recorded files. A model can't be called ``order.json``: this would be the path of its folder."""


def is_recorded(inside: str) -> bool:
    """Return whether changes of the file at the path `inside` a study are recorded."""
    return _RECORDED.fullmatch(inside) is not None and ".damaged-" not in inside


def journal_of(inside: str) -> str:
    """Return the folder of the journals that record the file `inside`."""
    return PRIVATE_JOURNAL if inside.startswith("private/") else JOURNAL


def content_digest(folder: StudyFolder, inside: str) -> str:
    """Return the SHA-256 of the content of the file `inside`, empty for no file.

    The content is that of the first intact copy, which is the one that is read. If neither copy is intact, it is that of the
    first one that can be read. Errors of the disk are raised as StoreError.
    """
    digests = []
    for copy in (inside, f"{inside}.bak"):
        try:
            data = folder.read(copy, _LARGEST)
        except FileNotFoundError:
            continue
        digests.append(_digest(data))
        if _is_intact(inside, data):
            return digests[-1]
    return digests[0] if digests else ""


def _is_intact(inside: str, data: bytes) -> bool:
    """Return whether `data` has the seal that a file of this name has; any content of ``scheme.toml`` counts."""
    if inside.endswith(".json"):
        return has_intact_seal(data)
    found = _SEAL.search(data)
    if found:
        return hashlib.sha256(data[: found.start()]).hexdigest().encode() == found[1]
    return inside != "study.toml"


@contextmanager
def recording(folder: StudyFolder, inside: str, data: bytes | None) -> Iterator[None]:
    """Record that the block replaces the content of the file `inside` by `data`, or removes it if that is None.

    The record is on the disk when the block begins. Nothing is recorded for a reading, and in a study without journals,
    which is one of format 2 or older.

    Raises
    ------
    StoreError
        The record can't be stored; the block does not run then.
    """
    if not is_recorded(inside):
        yield
        return
    try:
        above = folder.opened(journal_of(inside))
        descriptor = above.__enter__()
    except FileNotFoundError:
        yield
        return
    except OSError as error:
        problem = f"not saved: the folder of the journals can't be opened: {error.strerror}"
        raise StoreError(problem, folder.path / journal_of(inside), "Check its permissions") from error
    try:
        writer = JournalWriter(descriptor, lambda path: content_digest(folder, path))
        alone = _alone(folder, f"{journal_of(inside)}/.{writer.account}.saving")
        with alone, writer.recording(inside, "" if data is None else _digest(data)):
            yield
    finally:
        above.__exit__(None, None, None)


def _alone(folder: StudyFolder, inside: str) -> AbstractContextManager[None]:
    """Exclude the same account on other machines from its journal, on a network file system, where locks may not."""
    if not folder.is_on_network:
        return nullcontext()
    problem = "not saved: another save by this account does not end"
    error = StoreError(problem, folder.path / inside, "Close ratui on the other machine, and try again in 30 seconds")
    return exclusive_file(folder.file(inside), _TIMEOUT, error)


def list_recorded_files(folder: StudyFolder) -> list[str]:
    """Return the paths of all recorded files that exist in a study, sorted. Raises StoreError.

    Files in ``private`` are left out if this account can't open it, and those in folders that are links: the check of the
    access reports links.
    """
    found = [name for name in ("study.toml", "scheme.toml") if folder.find(name) is not None]
    found += _files_in(folder, "regions")
    found += _files_in(folder, "qualifications")
    for case in _folders_in(folder, "films"):
        found += _files_in(folder, f"films/{case}")
    for model in _folders_in(folder, "proposals"):
        found += _files_in(folder, f"proposals/{model}")
    found += _files_in(folder, "models")
    for run in _folders_in(folder, "models"):
        found += _files_in(folder, f"models/{run}")
        found += _files_in(folder, f"models/{run}/answers")
        found += _files_in(folder, f"models/{run}/measurements")
    if _can_open(folder, "private"):
        found += _files_in(folder, "private")
        for name in _folders_in(folder, "private"):
            found += _files_in(folder, f"private/{name}")
    return sorted(set(found))


def _files_in(folder: StudyFolder, inside: str) -> list[str]:
    """Return the recorded files in one folder; one of which only the second copy is left counts."""
    try:
        names = [f"{inside}/{name.removesuffix('.bak')}" for name in folder.files(inside)]
    except StoreError:
        return []
    return [name for name in names if is_recorded(name)]


def _folders_in(folder: StudyFolder, inside: str) -> list[str]:
    try:
        return folder.folders(inside)
    except StoreError:
        return []


def _can_open(folder: StudyFolder, inside: str) -> bool:
    try:
        with folder.opened(inside):
            return True
    except OSError:
        return False


def load_journals(folder: StudyFolder, inside: str) -> tuple[JournalFile, ...] | None:
    """Return the journals in the folder `inside`, or None without such a folder or the right to open it."""
    try:
        with folder.opened(inside) as descriptor:
            return read_journals(descriptor)
    except OSError:
        return None


def expected_digests(folder: StudyFolder, inside: str) -> frozenset[str]:
    """Return the digests that the content of the file `inside` can have according to the journals; empty if unknown."""
    journals = load_journals(folder, journal_of(inside)) if is_recorded(inside) else None
    changes = changes_by_path(journals or ()).get(inside, ())
    return expected_contents(changes) if changes else frozenset()


def find_other_content(folder: StudyFolder, inside: str, copy: bytes) -> str:
    """Return why the bytes of an intact second `copy` are not what was saved as the file `inside`, or an empty text."""
    expected = expected_digests(folder, inside)
    return "the journal records another content" if expected and _digest(copy) not in expected else ""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def begin_journals(folder: StudyFolder) -> None:
    """Record the first known content of each file as "first": nothing is known of it before.

    This is for a study that had no journals. A file that was saved since then has the content before its first record. The
    folders of the journals must exist. Raises StoreError.
    """
    for journal in (JOURNAL, PRIVATE_JOURNAL):
        known = changes_by_path(load_journals(folder, journal) or ())
        states = {
            path: first_content(known[path]) if path in known else content_digest(folder, path)
            for path in list_recorded_files(folder)
            if journal_of(path) == journal
        }
        states = {path: content for path, content in states.items() if content}
        if states:
            with _writer(folder, journal) as writer:
                writer.begin(states)


def accept_content(folder: StudyFolder, inside: str) -> bool:
    """Record that the present content of the file `inside` is accepted although a change of it was not recorded.

    Returns
    -------
    bool
        False if its changes are recorded: there is nothing to accept.

    Raises
    ------
    StoreError
        `inside` is no recorded file, or there is no journal that this account can write.
    """
    if not is_recorded(inside):
        problem = "changes of this file are not recorded"
        raise StoreError(problem, inside, "Give a path inside the study, such as regions/C-1.json")
    present, expected = content_digest(folder, inside), expected_digests(folder, inside)
    if present in expected:
        return False
    with _writer(folder, journal_of(inside)) as writer:
        writer.accept(inside, min(expected, default=""))
    return True


def record_event(folder: StudyFolder, event: str, detail: str) -> bool:
    """Record an event, such as an export, in the journal of this account; see `journal`.

    Returns
    -------
    bool
        False if the study has no journals, or is on a file system that is mounted read-only.

    Raises
    ------
    StoreError
        The record can't be stored.
    """
    if folder.is_read_only or folder.find(JOURNAL) is None:
        return False
    with _writer(folder, JOURNAL) as writer:
        writer.add_event(clean_text(event, 40), clean_text(detail, _LONGEST_DETAIL))
    return True


@contextmanager
def _writer(folder: StudyFolder, journal: str) -> Iterator[JournalWriter]:
    try:
        with folder.opened(journal) as descriptor:
            yield JournalWriter(descriptor, lambda path: content_digest(folder, path))
    except OSError as error:
        problem = f"the folder of the journals can't be opened: {error.strerror}"
        raise StoreError(problem, folder.path / journal, "See: ratui check STUDY") from error
