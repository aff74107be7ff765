"""A private temporary folder for the files of archives, which contain names of patients. It is removed after the import."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

from ratui.study.archive_limits import check_free_space

__all__ = ["ScratchFolder"]

_PREFIX = "ratui-import-"
_LOCK = "lock"
_RESERVE = 500_000_000  # bytes that stay free on the disk


class ScratchFolder:
    """A temporary folder with mode 0700, made at the first use, and removed by `close`.

    An import that was killed can't remove its folder. The next import of the same account does: nobody has its lock.
    """

    def __init__(self) -> None:
        self._path: Path | None = None  # real path
        self._lock = -1
        self._count = 0

    def __enter__(self) -> ScratchFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_at(self, path: Path) -> bool:
        """Return whether `path`, a real path, is this folder."""
        return path == self._path

    def new_path(self, suffix: str, size: int) -> Path:
        """Return the path of a new file with this suffix for `size` bytes. Raises StoreError if the disk is too full."""
        if self._path is None:
            _remove_abandoned()
            self._path = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
            self._lock = os.open(self._path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        check_free_space(self._path, size + _RESERVE)
        self._count += 1
        return self._path / f"{self._count:06d}{suffix}"

    def close(self) -> None:
        """Remove the folder and its files."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            os.close(self._lock)
            self._path = None


def _remove_abandoned() -> None:
    """Remove folders of this account whose import was killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                continue
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
