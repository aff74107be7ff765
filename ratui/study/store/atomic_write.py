"""How bytes get to the disk: whole or not at all, twice, and there when the call returns.

Every system call of a save goes through this module's `os`, so that a test can make each of them fail in turn.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from pathlib import Path

from ratui.errors import StoreError
from ratui.study.store.access import file_mode
from ratui.study.store.descriptors import open_directory

__all__ = ["remove_leftovers", "second_copy_path", "sync_folder", "write_bytes"]

_LEFT_OVER = 3600.0
"""A temporary file that is older than this, in seconds, belongs to a writer that is gone."""


def second_copy_path(path: Path) -> Path:
    """Where the second copy of `path` lies."""
    return path.with_name(path.name + ".bak")


def write_bytes(
    path: Path, data: bytes, *, copy: bool = True, private: bool = False, folder: int | None = None
) -> None:
    """Writes `path` so that after a crash it holds the old bytes or the new, and the new once this returns.

    With `copy` a second file of its own, ``.bak``, holds the same bytes, so that damage to one of the two loses nothing.
    Both are written under other names and fsynced before either is renamed: the copy first, so that a sound copy is
    never older than what this function has reported as written. `private` keeps the file to its owner even in a shared
    folder. `folder` is the descriptor of the path's folder: with it the path's own folders are not looked up again.
    Raises StoreError where any step fails; what was stored before can then still be read.
    """
    targets = [second_copy_path(path), path] if copy else [path]
    if folder is not None:
        targets = [Path(target.name) for target in targets]
    written: list[Path] = []
    try:
        mode = 0o600 if private else file_mode(path.parent if folder is None else folder)
        for target in targets:
            temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
            written.append(temporary)
            _write_new(temporary, data, mode, folder)
        for temporary, target in zip(written, targets, strict=True):
            os.replace(temporary, target, src_dir_fd=folder, dst_dir_fd=folder)
        if folder is None:
            sync_folder(path.parent)
        else:
            os.fsync(folder)
    except OSError as error:
        for temporary in written:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
        raise StoreError(
            f"not saved: {error.strerror or error}", path, "What was saved before is intact; mend this and try again"
        ) from error


def _write_new(path: Path, data: bytes, mode: int, folder: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600, dir_fd=folder)
    try:
        os.fchmod(descriptor, mode)  # the umask has no say
        view = memoryview(data)
        while view:
            count = os.write(descriptor, view)
            if count == 0:
                raise OSError(errno.EIO, "nothing was written")
            view = view[count:]
        os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        raise
    os.close(descriptor)  # may report what a network file system could not store, so it counts


def sync_folder(folder: Path) -> None:
    """Brings the names in `folder` to the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path | int) -> int:
    """Remove the temporary files that a killed writer left in `folder` an hour ago or earlier; return their number.

    `folder` is a path or a descriptor.
    """
    if isinstance(folder, Path):
        descriptor = open_directory(folder)
        try:
            return remove_leftovers(descriptor)
        finally:
            os.close(descriptor)
    removed = 0
    for name in os.listdir(folder):  # noqa: PTH208 - of a descriptor
        if name.startswith(".") and name.endswith(".tmp"):
            with contextlib.suppress(OSError):
                if time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime > _LEFT_OVER:
                    os.unlink(name, dir_fd=folder)
                    removed += 1
    return removed
