"""The class `StudyFolder`, through which every file inside a study is opened.

A study is shared by accounts that do not trust one another. Whoever may write in one of its folders can put a link, a FIFO
or a huge file there, or replace a folder by a link at any moment. So every path is relative to the study's top folder,
which is held open. Each folder on the way is opened by descriptor without following a link. Only regular files of a
limited size are read, and reading has a deadline.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from ratui import files
from ratui.errors import DamagedError, StoreError
from ratui.files import write_together
from ratui.study.store.journaling import find_other_content, recording
from ratui.study.store.open_folder import LARGEST_FILE, FileSignature, OpenFolder, StudyFile, split_name, split_path

__all__ = ["LARGEST_FILE", "FileSignature", "StudyFile", "StudyFolder", "as_file", "as_folder"]

_CHUNK_BYTES = 1 << 20
_DEADLINE = 60.0  # seconds for reading one file


class StudyFolder(OpenFolder):
    """A study's folder, in which files are opened by paths relative to it, such as ``readings/anna/C-1.json``.

    Each write of a file that is not a reading is recorded in a journal, see `journaling`.
    """

    def file(self, inside: str) -> StudyFile:
        """Return the file at the path `inside`, which need not exist."""
        split_path(inside)
        return StudyFile(self, inside)

    def read(self, inside: str, largest: int = LARGEST_FILE, *, deadline: float = _DEADLINE) -> bytes:
        """Return the bytes of the regular file `inside`.

        Parameters
        ----------
        inside
            Path of the file.
        largest
            Limit of its size in bytes.
        deadline
            Seconds after which reading is given up, for a disk that hangs.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        StoreError
            It can't be read, is a link or no regular file, is too large, or the disk is too slow.
        """
        with self.opened_file(inside, largest) as (descriptor, size):
            return b"".join(self._chunks(inside, descriptor, min(size + 1, _CHUNK_BYTES), largest, deadline))

    def digest(self, inside: str, largest: int = LARGEST_FILE, *, deadline: float = _DEADLINE) -> str:
        """Return the SHA-256 of the regular file `inside` in hexadecimal digits; parameters and errors as in `read`."""
        total = hashlib.sha256()
        with self.opened_file(inside, largest) as (descriptor, _):
            for chunk in self._chunks(inside, descriptor, _CHUNK_BYTES, largest, deadline):
                total.update(chunk)
        return total.hexdigest()

    def _chunks(self, inside: str, descriptor: int, step: int, largest: int, deadline: float) -> Iterator[bytes]:
        until = time.monotonic() + deadline
        left = largest
        while chunk := os.read(descriptor, step):
            left -= len(chunk)
            if left < 0:  # it grew meanwhile
                problem = "the file is larger than any that ratui writes"
                raise StoreError(problem, self.path / inside, "Restore it from a backup")
            if time.monotonic() > until:
                raise StoreError("the disk is too slow to read it", self.path / inside, "Check the disk")
            yield chunk

    def read_intact(
        self, inside: str, check: Callable[[bytes], object], *, largest: int = LARGEST_FILE
    ) -> tuple[bytes, str] | None:
        """Read the file `inside`, or its second copy if the file is missing or damaged.

        Parameters
        ----------
        inside
            Path of the file. The path of its second copy ends with ``.bak``.
        check
            Function that takes the bytes and raises DamagedError if they are damaged.
        largest
            Largest permitted size of either copy in bytes.

        Returns
        -------
        tuple of bytes and str, or None
            The bytes, and a notice in English if they are from the second copy, otherwise ``""``. None if neither copy
            exists.

        Raises
        ------
        DamagedError
            If no intact copy is left: each is missing or damaged, and at least one exists. A second copy that the journal
            does not record is not used.
        StoreError
            If a copy is too large or cannot be read; no other copy is tried then.
        """
        try:
            data = self.read(inside, largest)
            try:
                check(data)
            except DamagedError as error:
                wrong = error
            else:
                return data, ""
        except FileNotFoundError:
            if not self.exists(f"{inside}.bak"):
                return None
            problem = "the file is missing, but its second copy exists"
            wrong = DamagedError(problem, self.path / inside, "See: ratui check STUDY")
        try:
            data = self.read(f"{inside}.bak", largest)
            check(data)
        except (FileNotFoundError, DamagedError):
            raise wrong from None
        why = find_other_content(self, inside, data)
        if why:
            problem = f"{wrong.problem}; its second copy has another history: {why}"
            raise DamagedError(problem, self.path / inside, "Restore it from a backup")
        return data, f"{wrong.problem}; its second copy is intact and was read"

    def write_together(self, inside: str, files: Mapping[str, bytes], *, modified: int) -> None:
        """Write files into the folder `inside` so that nothing reveals which were there before; see `files.write_together`.

        Raises StoreError if a step fails; each file then has its old content or its new one.
        """
        try:
            with self.opened(inside) as folder:
                write_together(files, folder, modified=modified)
        except OSError as error:
            problem = f"not saved: {error.strerror or error}"
            raise StoreError(problem, self.path / inside, "Remove the cause and try again") from error

    def remove(self, inside: str) -> None:
        """Remove the file `inside`, a link as such; nothing happens without one. Raises StoreError."""

        def unlink(folder: int, name: str) -> None:
            with recording(self, inside, None):
                os.unlink(name, dir_fd=folder)

        self._remove(inside, unlink)

    def remove_folder(self, inside: str) -> None:
        """Remove the folder `inside` with the files in it; nothing happens without one.

        Raises StoreError, also if it contains a folder.
        """
        for name in self.scan(inside):
            self.remove(f"{inside}/{name}")
        self._remove(inside, lambda folder, name: os.rmdir(name, dir_fd=folder))

    def _remove(self, inside: str, remove: Callable[[int, str], None]) -> None:
        """Call `remove` with the descriptor of the folder of `inside` and the name in it. Raises StoreError."""
        above, name = split_name(inside)
        try:
            with self.opened(above) as folder:
                remove(folder, name)
        except FileNotFoundError:
            return
        except OSError as error:
            problem = f"can't be removed: {error.strerror}"
            raise StoreError(problem, self.path / inside, "Check the folder's permissions") from error

    def rename(self, inside: str, name: str) -> None:
        """Rename the object `inside` to `name` in the same folder, in place of a file of that name. Raises OSError."""
        above, old = split_name(inside)
        (name,) = split_path(name)
        with self.opened(above) as folder:
            os.replace(old, name, src_dir_fd=folder, dst_dir_fd=folder)

    def set_aside(self, inside: str) -> str:
        """Rename a damaged file to ``<name>.damaged-<time>`` and return the new path inside. Raises StoreError."""
        aside = f"{inside}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        try:
            self.rename(inside, aside.rpartition("/")[2])
        except OSError as error:
            problem = f"can't be set aside: {error.strerror}"
            raise StoreError(problem, self.path / inside, "Check the folder's permissions") from error
        return aside

    def create(self, inside: str, data: bytes) -> bool:
        """Create the small file `inside` for this account alone; return False if there is one. Raises OSError."""
        above, name = split_name(inside)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self.opened(above) as folder:
            try:
                descriptor = os.open(name, flags, 0o600, dir_fd=folder)
            except FileExistsError:
                return False
            try:
                os.write(descriptor, data)
            finally:
                os.close(descriptor)
        return True

    def scan(self, inside: str = "", *, most: int | None = None) -> Mapping[str, os.stat_result]:
        """Return the entries of the folder `inside` by name, links as such; empty if there is no such folder.

        Raises StoreError if the folder can't be listed, or if it has more than `most` entries.
        """
        result: dict[str, os.stat_result] = {}
        try:
            with self.opened(inside) as folder, os.scandir(folder) as entries:
                for number, entry in enumerate(entries):
                    if number == most:
                        raise StoreError("the folder contains too many files", self.path / inside, "Inspect it with ls")
                    with contextlib.suppress(FileNotFoundError):  # removed since the listing
                        result[entry.name] = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._listing_error(inside, error) from error
        return result

    def files(self, inside: str = "", suffix: str = "", *, most: int | None = None) -> list[str]:
        """Return the names of the regular files in the folder `inside` that end with `suffix`, sorted; see `scan`."""
        found = self.scan(inside, most=most).items()
        return sorted(name for name, entry in found if name.endswith(suffix) and stat.S_ISREG(entry.st_mode))

    def folders(self, inside: str = "", *, by_time: bool = False, most: int | None = None) -> list[str]:
        """Return the names of the folders in the folder `inside`, without links; see `scan`.

        They are sorted by name, or, with `by_time`, by the time of their last change.
        """
        found = {name: entry for name, entry in self.scan(inside, most=most).items() if stat.S_ISDIR(entry.st_mode)}
        return sorted(found, key=lambda name: (found[name].st_mtime_ns if by_time else 0, name))

    def signatures_below(self, inside: str, name: str) -> dict[str, FileSignature]:
        """Return the signature of the file `name` in each folder inside the folder `inside`, by the folder's name.

        Raises StoreError if the folder can't be listed.
        """
        result: dict[str, FileSignature] = {}
        try:
            with self.opened(inside) as folder, os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        # Not opened, because that takes three times as long. A folder replaced by a link just now yields
                        # a wrong signature; the file is then read again, by `read`, which refuses the link.
                        result[entry.name] = _signature(f"{entry.name}/{name}", folder)
        except OSError as error:
            raise self._listing_error(inside, error) from error
        return result

    def _listing_error(self, inside: str, error: OSError) -> StoreError:
        return StoreError(f"the folder can't be listed: {error.strerror}", self.path / inside, "Check its permissions")

    def _recording(self, inside: str, data: bytes | None) -> AbstractContextManager[None]:
        return recording(self, inside, data)


def _signature(path: str, folder: int) -> FileSignature:
    try:
        found = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def as_folder(folder: StudyFolder | Path) -> StudyFolder:
    """Return `folder` itself, or the study folder at the path that it is."""
    return folder if isinstance(folder, StudyFolder) else StudyFolder(folder)


def as_file(file: StudyFile | Path, *, make_folder: bool = False) -> StudyFile:
    """Return `file` itself, or the file at a path, whose folder then counts as the top folder.

    With `make_folder` its folder is created if necessary. Raises StoreError if that fails.
    """
    if isinstance(file, StudyFile):
        if make_folder:
            file.folder.make_folder(file.parent)
        return file
    if make_folder:
        files.make_folder(file.parent)
    return StudyFolder(file.parent).file(file.name)
