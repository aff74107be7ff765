"""The class `OpenFolder`: a folder held open, whose contents are found by relative paths without following a link."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from ratui.errors import StoreError
from ratui.files import create_folder
from ratui.study.store.descriptors import open_directory
from ratui.study.store.file_systems import file_system_type, is_network_type

__all__ = ["FileSignature", "OpenFolder", "split_name", "split_path"]

FileSignature: TypeAlias = tuple[int, int, int] | None
"""(inode, modification time in ns, size in bytes) of a file, or None if it does not exist. Every save changes it."""


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

    def make_folder(self, inside: str, *, group: int | None = None, sticky: bool = False) -> None:
        """Create the folder `inside` and its parents, each with the access of its parent; fsync every new name.

        Parameters
        ----------
        inside
            The folder. An existing one is left unchanged.
        group
            Group permission bits, such as ``0o050``, for the folder instead of its parent's, if the parent is shared.
        sticky
            Set `ratui.files.STICKY` if the parent is shared.

        Raises
        ------
        StoreError
            The folder can't be created, or a part of the path is a link or no folder.
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

    def exists(self, inside: str) -> bool:
        """Return whether there is an object at `inside`, even a link. Raises StoreError."""
        return self.find(inside) is not None

    def is_folder(self, inside: str) -> bool:
        """Return whether `inside` is a folder, not a link to one. Raises StoreError."""
        found = self.find(inside)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def signature(self, inside: str) -> FileSignature:
        """Return values that change with every save of the file `inside`. Raises StoreError if the disk refuses."""
        found = self.find(inside)
        return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)


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


def _signature(path: str, folder: int) -> FileSignature:
    try:
        found = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)
