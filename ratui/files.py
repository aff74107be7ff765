"""Folders and files that are written completely or not at all, open to their owner and to the folder's group only.

Every atomic write of the project goes through this module. It imports only `ratui.errors`, so that every layer can use it.
Every call of a save that changes the disk is made through this module's `os`, so that tests can make each call fail.

A folder whose set-group-ID bit is set is shared: files inside it get the folder's group permissions. Every other folder
belongs to its owner alone. No function here gives a permission to other users.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ratui.errors import StoreError, StudyError, clean_text

__all__ = [
    "LEFTOVER_AGE",
    "STICKY",
    "atomic_write",
    "check_name",
    "create_folder",
    "file_digest",
    "file_mode",
    "find_temporary_folder",
    "lock_mode",
    "make_folder",
    "move_into_place",
    "remove_leftovers",
    "second_copy_path",
    "share_folder",
    "sync_folder",
    "temporary_folder",
    "temporary_space",
    "umask_for",
    "write_bytes",
    "write_together",
]

STICKY = stat.S_ISVTX
"""Mode bit of a shared folder: only the owner of an entry may rename or remove it."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
LEFTOVER_AGE = 3600.0
"""Age in seconds of a temporary file whose writer was killed."""


def find_temporary_folder() -> str:
    """Return the folder for temporary files. Raise StudyError if the system has none that can be written."""
    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise StudyError(
            "no folder for temporary files can be written", "", "Free some disk space, or set TMPDIR to another folder"
        ) from error


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Create a private folder for a ``with`` block, and remove it at the end of the block.

    Raises StudyError if there is no room for the folder or for its files.
    """
    with temporary_space() as folder, tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as name:
        yield Path(name)


@contextmanager
def temporary_space() -> Iterator[str]:
    """Yield the folder for temporary files. Raise StudyError if there is none, or no room for what the block writes."""
    folder = find_temporary_folder()
    try:
        yield folder
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StudyError(
            "there is no room for temporary files", folder, "Free some disk space, or set TMPDIR to another folder"
        ) from error


def check_name(name: object, kind: str) -> str:
    """Return `name` if it is a safe file name. Raises StudyError otherwise; `kind`, such as "case", is for its text."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise StudyError(
            f"{clean_text(name)!r} can't be the name of a {kind}", "", "Use letters, digits, dot, - and _, at most 40"
        )
    return name


def file_digest(path: Path) -> str:
    """Return the SHA-256 of the file at `path` in hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def second_copy_path(path: Path) -> Path:
    """Return the path of the second copy of `path`."""
    return path.with_name(path.name + ".bak")


def write_bytes(
    path: Path, data: bytes, *, copy: bool = True, private: bool = False, folder: int | None = None
) -> None:
    """Write `data` to `path` atomically and durably.

    After a crash the file contains the old bytes or the new ones. When the function returns, the new ones are on the disk.
    Files are written under temporary names and fsynced before either is renamed. The second copy is renamed first, so that
    an intact copy is never older than the last write that succeeded.

    Parameters
    ----------
    path
        The file to create or replace.
    data
        The complete new content.
    copy
        Also write the same bytes to `second_copy_path`, so that damage to one of the two files loses nothing.
    private
        Give the file mode 0600 even in a shared folder.
    folder
        An open descriptor of the folder. If given, only the last component of `path` is used: no folder above it is
        resolved again, so none can be replaced by a link meanwhile.

    Raises
    ------
    StoreError
        If a step fails. The content from before can then still be read.
    """
    targets = [second_copy_path(path), path] if copy else [path]
    if folder is not None:
        targets = [Path(target.name) for target in targets]
    temporaries: list[Path] = []
    try:
        mode = 0o600 if private else file_mode(path.parent if folder is None else folder)
        for target in targets:
            temporary = _temporary_path(target)
            temporaries.append(temporary)
            _write_new(temporary, data, mode, folder)
        for temporary, target in zip(temporaries, targets, strict=True):
            os.replace(temporary, target, src_dir_fd=folder, dst_dir_fd=folder)
        if folder is None:
            sync_folder(path.parent)
        else:
            os.fsync(folder)
    except OSError as error:
        for temporary in temporaries:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
        raise StoreError(
            f"not saved: {error.strerror or error}",
            path,
            "What was saved before is intact. Remove the cause and try again",
        ) from error


def write_together(files: Mapping[str, bytes], folder: int, *, modified: int) -> None:
    """Write files into an open folder so that nothing reveals which of them were there before.

    All are written under temporary names in random order, before any is renamed: the numbers of the old files on the disk
    are free for none of them. Then they are renamed in another random order, and
    get their times of change in a third one. One copy of each is written.

    Parameters
    ----------
    files
        New content by name.
    folder
        Descriptor of the folder.
    modified
        Time of access and modification that all files get, in seconds since 1970.

    Raises
    ------
    OSError
        If a step fails. Each file then has its old content or its new one.
    """
    names, draw = list(files), secrets.SystemRandom()
    draw.shuffle(names)
    temporaries = {name: _temporary_path(Path(name)) for name in names}
    try:
        mode = file_mode(folder)
        for name in names:
            _write_new(temporaries[name], files[name], mode, folder, modified)
        draw.shuffle(names)
        for name in names:
            os.replace(temporaries[name], name, src_dir_fd=folder, dst_dir_fd=folder)
        # A rename that replaces a file takes longer than others, so that times of change would show which did.
        draw.shuffle(names)
        for name in names:
            os.utime(name, (modified, modified), dir_fd=folder, follow_symlinks=False)
        os.fsync(folder)
    except OSError:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
        raise


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` when the block ends without an error.

    For writers of other libraries that need a file name. The file's mode follows the umask. One copy is written.
    Raises OSError if the rename fails; the temporary file is removed after any error.
    """
    temporary = _temporary_path(path)
    try:
        yield temporary
        move_into_place(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def move_into_place(temporary: Path, path: Path) -> None:
    """Rename the finished file `temporary` to `path` in the same folder, both fsynced. Raises OSError."""
    descriptor = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)  # before the rename: otherwise the new name may point to an empty file after a crash
    finally:
        os.close(descriptor)
    os.replace(temporary, path)  # noqa: PTH105 - through `os`, like every call of a save
    sync_folder(path.parent)


def _temporary_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")


def _write_new(path: Path, data: bytes, mode: int, folder: int | None, modified: int | None = None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600, dir_fd=folder)
    try:
        os.fchmod(descriptor, mode)  # unlike the mode given to open(), the umask does not change this one
        view = memoryview(data)
        while view:
            count = os.write(descriptor, view)  # may write less than asked for
            if count == 0:
                raise OSError(errno.EIO, "nothing was written")
            view = view[count:]
        if modified is not None:
            os.utime(descriptor, (modified, modified))
        os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        raise
    os.close(descriptor)  # not suppressed: NFS reports here what the server could not store


def sync_folder(folder: Path) -> None:
    """Write the names in `folder` to the disk: a rename is durable only after that. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: int) -> int:
    """Remove temporary files of killed writers, older than an hour, from the open folder; return their number."""
    removed = 0
    for name in os.listdir(folder):
        if name.startswith(".") and name.endswith(".tmp"):
            with contextlib.suppress(OSError):
                if time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime > LEFTOVER_AGE:
                    os.unlink(name, dir_fd=folder)
                    removed += 1
    return removed


def _group_bits(folder: Path | int) -> int:
    mode = os.stat(folder).st_mode  # noqa: PTH116 - of a descriptor, too
    return mode & 0o070 if mode & stat.S_ISGID else 0


def file_mode(folder: Path | int) -> int:
    """Return the mode of a new file in `folder`, given as a path or as a descriptor. Raises OSError."""
    return 0o600 | (_group_bits(folder) & 0o060)


def lock_mode(folder: Path | int) -> int:
    """Return the mode of a new lock file in `folder`: only those who may write in the folder can open it. Raises OSError."""
    return 0o660 if _group_bits(folder) & 0o020 else 0o600


def make_folder(path: Path, *, group: int | None = None, sticky: bool = False) -> None:
    """Create the folder `path` and its parents, each with the access of its parent; fsync every new name.

    Parameters
    ----------
    path
        The folder. An existing one is left unchanged.
    group
        Group permission bits, such as ``0o050``, for `path` instead of its parent's, if the parent is shared.
    sticky
        Set `STICKY` if the parent is shared.

    Raises
    ------
    StoreError
        If the folder can't be created.
    """
    try:
        if path.is_dir():
            return
        make_folder(path.parent)
        bits = _group_bits(path.parent)
        if bits and group is not None:
            bits = group
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            if path.is_dir():
                return  # another process created it meanwhile
            raise
        path.chmod(0o700 | bits | (stat.S_ISGID if bits else 0) | (STICKY if sticky and bits else 0))
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"the folder can't be created: {error.strerror or error}", path, "Check the path") from error


def create_folder(parent: int, name: str, *, group: int | None = None, sticky: bool = False) -> None:
    """Create the folder `name` in the open folder `parent`, with its access, and fsync the name.

    `group` and `sticky` are those of `make_folder`. A folder that another process has just created is left unchanged.
    Raises OSError, also if `name` is a link or no folder.
    """
    bits = _group_bits(parent)
    if bits and group is not None:
        bits = group
    is_new = True
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        is_new = False
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if is_new:
            os.fchmod(descriptor, 0o700 | bits | (stat.S_ISGID if bits else 0) | (STICKY if sticky and bits else 0))
    finally:
        os.close(descriptor)
    os.fsync(parent)


def share_folder(folder: Path | int, gid: int | None, bits: int, *, sticky: bool = False) -> None:
    """Share an existing folder with a Unix group, or restrict it to its owner.

    Parameters
    ----------
    folder
        The folder's path or descriptor.
    gid
        Number of the group; None restricts the folder to its owner.
    bits
        Group permission bits, such as ``0o050``.
    sticky
        Set `STICKY`.

    Raises
    ------
    OSError
        If this account may not change the folder or is not in the group.
    """
    if gid is None:
        os.chmod(folder, 0o700)  # noqa: PTH101 - of a descriptor, too
        return
    os.chown(folder, -1, gid)
    os.chmod(folder, 0o700 | bits | stat.S_ISGID | (STICKY if sticky else 0))  # noqa: PTH101


@contextmanager
def umask_for(folder: Path) -> Iterator[None]:
    """Set the umask so that every library creates files in `folder` with the folder's access.

    If `folder` does not exist, the nearest existing parent counts. The umask belongs to the whole process, all threads
    included.
    """
    existing = next((each for each in (folder, *folder.absolute().parents) if each.exists()), Path("/"))
    before = os.umask(0o077 & ~_group_bits(existing))
    try:
        yield
    finally:
        os.umask(before)
