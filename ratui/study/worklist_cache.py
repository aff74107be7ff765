"""The cache in which an account keeps its indices of worklists, outside every study.

An index in a study could be made by another account, and would then tell wrong progress. So each account has its own
indices, in its cache folder (Linux: ``~/.cache/ratui/worklists``), in one folder for each study and path. A file is used
only if it and its folder belong to this account and nobody else can write there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from ratui.errors import StoreError
from ratui.files import write_bytes

__all__ = ["WorklistCache"]

_LARGEST = 200_000_000  # bytes
_MOST_STUDIES = 50
"""Studies whose indices are kept; the folders that were changed last."""


class WorklistCache:
    """The saved indices of one study.

    Parameters
    ----------
    study
        ID of the study.
    path
        Folder of the study: copies of a study have the same ID.
    """

    def __init__(self, study: str, path: Path) -> None:
        place = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
        self.name = f"{study}-{place}"
        """Name of the folder."""

    def read(self, rater: str) -> bytes | None:
        """Return the index of the worklist of `rater`, or None if there is none that this account has made."""
        try:
            with self._opened(create=False) as folder:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(f"{rater}.json", flags, dir_fd=folder)
                try:
                    found = os.fstat(descriptor)
                    if not (stat.S_ISREG(found.st_mode) and _is_own(found) and found.st_size <= _LARGEST):
                        return None
                    with open(descriptor, "rb", closefd=False) as file:
                        return file.read(_LARGEST)
                finally:
                    os.close(descriptor)
        except (OSError, RuntimeError):
            return None

    def write(self, rater: str, data: bytes) -> None:
        """Save the index of the worklist of `rater`. Nothing happens if that is impossible: it is computed again then."""
        with contextlib.suppress(OSError, StoreError, RuntimeError), self._opened(create=True) as folder:
            write_bytes(Path(f"{rater}.json"), data, copy=False, private=True, folder=folder)

    @contextmanager
    def _opened(self, *, create: bool) -> Iterator[int]:
        """Yield the descriptor of the study's folder in the cache. Raises OSError, or RuntimeError without a home folder."""
        caches = user_cache_path("ratui") / "worklists"
        if create:
            caches.mkdir(mode=0o700, parents=True, exist_ok=True)
        top = os.open(caches, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not _is_own(os.fstat(top)):
                raise PermissionError("the cache belongs to another account, or others can write in it")
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(self.name, 0o700, dir_fd=top)
                    _remove_oldest(top)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            folder = os.open(self.name, flags, dir_fd=top)
            try:
                if not _is_own(os.fstat(folder)):
                    raise PermissionError("the cache belongs to another account, or others can write in it")
                yield folder
            finally:
                os.close(folder)
        finally:
            os.close(top)


def _is_own(found: os.stat_result) -> bool:
    """Return whether an object belongs to this account, and nobody else can write to it."""
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _remove_oldest(top: int) -> None:
    """Remove the folders of studies that were used least recently."""
    with os.scandir(top) as entries:
        found = sorted((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name) for entry in entries)
    for _, name in found[:-_MOST_STUDIES]:
        with contextlib.suppress(OSError):
            shutil.rmtree(name, dir_fd=top)
