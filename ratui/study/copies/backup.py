"""Back up a study into one verified archive.

The archive is a ZIP file with a list of SHA-256 digests. It does not contain the key of the pseudonyms. No existing file
is ever overwritten.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ratui.bounded_parsing import parse_json
from ratui.errors import DamagedError, StoreError
from ratui.files import make_folder, sync_folder
from ratui.study.accounts import account_name, find_owner_account, find_rater_account
from ratui.study.config_files import CONSENSUS
from ratui.study.copies.archive_limits import (
    check_directory,
    check_entries,
    check_free_space,
    find_unexpected,
    is_file_name,
    largest_size,
)
from ratui.study.copies.snapshot import list_closed_folders, list_study_files, snapshot
from ratui.study.evidence.state import ArchiveSource
from ratui.study.store.folder import StudyFolder
from ratui.study.study import Study
from ratui.study.study_config import format_present_time

__all__ = [
    "Archive",
    "ArchiveWriter",
    "back_up",
    "new_archive",
    "open_archive",
    "open_source",
    "open_zip",
    "read_verified",
    "write_archive",
]

_LIST = "CONTENTS.json"
_FORMAT = 1
_CHUNK_BYTES = 1 << 20
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{0,64}")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Archive:
    """A verified archive.

    Attributes
    ----------
    path
        Its file.
    study
        ID of the study in it.
    created
        Time of the backup, ISO 8601 in UTC.
    checksums
        SHA-256 of each file by its path inside the study.
    accounts
        Name of the account that owned the readings of each rater; in a study that was not shared, empty.
    owner
        Name of the account that owned the study; empty if it was not shared.
    rater
        Rater for whom it was packaged; empty for a backup.
    left_out
        Reason by path of each file in the study's folder that ratui did not write, and that was not packed.
    """

    path: Path
    study: str
    created: str
    checksums: dict[str, str]
    accounts: dict[str, str] = field(default_factory=dict)
    owner: str = ""
    rater: str = ""
    left_out: dict[str, str] = field(default_factory=dict)


def back_up(study: Study, target: Path, *, progress: Progress | None = None) -> Archive:
    """Create an archive of the study as it is now, and read it again to verify it; raters can go on saving.

    Parameters
    ----------
    study
        The study. Only its owner can back it up, because an archive contains every rater's readings.
    target
        New file outside the study.
    progress
        Called with (files done, files in all).

    Returns
    -------
    Archive
        The verified archive.

    Raises
    ------
    StoreError
        If the archive can't be created; no file of that name exists then.
    """
    owner = study.folder.owner
    if os.geteuid() not in (0, owner):
        problem = "a backup contains every rater's readings: only the study's owner can make one"
        raise StoreError(problem, study.path, f"Ask {account_name(owner)}")
    left_out: dict[str, str] = {}

    def pack(file: Path) -> None:
        with snapshot(study) as frozen:
            left_out.update(_pack(frozen, _head(study), file, progress or (lambda done, of: None)))

    return replace(write_archive(study, Path(target), pack), left_out=left_out)


def write_archive(study: Study, target: Path, pack: Callable[[Path], None]) -> Archive:
    """Create the archive `target` under a temporary name by a call of `pack`, verify it, and rename it.

    Raises StoreError if it can't be created; no file of that name exists then.
    """
    if target.exists():
        raise StoreError("there is a file of that name already", target, "Choose another")
    if target.resolve().is_relative_to(study.path.resolve()):
        raise StoreError("a backup can't be inside the study", target, "Choose another folder")
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        pack(temporary)
        archive = open_archive(temporary)
        os.link(temporary, target)  # unlike a rename, it fails if the file exists
        sync_folder(target.parent)
    except OSError as error:
        raise StoreError(
            f"the backup can't be made: {error.strerror or error}", target, "Free some disk space there"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return replace(archive, path=target)


def _head(study: Study) -> dict[str, object]:
    """Return what the list in an archive says beside the files: the study, and the accounts of a shared one."""
    head: dict[str, object] = {"study": study.config.id}
    if study.config.group:
        accounts = {rater: find_rater_account(study.folder, rater) for rater in (*study.config.raters, CONSENSUS)}
        head["accounts"] = {rater: account for rater, account in accounts.items() if account}
        head["owner"] = find_owner_account(study.folder)
    return head


def _pack(frozen: Study, head: Mapping[str, object], file: Path, progress: Progress) -> dict[str, str]:
    """Write the archive and return the reason by name of each file that was left out. Raises OSError, StoreError."""
    names, needed = [], 0
    left_out = dict.fromkeys(list_closed_folders(frozen), "the folder can't be opened: Permission denied")
    for name in map(Path, list_study_files(frozen)):
        # Raters can put any file into their own folder. It must neither fill the disk nor prevent backups.
        try:
            with frozen.folder.opened_file(name.as_posix(), sys.maxsize) as (descriptor, size):
                reason = find_unexpected(name.as_posix(), os.fstat(descriptor))
        except StoreError as error:
            if not isinstance(error.__cause__, PermissionError | None):  # the disk, not the file
                raise
            reason, size = error.problem, 0
        if reason:
            left_out[name.as_posix()] = reason
        else:
            names.append(name)
            needed += size
    check_free_space(file.parent, needed)
    with new_archive(file, head) as archive:
        for number, name in enumerate(names):
            progress(number, len(names))
            archive.add_file(frozen.folder, name.as_posix())
    progress(len(names), len(names))
    return left_out


@contextmanager
def new_archive(file: Path, head: Mapping[str, object]) -> Iterator[ArchiveWriter]:
    """Create the archive `file`, to which the block adds files; write the list of them at the end. Raises OSError."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w+b") as raw:
        with zipfile.ZipFile(raw, "w", allowZip64=True) as packed:
            writer = ArchiveWriter(packed)
            yield writer
            made = format_present_time()
            listed = {"format": _FORMAT, **head, "made": made, "sums": writer.checksums}
            packed.writestr(_entry(_LIST), json.dumps(listed))
        raw.flush()
        os.fsync(raw.fileno())


class ArchiveWriter:
    """An archive that is being written. `checksums` are the SHA-256 of its files by their path in the study."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        self.checksums: dict[str, str] = {}

    def add(self, name: str, data: bytes) -> None:
        """Add a file with the content `data`."""
        self._packed.writestr(_entry(name), data)
        self.checksums[name] = hashlib.sha256(data).hexdigest()

    def add_file(self, folder: StudyFolder, name: str) -> None:
        """Add the file `name` of `folder`. Raises StoreError if it can't be read, or grows meanwhile."""
        entry, total = _entry(name), hashlib.sha256()
        with folder.opened_file(name, largest_size(name)) as (descriptor, size):
            entry.file_size = size  # zipfile decides by it whether the entry needs 64-bit sizes
            with self._packed.open(entry, "w") as target:
                left = size
                while chunk := os.read(descriptor, min(_CHUNK_BYTES, left + 1)):
                    left -= len(chunk)
                    if left < 0:
                        raise StoreError("the file grows while it is packed", folder.path / name, "Try again")
                    total.update(chunk)
                    target.write(chunk)
        self.checksums[name] = total.hexdigest()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # its time is 1980: the times of the files may reveal the order of the films
    entry.compress_type = zipfile.ZIP_DEFLATED if name.endswith((".json", ".jsonl", ".toml")) else zipfile.ZIP_STORED
    entry.external_attr = 0o600 << 16
    return entry


def open_archive(path: Path) -> Archive:
    """Return the archive at `path` after a comparison of every file in it with its digest.

    Raises DamagedError if one differs, and StoreError if there is no archive or a newer version made it.
    """
    with open_zip(path) as packed:
        check_entries(packed.infolist(), path)
        archive = _read_contents(packed, path)
        for name in archive.checksums:
            _verify(packed, archive, name)
    return archive


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive for the duration of the block. Raises DamagedError, also for errors of the block, and StoreError."""
    try:
        check_directory(path)
    except FileNotFoundError as error:
        raise StoreError("there is no such archive", path, "Check the path") from error
    except IsADirectoryError as error:
        raise StoreError("it is a folder, and not an archive", path, "Give the file that ratui backup wrote") from error
    except OSError as error:
        raise StoreError(
            f"the archive can't be read: {error.strerror}", path, "Check its permissions and its disk"
        ) from error
    try:
        with zipfile.ZipFile(path) as packed:
            yield packed
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise DamagedError("the archive is damaged", path, "Use another backup") from error


def _read_contents(packed: zipfile.ZipFile, path: Path) -> Archive:
    """Return the list in the archive. Raises DamagedError if the archive contains anything else."""
    try:
        head = parse_json(_read_limited(packed, _LIST, largest_size(_LIST)))
        if head["format"] > _FORMAT:
            raise StoreError("it was written by a newer version of ratui", path, "Update ratui")
        checksums = {str(name): str(total) for name, total in head["sums"].items()}
        study, made = str(head["study"]), str(head["made"])
        owner, rater = str(head.get("owner", "")), str(head.get("rater", ""))
        accounts = {str(rater): str(account) for rater, account in head.get("accounts", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DamagedError("it is not a backup of a study, or it is damaged", path, "Use another backup") from error
    if sorted([*checksums, _LIST]) != sorted(packed.namelist()):
        raise DamagedError("the archive does not contain what it lists", path, "Use another backup")
    for name in checksums:
        if not is_file_name(name):
            raise DamagedError("the archive names a file outside of the study", path, "Use another backup")
    if not all(_ACCOUNT.fullmatch(name) for name in (owner, rater, *accounts.values(), *accounts)):
        raise DamagedError("the archive names an impossible account", path, "Use another backup")
    return Archive(path, study, made, checksums, accounts, owner, rater)


def _verify(packed: zipfile.ZipFile, archive: Archive, name: str) -> None:
    """Raise DamagedError if the file `name` in an archive has another digest; keep only a part of it in memory."""
    with packed.open(name) as file:
        total = hashlib.sha256()
        while chunk := file.read(_CHUNK_BYTES):
            total.update(chunk)
    _compare_digest(archive, name, total.hexdigest())


def read_verified(packed: zipfile.ZipFile, archive: Archive, name: str) -> bytes:
    """Return the file `name` of an open archive. Raises DamagedError if it is not the file that was backed up."""
    data = _read_limited(packed, name, largest_size(name))
    _compare_digest(archive, name, hashlib.sha256(data).hexdigest())
    return data


def _compare_digest(archive: Archive, name: str, digest: str) -> None:
    if digest != archive.checksums[name]:
        raise DamagedError(
            f"{name} in the archive is not the file that was backed up", archive.path, "Use another backup"
        )


def _read_limited(packed: zipfile.ZipFile, name: str, most: int) -> bytes:
    with packed.open(name) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise DamagedError(
            "the archive contains a file larger than any of a study", packed.filename, "Use another backup"
        )
    return data


@contextmanager
def open_source(path: Path) -> Iterator[tuple[Archive, ArchiveSource]]:
    """Open the archive at `path` to read the state of the study in it. Each file that is read is compared with its digest.

    Raises
    ------
    StoreError
        There is no such archive, or a newer version made it.
    DamagedError
        It is damaged.
    """
    with open_zip(path) as packed:
        archive = _read_contents(packed, path)
        yield archive, ArchiveSource(archive.checksums, lambda name: read_verified(packed, archive, name))
