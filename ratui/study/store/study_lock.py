"""The lock of a whole study: many may save at the same time, and a snapshot excludes every save."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ratui.errors import StoreError
from ratui.files import file_mode
from ratui.study.store.folder import StudyFolder, as_folder
from ratui.study.store.locking import wait_for_lock

__all__ = ["LOCK_FILES", "StudyLock"]

LOCK_FILES = ("study.lock", "gate.lock")
"""Files in a study's folder that `StudyLock` locks; every member of the group may lock them."""
_TIMEOUT = 10.0  # seconds that a save or a snapshot waits for the study


class StudyLock:
    """A readers–writer lock on a study: `shared` for a save, `exclusive` for a consistent snapshot.

    Any number of processes may have `shared` at once; a process that has `exclusive` is alone. Hold it for a moment, never
    while a person thinks. Every `shared` passes a gate that a waiting `exclusive` closes, so that a stream of saves can't
    delay a snapshot for long.
    """

    def __init__(self, study: StudyFolder | Path) -> None:
        self._folder = as_folder(study)
        self._main, self._gate = LOCK_FILES
        self._thread = threading.local()

    def create_files(self) -> None:
        """Create the lock files, so that every member of the group can lock them later. Raises OSError."""
        with self._folder.opened() as top:
            mode = file_mode(top)
        for name in LOCK_FILES:
            # The study's folder gives its group no write access; locking a file needs it.
            os.close(self._folder.open_lock(name, mode=mode | (0o060 if mode & 0o040 else 0)))

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Lock for one save, or for saves that belong together; a nested call does nothing.

        Raises StoreError if the study stays locked exclusively for 10 seconds.
        """
        if getattr(self._thread, "is_shared", False):
            yield
            return
        with self._lock(self._gate, fcntl.LOCK_SH):
            passed = ExitStack()
            passed.enter_context(self._lock(self._main, fcntl.LOCK_SH))
        with passed:  # the gate is open again, the lock is held
            self._thread.is_shared = True
            try:
                yield
            finally:
                self._thread.is_shared = False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock for a look at all files while nothing is saved. Raises StoreError if saves do not end in 10 seconds."""
        with self._lock(self._gate, fcntl.LOCK_EX), self._lock(self._main, fcntl.LOCK_EX):
            yield

    @contextmanager
    def _lock(self, name: str, kind: int) -> Iterator[None]:
        path = self._folder.path / name
        try:
            descriptor = self._open(name)
        except OSError as error:
            raise StoreError(f"can't be locked: {error.strerror}", path, "Check its permissions") from error
        try:
            _wait(descriptor, kind, path)
            yield
        finally:
            with contextlib.suppress(OSError):  # close() releases the lock even if it reports an error
                os.close(descriptor)

    def _open(self, name: str) -> int:
        try:
            return self._folder.open_lock(name, access="write")
        except FileNotFoundError:
            self.create_files()  # a study of format 1 has none
            return self._folder.open_lock(name, access="write")


def _wait(descriptor: int, kind: int, path: Path) -> None:
    try:
        is_locked = wait_for_lock(descriptor, kind, _TIMEOUT)
    except OSError as error:
        raise StoreError(f"can't be locked: {error.strerror}", path, "Use a file system that supports locks") from error
    if not is_locked:
        problem = "the study is locked, perhaps for a backup"
        if kind == fcntl.LOCK_EX:
            problem = "the study is locked by another process, or a save in it does not end"
        raise StoreError(problem, path.parent, "Try again in a moment")
