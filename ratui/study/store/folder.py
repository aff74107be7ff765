"""The class `StudyFolder`, through which every file inside a study is opened.

A study is shared by accounts that do not trust one another. Whoever may write in one of its folders can put a link, a FIFO
or a huge file there, or replace a folder by a link at any moment. So every path is relative to the study's top folder,
which is held open. Each folder on the way is opened by descriptor without following a link. Only regular files of a
limited size are read, and reading has a deadline.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ratui import files
from ratui.errors import DamagedError, StoreError
from ratui.files import lock_mode, write_bytes, write_together
from ratui.study.store.descriptors import NO_LINK
from ratui.study.store.journaling import find_other_content, recording
from ratui.study.store.open_folder import OpenFolder, split_name, split_path

__all__ = ["LARGEST_FILE", "StudyFile", "StudyFolder", "as_file", "as_folder"]

LARGEST_FILE = 64_000_000
"""Limit of a table file's size in bytes; files written by ratui stay far below."""
_CHUNK_BYTES = 1 << 20
_DEADLINE = 60.0  # seconds for reading one file


@dataclass(frozen=True, slots=True)
class StudyFile:
    """A path inside a study, for functions that read or write one file. Make one with `StudyFolder.file`."""

    folder: StudyFolder
    inside: str

    @property
    def path(self) -> Path:
        """Path for messages and for other programs. Code of the project never opens it."""
        return self.folder.path / self.inside

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.inside.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """Last part of the path without its extension."""
        return self.name.rpartition(".")[0] or self.name

    @property
    def parent(self) -> str:
        """Path of the file's folder inside the study; empty for the top."""
        return self.inside.rpartition("/")[0]

    @property
    def second_copy(self) -> StudyFile:
        """The second copy of the file."""
        return StudyFile(self.folder, f"{self.inside}.bak")

    def with_suffix(self, suffix: str) -> StudyFile:
        """Return the file of the same stem and another extension, such as ``.lock``, in the same folder."""
        return StudyFile(self.folder, f"{self.parent}/{self.stem}{suffix}".lstrip("/"))


class StudyFolder(OpenFolder):
    """A study's folder, in which files are opened by paths relative to it, such as ``readings/anna/C-1.json``.

    Each write of a file that is not a reading is recorded in a journal, see `journaling`.
    """

    def file(self, inside: str) -> StudyFile:
        """Return the file at the path `inside`, which need not exist."""
        split_path(inside)
        return StudyFile(self, inside)

    @contextmanager
    def opened_file(self, inside: str, largest: int = LARGEST_FILE) -> Iterator[tuple[int, int]]:
        """Open the regular file `inside` for reading and yield its descriptor and its size in bytes.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        StoreError
            It can't be read, is a link or no regular file, or is larger than `largest` bytes. An OSError of the block is
            reported in the same way.
        """
        path = self.path / inside
        above, name = split_name(inside)
        try:
            with self.opened(above) as folder:
                descriptor = os.open(name, NO_LINK, dir_fd=folder)
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise StoreError("it is not a regular file", path, "Inspect it with ls -l, then remove it")
                if found.st_size > largest:
                    raise StoreError("the file is larger than any that ratui writes", path, "Restore it from a backup")
                yield descriptor, found.st_size
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno == errno.ELOOP:  # what O_NOFOLLOW reports for a link
                problem = "it is a symbolic link, which ratui does not follow"
                raise StoreError(problem, path, "Check its target, then remove it") from error
            raise StoreError(f"can't be read: {error.strerror}", path, "Check its permissions") from error

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

    def tail(self, inside: str, count: int, largest: int = LARGEST_FILE) -> bytes:
        """Return the last `count` bytes of the regular file `inside`, or all of a shorter file; errors as in `read`."""
        with self.opened_file(inside, largest) as (descriptor, size):
            return os.pread(descriptor, count, max(0, size - count))

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

    def write(
        self, inside: str, data: bytes, *, copy: bool = True, private: bool = False, recorded: bool = True
    ) -> None:
        """Write `data` to the file `inside` atomically and durably; the parameters are those of `files.write_bytes`.

        All writes of a study come here. The change is recorded in this account's journal before any file is created or
        replaced. `recorded` is False only to restore a study together with its journals.

        Raises
        ------
        StoreError
            If a step fails. The content from before can then still be read.
        """
        path = self.path / inside
        try:
            with (
                self.opened(split_name(inside)[0]) as folder,
                recording(self, inside, data) if recorded else contextlib.nullcontext(),
            ):
                write_bytes(path, data, copy=copy, private=private, folder=folder)
        except OSError as error:
            problem = f"not saved: {error.strerror or error}"
            raise StoreError(
                problem, path, "What was saved before is intact. Remove the cause and try again"
            ) from error

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
        above, name = split_name(inside)
        try:
            with self.opened(above) as folder, recording(self, inside, None):
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return
        except OSError as error:
            problem = f"can't be removed: {error.strerror}"
            raise StoreError(problem, self.path / inside, "Check the folder's permissions") from error

    def remove_folder(self, inside: str) -> None:
        """Remove the folder `inside` with the files in it; nothing happens without one.

        Raises StoreError, also if it contains a folder.
        """
        for name in self.scan(inside):
            self.remove(f"{inside}/{name}")
        above, name = split_name(inside)
        try:
            with self.opened(above) as folder:
                os.rmdir(name, dir_fd=folder)
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

    def open_lock(
        self, inside: str, *, access: Literal["create", "write", "read"] = "create", mode: int | None = None
    ) -> int:
        """Open the lock file `inside` and return its descriptor.

        Parameters
        ----------
        inside
            Path of the file.
        access
            ``create``: create the file if it is missing, and open it for reading and writing. ``write`` and ``read``: open
            an existing file for reading and writing, or for reading only.
        mode
            With ``create``, the mode of a new file and of one of this account. None for a file that only accounts can open
            that may write in the folder: whoever can open a lock file can keep others from locking it.

        Raises
        ------
        OSError
            The file can't be opened, or is not a regular file.
        """
        above, name = split_name(inside)
        flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_RDONLY if access == "read" else os.O_RDWR)
        with self.opened(above) as folder:
            descriptor = os.open(name, flags | (os.O_CREAT if access == "create" else 0), 0o600, dir_fd=folder)
            try:
                found = os.fstat(descriptor).st_mode
                if not stat.S_ISREG(found):
                    raise OSError(errno.EINVAL, "it is not a regular file")
                if access == "create":
                    wanted = lock_mode(folder) if mode is None else mode
                    with contextlib.suppress(PermissionError):  # another account's file: that account has set its mode
                        if found & 0o777 != wanted:
                            os.fchmod(descriptor, wanted)
            except BaseException:
                os.close(descriptor)
                raise
        return descriptor


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
