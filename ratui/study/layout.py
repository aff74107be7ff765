"""The folders of a study, who may enter which, and the lock by which a whole study can be held still for a moment.

In a study that a Unix group shares: films and settings are the owner's to change and the group's to read; each rater's
readings are that rater's to change; regions and proposals may be changed by everyone in the group.
"""

from __future__ import annotations

import errno
import fcntl
import grp
import hashlib
import os
import pwd
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ratui.errors import StoreError, StudyError, clean_text
from ratui.study.store import file_mode, make_folder, share_folder
from ratui.study.store.access import STICKY

__all__ = [
    "FOLDERS",
    "SNAPSHOT_PREFIX",
    "StudyLock",
    "account_name",
    "file_digest",
    "folder_mode",
    "group_id",
    "make_study_folder",
]

FOLDERS = {"": 0o050, "films": 0o050, "regions": 0o070, "readings": 0o070, "proposals": 0o070, "models": 0o070}
"""What the group of a shared study may do in each folder of it."""
SNAPSHOT_PREFIX = ".snapshot-"
"""How the folder of a picture of the study begins, which is there while somebody looks at it."""
LOCKS = ("study.lock", "gate.lock")
_STICKY = {"readings", "proposals", "models"}
_WAIT = 10.0


def group_id(name: str) -> int | None:
    """The number of the Unix group `name`, or None for no group. Raises StudyError for an unknown one."""
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError) as error:
        raise StudyError(
            f"there is no Unix group {clean_text(name)}", "", "Ask for it to be made, or leave it out"
        ) from error


def account_name(uid: int) -> str:
    """The name of the account number `uid`."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"


def file_digest(path: Path) -> str:
    """The SHA-256 of the file at `path`. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_mode(name: str, shared: bool) -> int:
    """The mode of the folder `name` of a study, of FOLDERS."""
    if not shared:
        return 0o700
    return 0o2700 | FOLDERS[name] | (STICKY if name in _STICKY else 0)


def make_study_folder(path: Path, group: str) -> None:
    """Makes the empty folders of a study at `path`, open to `group` as FOLDERS says. Raises StudyError."""
    gid = group_id(group)
    try:
        make_folder(path)
        share_folder(path, gid, FOLDERS[""])
        for name, bits in FOLDERS.items():
            if name:
                make_folder(path / name)
                share_folder(path / name, gid, bits, sticky=name in _STICKY)
        StudyLock(path).create_files()
    except OSError as error:
        remedy = "Check the path" if gid is None else f"Whoever makes the study must be a member of {group}"
        raise StudyError(f"the folder can't be made: {error.strerror}", path, remedy) from error


class StudyLock:
    """A readers–writer lock on a study: `shared` for a save, `exclusive` for a consistent snapshot.

    Any number of processes may hold `shared` at once; a holder of `exclusive` is alone. Each lock ends with its process.
    Hold it for a moment, never while a person thinks. Who wants `exclusive` closes a gate that every `shared` passes
    through, so that a stream of saves can't delay it for long.
    """

    def __init__(self, study: Path) -> None:
        self._path, self._gate = (study / name for name in LOCKS)
        self._held = threading.local()

    def create_files(self) -> None:
        """Makes the locks' files, so that every member of the group can use them later. Raises OSError."""
        for path in (self._path, self._gate):
            mode = file_mode(path.parent)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.fchmod(descriptor, mode | (0o060 if mode & 0o040 else 0))
            finally:
                os.close(descriptor)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """For one save, or some that belong together. Raises StoreError where the study is held still for seconds."""
        if getattr(self._held, "shared", False):
            yield
            return
        with self._lock(self._gate, fcntl.LOCK_SH):
            passed = ExitStack()
            passed.enter_context(self._lock(self._path, fcntl.LOCK_SH))
        with passed:
            self._held.shared = True
            try:
                yield
            finally:
                self._held.shared = False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """For a look at everything. Raises StoreError where saves don't end for some seconds."""
        with self._lock(self._gate, fcntl.LOCK_EX), self._lock(self._path, fcntl.LOCK_EX):
            yield

    @contextmanager
    def _lock(self, path: Path, kind: int) -> Iterator[None]:
        try:
            descriptor = self._open(path)
        except OSError as error:
            raise StoreError(f"can't be locked: {error.strerror}", path, "Check its permissions") from error
        try:
            _wait_for(descriptor, kind, path)
            yield
        finally:
            with suppress(OSError):  # it is closed all the same, and so the lock is free
                os.close(descriptor)

    def _open(self, path: Path) -> int:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            self.create_files()  # a study of format 1 has none
            return os.open(path, flags)


def _wait_for(descriptor: int, kind: int, path: Path) -> None:
    deadline = time.monotonic() + _WAIT
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                remedy = "Use a file system that knows locks"
                raise StoreError(f"can't be locked: {error.strerror}", path, remedy) from error
            if time.monotonic() >= deadline:
                remedy = "Try again in a moment"
                held = "somebody holds the study still, perhaps for a backup"
                if kind == fcntl.LOCK_EX:
                    held = "somebody else holds the study, or a save in it doesn't end"
                raise StoreError(held, path.parent, remedy) from error
            time.sleep(0.002)
