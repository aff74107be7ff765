"""Who may open what: modes of files and folders, the same whatever the umask.

A folder whose set-group-id bit is set is shared with its group, as far as its group bits say; every other folder is its
owner's alone. Nothing here ever gives a permission to the rest of the world.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ratui.errors import StoreError

__all__ = ["STICKY", "file_mode", "make_folder", "share_folder", "umask_for"]

STICKY = stat.S_ISVTX
"""In a shared folder: whoever made an entry is the only one who may rename or remove it."""


def _group_bits(folder: Path | int) -> int:
    mode = os.stat(folder).st_mode  # noqa: PTH116 - of a descriptor, too
    return mode & 0o070 if mode & stat.S_ISGID else 0


def file_mode(folder: Path | int) -> int:
    """Return the mode of a file made in `folder`, a path or a descriptor. Raises OSError."""
    return 0o600 | (_group_bits(folder) & 0o060)


def make_folder(path: Path, *, group: int | None = None, sticky: bool = False) -> None:
    """Makes the folder `path`, and those above it, each with the access of the one it lies in.

    `group` replaces the group bits, as ``0o050``, where the folder above is shared. A folder that is there already is
    left as it is. Every new name is on the disk when this returns. Raises StoreError.
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
                return  # somebody else made it just now
            raise
        path.chmod(0o700 | bits | (stat.S_ISGID if bits else 0) | (STICKY if sticky and bits else 0))
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"the folder can't be made: {error.strerror or error}", path, "Check the path") from error


def share_folder(path: Path, gid: int | None, bits: int, *, sticky: bool = False) -> None:
    """Opens the folder `path` to the group `gid` as far as `bits` say, or closes it to all but its owner where None.

    Raises OSError.
    """
    if gid is None:
        path.chmod(0o700)
        return
    os.chown(path, -1, gid)
    path.chmod(0o700 | bits | stat.S_ISGID | (STICKY if sticky else 0))


@contextmanager
def umask_for(folder: Path) -> Iterator[None]:
    """What is written meanwhile, by whatever library, is open to those alone to whom `folder` is, or where it isn't there
    yet the one that it will lie in. For a whole program: every thread of it is under the same umask."""
    there = next((each for each in (folder, *folder.absolute().parents) if each.exists()), Path("/"))
    before = os.umask(0o077 & ~_group_bits(there))
    try:
        yield
    finally:
        os.umask(before)
