"""The class `OpenFolder`: a folder held open, whose contents are found by relative paths without following a link."""

from __future__ import annotations

import contextlib
import copy
import errno
import os
import stat
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from ratui.errors import StoreError
from ratui.files import create_folder, lock_mode, write_bytes
from ratui.study.store.file_systems import file_system_type, is_network_type

if TYPE_CHECKING:
    from ratui.study.store.folder import StudyFolder

__all__ = [
    "LARGEST_FILE",
    "NO_LINK",
    "FileSignature",
    "OpenFolder",
    "StudyFile",
    "open_directory",
    "split_name",
    "split_path",
]

LARGEST_FILE = 64_000_000
"""Limit of a table file's size in bytes; files written by ratui stay far below."""
FileSignature: TypeAlias = tuple[int, int, int] | None
"""(inode, modification time in ns, size in bytes) of a file, or None if it does not exist. Every save changes it."""
READINGS = "readings/"
"""Begin of the paths of readings."""

# Without O_NONBLOCK, opening a FIFO waits for a writer.
NO_LINK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_directory(path: str | Path, *, folder: int | None = None) -> int:
    """Open a directory that is not a link, relative to the descriptor `folder` if given. Raises OSError."""
    return os.open(path, NO_LINK | os.O_DIRECTORY, dir_fd=folder)


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


@dataclass(frozen=True)
class _HeldFolder:
    """A folder that is kept open: its path inside, its descriptor, and its device and inode."""

    inside: str
    descriptor: int
    identity: tuple[int, int]

    def is_in_place(self, top: int) -> bool:
        """Return whether the path still leads to this folder: others may have renamed or replaced it."""
        try:
            found = os.stat(self.inside, dir_fd=top, follow_symlinks=False)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self.identity


class OpenFolder:
    """A folder that is opened at the first use and stays open; its contents are found by paths relative to it.

    Such a path is written with ``/``; the empty path is the folder itself. Every method raises ValueError for an absolute
    path and for one with ``.`` or ``..``. No symbolic link below the folder is followed and no other file system is
    entered. The folder itself may be reached through links, because the user named it.

    Attributes
    ----------
    path
        Path that the user gave.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._top = -1
        self._device = 0
        self._opening = threading.Lock()
        self._held: _HeldFolder | None = None
        self._original: OpenFolder | None = None  # of a copy: it closes the top folder when it is not used any more

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def _open_top(self) -> int:
        """Return the descriptor of the top folder. Raises OSError, or StoreError if it is no folder."""
        if self._top < 0:
            with self._opening:
                if self._top < 0:
                    try:
                        top = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                    except NotADirectoryError as error:
                        problem = "this is a file, not a study folder"
                        raise StoreError(problem, self.path, "Give the study's folder") from error
                    self._device = os.fstat(top).st_dev
                    weakref.finalize(self, _close, top).atexit = False
                    self._top = top
        return self._top

    @property
    def owner(self) -> int:
        """Number of the account that owns the folder. Raises OSError."""
        return os.fstat(self._open_top()).st_uid

    @cached_property
    def is_on_network(self) -> bool:
        """True if the folder is on a network file system, where locks may bind one machine only."""
        try:
            self._open_top()
        except OSError:
            return False
        return is_network_type(file_system_type(self._device))

    @property
    def is_read_only(self) -> bool:
        """True if the file system is mounted read-only, so that nobody on this machine can change the folder."""
        try:
            return bool(os.fstatvfs(self._open_top()).f_flag & os.ST_RDONLY)
        except OSError:
            return False

    @contextmanager
    def opened(self, inside: str = "") -> Iterator[int]:
        """Open the folder `inside` for the duration of the block and yield its descriptor.

        Raises
        ------
        OSError
            A part of the path is missing, is a link or no folder, is on another device, or must not be opened.
        """
        top = self._open_top()
        if self._held is not None and self._held.inside == inside and self._held.is_in_place(top):
            yield self._held.descriptor
            return
        descriptor = top
        try:
            for part in split_path(inside):
                below = open_directory(part, folder=descriptor)
                if descriptor != top:
                    os.close(descriptor)
                descriptor = below
                if os.fstat(descriptor).st_dev != self._device:
                    raise OSError(errno.EXDEV, "it is on another file system")
            yield descriptor
        finally:
            if descriptor != top:
                os.close(descriptor)

    @contextmanager
    def holding(self, inside: str) -> Iterator[Self]:
        """Yield a copy of this object that keeps the folder `inside` open for the duration of the block.

        A save then need not open each folder on the way again. Only one thread may use the copy. If another folder takes
        the place of `inside`, the copy opens that one, as this object does. Raises StoreError if `inside` can't be opened.
        """
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self.opened(inside))
                found = os.fstat(descriptor)
            except OSError as error:
                problem = f"the folder can't be opened: {error.strerror}"
                raise StoreError(problem, self.path / inside, "Check its permissions") from error
            held = copy.copy(self)
            held._held = _HeldFolder(inside, descriptor, (found.st_dev, found.st_ino))
            held._original = self
            try:
                yield held
            finally:
                held._held = None

    def make_folder(self, inside: str, *, group: int | None = None, sticky: bool = False) -> None:
        """Create the folder `inside` and its parents, each with the access of its parent; fsync every new name.

        An existing folder is left unchanged. `group` and `sticky` are those of `ratui.files.make_folder`. Raises StoreError
        if the folder can't be created, or a part of the path is a link or no folder.
        """
        if not inside:
            return
        above, name = split_name(inside)
        try:
            with contextlib.suppress(FileNotFoundError), self.opened(inside):
                return
            self.make_folder(above)
            with self.opened(above) as parent:
                create_folder(parent, name, group=group, sticky=sticky)
        except OSError as error:
            problem = f"the folder can't be created: {error.strerror or error}"
            raise StoreError(problem, self.path / inside, "Check its parts; a study must not contain links") from error

    def find(self, inside: str) -> os.stat_result | None:
        """Return the result of ``stat`` for the object at `inside`, a link as such, or None. Raises StoreError."""
        try:
            if not inside:
                return os.fstat(self._open_top())
            above, name = split_name(inside)
            with self.opened(above) as folder:
                return os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            problem = f"can't be examined: {error.strerror}"
            raise StoreError(problem, self.path / inside, "Check its permissions, and the disk") from error

    def signature(self, inside: str) -> FileSignature:
        """Return values that change with every save of the file `inside`. Raises StoreError if the disk refuses."""
        found = self.find(inside)
        return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)

    def exists(self, inside: str) -> bool:
        """Return whether there is an object at `inside`, even a link. Raises StoreError."""
        return self.find(inside) is not None

    def is_folder(self, inside: str) -> bool:
        """Return whether `inside` is a folder, not a link to one. Raises StoreError."""
        found = self.find(inside)
        return found is not None and stat.S_ISDIR(found.st_mode)

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

    def tail(self, inside: str, count: int, largest: int = LARGEST_FILE) -> bytes:
        """Return the last `count` bytes of the regular file `inside`, or all of a shorter file; errors as in `read`."""
        with self.opened_file(inside, largest) as (descriptor, size):
            return os.pread(descriptor, count, max(0, size - count))

    def write(
        self, inside: str, data: bytes, *, copy: bool = True, private: bool = False, recorded: bool = True
    ) -> None:
        """Write `data` to the file `inside` atomically and durably; the parameters are those of `files.write_bytes`.

        All writes of a study come here, except those of films. The change is recorded in this account's journal before any
        file is created or replaced. `recorded` is False only to restore a study together with its journals. Readings are
        not recorded: the log in each reading is a chain of its own.

        Raises
        ------
        StoreError
            If a step fails. The content from before can then still be read.
        """
        path = self.path / inside
        try:
            with (
                self.opened(split_name(inside)[0]) as folder,
                self._recording(inside, data) if recorded and not inside.startswith(READINGS) else nullcontext(),
            ):
                write_bytes(path, data, copy=copy, private=private, folder=folder)
        except OSError as error:
            problem = f"not saved: {error.strerror or error}"
            raise StoreError(
                problem, path, "What was saved before is intact. Remove the cause and try again"
            ) from error

    def _recording(self, inside: str, data: bytes | None) -> AbstractContextManager[None]:
        """Record a change of the file `inside`; `StudyFolder` does it."""
        return nullcontext()

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


def split_name(inside: str) -> tuple[str, str]:
    """Return the path of the folder that contains `inside`, and its name. Raises ValueError for no plain relative path."""
    above, _, name = inside.rpartition("/")
    if name in ("", ".", "..") or "\0" in name or inside.startswith("/"):
        raise ValueError(f"not a path inside a study: {inside!r}")
    return above, name


def split_path(inside: str) -> list[str]:
    """Return the parts of a path inside; none for the top folder. Raises ValueError for no plain relative path."""
    if not inside:
        return []
    parts = inside.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ValueError(f"not a path inside a study: {inside!r}")
    return parts


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)
