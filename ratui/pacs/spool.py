"""The spool: a private folder outside the study, in which received files wait until they are imported."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock

from platformdirs import user_data_path

from ratui.errors import PacsError
from ratui.files import make_folder, remove_leftovers, write_bytes
from ratui.study import Study
from ratui.study.store import FileLock

__all__ = ["MAX_FILM_BYTES", "Spool", "SpoolFullError", "TooLargeError"]

MAX_FILM_BYTES = 300_000_000
"""Maximum size of a file that is fetched or received. A film of 10,000 × 14,000 pixels of 16 bits has 280 MB."""
_GIGABYTE = 10**9
_RESERVE = _GIGABYTE
_FINISHED = ".finished"
_MAX_FINISHED_BYTES = 200_000_000


class TooLargeError(PacsError):
    """A file or an answer that is larger than any that is accepted."""


class SpoolFullError(PacsError):
    """A spool or a disk that has no place for a file."""


class Spool:
    """A folder of received files, open to its owner only and locked against other processes. A context manager.

    Each file is named by a digest, which reveals nothing. `finish` removes files and remembers their names, so that a later
    run does not fetch them again. Methods may be called from several threads.

    Parameters
    ----------
    study
        The study for which the files are received. The folder must be outside it.
    purpose
        ``fetch`` or ``receive``, which have different folders.
    folder
        The folder; by default it is in the user's data folder, named after the study.
    limit
        Maximum size of all files together, in bytes.

    Raises
    ------
    PacsError
        On entry, if the folder is inside the study, or other accounts have access to it.
    StoreError
        On entry, if the folder can't be created, or another process uses it.
    """

    def __init__(self, study: Study, purpose: str, folder: Path | None = None, *, limit: int = 100 * _GIGABYTE) -> None:
        self.folder = (folder or user_data_path("ratui") / "spool" / study.config.id / purpose).absolute()
        self._study = study
        self._limit = limit
        self._guard = Lock()
        self._lock = FileLock(self.folder / ".spool.lock")
        self._size = 0
        self._finished: set[str] = set()

    def __enter__(self) -> Spool:
        if self.folder.resolve().is_relative_to(self._study.path.resolve()):
            raise PacsError("the spool can't be inside the study", self.folder, "Choose another folder with --spool")
        make_folder(self.folder)
        found = self.folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise PacsError("other accounts have access to the spool", self.folder, "chmod 700 it, as its owner")
        self._lock.__enter__()
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            remove_leftovers(descriptor)
        finally:
            os.close(descriptor)
        self._size = sum(file.stat().st_size for file in self.files())
        self._finished = set(self._read_finished())
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.__exit__(None, None, None)

    @staticmethod
    def name(*about: str) -> str:
        """Return the file name of the object with these identifiers, or with this content."""
        digest = hashlib.sha256("\0".join(about).encode("utf-8", "surrogatepass")).hexdigest()
        return f"{digest[:40]}.dcm"

    def path(self, name: str) -> Path:
        """Return the path of the file `name`, which need not exist."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Return whether the file `name` waits here."""
        return self.path(name).is_file()

    def is_finished(self, name: str) -> bool:
        """Return whether the file `name` was received and finished earlier."""
        return name in self._finished

    def files(self) -> list[Path]:
        """Return the files that wait, sorted by name."""
        return sorted(file for file in self.folder.glob("*.dcm") if file.is_file())

    def store(self, name: str, data: bytes) -> Path:
        """Store a received file completely and durably, and return its path.

        Raises TooLargeError if it is too large, SpoolFullError if all files together would be, or if the disk would become
        full, and StoreError if it can't be written.
        """
        if len(data) > MAX_FILM_BYTES:
            raise TooLargeError(f"a file has more than {MAX_FILM_BYTES // 10**6} MB")
        path = self.path(name)
        with self._guard:
            if self._size + len(data) > self._limit:
                raise SpoolFullError(
                    f"the spool would have more than {self._limit / _GIGABYTE:g} GB", self.folder, "Raise --limit"
                )
            if shutil.disk_usage(self.folder).free - len(data) < _RESERVE:
                raise SpoolFullError(
                    "the disk has less than 1 GB left", self.folder, "Choose another folder with --spool"
                )
            before = path.stat().st_size if path.is_file() else 0
            write_bytes(path, data, copy=False, private=True)
            self._size += len(data) - before
        return path

    def finish(self, files: Iterable[Path], *, remember: bool = True) -> None:
        """Remove files that were imported; with `remember`, never fetch them again. Raises StoreError."""
        gone = [file for file in files if file.parent == self.folder]
        with self._guard:
            if remember and gone:
                self._finished.update(file.name for file in gone)
                text = "".join(f"{name}\n" for name in sorted(self._finished))
                write_bytes(self.folder / _FINISHED, text.encode(), copy=False, private=True)
            for file in gone:
                with suppress(FileNotFoundError):
                    size = file.stat().st_size
                    file.unlink()
                    self._size -= size

    def _read_finished(self) -> list[str]:
        from ratui.bounded_parsing import read_bounded

        try:
            return read_bounded(self.folder / _FINISHED, _MAX_FINISHED_BYTES).decode("ascii", "replace").split()
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise PacsError("the list of finished files can't be read", self.folder / _FINISHED) from error
