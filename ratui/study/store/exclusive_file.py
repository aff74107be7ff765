"""A file that only one process can create: mutual exclusion on network file systems, whose locks may not work.

Every file system lets only one of several processes create a file (``O_EXCL``), also of processes on different machines.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ratui.errors import StoreError

if TYPE_CHECKING:
    from ratui.study.store.folder import StudyFile

__all__ = ["STALE_SECONDS", "exclusive_file"]

STALE_SECONDS = 30.0
"""Time after which the process that created the file is believed to have ended: a save takes far less."""
_LARGEST = 100  # bytes


@contextmanager
def exclusive_file(file: StudyFile, timeout: float, error: StoreError) -> Iterator[None]:
    """Create `file` for the duration of the block, alone of all processes.

    Parameters
    ----------
    file
        The file; its folder exists.
    timeout
        Seconds to wait for another process that has created it. A file that is older than 30 seconds is removed then.
    error
        Error to raise if the other process keeps it.

    Raises
    ------
    StoreError
        If another process keeps the file.
    OSError
        If the file can't be created.
    """
    folder, token = file.folder, secrets.token_hex(8).encode()
    deadline = time.monotonic() + timeout
    while not _create(file, token, is_last=time.monotonic() >= deadline):
        if time.monotonic() >= deadline:
            if not _remove_stale(file):
                raise error
            deadline = time.monotonic() + timeout
        time.sleep(0.01)
    try:
        yield
    finally:
        # Removed by another process if this one was stopped for long: then the file is the other's.
        if _content(file) == token:
            with contextlib.suppress(StoreError):
                folder.remove(file.inside)


def _create(file: StudyFile, token: bytes, *, is_last: bool) -> bool:
    try:
        return file.folder.create(file.inside, token)
    except PermissionError:
        # Servers of SFTP report an existing file in this way, also one that has just been removed.
        if is_last and not file.folder.exists(file.inside):
            raise
        return False


def _content(file: StudyFile) -> bytes:
    try:
        return file.folder.read(file.inside, _LARGEST)
    except (FileNotFoundError, StoreError):
        return b""


def _remove_stale(file: StudyFile) -> bool:
    """Remove the file if its creator has ended long ago; return whether it is gone."""
    before, age = _content(file), _age(file)
    if age is None:
        return True
    if age < STALE_SECONDS:
        return False
    aside = f".{file.name}.{secrets.token_hex(6)}.tmp"
    with contextlib.suppress(OSError):
        file.folder.rename(file.inside, aside)  # of several processes, one succeeds
        aside_file = file.folder.file(f"{file.parent}/{aside}".lstrip("/"))
        is_same = _content(aside_file) == before
        file.folder.remove(aside_file.inside)
        return is_same
    return True


def _age(file: StudyFile) -> float | None:
    """Return the age of the file in seconds by the clock of the server, or None if it is gone."""
    found = file.folder.find(file.inside)
    probe = f"{file.parent}/.{file.name}.{secrets.token_hex(6)}.tmp".lstrip("/")
    file.folder.create(probe, b"")
    now = file.folder.find(probe)
    file.folder.remove(probe)
    return None if found is None or now is None else now.st_mtime - found.st_mtime
