"""The lock of a whole study: many may save at the same time, and a snapshot excludes every save."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from ratui.errors import StoreError
from ratui.files import file_mode
from ratui.study.store.folder import StudyFolder, as_folder
from ratui.study.store.kernel_locks import LockKind, find_holders, wait_for_lock

__all__ = ["LOCK_FILES", "StudyLock"]

LOCK_FILES = ("study.lock", "gate.lock")
"""Files in a study's folder that `StudyLock` locks. Members of the group may only read them: a shared lock needs no more."""
_TIMEOUT = 10.0  # seconds that a save or a snapshot waits for the study
_PATIENCE = 3.0  # seconds that a snapshot waits for saves which have begun, while no other can begin
_NO_ACCESS = (errno.EACCES, errno.EPERM)


class StudyLock:
    """A readers–writer lock on a study: `shared` for a save, `exclusive` for a consistent snapshot.

    Any number of processes may have `shared` at once; a process that has `exclusive` is alone. Hold it for a moment, never
    while a person thinks. Every `shared` passes a gate that a waiting `exclusive` closes, so that a stream of saves can't
    delay a snapshot for long.

    Only accounts that may write the lock files, which are the study's owner and root, can have `exclusive`: no other member
    of the group can block saves. On a file system that is mounted read-only nothing can be saved, so `exclusive` locks
    nothing there.
    """

    def __init__(self, study: StudyFolder | Path) -> None:
        self._folder = as_folder(study)
        self._main, self._gate = LOCK_FILES
        self._thread = threading.local()

    def create_files(self) -> None:
        """Create the lock files, so that every member of the group can open them for reading. Raises OSError."""
        with self._folder.opened() as top:
            mode = file_mode(top)
        for name in LOCK_FILES:
            os.close(self._folder.open_lock(name, mode=mode))

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Lock for one save, or for saves that belong together; a nested call does nothing.

        Raises StoreError if the study stays locked exclusively for 10 seconds.
        """
        if getattr(self._thread, "is_shared", False):
            yield
            return
        with self._lock(self._gate, "shared"):
            passed = ExitStack()
            passed.enter_context(self._lock(self._main, "shared"))
        with passed:  # the gate is open again, the lock is held
            self._thread.is_shared = True
            try:
                yield
            finally:
                self._thread.is_shared = False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock for a look at all files while nothing is saved.

        Raises StoreError if saves do not end in 3 seconds, or if this account may not lock the study.
        """
        if self._folder.is_read_only:
            yield
            return
        with self._lock(self._gate, "exclusive"), self._lock(self._main, "exclusive", min(_PATIENCE, _TIMEOUT)):
            yield

    @contextmanager
    def _lock(self, name: str, kind: LockKind, timeout: float | None = None) -> Iterator[None]:
        path = self._folder.path / name
        try:
            descriptor = self._open(name, kind)
        except OSError as error:
            if kind == "exclusive" and error.errno in _NO_ACCESS:
                raise StoreError("only the study's owner can lock it", path, "Ask the owner") from error
            raise StoreError(f"can't be locked: {error.strerror}", path, "Check its permissions") from error
        try:
            self._wait(descriptor, kind, path, _TIMEOUT if timeout is None else timeout)
            yield
        finally:
            with contextlib.suppress(OSError):  # close() releases the lock even if it reports an error
                os.close(descriptor)

    def _open(self, name: str, kind: LockKind) -> int:
        access: Literal["read", "write"] = "read" if kind == "shared" else "write"
        try:
            return self._folder.open_lock(name, access=access)
        except FileNotFoundError:
            self.create_files()  # a study of format 1 has none
            return self._folder.open_lock(name, access=access)

    def _wait(self, descriptor: int, kind: LockKind, path: Path, timeout: float) -> None:
        try:
            is_locked = wait_for_lock(descriptor, kind, timeout)
        except OSError as error:
            remedy = "Use a file system that supports locks"
            raise StoreError(f"can't be locked: {error.strerror}", path, remedy) from error
        if is_locked:
            return
        problem = "the study is locked, perhaps for a backup"
        if kind == "exclusive":
            problem = "the study is locked by another process, or a save in it does not end"
        processes = ", ".join(map(str, find_holders(descriptor)))
        remedy = f"Try again in a moment. It is open in process {processes}" if processes else "Try again in a moment"
        raise StoreError(problem, self._folder.path, remedy)
