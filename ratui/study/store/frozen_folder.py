"""The class `FrozenFolder`: the files of a study as they were at one moment, while others go on saving.

A save replaces a file and never changes it in place. So a file that is held open keeps its content, without a copy. Nothing
has a name, so nothing is left behind when the process is killed. A file is copied, into an unnamed temporary file, only on a
network file system, where an open file may lose its content, and beyond the number of files that a process may open.
Journals are copied because they are continued in place. Films and weights of models never change and are read in the study.
Second copies, which are read only if the file itself is damaged, are read in the study too, unless they have changed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from ratui.errors import StoreError
from ratui.files import temporary_space
from ratui.study.store.descriptors import reopen
from ratui.study.store.folder import LARGEST_FILE, FileSignature, StudyFolder
from ratui.study.store.journal import JOURNAL_SUFFIX
from ratui.study.store.journaling import JOURNAL
from ratui.study.store.open_folder import NO_LINK, open_directory, split_name
from ratui.study.store.tables import TAIL_BYTES

__all__ = ["FrozenFolder"]

_KEPT = (".json", ".toml", JOURNAL_SUFFIX)
_TRANSIENT = (".lock", ".takeover", ".saving", ".tmp")
_DEEPEST = 6  # folders inside each other; studies have four
_RESERVE = 256  # open files that are left to the rest of the program
_CHUNK_BYTES = 1 << 20
_OLD = 600_000_000_000  # ns; clocks of machines with a shared folder differ less
_TIMESTAMP_STEP = 3_000_000_000  # ns; file systems store times in steps of up to 2 s


@dataclass(frozen=True)
class _KeptFile:
    """A file of the snapshot.

    Attributes
    ----------
    found
        Its status when it was opened.
    descriptor
        Descriptor that holds its content, or -1.
    offset
        Place of its content in the file of copies, or -1. Without either the file is read in the study.
    """

    found: os.stat_result
    descriptor: int = -1
    offset: int = -1


@dataclass(frozen=True)
class _Listing:
    """The entries of a folder.

    Attributes
    ----------
    stamp
        Inode and time of the last change of the folder in ns. Each new, renamed or removed entry changes the time.
    is_settled
        The last change is so long ago that the next one must have another time.
    files
        Inodes of the files by name.
    folders
        Names of the folders.
    """

    stamp: tuple[int, int]
    is_settled: bool
    files: Mapping[str, int]
    folders: tuple[str, ...]


class FrozenFolder(StudyFolder):
    """The files of a study at one moment. Call `update` until it changes nothing, and `close` at the end.

    Parameters
    ----------
    folder
        The study.
    private
        Name of the folder that is left out if this account can't open it.
    """

    def __init__(self, folder: StudyFolder, private: str) -> None:
        super().__init__(folder.path)
        self._study = folder
        self._private = private
        self._kept: dict[str, _KeptFile] = {}
        self._listings: dict[str, _Listing] = {}
        self.closed: set[str] = set()
        """Folders, without the private one, that this account can't open. Reading a file in them raises StoreError."""
        self._copies: BinaryIO | None = None
        self._limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_open = 0 if folder.is_on_network else max(0, self._limit[1] - 2 * _RESERVE)
        self._open = 0

    def _open_top(self) -> int:
        top = self._study._open_top()
        self._device = self._study._device
        return top

    def update(self) -> bool:
        """Keep what is new or changed since the last call, and drop what is gone; return whether there was any.

        If a call returns False, the files are those at the moment when it began. Raises OSError, or StoreError.
        """
        self._settled_before = time.time_ns() - _TIMESTAMP_STEP
        self._seen: set[str] = set()
        self._changes = 0
        self._visit("", self._open_top(), 0)
        for inside in self._listings.keys() - self._seen:
            self._compare(inside, -1, {})
            del self._listings[inside]
            self._changes += 1
        return self._changes > 0

    def close(self) -> None:
        """Close all files and restore the limit of open files."""
        for inside in list(self._kept):
            self._drop(inside)
        if self._copies is not None:
            self._copies.close()
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, self._limit)

    def study_files(self) -> list[str]:
        """Return the paths of all files, sorted, without second copies, which are created again where needed."""
        return sorted(inside for inside in self._kept if not inside.endswith(".bak"))

    # Making the snapshot.

    def _visit(self, inside: str, folder: int, depth: int) -> None:
        """Compare the open folder `inside`, and all folders in it, with what was kept."""
        self._seen.add(inside)
        stamp = _stamp(os.fstat(folder))
        listing = self._listings.get(inside)
        if listing is None or not listing.is_settled or listing.stamp != stamp:
            files, folders = _list_folder(folder)
            self._compare(inside, folder, files)
            is_settled = stamp[1] < self._settled_before and not inside.endswith(JOURNAL) and not self.is_on_network
            listing = self._listings[inside] = _Listing(stamp, is_settled, files, folders)
        for name in listing.folders:
            below = f"{inside}/{name}" if inside else name
            if self._is_unchanged(below, name, folder):
                self._seen.add(below)
            elif depth < _DEEPEST and (descriptor := self._open_below(name, folder, below)) >= 0:
                try:
                    self._visit(below, descriptor, depth + 1)
                finally:
                    os.close(descriptor)

    def _is_unchanged(self, inside: str, name: str, above: int) -> bool:
        """Return whether a folder without folders has still the entries that were kept; it is not opened for that."""
        listing = self._listings.get(inside)
        if listing is None or not listing.is_settled or listing.folders:
            return False
        try:
            return _stamp(os.stat(name, dir_fd=above, follow_symlinks=False)) == listing.stamp
        except FileNotFoundError:
            return False

    def _compare(self, inside: str, folder: int, files: Mapping[str, int]) -> None:
        """Keep the new and changed files of one folder, and drop those that are gone; `files` has their inodes."""
        before = self._listings.get(inside)
        for name, inode in files.items():
            path = f"{inside}/{name}" if inside else name
            kept = self._kept.get(path)
            if kept is None or not self._is_same(path, kept, inode, folder):
                self._changes += 1
                try:
                    after = self._keep(path, folder)
                except FileNotFoundError:
                    continue  # replaced just now: the next call finds the new one
                except PermissionError:
                    self.closed.add(inside)
                    self._changes -= 1
                else:
                    self._drop(path)
                    self._kept[path] = after
        for name in before.files.keys() - files.keys() if before else ():
            self._changes += 1
            self._drop(f"{inside}/{name}" if inside else name)

    def _open_below(self, name: str, folder: int, inside: str) -> int:
        """Return the descriptor of a folder; -1 for a private one, one just removed, and one on another device."""
        try:
            descriptor = open_directory(name, folder=folder)
        except (FileNotFoundError, NotADirectoryError):
            return -1
        except PermissionError:
            if "/" in inside:  # a rater or a trainer may close a folder of their own
                self.closed.add(inside)
            elif inside != self._private:
                raise
            return -1
        if os.fstat(descriptor).st_dev == self._device:
            return descriptor
        os.close(descriptor)
        return -1

    def _is_same(self, inside: str, kept: _KeptFile, inode: int, folder: int) -> bool:
        """Return whether the file with this inode in the study is the one that was kept."""
        if not self.is_on_network and (kept.descriptor >= 0 or inside.endswith(".bak")):
            # The number of an open file can't be given to another. A second copy is compared again when it is read.
            return inode == kept.found.st_ino
        try:
            found = os.stat(split_name(inside)[1], dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if self._signature(found) != self._signature(kept.found):
            return False
        # Servers of SFTP state times in seconds. Their clock may differ from this one.
        is_old = found.st_mtime_ns < time.time_ns() - _OLD
        return not self.is_on_network or kept.offset < 0 or is_old or self._has_same_tail(inside, kept, folder)

    def _has_same_tail(self, inside: str, kept: _KeptFile, folder: int) -> bool:
        """Return whether a file of the study ends as its copy does; the end of a sealed file contains its digest."""
        size, count = kept.found.st_size, min(TAIL_BYTES, kept.found.st_size)
        try:
            descriptor = os.open(split_name(inside)[1], NO_LINK, dir_fd=folder)
        except OSError:
            return False
        try:
            end = os.pread(descriptor, count, size - count)
        finally:
            os.close(descriptor)
        assert self._copies is not None
        self._copies.seek(kept.offset + size - count)
        return end == self._copies.read(count)

    def _signature(self, found: os.stat_result) -> tuple[int, int, int]:
        """Return values that change with every save; without the inode number, which sshfs changes of the same file."""
        return 0 if self.is_on_network else found.st_ino, found.st_mtime_ns, found.st_size

    def _keep(self, inside: str, folder: int) -> _KeptFile:
        """Open or copy a file in the open folder. Raises FileNotFoundError if there is none any more, and OSError."""
        name = split_name(inside)[1]
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not (inside.endswith(_KEPT) and stat.S_ISREG(found.st_mode)):
            return _KeptFile(found)
        try:
            descriptor = os.open(name, NO_LINK, dir_fd=folder)
        except PermissionError:
            return _KeptFile(found)  # reading it raises StoreError
        try:
            found = os.fstat(descriptor)
            is_small = stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_FILE
            if is_small and inside.endswith(JOURNAL_SUFFIX):
                return _KeptFile(found, offset=self._copy(descriptor, found.st_size))
            if self._open < self._most_open:
                self._open, kept, descriptor = self._open + 1, _KeptFile(found, descriptor), -1
                self._raise_limit()
                return kept
            return _KeptFile(found, offset=self._copy(descriptor, found.st_size) if is_small else -1)
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _raise_limit(self) -> None:
        """Raise the number of files that this process may open, within what the system permits."""
        wanted, (now, most) = self._open + _RESERVE, resource.getrlimit(resource.RLIMIT_NOFILE)
        if now != resource.RLIM_INFINITY and wanted > now:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * wanted, most), most))

    def _copy(self, descriptor: int, size: int) -> int:
        """Append the first `size` bytes of an open file to the file of copies and return their offset."""
        with temporary_space() as room:
            if self._copies is None:
                self._copies = tempfile.TemporaryFile(dir=room)  # noqa: SIM115 - closed by `close`; it has no name
            offset, at = self._copies.seek(0, os.SEEK_END), 0
            while at < size and (chunk := os.pread(descriptor, min(_CHUNK_BYTES, size - at), at)):
                self._copies.write(chunk)
                at += len(chunk)
            self._copies.write(bytes(size - at))
            self._copies.flush()
        return offset

    def _drop(self, inside: str) -> None:
        kept = self._kept.pop(inside, None)
        if kept is not None and kept.descriptor >= 0:
            self._open -= 1
            os.close(kept.descriptor)

    # Reading the snapshot.

    @contextmanager
    def opened_file(self, inside: str, largest: int = LARGEST_FILE) -> Iterator[tuple[int, int]]:
        """Open the file `inside` as it was at the moment of the snapshot; parameters and errors are those of the base."""
        kept = self._kept.get(inside)
        if kept is None and split_name(inside)[0] in self.closed:
            raise StoreError(f"can't be read: {os.strerror(errno.EACCES)}", self.path / inside, "Ask its owner")
        if kept is None:
            raise FileNotFoundError(inside)
        size = kept.found.st_size
        if kept.descriptor < 0 and kept.offset < 0:
            with super().opened_file(inside, largest) as found:
                if inside.endswith(".bak") and self._signature(os.fstat(found[0])) != self._signature(kept.found):
                    raise FileNotFoundError(inside)
                yield found
        elif size > largest:
            problem = "the file is larger than any that ratui writes"
            raise StoreError(problem, self.path / inside, "Restore it from a backup")
        elif kept.offset >= 0:
            with temporary_space() as room, tempfile.TemporaryFile(dir=room) as copy:
                assert self._copies is not None
                self._copies.seek(kept.offset)
                copy.write(self._copies.read(size))
                copy.flush()
                copy.seek(0)
                yield copy.fileno(), size
        else:
            descriptor = reopen(kept.descriptor)
            try:
                yield descriptor, size
            except OSError as error:
                problem = f"can't be read: {error.strerror}"
                raise StoreError(problem, self.path / inside, "Check its permissions") from error
            finally:
                os.close(descriptor)

    def find(self, inside: str) -> os.stat_result | None:
        """Return the status of the object at `inside`, at the moment of the snapshot if it is a file; None without one."""
        if (kept := self._kept.get(inside)) is not None:
            return kept.found
        found = super().find(inside)
        return found if found is not None and stat.S_ISDIR(found.st_mode) else None

    def scan(self, inside: str = "", *, most: int | None = None) -> Mapping[str, os.stat_result]:
        """Return the entries of the folder `inside` by name; parameters and errors are those of the base."""
        listing = self._listings.get(inside)
        names = [*listing.files, *listing.folders] if listing else []
        if most is not None and len(names) > most:
            raise StoreError("the folder contains too many files", self.path / inside, "Inspect it with ls")
        found = {name: self.find(f"{inside}/{name}".lstrip("/")) for name in names}
        return {name: entry for name, entry in found.items() if entry is not None}

    def signatures_below(self, inside: str, name: str) -> dict[str, FileSignature]:
        """Return the signature of the file `name` in each folder inside the folder `inside`, by the folder's name."""
        listing = self._listings.get(inside)
        return {each: self.signature(f"{inside}/{each}/{name}") for each in (listing.folders if listing else ())}

    # A snapshot is never changed.

    def _refuse(self) -> NoReturn:
        raise StoreError("a snapshot of a study can't be changed", self.path, "Report this to the authors of ratui")

    def write(self, *_: object, **__: object) -> NoReturn:
        """Refuse to write. Raises StoreError."""
        self._refuse()

    def make_folder(self, *_: object, **__: object) -> NoReturn:
        """Refuse to create a folder. Raises StoreError."""
        self._refuse()

    def remove(self, *_: object, **__: object) -> NoReturn:
        """Refuse to remove a file. Raises StoreError."""
        self._refuse()

    def rename(self, *_: object, **__: object) -> NoReturn:
        """Refuse to rename a file. Raises StoreError."""
        self._refuse()

    def create(self, *_: object, **__: object) -> NoReturn:
        """Refuse to create a file. Raises StoreError."""
        self._refuse()

    def open_lock(self, *_: object, **__: object) -> NoReturn:
        """Refuse to open a lock. Raises StoreError."""
        self._refuse()


def _list_folder(folder: int) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the inodes of the files of an open folder by name, and the names of its folders; links are left out."""
    files, folders = dict[str, int](), list[str]()
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name.endswith(_TRANSIENT) or ".damaged-" in name or entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
            else:
                files[name] = entry.inode()
    return files, tuple(folders)


def _stamp(found: os.stat_result) -> tuple[int, int]:
    return found.st_ino, found.st_ctime_ns
